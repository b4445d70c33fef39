#!/usr/bin/env python3
"""A bad link in front of a port: an interface whose frames go through sluice-impair and out of the port, and back.

impair.py PORT NAME MAC ADDRESS RELAY SPEC SEED makes the tap NAME with that address and becomes the relay between it and
PORT; when the relay is ended (SIGTERM), the tap goes, and the relay writes its counts to standard error.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys

TUNSETIFF = 0x400454CA
IFF_TAP_NO_PI = 0x1002
ETH_P_ALL = 3
SO_RCVBUFFORCE = 33
SOL_PACKET = 263
PACKET_IGNORE_OUTGOING = 23
RECEIVE_BYTES = 64 << 20
QUEUE_FRAMES = 20_000


def main() -> None:
    """impair.py PORT NAME MAC ADDRESS RELAY SPEC SEED"""
    port, name, mac, address, relay, spec, seed = sys.argv[1:]
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode("ascii"), IFF_TAP_NO_PI))
    # The port is what is bad, not the way to it: nothing is lost between the kernel and the relay.
    for words in (
        ["link", "set", name, "address", mac, "txqueuelen", str(QUEUE_FRAMES)],
        ["address", "add", address, "dev", name],
        ["link", "set", name, "up"],
    ):
        subprocess.run(["ip", *words], check=True)
    # As everywhere in the lab: CUBIC, with which the appliance is compared.
    listed = subprocess.run(["ip", "route", "show", "dev", name], check=True, stdout=subprocess.PIPE, text=True).stdout
    for route in listed.splitlines():
        subprocess.run(["ip", "route", "change", *route.split(), "dev", name, "congctl", "cubic"], check=True)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BYTES)
    wire.bind((port, ETH_P_ALL))
    os.dup2(tap, 0)
    os.dup2(wire.fileno(), 1)
    os.execv(relay, [relay, spec, seed, mac])


if __name__ == "__main__":
    main()
