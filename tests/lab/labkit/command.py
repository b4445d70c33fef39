"""The command `lab`: up, exec, impair, status, restart, down."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import appliance, certificates, layout, limits, network, origin, process
from .layout import Paths
from .process import LabError

APPLIANCE_MODE = "appliance"
BRIDGE_MODE = "plain-bridge"
IMPAIRING_RELAY = "sluice-impair"
EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_DOWN = 3
SIDES = {"client": layout.CLIENT, "origin": layout.ORIGIN, "appliance": layout.APPLIANCE}


def main(argv: Sequence[str]) -> int:
    """Runs one lab command and returns its exit status."""
    arguments = parser().parse_args(argv)
    if os.geteuid() != 0:
        return complain("the lab makes network namespaces: run it as root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_FAILED))
    try:
        return int(arguments.act(arguments, Paths.default()))
    except LabError as error:
        return complain(str(error))


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="lab", description="A client, an origin and the appliance between them.")
    commands = top.add_subparsers(required=True, metavar="COMMAND")
    up_ = commands.add_parser("up", help="bring the lab up, leave it up and print its facts as one JSON object")
    up_.add_argument("--config", type=Path, default=layout.LAB_DIRECTORY / "config", metavar="DIR")
    up_.add_argument("--port-type", choices=("af_packet", "af_xdp"), default="af_packet")
    up_.add_argument("--mtu", type=int, default=layout.MTU_BYTES, metavar="BYTES", help="of both links, 576 to 9000")
    up_.add_argument("--keep-state", action="store_true", help="start from the store the last lab left, and leave it at down")
    up_.add_argument("--plain-bridge", action="store_true", help="a Linux bridge instead of the appliance: the control run")
    up_.set_defaults(act=up)
    exec_ = commands.add_parser("exec", help="run a command in a namespace of the lab")
    exec_.add_argument("side", choices=tuple(SIDES))
    exec_.add_argument("words", nargs=argparse.REMAINDER, metavar="-- CMD")
    exec_.set_defaults(act=execute)
    impair_ = commands.add_parser(
        "impair", help="a bad link of the client's, until interrupted: what becomes of its frames is a seed's"
    )
    impair_.add_argument("spec", metavar="SPEC", help="none, or as loss=1%%,reorder=25%%,duplicate=5%%,corrupt=1%%,delay=20ms")
    impair_.add_argument("--seed", type=int, default=1, metavar="N")
    impair_.add_argument("--plain", action="store_true", help="in front of the plain bridge instead of the appliance")
    impair_.set_defaults(act=impair)
    status_ = commands.add_parser("status", help="the lab's facts and whether everything runs; 0 up, 1 broken, 3 down")
    status_.set_defaults(act=status)
    restart_ = commands.add_parser("restart", help="end one of the appliance's processes, if it runs, and start it again")
    restart_.add_argument("process", choices=("sluiced", "dataplane"))
    restart_.set_defaults(act=restart)
    down_ = commands.add_parser("down", help="take the lab down; nothing is left behind, also after a crash")
    down_.set_defaults(act=down)
    return top


def up(arguments: argparse.Namespace, paths: Paths) -> int:
    """Brings the lab up, or leaves nothing behind."""
    with exclusive():
        if network.existing() or paths.facts.exists():
            raise LabError("a lab is up, or left over from a crash: `lab down` first")
        try:
            facts = build(arguments, paths)
        except (LabError, KeyboardInterrupt, SystemExit) as error:
            report_logs(paths)
            clean(paths, keep_state=False)
            raise LabError(f"the lab did not come up, and was taken down: {error}") from error
    print(json.dumps(facts))
    return EXIT_OK


def build(arguments: argparse.Namespace, paths: Paths) -> dict[str, Any]:
    """Everything that `up` does, in order; the facts it prints."""
    bin_dir = layout.binaries()
    mode = BRIDGE_MODE if arguments.plain_bridge else APPLIANCE_MODE
    if mode == APPLIANCE_MODE:
        appliance.require_binaries(bin_dir)
    kept = paths.state.is_dir() and any(paths.state.iterdir())
    if kept and not arguments.keep_state:
        kept = False
    # What a lab that died in the middle left.
    remove_files(paths, keep_state=kept)
    paths.run.mkdir(parents=True, exist_ok=True)
    paths.logs.mkdir(exist_ok=True)
    if not (kept and (paths.pki / "lab-root.pem").is_file()):
        certificates.make(paths.pki)
    network.build(origin.hosts(), arguments.mtu)
    origin.prepare(paths)
    pids = origin.start(paths)
    if mode == BRIDGE_MODE:
        network.bridge()
        paths.trust_anchor.write_bytes((paths.pki / "lab-root.pem").read_bytes())
    else:
        appliance.write_configuration(paths, arguments.config, arguments.port_type)
        pids["sluiced"] = appliance.start_control(paths, bin_dir)
        sluice = appliance.Sluice(paths, bin_dir)
        if not kept:
            sluice.create_authorities()
            sluice.import_material()
        sluice.apply()
        pids["dataplane"] = appliance.start_dataplane(paths, bin_dir)
        sluice.wait_until_adopted(pids["dataplane"])
    wait_for_traffic(paths, mode, pids)
    facts = describe(paths, mode, arguments, pids, bin_dir)
    paths.facts.write_text(json.dumps(facts), encoding="utf-8")
    return facts


def wait_for_traffic(paths: Paths, mode: str, pids: dict[str, int]) -> None:
    """Returns when a client's request gets through; names the process that ended meanwhile."""

    def dead() -> list[str]:
        return [name for name, pid in pids.items() if not process.alive(pid)]

    inspected = mode == APPLIANCE_MODE
    flows = process.wait_until(
        lambda: bool(dead()) or appliance.traffic_flows(paths, inspected=inspected), limits.TRAFFIC_READY_SECONDS_MAX
    )
    if dead():
        raise LabError(f"{', '.join(dead())} ended; see its log above")
    if not flows:
        raise LabError(f"no request got through within {limits.TRAFFIC_READY_SECONDS_MAX} s")


