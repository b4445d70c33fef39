"""Commands and long-running processes, bounded in time."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from . import limits


class LabError(Exception):
    """What was wrong, where, and what to do about it: one line for the person at the terminal."""


def run(
    argv: Sequence[str | Path],
    *,
    seconds_max: float = limits.COMMAND_SECONDS_MAX,
    check: bool = True,
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end; its output is captured, and a failure carries it."""
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds_max,
            check=False,
        )
    except FileNotFoundError as missing:
        raise LabError(f"{words[0]} is not installed: install it and try again") from missing
    except subprocess.TimeoutExpired as late:
        raise LabError(f"`{' '.join(words)}` did not end within {seconds_max} s") from late
    if check and done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise LabError(f"`{' '.join(words)}` failed with status {done.returncode}: {said}")
    return done


def in_namespace(namespace: str, argv: Sequence[str | Path]) -> list[str]:
    """The command line that runs `argv` inside a network namespace. `ip netns exec` executes in place: same pid."""
    return ["ip", "netns", "exec", namespace, *[str(word) for word in argv]]


def spawn(argv: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None) -> int:
    """Starts a process of its own session, which outlives the lab command; output is appended to `log`."""
    with log.open("ab") as sink:
        child = subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd="/",
            env={**os.environ, **(environment or {})},
        )
    return child.pid


def alive(pid: int) -> bool:
    """Whether the process runs; one that ended and waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def stop(pids: Sequence[int], seconds_max: float = limits.STOP_SECONDS_MAX) -> None:
    """Asks the processes to end, waits, then ends those that did not. Returns when none is left."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid in filter(alive, pids):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue
        if wait_until(lambda: not any(alive(pid) for pid in pids), seconds_max):
            return
    stuck = [pid for pid in pids if alive(pid)]
    raise LabError(f"processes {stuck} do not end even by SIGKILL")


def wait_until(condition: Callable[[], bool], seconds_max: float) -> bool:
    """Polls `condition` until it holds (True) or the time is up (False)."""
    deadline = time.monotonic() + seconds_max
    while not condition():
        if time.monotonic() >= deadline:
            return False
        reap()
        time.sleep(limits.POLL_SECONDS)
    return True


def reap() -> None:
    """Collects children of this command that have ended, so that they do not look alive."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0] != 0:
            pass
    except ChildProcessError:
        return


def tail(log: Path, lines: int = limits.LOG_TAIL_LINES) -> str:
    """The last lines of a log file, or a word that there is none."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:]) or "(empty)"
