"""`diagnose`: looks at all hosts and guests at once, by one command on each, and gives what was seen as a recording. Reads only."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from provision.base.errors import MeshctlError
from provision.base.events import Progress
from provision.base.moments import moment
from provision.base.parallel import begin, for_each
from provision.base.shell import Shell
from provision.base.waiting import NotYet, Ready, wait_until
from provision.diagnose import (
    DRAIN_AND_START_S,
    Endpoint,
    Planned,
    Recording,
    argv,
    read_guest,
    read_host,
    read_paths,
    read_router,
)
from provision.inventory import Host
from provision.kubernetes import kubectl_for
from provision.kubernetes.kubectl import EVERYWHERE
from provision.libvirt_xml import DomainSeen, judged_domains
from provision.mesh import APP, configuration
from provision.run.access import asked, node_target
from provision.run.engine import World

EVERYWHERE_BUT = {"kubernetes"}
"""Services that no request goes to through the mesh: the API server's own."""

CLUSTER_NAME = "kubernetes.default.svc.cluster.local"
"""What the cluster's DNS is asked for: it is there in every cluster, and asked for by no forwarder."""


@dataclass(frozen=True)
class Running:
    """A guest of ours, most often one that runs: its host, its domain and its address."""

    node: str
    host: str
    domain: DomainSeen
    address: str


@dataclass(frozen=True)
class Inside:
    """What Kubernetes says: pods by uid, endpoints of services, pods to be reached by node, the routers, and its DNS servers."""

    pods: Mapping[str, str] = field(default_factory=dict)
    endpoints: tuple[Endpoint, ...] = ()
    reachable: Mapping[str, str] = field(default_factory=dict)
    routers: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    fault: str = ""


Said = Mapping[str, Any] | str
"""What a machine said, or why it said nothing."""


def diagnose(world: World, service: str, for_s: float) -> Recording:
    """One look at everything, `for_s` seconds long on all machines at once."""
    world.sessions.ask_now()
    running = running_guests(world)
    inside = _inside(world, [one.domain for one in running])
    looks = {("guest", one.node): partial(_guest, world, one, running, inside, for_s) for one in running}
    looks |= {("host", host.name): partial(_host, world, host, running, for_s) for host in world.cluster.hosts}
    said = _all_at_once(world, looks, for_s)
    return _recording(world, service, for_s, running, inside, said)


def running_guests(world: World) -> tuple[Running, ...]:
    """The guests of ours that run, on the hosts that the world has. Raises HypervisorError for one that does not answer."""
    doors = list(world.hypervisors.items())
    found = for_each(doors, lambda door: door[1].domains())
    return tuple(
        one
        for (host, _), domains in zip(doors, found, strict=True)
        for one in guests_among(world, host, domains)
        if one.domain.active
    )


def guests_among(world: World, host: str, domains: Sequence[DomainSeen]) -> tuple[Running, ...]:
    """Those of a host's domains that are guests of ours, whether they run or not."""
    owner, known = world.cluster.owner, {node.name for node in world.cluster.nodes}
    return tuple(
        Running(one.stamp.node, host, one, one.stamp.address)
        for one in judged_domains(owner, domains)
        if one.stamp is not None and owner.owns(one.stamp) and one.stamp.node in known
    )


# ── what Kubernetes knows ────────────────────────────────────────────────────────────────────────────────────────


def _inside(world: World, domains: Sequence[DomainSeen]) -> Inside:
    try:
        shell = world.sessions.to(node_target(world, asked(world, domains), domains))
        kubectl = kubectl_for(world.cluster.kubernetes.generation, shell)
        pods, endpoints, services = (
            kubectl.items(kind, namespace=EVERYWHERE) for kind in ("pods", "endpoints", "services")
        )
    except MeshctlError as error:
        return Inside(fault=error.message)
    return read_inside(pods, endpoints, services, world.cluster.mesh.namespace)


