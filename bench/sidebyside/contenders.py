"""The proxies: how each is configured, started, put between client and origin, and how its CPU time is read."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from pathlib import Path

from labkit import appliance, layout, network, process
from labkit.layout import Paths

from . import cpu, limits

ORIGIN_ADDRESS = "10.201.2.2"
CLIENT_ADDRESS = "10.201.1.2"
GATEWAY_A = "10.201.1.1"
GATEWAY_B = "10.201.2.1"
WARM_PORT = 8001
COLD_PORT = 8002
CONTENDER_CORE = "1"
COLD_CONNECTIONS = 600
# DPDK's names of the threads that poll; what they use is told by busy time, not by process time.
POLLING_THREADS = ("rte-worker", "dpdk-worker", "lcore-worker")


def cold_name(number: int | str, turn: int, contender: str) -> str:
    """A server name that no other connection, round or contender uses."""
    return f"h{number}.r{turn}.{contender}.lab.test"


class Contender(ABC):
    """One proxy. `attach` puts it between client and origin, `detach` takes it away; between them it idles."""

    name: str
    forges: bool

    def __init__(self, paths: Paths, bin_dir: Path) -> None:
        self.paths = paths
        self.bin_dir = bin_dir
        self.home = paths.run / "contenders" / self.name
        self.home.mkdir(parents=True, exist_ok=True)

    @property
    @abstractmethod
    def anchor(self) -> Path:
        """What clients trust when this proxy is between."""

    @property
    @abstractmethod
    def version(self) -> str:
        """What exactly was measured."""

    @abstractmethod
    def attach(self) -> None:
        """Starts it and leads the traffic through it."""

    @abstractmethod
    def detach(self) -> None:
        """Stops it and leads no traffic through it."""

    @abstractmethod
    def cpu_us(self) -> float:
        """CPU time it has used since `attach`, microseconds."""

    @abstractmethod
    def process_us(self) -> float:
        """The same as process time throughout: what a program that polls uses also while it has nothing to do."""


class Sluice(Contender):
    """The appliance. Its CPU time is that of polls that found work, of its other threads, and of sluiced."""

    name = "sluice"
    forges = True

    def __init__(self, paths: Paths, bin_dir: Path, config: Path, port_type: str) -> None:
        super().__init__(paths, bin_dir)
        self.port_type = port_type
        appliance.require_binaries(bin_dir)
        appliance.write_configuration(paths, config, port_type)
        self.control = appliance.start_control(paths, bin_dir)
        self.command = appliance.Sluice(paths, bin_dir)
        self.command.create_authorities()
        self.command.import_material()
        self.command.apply()
        self.dataplane = 0

    @property
    def anchor(self) -> Path:
        return self.paths.trust_anchor

    @property
    def version(self) -> str:
        said = process.run([self.bin_dir / "sluice-dataplane", "--version"]).stdout.strip()
        return f"{said} ({self.port_type})"

    def attach(self) -> None:
        self.dataplane = appliance.start_dataplane(self.paths, self.bin_dir)
        self.command.wait_until_adopted(self.dataplane)
        flows = process.wait_until(
            lambda: appliance.traffic_flows(self.paths, inspected=True), limits.START_SECONDS_MAX
        )
        if not flows:
            raise process.LabError(f"no traffic through sluice: {process.tail(self.paths.logs / 'dataplane.log')}")

    def detach(self) -> None:
        process.stop([self.dataplane])

    def cpu_us(self) -> float:
        cores = self.command.json("show", "cores")["cores"]
        polling = sum(core["busy_ns"] for core in cores) / 1000
        return polling + cpu.of_threads(self.dataplane, except_named=POLLING_THREADS) + cpu.of_tree(self.control)

    def process_us(self) -> float:
        return cpu.of_tree(self.dataplane) + cpu.of_tree(self.control)


class Redirected(Contender):
    """A proxy on the kernel's sockets: the appliance's namespace routes, and nftables redirects to it."""

    port: int
    pid: int = 0

    @abstractmethod
    def configure(self) -> list[str]:
        """Writes its configuration and returns its command line, in the foreground."""

    def attach(self) -> None:
        route(True, self.port)
        argv = process.in_namespace(layout.APPLIANCE, ["taskset", "-c", CONTENDER_CORE, *self.configure()])
        self.pid = process.spawn(argv, self.home / "log")
        listening = process.in_namespace(layout.APPLIANCE, ["ss", "-Hltn", f"sport = :{self.port}"])
        up = process.wait_until(
            lambda: bool(process.run(listening).stdout) or not process.alive(self.pid), limits.START_SECONDS_MAX
        )
        if not up or not process.alive(self.pid):
            raise process.LabError(f"{self.name} does not start: {process.tail(self.home / 'log')}")

    def detach(self) -> None:
        process.stop([self.pid])
        route(False, self.port)

    def cpu_us(self) -> float:
        return cpu.of_tree(self.pid)

    def process_us(self) -> float:
        return self.cpu_us()


class Haproxy(Redirected):
    """HAProxy in TCP mode, TLS on both legs, one thread: it forges nothing and inspects nothing."""

    name = "haproxy"
    forges = False
    port = 9443

    @property
    def anchor(self) -> Path:
        return self.paths.pki / "lab-root.pem"

    @property
    def version(self) -> str:
        return process.run(["haproxy", "-v"]).stdout.splitlines()[0]

    def configure(self) -> list[str]:
        pki = self.paths.pki
        bundle = self.home / "own.pem"
        bundle.write_bytes((pki / "good.pem").read_bytes() + (pki / "good.key").read_bytes())
        file = self.home / "haproxy.cfg"
        file.write_text(
            f"""\
