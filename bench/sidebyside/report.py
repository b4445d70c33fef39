"""The results as JSON, and as a table for people."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from . import page
from .measure import WORKLOADS

METHOD = """\
Each contender stands between the same client and origin namespaces on the same veth pairs (MTU 1500, offloads off) and
has core 1 to itself; the load generator and the origin (`sluice-bench`, rustls) share core 0. Sluice is inline at layer 2;
the others are reached by an nftables redirect in the appliance's namespace, which routes. All legs are TLS 1.3 with ECDSA
P-256 certificates, no session is resumed, each contender verifies the origin's chain. Squid and Sluice forge the leaf;
HAProxy shows a certificate of its own and neither forges nor looks inside.

CPU time is user and system time of the process and its children from `/proc/PID/stat` for HAProxy and Squid. For Sluice
it is the time of polls that found work (`sluice show cores`), plus the process time of its other threads and of `sluiced`.
A core that polls also uses time while there is nothing to do; the
process time that includes it stands beside every run as `process_us`. Busy time is read from the clock, so anything else that
runs on core 1 counts against Sluice: measure on a quiet machine.
What the kernel does in soft interrupts on core 0 for packets that the client or the origin sends is charged to neither.

Runs are interleaved: in every round each contender runs every workload, after a warm-up. The table gives the median over
the rounds, with the least and the greatest in brackets. Absolute figures drift with the machine; the ratios of one
interleaved run are what counts. AF_PACKET and AF_XDP on veth bound the throughput of any program: these are costs, not speeds.
"""


def write(directory: Path, runs: Sequence[dict[str, Any]], versions: dict[str, str], port_type: str, rounds: int) -> Path:
    """Writes results/DATE.json and its page; returns the page. Only a comparison becomes RESULTS.md."""
    now = datetime.now(timezone.utc)
    results = directory / "results"
    results.mkdir(exist_ok=True)
    record = {
        "taken": now.isoformat(timespec="seconds"),
        "machine": page.machine(),
        "port_type": port_type,
        "rounds": rounds,
        "versions": versions,
        "runs": list(runs),
    }
    file = results / f"{now:%Y-%m-%dT%H%M%SZ}-{port_type}.json"
    file.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    if len(versions) > 1:
        table = directory / "RESULTS.md"
        page.splice(table, render(record, file.name))
    else:
        table = file.with_suffix(".md")
        table.write_text(render(record, file.name), encoding="utf-8")
    return table


def render(record: dict[str, Any], source: str) -> str:
    """The page."""
    where = record["machine"]
    names = list(record["versions"])
    lines = [
        "# Side by side",
        "",
        f"Taken {record['taken']} on {where['cpu']}, {where['cores']} cores, Debian {where['debian']}, Linux {where['kernel']};"
        f" {record['rounds']} rounds; segment ports by {record['port_type']}. Every run: `results/{source}`. Made by `bench/compare`.",
        "",
        "CPU microseconds per unit of work:",
        "",
        "| work | unit | " + " | ".join(names) + " |",
        "|---|---|" + "---|" * len(names),
    ]
    for workload in WORKLOADS:
        cells = [cell(record["runs"], workload.name, name) for name in names]
        lines.append(f"| {workload.title} | {workload.unit} | " + " | ".join(cells) + " |")
    if "sluice" in names:
        lines += ["", "Sluice's cost over the other's (medians):", "", "| work | " + " | ".join(names[1:]) + " |"]
        lines.append("|---|" + "---|" * len(names[1:]))
        for workload in WORKLOADS:
            own = median(record["runs"], workload.name, "sluice")
            others = [median(record["runs"], workload.name, name) for name in names[1:]]
            ratios = [f"{own / other:.2f}" if own and other else "–" for other in others]
            lines.append(f"| {workload.title} | " + " | ".join(ratios) + " |")
    lines += ["", "Versions: " + "; ".join(f"{name}: {version}" for name, version in record["versions"].items()) + ".", ""]
    lines += ["## Method", "", METHOD]
    return "\n".join(lines)


def values(runs: Sequence[dict[str, Any]], workload: str, contender: str) -> list[float]:
    """The figures of all rounds."""
    return [run["cpu_us_per_unit"] for run in runs if (run["workload"], run["contender"]) == (workload, contender)]


def median(runs: Sequence[dict[str, Any]], workload: str, contender: str) -> float | None:
    """Their median, or None when it was not run."""
    figures = values(runs, workload, contender)
    return statistics.median(figures) if figures else None


def cell(runs: Sequence[dict[str, Any]], workload: str, contender: str) -> str:
    """Median and spread."""
    figures = values(runs, workload, contender)
    if not figures:
        return "–"
    digits = 1 if statistics.median(figures) < 1000 else 0
    return f"{statistics.median(figures):,.{digits}f} ({min(figures):,.{digits}f}–{max(figures):,.{digits}f})"
