#!/usr/bin/env python3
"""Threads of a process that stop, while its others go on.

halt.py PID NAME halts every thread of PID whose name begins with NAME, as a debugger does, until it ends. The kernel shows
them in the state `t` meanwhile.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from pathlib import Path

# From <linux/ptrace.h>: they need no signal, and a tracer that ends lets its threads go.
PTRACE_SEIZE = 0x4206
PTRACE_INTERRUPT = 0x4207


def main() -> None:
    """halt.py PID NAME"""
    threads = [task for task in Path("/proc", sys.argv[1], "task").iterdir() if name(task).startswith(sys.argv[2])]
    for thread in threads:
        trace(PTRACE_SEIZE, int(thread.name))
        trace(PTRACE_INTERRUPT, int(thread.name))
    if not threads:
        sys.exit(f"halt: process {sys.argv[1]} has no thread whose name begins with {sys.argv[2]}")
    signal.pause()


def name(task: Path) -> str:
    """A thread's name, as it gave it to the kernel."""
    return (task / "comm").read_text(encoding="ascii").strip()


def trace(request: int, thread: int) -> None:
    """One request of ptrace(2) about a thread."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.ptrace(request, thread, None, None) != 0:
        sys.exit(f"halt: thread {thread}: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    main()
