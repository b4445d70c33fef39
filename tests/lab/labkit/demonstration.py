"""The demonstration: four real requests through the appliance and what became of each."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import appliance, certificates, events, layout, process
from .process import LabError

LAB = layout.LAB_DIRECTORY / "lab"
REQUEST_SECONDS_MAX = 10
EVENT_SECONDS_MAX = 5
UP_SECONDS_MAX = 120
NOTHING = "-"


@dataclass(frozen=True)
class Request:
    """One request and what has to come of it. `status` 0 means that no answer may come."""

    what: str
    url: str
    issuer: str
    status: int
    verdict: str
    reason: str


@dataclass(frozen=True)
class Seen:
    """What the client saw and what the appliance logged."""

    issuer: str
    status: int
    version: str
    event: dict[str, Any] | None


REQUESTS = (
    Request("inspected", "https://good.lab.test/", appliance.SIGNING_CA_NAME, 200, "inspect", "inspected-client"),
    Request(
        "bypassed by name",
        "https://bank.lab.test/",
        certificates.INTERMEDIATE_NAME,
        200,
        "bypass",
        "bypass-domain-exception",
    ),
    Request("blocked, expired", "https://expired.lab.test/", NOTHING, 0, "block", "block-origin-expired"),
    Request(
        "server inspection",
        "https://site-a.lab.test:8443/",
        certificates.INTERMEDIATE_NAME,
        200,
        "inspect",
        "inspected-server",
    ),
)


def main(argv: Sequence[str]) -> int:
    """Brings the lab up, sends the requests, prints the table, takes the lab down. 0 only if all were right."""
    try:
        facts = json.loads(process.run([LAB, "up", *argv], seconds_max=UP_SECONDS_MAX).stdout)
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    try:
        rows = [(request, send(facts, request)) for request in REQUESTS]
    except LabError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        process.run([LAB, "down"], seconds_max=UP_SECONDS_MAX)
    show(rows)
    wrong = [request.what for request, seen in rows if faults(request, seen)]
    if wrong:
        print(f"demo: not as it should be: {', '.join(wrong)}", file=sys.stderr)
        return 1
    return 0


def send(facts: dict[str, Any], request: Request) -> Seen:
    """Sends one request by curl from the client's namespace, and finds its event."""
    # What a client of an inspecting network trusts: the appliance's authority beside those it trusted before.
    bundle = Path(facts["run_dir"]) / "client-bundle.pem"
    bundle.write_bytes(b"".join(Path(facts[name]).read_bytes() for name in ("trust_anchor", "origin_anchor")))
    words = ["curl", "--verbose", "--silent", "--noproxy", "*", "--output", "/dev/null", "--cacert", str(bundle)]
    words += ["--max-time", str(REQUEST_SECONDS_MAX)]
    words += ["--write-out", "%{http_code} %{http_version} %{local_port}", request.url]
    done: subprocess.CompletedProcess[str] = process.run(
        process.in_namespace(layout.CLIENT, words), check=False, seconds_max=REQUEST_SECONDS_MAX + 5
    )
    status, version, port = done.stdout.split()
    named = re.search(r"^\*\s+issuer: .*CN=(.+)$", done.stderr, re.MULTILINE)
    event = events.wait_for(Path(facts["event_log"]), int(port), EVENT_SECONDS_MAX)
    return Seen(named.group(1).strip() if named else NOTHING, int(status), version, event)


def faults(request: Request, seen: Seen) -> list[str]:
    """What is not as it should be."""
    inspection = seen.event.get("tls_inspection", {}) if seen.event else {}
    pairs = (
        ("issuer", request.issuer, seen.issuer),
        ("status", request.status, seen.status),
        ("verdict", request.verdict, inspection.get("verdict", NOTHING)),
        ("decision", request.reason, inspection.get("reason", NOTHING)),
    )
    return [f"{name} {got}, wanted {wanted}" for name, wanted, got in pairs if got != wanted]


def show(rows: Sequence[tuple[Request, Seen]]) -> None:
    """Prints the table, and under it what was not right."""
    table = [("request", "what", "issuer the client saw", "HTTP", "verdict", "decision", "event")]
    for request, seen in rows:
        inspection = seen.event.get("tls_inspection", {}) if seen.event else {}
        status = f"{seen.status} (h{seen.version})" if seen.status else "none"
        decision = f"{inspection.get('code', NOTHING)} {inspection.get('reason', '')}".strip()
        logged = "ok" if seen.event and not faults(request, seen) else ("wrong" if seen.event else "missing")
        table.append(
            (request.url, request.what, seen.issuer, status, inspection.get("verdict", NOTHING), decision, logged)
        )
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for number, row in enumerate(table):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))
    for request, seen in rows:
        for fault in faults(request, seen):
            print(f"{request.url}: {fault}")
