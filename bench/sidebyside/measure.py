"""The workloads, and one measured run of one workload through one contender."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit import layout, process
from labkit.layout import Paths
from labkit.process import LabError

from . import limits
from .contenders import COLD_PORT, COLD_CONNECTIONS, ORIGIN_ADDRESS, WARM_PORT, Contender, cold_name

LOAD_CORE = "0"


@dataclass(frozen=True)
class Workload:
    """`unit` is what CPU time is divided by: connections, requests or MiB."""

    name: str
    title: str
    unit: str
    connections: int
    concurrency: int
    requests: int
    body_bytes: int
    port: int = WARM_PORT
    only_forging: bool = False

    def units(self, report: dict[str, Any]) -> float:
        """How many units of work the report tells of."""
        if self.unit == "connection":
            return float(report["connections"]["completed"])
        if self.unit == "request":
            return float(report["requests"])
        return float(report["body_bytes"]) / 1048576


WORKLOADS = (
    Workload("new-connection", "new connection + 1 KiB GET", "connection", 1500, 8, 1, 1024),
    Workload("cold-leaf", "the same, every server name new", "connection", COLD_CONNECTIONS, 8, 1, 1024, COLD_PORT, True),
    Workload("keep-alive", "keep-alive 1 KiB request", "request", 8, 8, 4000, 1024),
    Workload("bulk", "bulk download", "MiB", 4, 4, 1, 67_108_864),
)


class Bench:
    """The load generator and its origin, on the core that the contender does not use."""

    def __init__(self, paths: Paths, bin_dir: Path) -> None:
        self._program = bin_dir / "sluice-bench"
        pki = paths.pki
        for port, certificate, more in ((WARM_PORT, "good.pem", []), (COLD_PORT, "intermediate.crt", ["--issue"])):
            key = "good.key" if port == WARM_PORT else "intermediate.key"
            argv = ["taskset", "-c", LOAD_CORE, self._program, "origin", "--listen", f"0.0.0.0:{port}"]
            argv += ["--cert", pki / certificate, "--key", pki / key, *more]
            process.spawn(process.in_namespace(layout.ORIGIN, argv), paths.logs / f"bench-origin-{port}.log")

    def load(
        self, contender: Contender, workload: Workload, connections: int, requests: int, turn: int
    ) -> dict[str, Any]:
        """Runs the generator once and returns its report; any failed connection is an error."""
        argv = ["taskset", "-c", LOAD_CORE, self._program, "load", "--connect", f"{ORIGIN_ADDRESS}:{workload.port}"]
        if workload.port == COLD_PORT:
            argv += ["--sni", cold_name("{}", turn, contender.name), "--names", connections]
        else:
            argv += ["--sni", "good.lab.test"]
        argv += ["--ca", contender.anchor, "--connections", connections, "--concurrency", workload.concurrency]
        argv += ["--requests-per-connection", requests, "--bytes", workload.body_bytes, "--tls13"]
        done = process.run(
            process.in_namespace(layout.CLIENT, [str(word) for word in argv]),
            check=False,
            seconds_max=limits.LOAD_SECONDS_MAX,
        )
        try:
            report: dict[str, Any] = json.loads(done.stdout)
        except ValueError as unreadable:
            raise LabError(f"the load generator said: {done.stdout}{done.stderr}") from unreadable
        if done.returncode != 0:
            raise LabError(f"{contender.name}, {workload.name}: {report['errors']} {report['examples']}")
        return report

    def run(self, contender: Contender, workload: Workload, turn: int) -> dict[str, Any]:
        """One measured run: CPU time per unit, what the idle proxy used meanwhile taken off nothing."""
        before, process_before = contender.cpu_us(), contender.process_us()
        report = self.load(contender, workload, workload.connections, workload.requests, turn)
        # What belongs to the run may end a moment after it.
        time.sleep(limits.SETTLE_SECONDS)
        used = contender.cpu_us() - before
        units = workload.units(report)
        return {
            "workload": workload.name,
            "contender": contender.name,
            "cpu_us": used,
            "process_us": contender.process_us() - process_before,
            "units": units,
            "cpu_us_per_unit": used / units,
            "units_per_second": units / (report["elapsed_us"] / 1e6),
            "load": report,
        }

    def warm(self, contender: Contender) -> None:
        """Caches filled, code and pages touched."""
        self.load(contender, WORKLOADS[0], limits.WARM_CONNECTIONS, 1, 0)
