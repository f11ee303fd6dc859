"""Rules between fields. They look at every part of an inventory that is valid in itself, so that one fault hides no other."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import netaddr
from pydantic import BaseModel, ValidationError

from provision.base.errors import Problem
from provision.inventory.addresses import TooSmall, node_addresses, pod_prefix_length
from provision.inventory.loader.document import Document, Location, field_name
from provision.inventory.model import BUILT, Cluster, Host, Kubernetes, Network, Node
from provision.inventory.policy import Policy
from provision.inventory.tracing import Tracing
from provision.inventory.uri import machine_behind
from provision.linkerd.wanted import Mesh

Model = TypeVar("Model", bound=BaseModel)

LARGEST_SERVICE_PREFIX, SMALLEST_SERVICE_PREFIX = 12, 24
"""The API server of 1.20 refuses more than 20 bits of Services; fewer than 8 leave no room beside kube-dns at .10."""

CONTROL_PLANE_MIB = 2048
"""kubeadm's own requirement for a control plane is 1700 MiB; the mesh and the kubelet come on top."""


CONTROL_PLANE_VCPUS = {"1.20": 2}
"""kubeadm's own requirement, by generation (cmd/kubeadm/app/constants, ControlPlaneNumCPU); kubeadm 1.5 has none."""

SEVERAL = frozenset({"1.20"})
"""Generations whose kubeadm makes several control planes, with an etcd on each (`kubeadm join` with `controlPlane`: from 1.15 on)."""

MOST_CONTROL_PLANES = 5
"""A write waits for the majority, so that more make it slower; etcd's own advice is seven at the most, and five mostly (its FAQ)."""


@dataclass(frozen=True)
class Parts:
    """What is valid of an inventory. Hosts and nodes keep their index; what has a fault of its own is absent."""

    document: Document
    hosts: Mapping[int, Host]
    nodes: Mapping[int, Node]
    network: Network | None
    kubernetes: Kubernetes | None
    mesh: Mesh | None = None
    policy: Policy | None = None
    tracing: Tracing | None = None

    def raw(self, section: str) -> list[dict[str, Any]]:
        """A section's items as written; what is no mapping is an empty one."""
        value = self.document.value
        items = value.get(section) if isinstance(value, dict) else None
        return [item if isinstance(item, dict) else {} for item in items] if isinstance(items, list) else []

    def names(self, section: str) -> list[str]:
        """The names of hosts or nodes as written, valid or not."""
        return [str(item.get("name", "")) for item in self.raw(section)]


def parts_of(document: Document, cluster: Cluster | None) -> Parts:
    """The parts of a valid cluster, or those that are valid each by itself."""
    if cluster is not None:
        return Parts(
            document,
            dict(enumerate(cluster.hosts)),
            dict(enumerate(cluster.nodes)),
            cluster.network,
            cluster.kubernetes,
            cluster.mesh,
            cluster.policy,
            cluster.tracing,
        )
    value = document.value if isinstance(document.value, dict) else {}
    return Parts(
        document,
        _valid_items(document, Host, "hosts"),
        _valid_items(document, Node, "nodes"),
        _valid(document, Network, ("network",), value.get("network")),
        _valid(document, Kubernetes, ("kubernetes",), value.get("kubernetes")),
        _valid(document, Mesh, ("mesh",), value.get("mesh", {})),
        _valid(document, Policy, ("policy",), value.get("policy", {})),
        _valid(document, Tracing, ("tracing",), value["tracing"]) if value.get("tracing") is not None else None,
    )


def _valid_items(document: Document, model: type[Model], section: str) -> dict[int, Model]:
    items = document.value.get(section) if isinstance(document.value, dict) else None
    every = enumerate(items if isinstance(items, list) else ())
    found = {index: _valid(document, model, (section, index), item) for index, item in every}
    return {index: item for index, item in found.items() if item is not None}


def _valid(document: Document, model: type[Model], location: Location, value: Any) -> Model | None:
    try:
        return model.model_validate(value) if document.sound(location) else None
    except ValidationError:
        return None


