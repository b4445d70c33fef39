"""Namespaces and links. Everything lives inside the three namespaces, so that deleting them leaves nothing."""

from __future__ import annotations

import shutil
from collections.abc import Iterable

from . import layout, process

# Checksums and segments must be on the wire as a real link would carry them.
OFFLOADS_OFF = ("tx", "rx", "sg", "tso", "gso", "gro", "rxvlan", "txvlan")
OFFLOADS_REQUIRED_OFF = (
    "tx-checksumming",
    "scatter-gather",
    "tcp-segmentation-offload",
    "generic-segmentation-offload",
    "generic-receive-offload",
)

# No duplicate address detection (an address is usable at once), no router solicitation, many short connections.
END_SETTINGS = (
    "net.ipv6.conf.all.accept_dad=0",
    "net.ipv6.conf.default.accept_dad=0",
    "net.ipv6.conf.default.dad_transmits=0",
    # A link that comes back finds its addresses.
    "net.ipv6.conf.all.keep_addr_on_down=1",
    "net.ipv6.conf.default.keep_addr_on_down=1",
    "net.ipv6.conf.default.accept_ra=0",
    "net.ipv6.conf.default.autoconf=0",
    "net.ipv6.conf.default.router_solicitations=0",
    "net.ipv4.ip_local_port_range=1024 65535",
    "net.ipv4.tcp_no_metrics_save=1",
    # An address is answered for on its own interface only: each of the ways between the two ends stays itself.
    "net.ipv4.conf.all.arp_ignore=1",
    "net.core.somaxconn=4096",
    "net.ipv4.tcp_max_syn_backlog=4096",
)
# The appliance's own kernel stays silent on its ports.
APPLIANCE_SETTINGS = (
    "net.ipv6.conf.all.disable_ipv6=1",
    "net.ipv6.conf.default.disable_ipv6=1",
    "net.ipv4.conf.all.arp_ignore=8",
    "net.ipv4.conf.default.arp_ignore=8",
)


def build(hosts: Iterable[tuple[str, str]], mtu: int) -> None:
    """Makes the namespaces and both links, up, and the client's and the origin's name resolution."""
    for namespace in layout.NAMESPACES:
        process.run(["ip", "netns", "add", namespace])
        inside(namespace, ["ip", "link", "set", "lo", "up"])
        settings = APPLIANCE_SETTINGS if namespace == layout.APPLIANCE else END_SETTINGS
        for setting in settings:
            inside(namespace, ["sysctl", "-q", "-w", setting])
    link(layout.CLIENT, layout.CLIENT_PORT, "02:00:c9:01:00:02", layout.PORT_A, "02:00:c9:00:00:0a")
    link(layout.ORIGIN, layout.ORIGIN_PORT, "02:00:c9:02:00:02", layout.PORT_B, "02:00:c9:00:00:0b")
    for port in (layout.PORT_A, layout.PORT_B):
        inside(layout.APPLIANCE, ["ip", "link", "set", port, "promisc", "on", "mtu", str(mtu), "up"])
    ends = (
        (layout.CLIENT, layout.CLIENT_PORT, (*layout.CLIENT_ADDRESSES, *layout.EXEMPT_CLIENT_ADDRESSES)),
        (
            layout.ORIGIN,
            layout.ORIGIN_PORT,
            (*layout.ORIGIN_ADDRESSES, *layout.LENIENT_ADDRESSES, layout.IMPAIRED_ORIGIN_ADDRESS),
        ),
    )
    plain_way()
    for namespace, port, addresses in ends:
        inside(namespace, ["ip", "link", "set", port, "up"])
        for position, address in enumerate(addresses):
            words = ["ip", "address", "add", address, "dev", port]
            if ":" in address:
                words.append("nodad")
                if position > 1:
                    # Deprecated: there to be named as a source, never chosen by itself.
                    words += ["preferred_lft", "0"]
            inside(namespace, words)
        # Under 1,280 bytes the kernel takes the IPv6 addresses away.
        inside(namespace, ["ip", "link", "set", port, "mtu", str(mtu)])
        like_with_like(namespace)
    lines = ["127.0.0.1 localhost", "::1 localhost", *[f"{address} {name}" for address, name in hosts]]
    for namespace in (layout.CLIENT, layout.ORIGIN):
        directory = layout.NETNS_ETC / namespace
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "hosts").write_text("\n".join(lines) + "\n", encoding="ascii")


