#!/usr/bin/env python3
"""RDRAND that breaks while a process runs: it gives one number over and over, and says that it is good.

stuck.py PID puts `stc; sbb reg, reg` in the place of every 64-bit `rdrand reg` of PID's program, prints how many there are, and
puts them back when it is ended. The process is stopped meanwhile, for a moment. The number is 2^32 - 1: some libraries end the
process themselves at the sight of zero or of all ones.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RDRAND = re.compile(rb"[\x48\x49]\x0f\xc7[\xf0-\xf7]")
STOPPED_SECONDS_MAX = 5.0


def main() -> None:
    """stuck.py PID"""
    pid = int(sys.argv[1])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)
    found = {at: code for begin, end in program(pid) for at, code in instructions(memory, begin, end)}
    if not found:
        sys.exit(f"stuck: the program of process {pid} has no rdrand")
    try:
        write(pid, memory, {at: constant(code) for at, code in found.items()})
        print(len(found), flush=True)
        signal.pause()
    finally:
        if Path(f"/proc/{pid}/task").is_dir():
            write(pid, memory, found)


def program(pid: int) -> Iterator[tuple[int, int]]:
    """Where the program's own instructions lie, libraries excepted."""
    path = os.readlink(f"/proc/{pid}/exe")
    for line in Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines():
        addresses, rights, *rest = line.split(maxsplit=5)
        if "x" in rights and rest[-1] == path:
            begin, end = addresses.split("-")
            yield int(begin, 16), int(end, 16)


def instructions(memory: int, begin: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Each instruction of the kind, with its address."""
    text = os.pread(memory, end - begin, begin)
    return ((begin + match.start(), match.group()) for match in RDRAND.finditer(text))


def constant(code: bytes) -> bytes:
    """As many bytes that fill the register and set the carry flag, by which the instruction says that it has data."""
    register = code[3] & 7
    fill = bytes((0x19, 0xC0 | register << 3 | register))
    extended = code[0] & 1
    return b"\xf9\x45" + fill if extended else b"\xf9" + fill + b"\x90"


def write(pid: int, memory: int, codes: dict[int, bytes]) -> None:
    """Changes instructions while nobody runs them."""
    with stopped(pid):
        for at, code in codes.items():
            os.pwrite(memory, code, at)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """A process that stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        until = time.monotonic() + STOPPED_SECONDS_MAX
        while not all(") T " in stat for stat in states(pid)):
            if time.monotonic() > until:
                sys.exit(f"stuck: process {pid} does not stop")
            time.sleep(0.001)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def states(pid: int) -> list[str]:
    """What the kernel says of each thread."""
    return [(task / "stat").read_text(encoding="ascii", errors="replace") for task in Path(f"/proc/{pid}/task").iterdir()]


if __name__ == "__main__":
    main()