def problems(parts: Parts) -> Iterator[Problem]:
    """Every violation of a rule between fields."""
    for section in ("hosts", "nodes"):
        yield from _duplicates(parts, section)
    yield from _one_machine(parts)
    yield from _control_planes(parts)
    yield from _hosts_of_nodes(parts)
    yield from _groups(parts)
    yield from _homes(parts)
    if parts.network is not None:
        yield from _one_network(parts, parts.network)
        yield from _fixed_addresses(parts, parts.network)
        yield from _node_range(parts, parts.network)
        if parts.kubernetes is not None and parts.kubernetes.control_plane_endpoint is not None:
            yield from _endpoint(parts, parts.network, parts.kubernetes.control_plane_endpoint)
    yield from _overlaps(parts)
    if parts.kubernetes is not None:
        yield from _cluster_ranges(parts, parts.kubernetes)
        yield from _unavailable(parts, parts.kubernetes)


def _duplicates(parts: Parts, section: str) -> Iterator[Problem]:
    names = parts.names(section)
    for index, name in enumerate(names):
        first = names.index(name)
        if name and first < index:
            message = f"{name} is taken by {section}[{first}] (line {_line(parts, (section, first, 'name'))})"
            yield parts.document.problem((section, index, "name"), message, "names are unique")


def _one_machine(parts: Parts) -> Iterator[Problem]:
    """Hosts that are one machine: its CPUs would be given twice. Names that differ are told by the machine's uuid, later."""
    first: dict[tuple[str, ...], int] = {}
    for index, host in parts.hosts.items():
        other = first.setdefault(machine_behind(host.uri), index)
        if other != index:
            name, line = parts.hosts[other].name, _line(parts, ("hosts", other, "uri"))
            message = f"leads to the machine of {name} (line {line}), whose CPUs and memory would be given twice"
            yield parts.document.problem(("hosts", index, "uri"), message, "one host for each machine")


def _line(parts: Parts, location: Location) -> int:
    return parts.document.position(location)[0]


def _control_planes(parts: Parts) -> Iterator[Problem]:
    roles = [str(item.get("role")) for item in parts.raw("nodes")]
    planes = [index for index, role in enumerate(roles) if role == "control-plane"]
    if not planes and roles and set(roles) <= {"worker"}:
        hint = "give one node `role: control-plane`"
        yield parts.document.problem(("nodes",), "there is no control plane", hint, key=True)
    if parts.kubernetes is not None:
        yield from _several(parts, parts.kubernetes, planes)
    for index, node in parts.nodes.items():
        if node.role == "control-plane":
            yield from _size_of_control_plane(parts, index, node)


def _several(parts: Parts, kubernetes: Kubernetes, planes: list[int]) -> Iterator[Problem]:
    """Several control planes, and the address that they share."""
    count, generation = len(planes), kubernetes.generation
    able = generation in SEVERAL
    if kubernetes.control_plane_endpoint is not None and not able:
        message = f"kubeadm of Kubernetes {generation} knows no address that control planes share"
        yield parts.document.problem(("kubernetes", "control_plane_endpoint"), message, "take it out")
    if count > 1 and not able:
        for index in planes[1:]:
            message = f"a second control plane: kubeadm of Kubernetes {generation} cannot make one"
            yield parts.document.problem(("nodes", index, "role"), message, "make it a worker")
    elif count > MOST_CONTROL_PLANES:
        message = f"{count} control planes: each write to etcd would wait for {count // 2 + 1} of them"
        yield parts.document.problem(
            ("nodes", planes[MOST_CONTROL_PLANES], "role"), message, f"{MOST_CONTROL_PLANES} at the most"
        )
    elif count > 1 and count % 2 == 0:
        message = f"{count} control planes: etcd needs more than half of them, so {count} bear no more losses than {count - 1}"
        hint = (
            f"{count - 1} or {count + 1} of them: make it a worker, or add one" if count < MOST_CONTROL_PLANES else ""
        )
        yield parts.document.problem(("nodes", planes[-1], "role"), message, hint)
    if count > 1 and able and kubernetes.control_plane_endpoint is None:
        message = f"{count} control planes need one address at which whoever of them is there is reached"
        hint = "control_plane_endpoint: ADDRESS, a free one of network.cidr"
        yield parts.document.problem(("kubernetes",), message, hint, key=True)


