"""What a bench will do: who asks whom, by which ways, and with which CPUs. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision.base.errors import ConflictError, InventoryError, KubernetesError, MeshctlError
from provision.base.parallel import for_each
from provision.bench import (
    FLOATING,
    NOISY,
    SYSCTL,
    WARM_S,
    Cell,
    Ground,
    Pins,
    Ways,
    cells,
    chosen,
    given,
    ground,
    live,
    longest_s,
    ways,
    without,
)
from provision.hosts import Noise
from provision.kubernetes import kubectl_for
from provision.kubernetes.leading import led_to
from provision.libvirt_xml import DomainSeen, judged_domains
from provision.mesh import ECHO, ECHO_PORT, configuration
from provision.placement import reserved_cpus
from provision.run.access import asked, check_name, node_target
from provision.run.engine import World
from provision.run.observe import observe_topologies

BEGIN_S = 5.0
"""What a measurement takes beside its requests, as a rule: sudo and python3 begin on an emulated guest, pins and noise come and go."""


@dataclass(frozen=True)
class Wish:
    """What was asked for; empty names are chosen. `per_s` requests a second for `for_s` seconds in each cell of each of `runs` runs."""

    start: str
    end: str
    per_s: float
    for_s: float
    runs: int
    only: tuple[str, ...] = ()


@dataclass(frozen=True)
class Guest:
    """A guest of ours that runs: its host, its libvirt domain, address, the pins that we gave it, and those that it has now."""

    node: str
    host: str
    domain: str
    address: str
    pins: Pins
    now: Pins
    emulated: bool


@dataclass(frozen=True)
class Bench:
    """What will be done. `astray` are guests of which some thread is not where we pinned it."""

    wish: Wish
    cluster: str
    start: Guest
    end: Guest
    ways: Ways
    cells: tuple[Cell, ...]
    grounds: Mapping[str, Ground]
    left_out: Mapping[str, str]
    astray: tuple[Guest, ...]

    @property
    def measured(self) -> tuple[Guest, ...]:
        """The two guests whose pins are widened."""
        return self.start, self.end

    def as_text(self) -> str:
        """For who is asked: what is done, to whom, and how long it takes."""
        return "\n".join([self._length(), *(f"  - {line}" for line in self._lines())])

    def _length(self) -> str:
        wish, count = self.wish, len(self.cells) * self.wish.runs
        usual_min, most_min = (count * each / 60 for each in (BEGIN_S + WARM_S + wish.for_s, longest_s(wish.for_s)))
        what = f"{self.start.node} asks {self.end.node}, {wish.per_s:g} requests/s for {wish.for_s:g} s"
        time = f"about {usual_min:.0f} min, {most_min:.0f} min at the most"
        return f"{self.cluster}: {what}, {len(self.cells)} cell(s), {wish.runs} run(s): {time}"

    def _lines(self) -> Iterable[str]:
        yield from (f"put back first: the pins of {guest.node} on {guest.host}" for guest in self.astray)
        yield from (one.in_words() for one in self.grounds.values())
        nodes = " and ".join(one.node for one in self.measured)
        if any(one.pins == FLOATING for one in self.cells):
            yield f"the pins of {nodes} are widened while they run, and put back after each measurement"
        if any(one.neighbour == NOISY for one in self.cells):
            yield f"the busy loops end after {longest_s(self.wish.for_s):.0f} s at the latest, whatever becomes of meshctl"
        if any(one.sysctl for one in self.cells):
            names = ", ".join(next(iter(filter(None, SYSCTL.values()))))
            yield f"{names} are changed on {self.start.node}, and put back after each measurement"
        yield from (f"{what} is left out: {why}" for what, why in self.left_out.items())


def plan_bench(world: World, wish: Wish) -> Bench:
    """Looks at hosts and pods. Raises InventoryError for names and cells that there are none of, ConflictError and KubernetesError for a
    cluster that is not fit to be measured.
    """
    world.sessions.ask_now()
    seen = domains_of(world)
    running = guests_in(world, seen)
    start, end = pair(world, running, wish)
    found = _ways(world, [domain for some in seen.values() for domain in some], start, end)
    grounds, mute = _grounds(world, seen, (start, end))
    wanted = chosen(without(cells(found.to), [NOISY] if mute else []), wish.only)
    astray = tuple(one for one in running if one.now.strays(one.pins))
    left_out = {**found.left_out, **({NOISY: mute} if mute else {})}
    return Bench(wish, world.cluster.cluster, start, end, found, wanted, grounds, left_out, astray)


def domains_of(world: World) -> dict[str, tuple[DomainSeen, ...]]:
    """By host, all that are defined there."""
    names = list(world.hypervisors)
    found = for_each(names, lambda name: judged_domains(world.cluster.owner, world.hypervisors[name].domains()))
    return dict(zip(names, found, strict=True))


def guests_in(world: World, seen: Mapping[str, Sequence[DomainSeen]]) -> tuple[Guest, ...]:
    """Those of ours that run, in the inventory's order."""
    owner, found = world.cluster.owner, dict[str, Guest]()
    for host, domains in seen.items():
        for one in domains:
            if one.active and one.stamp is not None and owner.owns(one.stamp):
                node = one.stamp.node
                found[node] = Guest(node, host, one.name, one.stamp.address, given(one), live(one), one.type != "kvm")
    return tuple(found[node.name] for node in world.cluster.nodes if node.name in found)


