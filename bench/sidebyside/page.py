"""RESULTS.md: a part for each script, which writes its own and leaves the others alone."""

from __future__ import annotations

import platform
import re
from pathlib import Path

PARTS = ("# Side by side", "# In memory", "# Over a bad link")


def splice(page: Path, text: str) -> None:
    """Puts a part, whose first line is one of PARTS, in its place."""
    heading = text.partition("\n")[0]
    there = page.read_text(encoding="utf-8") if page.is_file() else ""
    parts = {part.partition("\n")[0]: part for part in re.split(r"^(?=# )", there, flags=re.MULTILINE) if part.strip()}
    parts[heading] = text
    page.write_text("\n".join(parts[part].strip() + "\n" for part in PARTS if part in parts), encoding="utf-8")


def machine() -> dict[str, str]:
    """What the figures were taken on."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    cores = Path("/proc/cpuinfo").read_text(encoding="utf-8").count("\nprocessor") + 1
    debian = Path("/etc/debian_version").read_text(encoding="ascii").strip()
    return {"cpu": model, "cores": str(cores), "kernel": platform.release(), "debian": debian}