def describe(
    paths: Paths, mode: str, arguments: argparse.Namespace, pids: dict[str, int], bin_dir: Path
) -> dict[str, Any]:
    """What a test needs to know of a lab that is up."""
    return {
        "mode": mode,
        "mtu": arguments.mtu,
        "port_type": None if mode == BRIDGE_MODE else arguments.port_type,
        "keep_state": arguments.keep_state,
        "config_source": str(arguments.config.resolve()),
        "pids": pids,
        "bin_dir": str(bin_dir),
        "control_socket": str(paths.control_socket),
        "dataplane_socket": str(paths.dataplane_socket),
        "trust_anchor": str(paths.trust_anchor),
        "untrusted_anchor": str(paths.untrusted_anchor),
        "origin_anchor": str(paths.pki / "lab-root.pem"),
        "event_log": str(paths.event_log),
        "config_dir": str(paths.config),
        "run_dir": str(paths.run),
        "data_dir": str(paths.data),
        "www_dir": str(paths.www),
        "upload_dir": str(paths.upload),
        "pki_dir": str(paths.pki),
        "logs_dir": str(paths.logs),
        "origin_access_log": str(paths.logs / "nginx-access.log"),
        "namespaces": SIDES,
        "interfaces": {
            "client": layout.CLIENT_PORT,
            "origin": layout.ORIGIN_PORT,
            "port_a": layout.PORT_A,
            "port_b": layout.PORT_B,
        },
        "addresses": {
            "client": [layout.bare(address) for address in layout.CLIENT_ADDRESSES],
            "exempt_client": [layout.bare(address) for address in layout.EXEMPT_CLIENT_ADDRESSES],
            "origin": [layout.bare(address) for address in layout.ORIGIN_ADDRESSES],
            "lenient_origin": [layout.bare(address) for address in layout.LENIENT_ADDRESSES],
        },
    }


def execute(arguments: argparse.Namespace, _paths: Paths) -> int:
    """Becomes the command, inside the namespace."""
    words = arguments.words[1:] if arguments.words[:1] == ["--"] else arguments.words
    if not words:
        return complain("exec needs a command: lab exec client -- curl ...", EXIT_USAGE)
    namespace = SIDES[arguments.side]
    if namespace not in network.existing():
        return complain("the lab is down: `lab up` first", EXIT_DOWN)
    argv = process.in_namespace(namespace, words)
    os.execvp(argv[0], argv)