def read_inside(
    pods: Sequence[Mapping[str, Any]],
    endpoints: Sequence[Mapping[str, Any]],
    services: Sequence[Mapping[str, Any]],
    mesh_namespace: str,
) -> Inside:
    """Kubernetes' lists, as a look needs them: names and addresses only, nothing of what pods are told."""
    named = {pod["metadata"]["uid"]: _name(pod) for pod in pods}
    nodes = {_name(pod): pod["spec"].get("nodeName", "") for pod in pods}
    own = [one for one in pods if not one["spec"].get("hostNetwork") and one["status"].get("phase") == "Running"]
    reachable = {one["spec"]["nodeName"]: one["status"]["podIP"] for one in own if one["status"].get("podIP")}
    found = tuple(one for each in endpoints for one in _endpoints(each, nodes))
    served = {_name(each) for each in endpoints if each.get("subsets")}
    dns = tuple(
        one["spec"]["clusterIP"] for one in services if _name(one) == "kube-system/kube-dns" and _name(one) in served
    )
    routers = [one for one in pods if one["metadata"]["namespace"] == mesh_namespace]
    labelled = [one for one in routers if APP.items() <= one["metadata"].get("labels", {}).items()]
    return Inside(named, found, reachable, tuple(_name(one) for one in labelled), dns)


def _name(thing: Mapping[str, Any]) -> str:
    return f"{thing['metadata'].get('namespace', '')}/{thing['metadata']['name']}"


def _endpoints(thing: Mapping[str, Any], nodes: Mapping[str, str]) -> list[Endpoint]:
    name = thing["metadata"]["name"]
    return [
        Endpoint(service=name, address=f"{address['ip']}:{port['port']}", pod=pod, node=nodes.get(pod, ""))
        for subset in thing.get("subsets") or ()
        for address in subset.get("addresses") or ()
        for port in subset.get("ports") or ()
        for pod in [_pod_of(thing, address)]
        if name not in EVERYWHERE_BUT
    ]


def _pod_of(thing: Mapping[str, Any], address: Mapping[str, Any]) -> str:
    target = address.get("targetRef") or {}
    namespace = target.get("namespace") or thing["metadata"].get("namespace", "")
    return f"{namespace}/{target['name']}" if target.get("name") else ""


# ── one machine ──────────────────────────────────────────────────────────────────────────────────────────────────


def _guest(world: World, here: Running, running: Sequence[Running], inside: Inside, for_s: float) -> Said:
    others = [one for one in running if one.node != here.node and one.address]
    peers = [("guest", one.node, one.address) for one in others]
    peers += [("pod", one.node, inside.reachable[one.node]) for one in others if one.node in inside.reachable]
    mesh, mtu = world.cluster.mesh, world.cluster.network.mtu
    names = [(server, CLUSTER_NAME) for server in inside.dns]
    command = argv(for_s=for_s, peers=peers, mtu=mtu, names=names, admin_port=mesh.admin_port)
    shell = partial(world.sessions.to, node_target(world, here.node, [here.domain]))
    return _asked(shell, command, for_s)


def _host(world: World, host: Host, running: Sequence[Running], for_s: float) -> Said:
    peers = [
        ("host", one.name, to) for one in world.cluster.hosts if one.name != host.name if (to := _address(one.uri))
    ]
    domains = [one.domain.name for one in running if one.host == host.name]
    command = argv(for_s=for_s, peers=peers, mtu=0, domains=domains)
    try:
        shell = world.shell(host.name)
    except MeshctlError as error:
        return error.message
    return _asked(lambda: shell, command, for_s) if shell else "its URI leads to no shell"


def _address(uri: str) -> str:
    """A host's address as this machine has it; "" where the URI names none."""
    name = urlsplit(uri).hostname
    try:
        return str(socket.getaddrinfo(name, None, socket.AF_INET)[0][4][0]) if name else ""
    except OSError:
        return ""


