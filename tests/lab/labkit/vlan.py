#!/usr/bin/env python3
"""A VLAN interface for kernels that have none: a tap whose frames go out of a port tagged, and come in untagged.

vlan.py PORT VLAN ADDRESS.. makes the interface sl-vlan, says `ready`, and relays until it is ended, which removes it.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys

TAP_NAME = "sl-vlan"
TUNSETIFF = 0x400454CA
IFF_TAP_NO_PI = 0x1002
ETH_P_ALL = 3
SOL_PACKET = 263
PACKET_AUXDATA = 8
PACKET_OUTGOING = 4
# struct tpacket_auxdata: status, len, snaplen, mac, net, vlan_tci, vlan_tpid.
AUXDATA = struct.Struct("IIIHHHH")
TP_STATUS_VLAN_VALID = 1 << 4
FRAME_BYTES_MAX = 65536


def main() -> None:
    """vlan.py PORT VLAN ADDRESS.."""
    port, vlan, addresses = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    tap = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", TAP_NAME.encode("ascii"), IFF_TAP_NO_PI))
    for address in addresses:
        subprocess.run(["ip", "address", "add", address, "dev", TAP_NAME], check=True)
    subprocess.run(["ip", "link", "set", TAP_NAME, "up"], check=True)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    wire.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    wire.bind((port, ETH_P_ALL))
    print("ready", flush=True)
    tag = struct.pack("!HH", 0x8100, vlan)
    while True:
        for ready in select.select([tap, wire], [], [])[0]:
            if ready is tap:
                frame = os.read(tap, FRAME_BYTES_MAX)
                wire.send(frame[:12] + tag + frame[12:])
            else:
                bare = untagged(wire, vlan)
                if bare is not None:
                    os.write(tap, bare)


def untagged(wire: socket.socket, vlan: int) -> bytes | None:
    """The next frame without its tag, or None when it is not one that came in with this VLAN's."""
    frame, ancillary, _, sender = wire.recvmsg(FRAME_BYTES_MAX, socket.CMSG_SPACE(AUXDATA.size))
    if sender[2] == PACKET_OUTGOING:
        return None
    for level, kind, data in ancillary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, _ = AUXDATA.unpack(data[: AUXDATA.size])
            if status & TP_STATUS_VLAN_VALID and tci & 0xFFF == vlan:
                return frame
    return None


if __name__ == "__main__":
    main()
