"""The appliance's two processes and the words of its command line."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path
from typing import Any

from . import layout, limits, process
from .layout import Paths

SIGNING_CA = "sluice-ca"
UNTRUSTED_CA = "sluice-untrusted-ca"
SIGNING_CA_NAME = "Sluice Lab CA"
UNTRUSTED_CA_NAME = "Sluice Lab Untrusted CA"
SERVER_CERTIFICATES = ("site-a", "site-b")
PROGRAMS = ("sluiced", "sluice-dataplane", "sluice")


class Sluice:
    """The command `sluice` against the lab's control socket."""

    def __init__(self, paths: Paths, bin_dir: Path) -> None:
        self._paths = paths
        self._program = bin_dir / "sluice"

    def run(self, *words: str | Path, check: bool = True) -> str:
        """Runs one command and returns what it printed."""
        argv = [self._program, "--socket", self._paths.control_socket, *words]
        return process.run(argv, check=check, seconds_max=limits.ADOPTED_SECONDS_MAX).stdout

    def json(self, *words: str | Path) -> Any:
        """Runs one command with --json and returns the value."""
        return json.loads(self.run("--json", *words))

    def create_authorities(self) -> None:
        """Both forging authorities, made on the appliance; their certificates exported for the clients."""
        for name, common_name, anchor in (
            (SIGNING_CA, SIGNING_CA_NAME, self._paths.trust_anchor),
            (UNTRUSTED_CA, UNTRUSTED_CA_NAME, self._paths.untrusted_anchor),
        ):
            self.run("certificate", "self-signed", name, "--common-name", common_name)
            anchor.write_text(self.run("certificate", "export", name), encoding="ascii")

    def import_material(self) -> None:
        """The lab's root for the trust store, and the inspected servers' own certificates with their keys."""
        pki = self._paths.pki
        self.run("certificate", "import", "lab-root", pki / "lab-root.pem")
        for name in SERVER_CERTIFICATES:
            self.run("certificate", "import", name, pki / f"{name}.pem", "--key", pki / f"{name}.key")

    def apply(self) -> None:
        """Makes the lab's documents the configuration; the data plane takes it when it connects."""
        self.run("apply", "--no-wait", self._paths.config)

    def wait_until_adopted(self, dataplane: int) -> None:
        """Returns when every core runs under the current generation; says why one does not."""
        states: list[Any] = []

        def settled() -> bool:
            distribution = self.json("status")["distribution"]
            states[:] = [core["state"] for core in distribution["cores"]] if distribution["dataplane"] else []
            refused = any(isinstance(state, dict) for state in states)
            return refused or bool(states) and set(states) == {"adopted"} or not process.alive(dataplane)

        process.wait_until(settled, limits.ADOPTED_SECONDS_MAX)
        if not process.alive(dataplane):
            raise process.LabError(f"sluice-dataplane ended: {process.tail(self._paths.logs / 'dataplane.log', 1)}")
        if not states or set(map(str, states)) != {"adopted"}:
            reasons = [state["refused"]["reason"] if isinstance(state, dict) else state for state in states]
            said = "; ".join(dict.fromkeys(reasons)) or "no data plane is connected"
            raise process.LabError(f"the configuration is not adopted by every core: {said}")


def require_binaries(bin_dir: Path) -> None:
    """Says plainly which program is missing."""
    for name in PROGRAMS:
        if not (bin_dir / name).is_file():
            raise process.LabError(
                f"{bin_dir / name} is missing: build it (cargo build --release) or name its directory in SLUICE_BIN_DIR"
            )


def write_configuration(paths: Paths, source: Path, port_type: str) -> None:
    """Copies the documents; the segment's ports get the wanted driver."""
    if not (source / "appliance.toml").is_file():
        raise process.LabError(f"{source} holds no appliance.toml: name a directory of documents with --config")
    shutil.rmtree(paths.config, ignore_errors=True)
    shutil.copytree(source, paths.config)
    main = paths.config / "appliance.toml"
    text = main.read_text(encoding="utf-8").replace('"af_packet:', f'"{port_type}:')
    main.write_text(text, encoding="utf-8")


def start_control(paths: Paths, bin_dir: Path) -> int:
    """Starts sluiced and returns its pid when its control socket answers."""
    for directory in (paths.state, paths.sockets, paths.logs):
        directory.mkdir(parents=True, exist_ok=True)
    argv: list[str | Path] = [bin_dir / "sluiced", "--state-dir", paths.state, "--run-dir", paths.sockets]
    argv += ["--event-log", paths.event_log]
    log = paths.logs / "sluiced.log"
    pid = process.spawn(process.in_namespace(layout.APPLIANCE, argv), log)
    ready = process.wait_until(
        lambda: answers(paths.control_socket) or not process.alive(pid), limits.SOCKET_READY_SECONDS_MAX
    )
    if not process.alive(pid):
        raise process.LabError(f"sluiced ended at once: {process.tail(log, 1)}")
    if not ready:
        raise process.LabError(f"sluiced does not answer on {paths.control_socket}")
    return pid


def start_dataplane(paths: Paths, bin_dir: Path) -> int:
    """Starts sluice-dataplane and returns its pid; it takes its configuration from sluiced when there is one."""
    argv = [bin_dir / "sluice-dataplane", "--control", paths.dataplane_socket]
    return process.spawn(process.in_namespace(layout.APPLIANCE, argv), paths.logs / "dataplane.log")


def answers(path: Path) -> bool:
    """Whether somebody listens on the Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def traffic_flows(paths: Paths, *, inspected: bool) -> bool:
    """Whether a client's request comes back through the appliance, over a certificate of the expected authority."""
    anchor = paths.trust_anchor if inspected else paths.pki / "lab-root.pem"
    argv = ["curl", "--silent", "--noproxy", "*", "--output", "/dev/null", "--cacert", anchor, "--max-time", limits.PROBE_SECONDS_MAX]
    words = [str(word) for word in argv] + ["https://good.lab.test/"]
    done = process.run(
        process.in_namespace(layout.CLIENT, words), check=False, seconds_max=limits.PROBE_SECONDS_MAX + 2
    )
    return done.returncode == 0
