#!/usr/bin/env python3
"""Ends that do not read for a while: does the other end stop, and does all arrive then?

late.py server ADDRESS PORT CERTIFICATE KEY SECONDS answers over TLS, many at once: a line `down N` by N bytes; a line `up N`
by reading nothing for SECONDS, then N bytes, whose SHA-256 it returns.
late.py client ADDRESS PORT ANCHOR COUNT down|up BYTES SECONDS makes COUNT connections at once; for `down` each reads nothing
for SECONDS. It prints how many saw every byte as it was sent.
"""

from __future__ import annotations

import hashlib
import json
import random
import socket
import ssl
import sys
import threading
import time

NAME = "good.lab.test"
PATIENCE_SECONDS_MAX = 60
# Small, so that it is the appliance that holds what is not read.
RECEIVE_BYTES = 32 * 1024
CHUNK_BYTES = 256 * 1024


def body(count: int) -> bytes:
    """The same bytes at both ends."""
    return random.Random(count).randbytes(count)


def read(stream: ssl.SSLSocket, count: int) -> str:
    """The SHA-256 of the next `count` bytes."""
    digest, left = hashlib.sha256(), count
    while left:
        chunk = stream.recv(min(left, CHUNK_BYTES))
        if not chunk:
            return f"ended {left} bytes early"
        digest.update(chunk)
        left -= len(chunk)
    return digest.hexdigest()


def serve(bare: socket.socket, context: ssl.SSLContext, seconds: float) -> None:
    """One connection."""
    bare.settimeout(PATIENCE_SECONDS_MAX)
    with context.wrap_socket(bare, server_side=True) as stream:
        line = b""
        while not line.endswith(b"\n"):
            line += stream.recv(1)
        way, count = line.split()
        if way == b"down":
            stream.sendall(body(int(count)))
        else:
            time.sleep(seconds)
            stream.sendall(read(stream, int(count)).encode("ascii"))
        stream.unwrap()


def server(address: str, port: str, certificate: str, key: str, seconds: str) -> None:
    """Serves until it is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        listener.bind((address, int(port)))
        listener.listen(100)
        while True:
            bare = listener.accept()[0]
            threading.Thread(target=serve, args=(bare, context, float(seconds)), daemon=True).start()


def client(address: str, port: str, anchor: str, count: str, way: str, size: str, seconds: str) -> None:
    """Makes the connections and prints the outcome."""
    context = ssl.create_default_context(cafile=anchor)
    expected = hashlib.sha256(body(int(size))).hexdigest()
    seen: list[str] = []

    def one() -> None:
        with socket.socket() as bare:
            bare.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            bare.settimeout(PATIENCE_SECONDS_MAX)
            bare.connect((address, int(port)))
            with context.wrap_socket(bare, server_hostname=NAME) as stream:
                stream.sendall(f"{way} {size}\n".encode("ascii"))
                if way == "down":
                    time.sleep(float(seconds))
                    seen.append(read(stream, int(size)))
                else:
                    stream.sendall(body(int(size)))
                    seen.append(stream.recv(64).decode("ascii"))

    threads = [threading.Thread(target=one) for _ in range(int(count))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"whole": seen.count(expected), "seen": len(seen)}), flush=True)


if __name__ == "__main__":
    {"server": server, "client": client}[sys.argv[1]](*sys.argv[2:])