def pair(world: World, running: Sequence[Guest], wish: Wish) -> tuple[Guest, Guest]:
    """Who asks and who answers: as was said, else a worker, and one on another host before one on the same."""
    for name in filter(None, (wish.start, wish.end)):
        check_name(world.cluster, name)
    planes = {node.name for node in world.cluster.control_planes}
    workers_first = sorted(running, key=lambda one: one.node in planes)
    start = _named(running, wish.start) or next((one for one in workers_first if one.node != wish.end), None)
    others = [one for one in workers_first if start is not None and one.node != start.node]
    end = _named(running, wish.end) or next(
        iter(sorted(others, key=lambda one: start is not None and one.host == start.host)), None
    )
    if start is None or end is None or start.node == end.node:
        raise InventoryError(
            "a way from node to node needs two different nodes that run", hint="`meshctl status` shows which do"
        )
    return start, end


def _named(running: Sequence[Guest], name: str) -> Guest | None:
    if not name:
        return None
    found = next((one for one in running if one.node == name), None)
    if found is None:
        raise ConflictError(f"{name} does not run", hint="`meshctl provision` starts it")
    return found


def _ways(world: World, domains: Sequence[DomainSeen], start: Guest, end: Guest) -> Ways:
    mesh, config = world.cluster.mesh, configuration(world.cluster.traced_mesh)
    own = world.sessions.to(node_target(world, start.node, domains))
    if led := led_to(own):
        raise ConflictError(
            f"{start.node}: its requests are led to {led}", hint="`meshctl provision` finishes what was begun there"
        )
    shell = world.sessions.to(node_target(world, asked(world, domains), domains))
    pods = kubectl_for(world.cluster.kubernetes.generation, shell).items("pods", namespace=mesh.namespace, labels=ECHO)
    pod = echo_address(pods, end.node)
    return ways((pod, ECHO_PORT), end.address, mesh.port, config.incoming, mesh.incoming_port)


def echo_address(pods: Iterable[Mapping[str, Any]], node: str) -> str:
    """The address of the echo app's pod on a node. Raises KubernetesError when none runs there."""
    there = (one["status"] for one in pods if one["spec"].get("nodeName") == node)
    found = next((str(one["podIP"]) for one in there if one.get("phase") == "Running" and one.get("podIP")), "")
    if not found:
        raise KubernetesError(
            f"no pod of the echo app runs on {node}", hint="`meshctl provision` makes it, if the bundle has it"
        )
    return found


def _grounds(
    world: World, seen: Mapping[str, Sequence[DomainSeen]], measured: Sequence[Guest]
) -> tuple[dict[str, Ground], str]:
    """The CPUs of each host that is measured on, and why there can be no noise on one of them."""
    topologies, nodes = (
        observe_topologies(world.cluster, world.hypervisors, world.shell),
        [one.node for one in measured],
    )
    hosts = tuple(dict.fromkeys(one.host for one in measured))
    grounds = {}
    for name in hosts:
        reserved = reserved_cpus(world.cluster.host(name), topologies[name])
        grounds[name] = ground(name, topologies[name], reserved, seen[name], world.cluster.owner, nodes)
    return grounds, "; ".join(filter(None, for_each(hosts, lambda name: _mute(world, name))))


def _mute(world: World, host: str) -> str:
    try:
        shell = world.shell(host)
        if shell is None:
            return f"{host}: its URI leads to no shell"
        lacking = Noise(shell, world.cluster.cluster).lacking()
    except MeshctlError as error:
        return f"{host}: {error.message}"
    return f"{host}: there is no {', '.join(lacking)}" if lacking else ""
