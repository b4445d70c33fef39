"""Where things lie and what they are called: the one place for names, paths and addresses."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

CLIENT = "sluice-client"
ORIGIN = "sluice-origin"
APPLIANCE = "sluice-appliance"
NAMESPACES = (CLIENT, ORIGIN, APPLIANCE)

CLIENT_PORT = "sl-client"
ORIGIN_PORT = "sl-origin"
PORT_A = "sl-a"
PORT_B = "sl-b"

CLIENT_ADDRESSES = ("10.201.1.2/16", "fd00:201::1:2/64")
# A source the lab's profile never decrypts.
EXEMPT_CLIENT_ADDRESSES = ("10.201.9.2/16", "fd00:201::9:2/64")
ORIGIN_ADDRESSES = ("10.201.2.2/16", "fd00:201::2:2/64")
# The same servers under addresses that a virtual segment gives to the profile that lets unverified origins through.
LENIENT_ADDRESSES = ("10.201.2.3/16", "fd00:201::2:3/64")

# Ethernet's own.
MTU_BYTES = 1500

# A second way to the origin that no appliance sees: a Linux bridge between two ports of its own.
PLAIN_BRIDGE = "sl-plain"
PLAIN_CLIENT_PORT = "sl-plain-c"
PLAIN_ORIGIN_PORT = "sl-plain-o"
PLAIN_ORIGIN_ADDRESS = "10.205.2.2/16"
# The origin as clients behind a bad link reach it through the appliance.
IMPAIRED_ORIGIN_ADDRESS = "10.204.2.2/16"

LENIENT_DOMAIN = "lenient.test"
STRICT_DOMAIN = "lab.test"

REPOSITORY = Path(__file__).resolve().parents[3]
LAB_DIRECTORY = Path(__file__).resolve().parents[1]
NETNS_ETC = Path("/etc/netns")


@dataclass(frozen=True)
class BadLink:
    """An interface of the client's whose frames pass the impairing relay on their way out of a port, and back."""

    port: str
    name: str
    mac: str
    address: str


IMPAIRED_LINK = BadLink(CLIENT_PORT, "sl-bad", "02:00:c9:04:00:02", "10.204.1.2/16")
IMPAIRED_PLAIN_LINK = BadLink(PLAIN_CLIENT_PORT, "sl-bad-plain", "02:00:c9:05:00:02", "10.205.1.2/16")


@dataclass(frozen=True)
class Paths:
    """The lab's files. `run` is small and may lie on a tmpfs; `data` holds what the origin serves and receives."""

    run: Path
    data: Path

    @classmethod
    def default(cls) -> Paths:
        """The default places, or those named by SLUICE_LAB_RUN_DIR and SLUICE_LAB_DATA_DIR."""
        return cls(
            Path(os.environ.get("SLUICE_LAB_RUN_DIR", "/run/sluice-lab")),
            Path(os.environ.get("SLUICE_LAB_DATA_DIR", "/var/tmp/sluice-lab")),
        )

    @property
    def facts(self) -> Path:
        return self.run / "lab.json"

    @property
    def pki(self) -> Path:
        return self.run / "pki"

    @property
    def config(self) -> Path:
        return self.run / "config"

    @property
    def logs(self) -> Path:
        return self.run / "logs"

    @property
    def state(self) -> Path:
        return self.run / "state"

    @property
    def sockets(self) -> Path:
        return self.run / "run"

    @property
    def control_socket(self) -> Path:
        return self.sockets / "control.sock"

    @property
    def dataplane_socket(self) -> Path:
        return self.sockets / "dataplane.sock"

    @property
    def event_log(self) -> Path:
        return self.run / "events.json"

    @property
    def trust_anchor(self) -> Path:
        return self.run / "trust-anchor.pem"

    @property
    def untrusted_anchor(self) -> Path:
        return self.run / "untrusted-anchor.pem"

    @property
    def origin(self) -> Path:
        return self.run / "origin"

    @property
    def www(self) -> Path:
        return self.data / "www"

    @property
    def upload(self) -> Path:
        return self.www / "upload"

    @property
    def git(self) -> Path:
        return self.data / "git"


def binaries() -> Path:
    """Where the binaries under test lie: SLUICE_BIN_DIR, else the release build of this checkout."""
    return Path(os.environ.get("SLUICE_BIN_DIR", str(REPOSITORY / "target" / "release")))


def bare(address: str) -> str:
    """The address without its prefix length."""
    return address.partition("/")[0]
