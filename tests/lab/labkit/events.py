"""The appliance's event log: one JSON object per line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from . import process


def wait_for(log: Path, client_port: int, seconds_max: float) -> dict[str, Any] | None:
    """The closing record of the flow from the client's port, or None when it is not logged in time."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found[:] = [event for event in read(log) if event.get("src_port") == client_port]
        return bool(found)

    process.wait_until(look, seconds_max)
    return found[-1] if found else None


def read(log: Path) -> list[dict[str, Any]]:
    """Every whole inspection event; a line still being written is left for the next time."""
    events: list[dict[str, Any]] = []
    try:
        lines = log.read_text(encoding="utf-8").splitlines()
    except OSError:
        return events
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if event.get("event_type") == "tls_inspection":
            events.append(event)
    return events
