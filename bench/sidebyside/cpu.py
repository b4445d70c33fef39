"""CPU time of processes, from /proc."""

from __future__ import annotations

import os
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def of_tree(root: int) -> float:
    """Microseconds that a process and all its descendants have used, user and system, those that ended included."""
    parents: dict[int, int] = {}
    ticks: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(entry.name)
        parents[pid] = int(fields[1])
        # utime, stime, and those of children that were waited for (proc_pid_stat(5), fields 14 to 17).
        ticks[pid] = sum(int(field) for field in fields[11:15])
    family = {root}
    grown = True
    while grown:
        more = {pid for pid, parent in parents.items() if parent in family} - family
        family |= more
        grown = bool(more)
    return sum(ticks.get(pid, 0) for pid in family) * 1e6 / TICKS_PER_SECOND


def of_threads(pid: int, *, except_named: tuple[str, ...]) -> float:
    """Microseconds that a process's threads have used, but for those whose names begin so."""
    total = 0
    for entry in Path(f"/proc/{pid}/task").iterdir():
        try:
            name, _, rest = (entry / "stat").read_text(encoding="ascii", errors="replace").rpartition(")")
        except OSError:
            continue
        if not name.partition("(")[2].startswith(except_named):
            total += sum(int(field) for field in rest.split()[11:13])
    return total * 1e6 / TICKS_PER_SECOND