def impair(arguments: argparse.Namespace, _paths: Paths) -> int:
    """Becomes the relay of a bad link. The client reaches the origin under the link's own network."""
    relay = layout.binaries() / IMPAIRING_RELAY
    if not relay.is_file():
        return complain(f"{relay} is missing: build it (make release) or name its directory in SLUICE_BIN_DIR")
    if layout.CLIENT not in network.existing():
        return complain("the lab is down: `lab up` first", EXIT_DOWN)
    end = layout.IMPAIRED_PLAIN_LINK if arguments.plain else layout.IMPAIRED_LINK
    script = Path(__file__).with_name("impair.py")
    words = [script, end.port, end.name, end.mac, end.address, relay, arguments.spec, str(arguments.seed)]
    argv = process.in_namespace(layout.CLIENT, words)
    os.execvp(argv[0], argv)


def status(_arguments: argparse.Namespace, paths: Paths) -> int:
    """Prints the facts with `running` per process."""
    facts = load(paths)
    present = network.existing()
    if facts is None:
        print(json.dumps({"state": "broken" if present else "down", "namespaces": present}))
        return EXIT_FAILED if present else EXIT_DOWN
    running = {name: process.alive(pid) for name, pid in facts["pids"].items()}
    healthy = all(running.values()) and len(present) == len(layout.NAMESPACES)
    if healthy and facts["mode"] == APPLIANCE_MODE:
        healthy = appliance.answers(paths.control_socket)
    print(json.dumps({"state": "up" if healthy else "broken", "running": running, **facts}))
    return EXIT_OK if healthy else EXIT_FAILED


def restart(arguments: argparse.Namespace, paths: Paths) -> int:
    """Starts a process of the appliance anew; prints its pid. Waits for it to be there, not for traffic."""
    with exclusive():
        facts = load(paths)
        if facts is None or facts["mode"] != APPLIANCE_MODE:
            return complain("no appliance is up: `lab up` first", EXIT_DOWN)
        name = arguments.process
        process.stop([facts["pids"][name]])
        bin_dir = Path(facts["bin_dir"])
        start = appliance.start_control if name == "sluiced" else appliance.start_dataplane
        facts["pids"][name] = start(paths, bin_dir)
        paths.facts.write_text(json.dumps(facts), encoding="utf-8")
    print(json.dumps({name: facts["pids"][name]}))
    return EXIT_OK


def down(_arguments: argparse.Namespace, paths: Paths) -> int:
    """Takes everything down; with nothing there it does nothing."""
    with exclusive():
        facts = load(paths)
        clean(paths, keep_state=bool(facts and facts["keep_state"]))
    return EXIT_OK


def clean(paths: Paths, *, keep_state: bool) -> None:
    """Ends the processes and removes namespaces and files. The kept state is the store and the lab's certificates."""
    network.remove()
    remove_files(paths, keep_state=keep_state)


def remove_files(paths: Paths, *, keep_state: bool) -> None:
    """Removes the lab's files, but for the state that is kept."""
    kept = {paths.state, paths.pki, paths.trust_anchor, paths.untrusted_anchor} if keep_state else set()
    if paths.run.is_dir():
        for entry in paths.run.iterdir():
            if entry in kept:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        if not kept:
            paths.run.rmdir()
    shutil.rmtree(paths.data, ignore_errors=True)


def load(paths: Paths) -> dict[str, Any] | None:
    """The facts of the lab that is up, or None."""
    try:
        facts: dict[str, Any] = json.loads(paths.facts.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return facts


def report_logs(paths: Paths) -> None:
    """The ends of all logs, before they are removed."""
    for log in sorted(paths.logs.glob("*.log")) if paths.logs.is_dir() else []:
        print(f"--- {log.name}\n{process.tail(log)}", file=sys.stderr)


class exclusive:
    """Only one command changes the lab at a time: a lock on the lab's own directory, which leaves no file behind."""

    def __enter__(self) -> None:
        self._handle = os.open(layout.LAB_DIRECTORY, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            os.close(self._handle)
            raise LabError("another lab command is at work: wait for it and try again") from held

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)


def complain(message: str, code: int = EXIT_FAILED) -> int:
    """One line on the standard error."""
    print(f"lab: {message}", file=sys.stderr)
    return code
