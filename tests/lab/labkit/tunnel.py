#!/usr/bin/env python3
"""One end of a tunnel for kernels that have none: a TUN interface whose packets leave inside GRE or inside IP itself.

tunnel.py LOCAL REMOTE KIND ADDRESS.. makes the interface sl-tun with those addresses and carries its packets between LOCAL
and REMOTE, IPv4 or IPv6, until it is ended, which removes it. KIND is `gre`, `gre:SENT:RECEIVED` with the keys of each
direction, `gre+sequence`, or `ip` for the bare packet.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys

TUN_NAME = "sl-tun"
TUNSETIFF = 0x400454CA
IFF_TUN_NO_PI = 0x1001
# Room for the outer headers of every kind in 1,500 bytes.
MTU_BYTES = 1400
PACKET_BYTES_MAX = 65536
GRE, IPV4_IN_IP, IPV6_IN_IP = 47, 4, 41
GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE = 0x8000, 0x2000, 0x1000


class Wrapping:
    """How packets are dressed on this end."""

    def __init__(self, kind: str) -> None:
        self.gre = kind.startswith("gre")
        self.sequence = 0 if kind == "gre+sequence" else None
        self.key = int(kind.split(":")[1]) if ":" in kind else None

    def dress(self, packet: bytes) -> tuple[int, bytes]:
        """The outer protocol number, and what follows the outer IP header."""
        version6 = packet[0] >> 4 == 6
        if not self.gre:
            return (IPV6_IN_IP if version6 else IPV4_IN_IP), packet
        flags, fields = 0, b""
        if self.key is not None:
            flags, fields = flags | GRE_KEY, fields + struct.pack("!I", self.key)
        if self.sequence is not None:
            flags, fields = flags | GRE_SEQUENCE, fields + struct.pack("!I", self.sequence)
            self.sequence = (self.sequence + 1) & 0xFFFFFFFF
        return GRE, struct.pack("!HH", flags, 0x86DD if version6 else 0x0800) + fields + packet


def undress(protocol: int, body: bytes) -> bytes:
    """The inner packet."""
    if protocol != GRE:
        return body
    (flags,) = struct.unpack("!H", body[:2])
    optional = sum(4 for flag in (GRE_CHECKSUM, GRE_KEY, GRE_SEQUENCE) if flags & flag)
    return body[4 + optional :]


def main() -> None:
    """tunnel.py LOCAL REMOTE KIND ADDRESS.."""
    local, remote, kind, addresses = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", TUN_NAME.encode("ascii"), IFF_TUN_NO_PI))
    for address in addresses:
        subprocess.run(["ip", "address", "add", address, "dev", TUN_NAME, *(["nodad"] if ":" in address else [])], check=True)
    subprocess.run(["ip", "link", "set", TUN_NAME, "mtu", str(MTU_BYTES), "up"], check=True)
    family = socket.AF_INET6 if ":" in local else socket.AF_INET
    wires: dict[int, socket.socket] = {}
    for protocol in (GRE, IPV4_IN_IP, IPV6_IN_IP):
        wire = socket.socket(family, socket.SOCK_RAW, protocol)
        wire.bind((local, 0))
        wires[protocol] = wire
    wrapping = Wrapping(kind)
    while True:
        for ready in select.select([tun, *wires.values()], [], [])[0]:
            if ready is tun:
                protocol, body = wrapping.dress(os.read(tun, PACKET_BYTES_MAX))
                wires[protocol].sendto(body, (remote, 0))
            else:
                packet = ready.recv(PACKET_BYTES_MAX)
                # A raw socket of IPv4 gives the header too, one of IPv6 does not.
                header = (packet[0] & 15) * 4 if family == socket.AF_INET else 0
                os.write(tun, undress(ready.proto, packet[header:]))


if __name__ == "__main__":
    main()