global
    nbthread 1
    maxconn 4000
    tune.ssl.cachesize 0
defaults
    mode tcp
    timeout connect 10s
    timeout client 60s
    timeout server 60s
listen relay
    bind :{self.port} ssl crt {bundle} alpn http/1.1
    server origin {ORIGIN_ADDRESS}:{WARM_PORT} ssl verify required ca-file {pki}/lab-root.pem sni ssl_fc_sni no-ssl-reuse alpn http/1.1
""",
            encoding="ascii",
        )
        return ["haproxy", "-db", "-f", str(file)]


class Squid(Redirected):
    """Squid with ssl-bump: it verifies, forges a certificate per origin, and reads HTTP."""

    name = "squid"
    forges = True
    port = 9444

    def __init__(self, paths: Paths, bin_dir: Path, rounds: int) -> None:
        super().__init__(paths, bin_dir)
        # It compares the Host field's address with the one the client went to, so it must be able to resolve it.
        names = [cold_name(number, turn, self.name) for turn in range(rounds) for number in range(COLD_CONNECTIONS)]
        lines = "".join(f"{ORIGIN_ADDRESS} {name}\n" for name in ["good.lab.test", *names])
        (self.home / "hosts").write_text(lines, encoding="ascii")

    @property
    def anchor(self) -> Path:
        return self.paths.pki / "unknown.crt"

    @property
    def version(self) -> str:
        return process.run(["squid", "-v"]).stdout.splitlines()[0]

    def configure(self) -> list[str]:
        pki = self.paths.pki
        authority = self.home / "authority.pem"
        authority.write_bytes((pki / "unknown.crt").read_bytes() + (pki / "unknown.key").read_bytes())
        database = self.home / "certificates"
        shutil.rmtree(database, ignore_errors=True)
        helper = "/usr/lib/squid/security_file_certgen"
        process.run([helper, "-c", "-s", database, "-M", "16MB"])
        file = self.home / "squid.conf"
        file.write_text(
            f"""\
http_port 127.0.0.1:3128
https_port {self.port} intercept ssl-bump tls-cert={authority} generate-host-certificates=on dynamic_cert_mem_cache_size=16MB
sslcrtd_program {helper} -s {database} -M 16MB
sslcrtd_children 1 startup=1
tls_outgoing_options cafile={pki}/lab-root.pem
acl first at_step SslBump1
acl second at_step SslBump2
ssl_bump peek first
ssl_bump stare second
ssl_bump bump all
http_access allow all
cache deny all
access_log none
cache_log {self.home}/cache.log
cache_store_log none
netdb_filename none
pid_filename none
pinger_enable off
coredump_dir {self.home}
hosts_file {self.home}/hosts
dns_nameservers 127.0.0.1
shutdown_lifetime 0 seconds
visible_hostname lab
max_filedescriptors 8192
""",
            encoding="ascii",
        )
        process.run(["chown", "-R", "proxy:proxy", self.home])
        return ["squid", "-N", "-f", str(file)]


def route(on: bool, port: int) -> None:
    """Makes the appliance's namespace a router whose TLS is redirected to a local port, or a silent one again."""
    change = "replace" if on else "delete"
    where = process.in_namespace
    if on:
        for setting in ("net.ipv4.ip_forward=1", "net.ipv4.conf.all.arp_ignore=0", "net.ipv4.conf.all.rp_filter=0"):
            network.inside(layout.APPLIANCE, ["sysctl", "-q", "-w", setting])
        for device in (layout.PORT_A, layout.PORT_B):
            network.inside(layout.APPLIANCE, ["sysctl", "-q", "-w", f"net.ipv4.conf.{device}.arp_ignore=0"])
    for gateway, device, end in (
        (GATEWAY_A, layout.PORT_A, CLIENT_ADDRESS),
        (GATEWAY_B, layout.PORT_B, ORIGIN_ADDRESS),
    ):
        words = ["ip", "address", change, f"{gateway}/32", "dev", device]
        process.run(where(layout.APPLIANCE, words), check=on)
        if on:
            network.inside(layout.APPLIANCE, ["ip", "route", "replace", f"{end}/32", "dev", device, "src", gateway])
    for namespace, device, target, gateway in (
        (layout.CLIENT, layout.CLIENT_PORT, ORIGIN_ADDRESS, GATEWAY_A),
        (layout.ORIGIN, layout.ORIGIN_PORT, CLIENT_ADDRESS, GATEWAY_B),
    ):
        words = ["ip", "route", change, f"{target}/32", "via", gateway, "dev", device]
        process.run(where(namespace, words), check=on)
        network.inside(namespace, ["ip", "neigh", "flush", "dev", device])
    if on:
        rules = (
            "table ip sidebyside { chain redirected { type nat hook prerouting priority dstnat; "
            f'iifname "{layout.PORT_A}" tcp dport {{ {WARM_PORT}, {COLD_PORT} }} redirect to :{port}; }}; }}'
        )
        network.inside(layout.APPLIANCE, ["nft", rules])
    else:
        process.run(where(layout.APPLIANCE, ["nft", "delete", "table", "ip", "sidebyside"]), check=False)
        network.inside(layout.APPLIANCE, ["sysctl", "-q", "-w", "net.ipv4.ip_forward=0"])
        for device in ("all", layout.PORT_A, layout.PORT_B):
            network.inside(layout.APPLIANCE, ["sysctl", "-q", "-w", f"net.ipv4.conf.{device}.arp_ignore=8"])
