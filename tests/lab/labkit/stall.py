#!/usr/bin/env python3
"""Clients that connect and stall.

stall.py ADDRESS PORT COUNT BYTES SECONDS makes COUNT connections, sends the first BYTES of a ClientHello on each, waits
SECONDS, and prints as JSON how many connected and how many the other side ended meanwhile.
"""

from __future__ import annotations

import json
import resource
import select
import socket
import sys
import time

# The head of a ClientHello of 512 bytes: a record, the handshake header, the version, then what may be anything.
HELLO = bytes.fromhex("1603010200010001fc0303") + bytes(range(256)) + bytes(245)
BATCH = 50
CONNECT_SECONDS_MAX = 10


def main() -> None:
    """stall.py ADDRESS PORT COUNT BYTES SECONDS"""
    address, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    said, seconds = HELLO[: int(sys.argv[4])], float(sys.argv[5])
    files = count + 100
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, max(files, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    streams = []
    for _ in range(0, count, BATCH):
        batch = [socket.socket() for _ in range(BATCH)]
        for stream in batch:
            stream.setblocking(False)
            stream.connect_ex((address, port))
        streams += [stream for stream in batch if connected(stream)]
    for stream in streams:
        if said:
            stream.send(said)
    waited = select.poll()
    for stream in streams:
        waited.register(stream, select.POLLIN)
    ended: set[int] = set()
    deadline = time.monotonic() + seconds
    while len(ended) < len(streams) and time.monotonic() < deadline:
        for descriptor, _ in waited.poll(200):
            ended.add(descriptor)
            waited.unregister(descriptor)
    print(json.dumps({"connected": len(streams), "ended": len(ended)}), flush=True)


def connected(stream: socket.socket) -> bool:
    """Whether the connection is there in time."""
    writable = select.poll()
    writable.register(stream, select.POLLOUT)
    return bool(writable.poll(CONNECT_SECONDS_MAX * 1000)) and stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


if __name__ == "__main__":
    main()
