#!/usr/bin/env python3
"""Git's smart HTTP protocol: hands each request to `git http-backend`. Listens on loopback, behind the origin's nginx."""

from __future__ import annotations

import os
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REQUEST_SECONDS_MAX = 120
BODY_BYTES_MAX = 256 * 1024 * 1024
PREFIX = "/git"


class Backend(BaseHTTPRequestHandler):
    """One request, one run of git http-backend (git-http-backend(1))."""

    protocol_version = "HTTP/1.1"
    root = "/"

    def do_GET(self) -> None:
        """Reference discovery."""
        self.answer(b"")

    def do_POST(self) -> None:
        """The service itself; the body is whole or chunked."""
        body = self.chunked() if self.headers.get("Transfer-Encoding", "").lower() == "chunked" else self.counted()
        self.answer(body)

    def counted(self) -> bytes:
        """A body with a length."""
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_BYTES_MAX:
            raise ValueError("request body too large")
        return self.rfile.read(length)

    def chunked(self) -> bytes:
        """A body in chunks."""
        parts: list[bytes] = []
        total = 0
        while size := int(self.rfile.readline().split(b";")[0], 16):
            total += size
            if total > BODY_BYTES_MAX:
                raise ValueError("request body too large")
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, body: bytes) -> None:
        """Runs the backend and relays its CGI answer."""
        path, _, query = self.path.partition("?")
        environment = {
            **os.environ,
            "GIT_PROJECT_ROOT": self.root,
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path.removeprefix(PREFIX),
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "lab",
            "REMOTE_ADDR": self.client_address[0],
        }
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            env=environment,
            timeout=REQUEST_SECONDS_MAX,
            check=False,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        status = 200
        headers: list[tuple[str, str]] = []
        for line in head.decode("latin-1").splitlines():
            name, _, value = line.partition(":")
            if name.lower() == "status":
                status = int(value.split()[0])
            elif name:
                headers.append((name, value.strip()))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


def main() -> None:
    """gitserver.py PORT DIRECTORY"""
    Backend.root = sys.argv[2]
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Backend).serve_forever()


if __name__ == "__main__":
    main()
