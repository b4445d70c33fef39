#!/usr/bin/env python3
"""Floods a port with SYNs of invented clients, and with UDP of the same size and number, in turn.

flood.py PORT STATION RATE SECONDS ROUNDS PID SEED sends RATE frames a second to the origin at STATION for SECONDS, first UDP to
the discard port, then SYNs to port 443, ROUNDS times. It prints, as JSON, what each turn sent, what the port received
meanwhile (the goodput of whatever else runs), and how long the process PID had a processor. Another SEED invents other clients.
"""

from __future__ import annotations

import json
import random
import socket
import struct
import sys
import time
from pathlib import Path

SOURCE_NETWORK = (10 << 24) | (77 << 16)
ORIGIN = socket.inet_aton("10.201.2.2")
TICK_SECONDS = 0.002
PAUSE_SECONDS = 0.4
UDP, TCP = 17, 6
SYN_OPTIONS = bytes.fromhex("020405b40402080a000000010000000001030307")


def main() -> None:
    """flood.py PORT STATION RATE SECONDS ROUNDS PID SEED"""
    port, station = sys.argv[1], bytes.fromhex(sys.argv[2].replace(":", ""))
    rate, seconds, rounds = int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    wire.bind((port, 0))
    received = Path(f"/sys/class/net/{port}/statistics/rx_bytes")
    pid, chance = sys.argv[6], random.Random(int(sys.argv[7]))
    turns = []
    for _ in range(rounds):
        for kind in ("udp", "syn"):
            frames = [frame(kind, station, chance) for _ in range(int(rate * seconds))]
            time.sleep(PAUSE_SECONDS)
            before = (int(received.read_text(encoding="ascii")), processor_seconds(pid), time.monotonic())
            send(wire, frames, rate)
            after = (int(received.read_text(encoding="ascii")), processor_seconds(pid), time.monotonic())
            got, busy, took = (late - early for late, early in zip(after, before))
            turns.append({"kind": kind, "sent": len(frames), "received": got, "busy_seconds": busy, "seconds": took})
    print(json.dumps(turns), flush=True)


def processor_seconds(pid: str) -> float:
    """How long all threads of a process have run."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9


def send(wire: socket.socket, frames: list[bytes], rate: int) -> None:
    """Sends them evenly at the rate."""
    start, sent = time.monotonic(), 0
    while sent < len(frames):
        due = min(len(frames), int((time.monotonic() - start) * rate))
        for one in frames[sent:due]:
            try:
                wire.send(one)
            except OSError:
                # The port's queue is full: a frame less, as on any wire.
                continue
        sent = due
        time.sleep(TICK_SECONDS)


def frame(kind: str, station: bytes, chance: random.Random) -> bytes:
    """One frame from an invented client."""
    source = struct.pack("!I", SOURCE_NETWORK | chance.getrandbits(16))
    from_port = chance.randrange(1024, 65536)
    if kind == "syn":
        head = struct.pack("!HHIIBBHHH", from_port, 443, chance.getrandbits(32), 0, 10 << 4, 2, 64240, 0, 0)
        body, protocol, at = head + SYN_OPTIONS, TCP, 16
    else:
        size = 20 + len(SYN_OPTIONS)
        body, protocol, at = struct.pack("!HHHH", from_port, 9, size, 0) + bytes(size - 8), UDP, 6
    pseudo = source + ORIGIN + struct.pack("!BBH", 0, protocol, len(body))
    body = body[:at] + struct.pack("!H", checksum(pseudo + body)) + body[at + 2 :]
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 0, 0x4000, 64, protocol, 0) + source + ORIGIN
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return station + bytes.fromhex("0200c9010002") + b"\x08\x00" + ip + body


def checksum(data: bytes) -> int:
    """RFC 1071, of an even number of bytes."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - total


if __name__ == "__main__":
    main()
