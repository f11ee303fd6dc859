"""Every place that an inventory names: the hosts, the machine that meshctl is run on, and whom nodes and mesh send something to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from provision.inventory.model import Cluster, Host, Kubernetes, Network, Node
from provision.inventory.policy import Policy
from provision.inventory.residency.networks import lookup
from provision.inventory.residency.place import Place
from provision.inventory.tracing import Tracing
from provision.inventory.uri import parse_uri
from provision.linkerd.wanted import Mesh


@dataclass(frozen=True)
class Said:
    """The parts of an inventory that say where things are; what has a fault of its own is absent. `beside` are places that another
    file names, which `mesh.config_file` does.
    """

    policy: Policy
    hosts: Mapping[int, Host]
    nodes: Mapping[int, Node]
    network: Network | None
    kubernetes: Kubernetes | None
    mesh: Mesh | None
    tracing: Tracing | None = None
    beside: tuple[Place, ...] = ()


def said_by(cluster: Cluster, beside: tuple[Place, ...] = ()) -> Said:
    """The parts of a valid inventory."""
    hosts, nodes = dict(enumerate(cluster.hosts)), dict(enumerate(cluster.nodes))
    return Said(
        cluster.policy, hosts, nodes, cluster.network, cluster.kubernetes, cluster.mesh, cluster.tracing, beside
    )


def places(said: Said) -> Iterator[Place]:
    """Every place, in the order of the inventory. What goes through a place encrypted and stays nowhere (ssh.jump) is none."""
    for index, host in said.hosts.items():
        yield from _host(said, index, host)
    yield from _name_servers(said.network)
    yield _operator(said.policy)
    if said.mesh is not None:
        yield from _image(said.mesh)
        yield from _tracer(said.mesh)
        yield from _dtabs(said.mesh)
    yield from _keeper(said.tracing)
    yield from said.beside


def _host(said: Said, index: int, host: Host) -> Iterator[Place]:
    here = ("hosts", index, "jurisdiction")
    bound = [node.name for node in said.nodes.values() if node.host == host.name]
    what = f"the guests {', '.join(bound)}" if bound else "guests"
    fault = _contradiction(said.policy, host)
    say = "one of the two is wrong" if fault else "jurisdiction: the code of its country"
    yield Place(what, f"host {host.name}", here, country=host.jurisdiction or "", fault=fault, say=say)


def _contradiction(policy: Policy, host: Host) -> str:
    """Why a host cannot be where its jurisdiction says, as far as its address is known."""
    address = parse_uri(host.uri).host
    found = lookup(policy.networks, address)
    if found is None or host.jurisdiction in (None, found.value):
        return ""
    return f"jurisdiction says {host.jurisdiction}, and policy.networks has {address} in {found.value} ({found.key})"


def _name_servers(network: Network | None) -> Iterator[Place]:
    for index, server in enumerate(network.nameservers if network is not None else ()):
        yield Place(
            "the names that nodes and pods look up",
            f"the name server {server}",
            ("network", "nameservers", index),
            server,
        )


def _operator(policy: Policy) -> Place:
    """`backup --to`, the copy while a control plane is rebuilt, run logs, images and bundles: all of it is on one machine."""
    what, where = "backups, run logs, images and bundles", "the machine that meshctl is run on"
    return Place(
        what, where, ("policy", "operator"), country=policy.operator or "", say="operator: the code of its country"
    )


def _image(mesh: Mesh) -> Iterator[Place]:
    """A registry that is named; a name without one is the bundle's archive, which is on the node's own disk."""
    registry = registry_of(mesh.image or "")
    if registry:
        what = "linkerd's image, where a node has lost it"
        yield Place(what, f"the registry {registry}", ("mesh", "image"), registry, by_node=True)


def registry_of(image: str) -> str:
    """The host of an image's name, empty where it names none: as Docker tells it (distribution/reference, `splitDockerDomain`)."""
    first, slash, _ = image.partition("/")
    named = bool(slash) and (first == "localhost" or re.search(r"[.:]", first) is not None)
    return re.sub(r":[0-9]+$", "", first) if named else ""


def _tracer(mesh: Mesh) -> Iterator[Place]:
    if mesh.tracer is not None and mesh.tracer.host is not None:
        host = mesh.tracer.host
        yield Place("traces: whole URIs of requests", f"the Zipkin at {host}", ("mesh", "tracer", "host"), host)


def _keeper(tracing: Tracing | None) -> Iterator[Place]:
    """A Zipkin in the cluster is on a host, and judged with it."""
    if tracing is not None and tracing.address is not None:
        host = tracing.address
        yield Place("traces: whole URIs of requests", f"the Zipkin at {host}", ("tracing", "address"), host)


def _dtabs(mesh: Mesh) -> Iterator[Place]:
    yield from _destinations(("mesh", "dtab"), mesh.dtab)
    for index, one in enumerate(mesh.protocols):
        yield from _destinations(("mesh", "protocols", index, "dtab"), one.dtab)


def _destinations(field: tuple[str | int, ...], text: str | None) -> Iterator[Place]:
    """Machines that a dtab sends requests to. One that linkerd cannot read is refused elsewhere."""
    if text is None:
        return
    from provision.inventory.residency.linkerds import destination  # what is known of linkerd: only for who has a dtab
    from provision.linkerd.routing import dtab

    with suppress(dtab.DtabError):
        leaves = [leaf for entry in dtab.parse(text) for leaf in dtab.leaves(entry.tree)]
        yield from filter(None, (destination(field, leaf) for leaf in dict.fromkeys(leaves)))


def own(said: Said, place: Place) -> str:
    """What of the cluster itself a place's machine is, empty for another's: pods, Services and nodes are on the hosts."""
    from provision.linkerd.check import cluster_name

    address = place.address
    nodes = {node.address: f"node {node.name}" for node in said.nodes.values() if node.address}
    nodes |= {node.name: f"node {node.name}" for node in said.nodes.values()}
    if address == "localhost" or address in nodes:
        return nodes.get(address, "the node itself")
    if not place.by_node and cluster_name(address):
        return "a name of the cluster's own DNS"
    with suppress(ValueError):
        return "the node itself" if ip_address(address).is_loopback else _own_range(said, address)
    return ""


def _own_range(said: Said, address: str) -> str:
    kubernetes, network = said.kubernetes, said.network
    ranges = {} if kubernetes is None else {kubernetes.pod_cidr: "a pod", kubernetes.service_cidr: "a Service"}
    if network is not None and network.mode == "nat":
        ranges[network.cidr] = "the guests' network, inside their host"
    found = lookup(ranges, address)
    if found is None and network is not None and network.nodes is not None:
        first, last = map(ip_address, network.node_range())
        return "an address of nodes" if int(first) <= int(ip_address(address)) <= int(last) else ""
    return "" if found is None else found.value