def like_with_like(namespace: str) -> None:
    """Connections over these routes are controlled by CUBIC, as the appliance's, whatever the machine has chosen: BBR does not take a
    lost segment for congestion. By route, because a namespace may set no other algorithm for all of them."""
    for line in inside(namespace, ["ip", "route", "show"]).splitlines():
        inside(namespace, ["ip", "route", "change", *line.split(), "congctl", "cubic"])


def plain_way() -> None:
    """A second link of each end, joined by a Linux bridge: what the kernel alone does, beside the appliance."""
    ends = (
        (layout.CLIENT, layout.PLAIN_CLIENT_PORT, "02:00:c9:03:00:02", "sl-plain-1", "02:00:c9:03:00:0a"),
        (layout.ORIGIN, layout.PLAIN_ORIGIN_PORT, "02:00:c9:03:00:03", "sl-plain-2", "02:00:c9:03:00:0b"),
    )
    for namespace, port, mac, peer, peer_mac in ends:
        link(namespace, port, mac, peer, peer_mac)
        inside(namespace, ["ip", "link", "set", port, "up"])
    join(layout.PLAIN_BRIDGE, [peer for _, _, _, peer, _ in ends])
    inside(layout.ORIGIN, ["ip", "address", "add", layout.PLAIN_ORIGIN_ADDRESS, "dev", layout.PLAIN_ORIGIN_PORT])


def bridge() -> None:
    """Joins the appliance's ports by a Linux bridge: the control run, with no appliance at all."""
    join("sl-bridge", [layout.PORT_A, layout.PORT_B])


def join(name: str, ports: list[str]) -> None:
    """A Linux bridge in the appliance's namespace over these ports."""
    for family in ("iptables", "ip6tables", "arptables"):
        # Where br_netfilter is loaded, it would look into the frames and drop what is not sound.
        setting = f"net.bridge.bridge-nf-call-{family}=0"
        process.run(process.in_namespace(layout.APPLIANCE, ["sysctl", "-q", "-w", setting]), check=False)
    words = ["type", "bridge", "stp_state", "0", "forward_delay", "0", "mcast_snooping", "0"]
    inside(layout.APPLIANCE, ["ip", "link", "add", name, *words])
    for port in ports:
        inside(layout.APPLIANCE, ["ip", "link", "set", port, "master", name, "up"])
    inside(layout.APPLIANCE, ["ip", "link", "set", name, "up"])


def remove() -> None:
    """Ends every process inside the namespaces and deletes them. Does nothing for what is not there."""
    present = existing()
    pids = [pid for namespace in present for pid in members(namespace)]
    process.stop(pids)
    for namespace in present:
        process.run(["ip", "netns", "delete", namespace])
    for namespace in layout.NAMESPACES:
        shutil.rmtree(layout.NETNS_ETC / namespace, ignore_errors=True)
    try:
        layout.NETNS_ETC.rmdir()
    except OSError:
        # Not ours alone, or not there.
        return


def existing() -> list[str]:
    """The lab's namespaces that exist."""
    listed = process.run(["ip", "netns", "list"]).stdout
    names = {line.split()[0] for line in listed.splitlines() if line.split()}
    return [namespace for namespace in layout.NAMESPACES if namespace in names]


def members(namespace: str) -> list[int]:
    """The processes inside a namespace."""
    listed = process.run(["ip", "netns", "pids", namespace], check=False)
    return [int(word) for word in listed.stdout.split()]


def inside(namespace: str, argv: list[str]) -> str:
    """Runs a command in a namespace and returns its output."""
    return process.run(process.in_namespace(namespace, argv)).stdout


def link(namespace: str, port: str, mac: str, peer: str, peer_mac: str) -> None:
    """One veth pair from a namespace's port to a port of the appliance, offloads off at both ends."""
    process.run(
        ["ip", "link", "add", "name", port, "address", mac, "netns", namespace, "type", "veth"]
        + ["peer", "name", peer, "address", peer_mac, "netns", layout.APPLIANCE]
    )
    for where, end in ((namespace, port), (layout.APPLIANCE, peer)):
        for offload in OFFLOADS_OFF:
            # Some are fixed by the driver; what matters is read back below.
            process.run(process.in_namespace(where, ["ethtool", "-K", end, offload, "off"]), check=False)
        state = inside(where, ["ethtool", "-k", end])
        for line in state.splitlines():
            name, _, value = line.partition(":")
            if name.strip() in OFFLOADS_REQUIRED_OFF and not value.strip().startswith("off"):
                raise process.LabError(f"{end} in {where}: {name.strip()} cannot be turned off; frames would not be as on a wire")