def _asked(shell: Callable[[], Shell], command: Sequence[str], for_s: float) -> Said:
    try:
        done = shell().read(command, within_s=for_s + DRAIN_AND_START_S, check=False)
    except MeshctlError as error:
        return error.message
    try:
        found: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return " ".join(done.last_lines[-1:]) or f"the script ended with status {done.status}"
    return found


def _all_at_once(
    world: World, looks: Mapping[tuple[str, str], Callable[[], Said]], for_s: float
) -> dict[tuple[str, str], Said]:
    """All in one time: a way can only be seen while both its ends look."""
    futures = {key: begin(look) for key, look in looks.items()}
    started = time.monotonic()

    def ask() -> Ready[None] | NotYet:
        waiting = [name for (_, name), future in futures.items() if not future.done()]
        passed_s = min(int(time.monotonic() - started), int(for_s))
        world.emit(Progress(f"looking at {len(futures)} machines", passed_s, int(for_s), "s"))
        return NotYet(f"no answer of {', '.join(waiting)} yet", tuple(waiting)) if waiting else Ready(None)

    wait_until(ask, what="the look", within_s=for_s + 2 * DRAIN_AND_START_S, every_s=1.0)
    return {key: _result(future) for key, future in futures.items()}


def _result(future: Future[Said]) -> Said:
    error = future.exception()
    if isinstance(error, MeshctlError):
        return error.message
    return future.result()


# ── all of it ────────────────────────────────────────────────────────────────────────────────────────────────────


def _recording(
    world: World,
    service: str,
    for_s: float,
    running: Sequence[Running],
    inside: Inside,
    said: Mapping[tuple[str, str], Said],
) -> Recording:
    cluster, label = world.cluster, configuration(world.cluster.mesh).label
    guests = {one.node: raw for one in running if not isinstance(raw := said["guest", one.node], str)}
    hosts = {one.name: raw for one in cluster.hosts if not isinstance(raw := said["host", one.name], str)}
    where = {one.node: one.host for one in running}
    ends = [one.address for one in inside.endpoints]
    return Recording(
        cluster=cluster.cluster,
        at=moment(time.time()),
        seconds=for_s,
        service=service,
        mtu=cluster.network.mtu,
        hosts=tuple(read_host(name, raw, planned(world, name, running)) for name, raw in hosts.items()),
        guests=tuple(read_guest(name, where[name], raw, inside.pods, ends) for name, raw in guests.items()),
        paths=tuple(path for name, raw in (*guests.items(), *hosts.items()) for path in read_paths(name, raw)),
        routers=tuple(
            read_router(name, raw["before"]["metrics"], raw["after"]["metrics"], label, raw["seconds"])
            for name, raw in guests.items()
        ),
        endpoints=inside.endpoints,
        router_pods=inside.routers,
        unseen=tuple(_unseen(world, where, inside, said)),
    )


def planned(world: World, host: str, running: Sequence[Running]) -> tuple[Planned, ...]:
    """The pins of a host's guests as their stamps have them: what we gave them, whatever somebody made of it since."""
    policy = next(one.cpu.policy for one in world.cluster.hosts if one.name == host)
    return tuple(
        Planned(
            guest=one.node,
            domain=one.domain.name,
            pins=tuple(filter(None, one.domain.stamp.vcpu_pins.split(","))) if one.domain.stamp else (),
            own=(world.cluster.node(one.node).cpu.policy or policy) == "dedicated",
        )
        for one in running
        if one.host == host
    )


def _unseen(
    world: World, where: Mapping[str, str], inside: Inside, said: Mapping[tuple[str, str], Said]
) -> list[tuple[str, str]]:
    silent = [(host, "it gives no answer") for host in sorted(world.silent)]
    away = [
        (one.name, "its guest does not run, or was not seen") for one in world.cluster.nodes if one.name not in where
    ]
    dumb = [(name, answer) for (_, name), answer in said.items() if isinstance(answer, str)]
    kubernetes = [("Kubernetes", f"{inside.fault}: pods and endpoints have no names")] if inside.fault else []
    return [*silent, *away, *dumb, *kubernetes]