def _endpoint(parts: Parts, network: Network, endpoint: str) -> Iterator[Problem]:
    """The shared address is a free one of the nodes' network: it moves from node to node."""
    location: Location = ("kubernetes", "control_plane_endpoint")
    cidr = netaddr.IPNetwork(network.cidr)
    owners = {network.gateway_address: "the gateway"}
    owners |= {address: "a name server" for address in network.nameservers if address not in owners}
    owners |= {node.address: node.name for node in parts.nodes.values() if node.address}
    if netaddr.IPAddress(endpoint) not in cidr or endpoint in (str(cidr[0]), str(cidr[-1])):
        message = f"{endpoint} is not a host address of {network.cidr}, the nodes' network"
        yield parts.document.problem(location, message, f"for example {cidr[-2]}, if it is free")
    elif endpoint in owners:
        message = f"{endpoint} belongs to {owners[endpoint]}"
        yield parts.document.problem(
            location, message, "it needs to be nobody's: the control plane that serves takes it"
        )


def _unavailable(parts: Parts, kubernetes: Kubernetes) -> Iterator[Problem]:
    workers = sum(item.get("role") == "worker" for item in parts.raw("nodes"))
    if kubernetes.max_unavailable > max(1, workers):
        message = f"{kubernetes.max_unavailable} workers cannot be down at once: there are {workers}"
        hint = f"{max(1, workers)} at the most; with all of them down nobody serves"
        yield parts.document.problem(("kubernetes", "max_unavailable"), message, hint)


def _size_of_control_plane(parts: Parts, index: int, node: Node) -> Iterator[Problem]:
    if node.memory_mib < CONTROL_PLANE_MIB:
        message = f"{node.memory_mib} MiB is not enough for a control plane"
        yield parts.document.problem(("nodes", index, "memory"), message, "2GiB at the least")
    generation = parts.kubernetes.generation if parts.kubernetes is not None else ""
    if node.vcpus < CONTROL_PLANE_VCPUS.get(generation, 1):
        wanted = CONTROL_PLANE_VCPUS[generation]
        message = f"kubeadm {generation} wants {wanted} for a control plane"
        yield parts.document.problem(("nodes", index, "vcpus"), message, f"vcpus: {wanted}, or more")


def _hosts_of_nodes(parts: Parts) -> Iterator[Problem]:
    names = [name for name in parts.names("hosts") if name]
    for index, node in parts.nodes.items():
        if node.host is not None and node.host not in names and names:
            near = difflib.get_close_matches(node.host, names, n=1)
            hint = f"did you mean {near[0]}?" if near else f"the hosts are {', '.join(names)}"
            yield parts.document.problem(("nodes", index, "host"), f"there is no host {node.host}", hint)


def _groups(parts: Parts) -> Iterator[Problem]:
    """Guests of one group need a host each: seen here where the inventory alone makes it impossible."""
    members: dict[str, list[int]] = {}
    for index, node in parts.nodes.items():
        if node.group is not None:
            members.setdefault(node.group, []).append(index)
    hosts = len(parts.raw("hosts"))
    for group, indexes in members.items():
        bound: dict[str, int] = {}
        for index in indexes:
            host = parts.nodes[index].host
            if host is not None and host in bound:
                message = f"{host} holds {parts.nodes[bound[host]].name} of group {group} already"
                yield parts.document.problem(
                    ("nodes", index, "host"), message, "nodes of a group run on different hosts"
                )
            elif host is not None:
                bound[host] = index
        if len(indexes) > hosts:
            message = f"group {group} has {len(indexes)} nodes, but there are {hosts} hosts"
            yield parts.document.problem(
                ("nodes", indexes[hosts], "group"), message, "nodes of a group run on different hosts"
            )


def _homes(parts: Parts) -> Iterator[Problem]:
    """A volume over the login user's home hides the key that lets meshctl in."""
    ssh = parts.document.value.get("ssh") if isinstance(parts.document.value, dict) else None
    home = f"/home/{ssh.get('user', 'mesh') if isinstance(ssh, dict) else 'mesh'}"
    for index, node in parts.nodes.items():
        for number, mount in enumerate(node.mounts):
            if mount == home or mount.startswith(f"{home}/.ssh"):
                message = f"{mount} hides the key that lets meshctl in"
                yield parts.document.problem(("nodes", index, "volumes", number, "mount"), message, "another place")


def _one_network(parts: Parts, network: Network) -> Iterator[Problem]:
    if network.mode == "nat" and len(parts.raw("hosts")) > 1:
        hint = "mode: bridge, with a bridge on each host, joins them"
        message = "nodes on different hosts cannot reach each other under nat"
        yield parts.document.problem(("network", "mode"), message, hint)


def _overlaps(parts: Parts) -> Iterator[Problem]:
    ranges: list[tuple[Location, str]] = []
    if parts.network is not None:
        ranges.append((("network", "cidr"), parts.network.cidr))
    if parts.kubernetes is not None:
        ranges.append((("kubernetes", "pod_cidr"), parts.kubernetes.pod_cidr))
        ranges.append((("kubernetes", "service_cidr"), parts.kubernetes.service_cidr))
    for number, (location, cidr) in enumerate(ranges):
        for other, theirs in ranges[:number]:
            if _overlap(cidr, theirs):
                yield _overlap_problem(parts, (location, cidr), (other, theirs))


def _overlap(one: str, two: str) -> bool:
    ours, theirs = netaddr.IPNetwork(one), netaddr.IPNetwork(two)
    return bool(ours.first <= theirs.last and theirs.first <= ours.last)


def _overlap_problem(parts: Parts, one: tuple[Location, str], two: tuple[Location, str]) -> Problem:
    """A default that overlaps is reported where the user wrote something."""
    here, other = (one, two) if parts.document.has(one[0]) else (two, one)
    where = f"line {_line(parts, other[0])}" if parts.document.has(other[0]) else "the default"
    message = f"{here[1]} overlaps {field_name(other[0])} {other[1]} ({where})"
    return parts.document.problem(here[0], message, "the three ranges must not share an address")


def _fixed_addresses(parts: Parts, network: Network) -> Iterator[Problem]:
    first, last = network.node_range()
    seen = {network.gateway_address: "the gateway"}
    for index, node in parts.nodes.items():
        if node.address is None:
            continue
        location: Location = ("nodes", index, "address")
        if netaddr.IPAddress(node.address) not in netaddr.IPRange(first, last):
            message = f"{node.address} is not within {first}-{last}"
            yield parts.document.problem(location, message, "see network.cidr and network.nodes")
        elif node.address in seen:
            message = f"{node.address} belongs to {seen[node.address]}"
            yield parts.document.problem(location, message, "leave `address` out to have one chosen")
        seen.setdefault(node.address, node.name)


def _node_range(parts: Parts, network: Network) -> Iterator[Problem]:
    nodes = [
        _Named(name.encode(errors="replace").decode()) for name in dict.fromkeys(filter(None, parts.names("nodes")))
    ]
    endpoint = parts.kubernetes.control_plane_endpoint if parts.kubernetes is not None else None
    try:
        node_addresses(network, nodes, free=lambda address: address != endpoint)
    except TooSmall as error:
        field = "nodes" if network.nodes else "cidr"
        message = f"{error}, but there are {len(nodes)} nodes"
        yield parts.document.problem(("network", field), message, "take a larger range")


@dataclass(frozen=True)
class _Named:
    """A node as `addresses` needs it to count: faulty nodes want an address too."""

    name: str
    address: str | None = None


def _cluster_ranges(parts: Parts, kubernetes: Kubernetes) -> Iterator[Problem]:
    if parts.network is not None:
        try:
            pod_prefix_length(parts.network, kubernetes.pod_cidr)
        except TooSmall as error:
            hint = "a larger pod_cidr, or a smaller range of addresses by network.nodes"
            yield parts.document.problem(("kubernetes", "pod_cidr"), str(error), hint)
    if kubernetes.generation == "1.5" and kubernetes.bundle in BUILT:
        where: Location = ("kubernetes", "bundle" if parts.document.has(("kubernetes", "bundle")) else "version")
        message = f"the bundle {kubernetes.bundle} holds Kubernetes 1.20, not {kubernetes.version}"
        yield parts.document.problem(
            where, message, "kubernetes.bundle: the folder of a bundle made by `meshctl bundle seal`"
        )
    length = int(netaddr.IPNetwork(kubernetes.service_cidr).prefixlen)
    if not LARGEST_SERVICE_PREFIX <= length <= SMALLEST_SERVICE_PREFIX:
        message = f"{kubernetes.service_cidr} is too {'small' if length > SMALLEST_SERVICE_PREFIX else 'large'}"
        hint = f"between a /{LARGEST_SERVICE_PREFIX} and a /{SMALLEST_SERVICE_PREFIX}"
        yield parts.document.problem(("kubernetes", "service_cidr"), message, hint)
