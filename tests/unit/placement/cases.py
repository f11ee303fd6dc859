"""Small hosts and guests for hypothesis, and an independent judge of placements: what is allowed, and what is possible at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import permutations
from random import Random
from typing import Any

from hypothesis import strategies as st

from provision.inventory.model import Cluster, Host, Node
from provision.placement import MemoryHeld, Pinning, Placement, Tenant
from provision.placement.topology import Cell, Cpu, Topology

STEP_MIB = 64
"""All sizes of cases are multiples of it."""

PAGE_KIB = {"2MiB": 2048, "1GiB": 1048576}


@dataclass(frozen=True)
class Case:
    """An inventory, its hosts, and the foreign guests on them."""

    cluster: Cluster
    topologies: dict[str, Topology]
    foreign: tuple[Tenant, ...]


def cluster(hosts: list[dict[str, Any]], nodes: list[dict[str, Any]], **more: Any) -> Cluster:
    common = {"role": "worker", "memory": "1GiB", "disk": "8GiB"}
    return Cluster.model_validate(
        {
            "apiVersion": "meshctl/v1",
            "cluster": "t",
            "hosts": [{"uri": "qemu:///system", "reserved_memory": "0MiB", **host} for host in hosts],
            "network": {"cidr": "10.77.0.0/24"},
            "nodes": [{**common, **node} for node in nodes],
            "ssh": {"public_key": "ssh-ed25519 AAAA"},
            "kubernetes": {"version": "v1.20.2"},
            **more,
        }
    )


def cases(most_cpus: int = 16, most_guests: int = 4) -> st.SearchStrategy[Case]:
    """One or two hosts with `most_cpus` in all, up to `most_guests` guests, up to two foreign ones.

    Hypothesis draws the counts and a seed: drawing every field would take it ten times as long as placing the guests.
    """
    return st.builds(
        random_case, st.just(most_cpus), st.integers(1, most_guests), st.integers(1, 2), st.integers(0, 2**48)
    )


def random_case(most_cpus: int, guests: int, count: int, seed: int) -> Case:
    """The case of a seed: `guests` nodes on `count` hosts."""
    chance = Random(seed)
    topologies = {f"hv{n}": _machine(chance, most_cpus // count) for n in range(count)}
    hosts = [_host(chance, name, topology) for name, topology in topologies.items()]
    nodes = [_node(chance, f"n{n}", sorted(topologies)) for n in range(guests)]
    spread = {key: chance.choice(("spread", "pack")) for key in ("hosts", "cells")}
    foreign = [_foreign(chance, f"x{n}", topologies) for n in range(chance.choice((0, 0, 1, 2)))]
    return Case(cluster(hosts, nodes, placement=spread), topologies, tuple(foreign))


def _machine(chance: Random, most_cpus: int) -> Topology:
    """One or two cells, cores of one, two or four threads, numbered as servers do: first threads first."""
    threads = chance.choice((1, 2, 2, 2, 4))
    cells = chance.randint(1, 2)
    cores = max(1, most_cpus // threads // cells - chance.choice((0, 0, 0, 1, 2, 4)))
    offline = set(chance.sample(range(cells * cores * threads), 1)) if chance.random() < 0.2 else set()
    found = []
    for cell in range(cells):
        sets = [{core * cells + cell + t * cells * cores for t in range(threads)} - offline for core in range(cores)]
        cpus = [Cpu(i, cell, 0, number, frozenset(ids)) for number, ids in enumerate(sets) for i in ids]
        memory_gib = chance.choice((0, 2, 4, *[8] * 9))
        pages = chance.choice((0, 0, 1024, 1536)) if memory_gib > 2 else 0
        giants = chance.choice((0, 0, 2)) if memory_gib > 4 else 0
        sizes = ((2048, pages), (1048576, giants))
        found.append(Cell(cell, memory_gib * 1024, tuple(sorted(cpus, key=lambda cpu: cpu.id)), sizes))
    return Topology(tuple(found))


def _host(chance: Random, name: str, topology: Topology) -> dict[str, Any]:
    ids = [cpu.id for cpu in topology.cpus]
    host: dict[str, Any] = {"name": name, "reserved_memory": chance.choice(("0MiB", "1GiB"))}
    if chance.random() < 0.5:
        host["reserved_cpus"] = sorted(chance.sample(ids, min(len(ids), chance.randint(0, 2))))
    if chance.random() < 0.3:
        host["cpu"] = {"policy": "shared", "ratio": chance.choice((1.0, 1.5, 2.0))}
    if chance.random() < 0.1:
        host["hugepages"] = chance.choice(("2MiB", "1GiB"))
    if chance.random() < 0.5:
        host["pool"] = {"numa_node": chance.choice(topology.cells).id}
    return host


def _node(chance: Random, name: str, hosts: list[str]) -> dict[str, Any]:
    cells = chance.choice(("auto", "auto", "auto", 1, 2))
    cpu: dict[str, Any] = {"emulator": chance.choice(("shared", "shared", "isolated"))}
    vcpus = chance.choice((1, 1, 1, 2, 2, 2, 3, 3, 4, 4, 6, 8))
    if cells == 2:
        vcpus += vcpus % 2
    if chance.random() < 0.25:
        cpu["policy"] = "shared"
    else:
        cpu["threads"] = chance.choice(("prefer", "prefer", "require", "isolate"))
        if cpu["threads"] == "require" and vcpus // (2 if cells == 2 else 1) == 1:
            cpu["threads"] = "isolate"
    node: dict[str, Any] = {"name": name, "vcpus": vcpus, "memory": chance.choice(("1GiB", "1GiB", "2GiB"))}
    node |= {"cpu": cpu, "numa_cells": cells, "hugepages": chance.choice((*[None] * 9, "2MiB", "2MiB", "1GiB"))}
    if node["hugepages"] == "1GiB" and cells == 2:
        node["memory"] = "2GiB"
    node["host"] = chance.choice((None, None, None, None, *hosts))
    node["group"] = chance.choice((None, None, None, "g"))
    return node


def _foreign(chance: Random, name: str, topologies: dict[str, Topology]) -> Tenant:
    host = chance.choice(sorted(topologies))
    ids = [cpu.id for cpu in topologies[host].cpus]
    cells = [[cpu.id for cpu in cell.cpus] for cell in topologies[host].cells]

    def some() -> frozenset[int]:
        return frozenset(chance.sample(ids, min(len(ids), chance.randint(1, 2))))

    return Tenant(
        host,
        name,
        None,
        vcpu_cpus=tuple(frozenset(ids) if chance.random() < 0.5 else some() for _ in range(chance.randint(1, 2))),
        memory_mib=512,
        emulator_cpus=chance.choice((frozenset(ids), frozenset(ids), frozenset(chance.choice(cells)), some())),
        iothread_cpus=chance.choice((frozenset[int](), frozenset[int](), some())),
        memory_cells=chance.choice(((), (0,))),
        hugepage_kib=chance.choice((0, 0, 2048)),
        memory=tuple(
            _part(chance, [cell.id for cell in topologies[host].cells]) for _ in range(chance.choice((0, 0, 1, 2)))
        ),
    )


def _part(chance: Random, cells: list[int]) -> MemoryHeld:
    """A cell of a foreign guest."""
    vcpus = chance.choice((frozenset[int](), frozenset({0}), frozenset({0, 1})))
    bound = chance.choice(((), (chance.choice(cells),), tuple(cells)))
    return MemoryHeld(chance.choice((512, 1024)), bound, chance.choice((0, 0, 2048, 1048576)), vcpus)


def tenants(found: Placement, case: Case) -> list[Tenant]:
    """The guests of a placement as they would be seen on their hosts."""
    nodes = {node.name: node for node in case.cluster.nodes}
    return [
        Tenant(
            host=pin.host,
            name=pin.node,
            node=pin.node,
            vcpu_cpus=tuple(frozenset({cpu}) for cpu in pin.vcpu_pins),
            memory_mib=nodes[pin.node].memory_mib,
            emulator_cpus=frozenset(pin.emulator_cpus),
            memory_cells=pin.cells,
            hugepage_kib=pin.hugepages[0][1] if pin.hugepages else 0,
        )
        for pin in found.pinnings
    ]


# ── the judge: is this placement allowed? ───────────────────────────────────────────────────────────────────────


def dedicated(node: Node, host: Host) -> bool:
    return (node.cpu.policy or host.cpu.policy) == "dedicated"


def page_kib(node: Node, host: Host) -> int:
    return PAGE_KIB.get(node.hugepages or host.hugepages, 0)


def reserved(host: Host, topology: Topology) -> set[int]:
    if host.reserved_cpus is not None:
        return set(host.reserved_cpus)
    return {s for cell in topology.cells if cell.cpus for s in min(cell.cpus, key=lambda cpu: cpu.id).siblings}


def pins_of(tenant: Tenant, topology: Topology) -> tuple[list[frozenset[int]], set[int]]:
    """CPUs that a foreign guest's vCPUs are bound to, one by one, and those of QEMU's own threads; who may use all has none."""
    online = frozenset(cpu.id for cpu in topology.cpus)
    vcpus = [cpus & online for cpus in tenant.vcpu_cpus if cpus & online != online]
    own = set(tenant.emulator_cpus if tenant.emulator_cpus < online else ())
    own |= tenant.iothread_cpus if tenant.iothread_cpus < online else set()
    whole = any({cpu.id for cpu in cell.cpus} <= own for cell in topology.cells if cell.cpus)
    return vcpus, set() if whole else own


def violations(found: Placement, case: Case) -> Iterator[str]:
    """Every rule that a placement breaks."""
    for host in case.cluster.hosts:
        pins = [pin for pin in found.pinnings if pin.host == host.name]
        yield from _cpu_violations(host, pins, case)
        yield from _memory_violations(host, pins, case)
        groups = Counter(group for pin in pins if (group := case.cluster.node(pin.node).group))
        yield from (f"group {group} twice on {host.name}" for group, count in groups.items() if count > 1)
    for pin in found.pinnings:
        if case.cluster.node(pin.node).host not in (None, pin.host):
            yield f"{pin.node} on {pin.host}"


def _cpu_violations(host: Host, pins: list[Pinning], case: Case) -> Iterator[str]:
    topology = case.topologies[host.name]
    cpus = {cpu.id: (cell.id, cpu) for cell in topology.cells for cpu in cell.cpus}
    kept_back = reserved(host, topology)
    bound = [pins_of(tenant, topology) for tenant in case.foreign if tenant.host == host.name]
    theirs = {cpu for vcpus, own in bound for cpu in own.union(*vcpus)}
    owners: Counter[int] = Counter()
    loads: Counter[int] = Counter()
    blocked: set[int] = set()
    for pin in pins:
        node = case.cluster.node(pin.node)
        if len(pin.vcpu_pins) != node.vcpus:
            yield f"{pin.node}: {len(pin.vcpu_pins)} pins"
        size = node.vcpus // len(pin.cells)
        for number, cpu in enumerate(pin.vcpu_pins):
            if cpu not in cpus or cpus[cpu][0] != pin.cells[number // size]:
                yield f"{pin.node}: CPU {cpu} is not in cell {pin.cells[number // size]}"
        if len(set(pin.cells)) < len(pin.cells) or node.vcpus % len(pin.cells):
            yield f"{pin.node}: cells {pin.cells}"
        (owners if dedicated(node, host) else loads).update(pin.vcpu_pins)
        if node.cpu.emulator == "isolated":
            owners.update(pin.emulator_cpus)
            if len(pin.emulator_cpus) != 1 or cpus[pin.emulator_cpus[0]][0] != pin.cells[0]:
                yield f"{pin.node}: emulator on {pin.emulator_cpus}"
        elif set(pin.emulator_cpus) - kept_back and kept_back & set(cpus):
            yield f"{pin.node}: emulator on {pin.emulator_cpus}, not on reserved CPUs"
        blocked |= yield from _thread_violations(pin, node, cpus, dedicated(node, host))
    yield from (f"CPU {cpu} given {count} times" for cpu, count in owners.items() if count > 1)
    yield from (f"CPU {cpu} is reserved" for cpu in (owners | loads) if cpu in kept_back)
    yield from (f"CPU {cpu} is dedicated and shared" for cpu in owners if cpu in loads)
    yield from (f"CPU {cpu} should stay idle" for cpu in blocked if cpu in owners or cpu in loads)
    if host.cpu.policy == "dedicated":
        yield from (f"CPU {cpu} is a foreign guest's" for cpu in (owners | loads) if cpu in theirs)
    yield from (f"CPU {cpu} is dedicated and a foreign guest's" for cpu in owners if cpu in theirs)
    for cell in topology.cells:
        usable = [
            cpu.id for cpu in cell.cpus if cpu.id not in owners and cpu.id not in kept_back and cpu.id not in blocked
        ]
        if sum(loads[cpu] for cpu in usable) > host.cpu.ratio * len(usable) + 1e-6:
            yield f"cell {cell.id}: over the ratio"


def _thread_violations(pin: Pinning, node: Node, cpus: dict[int, tuple[int, Cpu]], own: bool) -> Any:
    """Violations of the sibling policy; returns the siblings that must stay idle."""
    cores = Counter(min(cpus[cpu][1].siblings) for cpu in pin.vcpu_pins if cpu in cpus)
    if own and node.cpu.threads == "require":
        size = node.vcpus // len(pin.cells)
        for start in range(0, node.vcpus, size):
            per_core = Counter(min(cpus[cpu][1].siblings) for cpu in pin.vcpu_pins[start : start + size])
            if len(set(per_core.values())) > 1 or min(per_core.values()) < 2:
                yield f"{pin.node}: require broken: {pin.vcpu_pins}"
    if own and node.cpu.threads == "isolate":
        if max(cores.values()) > 1:
            yield f"{pin.node}: isolate broken: {pin.vcpu_pins}"
        return {s for cpu in pin.vcpu_pins for s in cpus[cpu][1].siblings} - set(pin.vcpu_pins)
    return set()


def _memory_violations(host: Host, pins: list[Pinning], case: Case) -> Iterator[str]:
    memory, pages = memory_of(host, case)
    for pin in pins:
        node = case.cluster.node(pin.node)
        size = page_kib(node, host)
        wanted = (
            tuple((cell, size, node.memory_mib // len(pin.cells) * 1024 // size) for cell in pin.cells) if size else ()
        )
        if pin.hugepages != wanted:
            yield f"{pin.node}: huge pages {pin.hugepages}, not {wanted}"
        for cell in pin.cells:
            if size:
                pages[cell, size] = pages.get((cell, size), 0) - node.memory_mib // len(pin.cells) * 1024 // size
            else:
                memory[cell] -= node.memory_mib // len(pin.cells)
    if pins:
        used = {cell for pin in pins for cell in pin.cells}
        yield from (
            f"cell {cell}: {left} MiB"
            for cell, left in memory.items()
            if left < 0 and cell in used and _ordinary(pins, cell, host, case)
        )
        taken = {(cell, size) for pin in pins for cell, size, _ in pin.hugepages}
        yield from (f"{key}: {left} pages" for key, left in pages.items() if left < 0 and key in taken)


def _ordinary(pins: list[Pinning], cell: int, host: Host, case: Case) -> bool:
    return any(cell in pin.cells and not page_kib(case.cluster.node(pin.node), host) for pin in pins)


def memory_of(host: Host, case: Case) -> tuple[dict[int, int], dict[tuple[int, int], int]]:
    """Ordinary memory and huge pages per cell, before any guest of ours."""
    topology = case.topologies[host.name]
    with_memory = [cell for cell in topology.cells if cell.memory_mib]
    memory = {
        cell.id: max(0, cell.memory_mib - sum(size * count for size, count in cell.hugepages) // 1024)
        for cell in topology.cells
    }
    rest = host.reserved_memory // 2**20
    for those in ([c.id for c in topology.cells if c.cpus], [c.id for c in topology.cells if not c.cpus]):
        while rest and any(memory[cell] for cell in those):
            for cell in filter(memory.__getitem__, those):
                memory[cell] -= min(STEP_MIB, rest)
                rest -= min(STEP_MIB, rest)
    pages = {(cell.id, size): count for cell in topology.cells for size, count in cell.hugepages}
    sizes: dict[int, dict[int, int]] = {0: dict(memory)}
    for kib in PAGE_KIB.values():
        sizes[kib] = {cell.id: pages.get((cell.id, kib), 0) for cell in topology.cells}
    for tenant in case.foreign:
        if tenant.host != host.name:
            continue
        for part in tenant.memory or [MemoryHeld(tenant.memory_mib, tenant.memory_cells, tenant.hugepage_kib)]:
            mine = [cpus for number, cpus in enumerate(tenant.vcpu_cpus) if not part.vcpus or number in part.vcpus]
            pinned = set[int]().union(*pins_of(replace(tenant, vcpu_cpus=tuple(mine)), topology)[0])
            cells = [cell.id for cell in topology.cells if cell.id in part.cells] or [
                cell.id for cell in with_memory if pinned & {cpu.id for cpu in cell.cpus}
            ]
            size = part.page_kib
            cells = [cell for cell in cells if not size or sizes[size][cell]] or cells
            for cell in cells or sizes[size]:
                part_of = 1 / len(cells) if cells else sizes[size][cell] / max(1, sum(sizes[size].values()))
                held_mib = int(part.memory_mib * part_of)
                if size:
                    pages[cell, size] = pages.get((cell, size), 0) - -(-held_mib * 1024 // size)
                else:
                    memory[cell] -= held_mib
    return memory, pages


# ── the judge: is there any placement at all? ───────────────────────────────────────────────────────────────────

CellState = tuple[tuple[tuple[int, int], ...], int, float, int, tuple[tuple[int, int], ...]]
"""(free CPUs, threads) of each core, sorted; shared CPUs; their load; MiB; huge pages by size."""


def possible(case: Case) -> bool:
    """Whether all guests fit, found by trying everything; cores that are filled alike count once."""
    start = tuple(
        tuple(_cell_state(host, cell, case) for cell in case.topologies[host.name].cells) for host in case.cluster.hosts
    )
    empty = Case(case.cluster, case.topologies, ())
    bare = tuple(
        tuple(_cell_state(host, cell, empty) for cell in case.topologies[host.name].cells)
        for host in case.cluster.hosts
    )
    shapes = {
        (node.name, h): _shape(node, host, bare[h])
        for node in case.cluster.nodes
        for h, host in enumerate(case.cluster.hosts)
    }
    return _search(case, shapes, 0, start, frozenset(), set())


def _cell_state(host: Host, cell: Cell, case: Case) -> CellState:
    topology = case.topologies[host.name]
    gone = reserved(host, topology)
    bound = [pins_of(tenant, topology) for tenant in case.foreign if tenant.host == host.name]
    theirs = [cpus for vcpus, _ in bound for cpus in vcpus]
    loads = {cpu: sum(1 / len(one) for one in theirs if cpu in one) for one in theirs for cpu in one}
    loads |= {cpu: 0.0 for _, own in bound for cpu in own if cpu not in loads}
    cores: dict[frozenset[int], int] = {}
    for cpu in cell.cpus:
        cores.setdefault(cpu.siblings, 0)
        cores[cpu.siblings] += cpu.id not in gone and cpu.id not in loads
    ids = {cpu.id for cpu in cell.cpus}
    shared = {
        cpu: min(load, host.cpu.ratio)
        for cpu, load in loads.items()
        if cpu in ids and cpu not in gone and host.cpu.policy == "shared"
    }
    memory, pages = memory_of(host, case)
    return (
        tuple(sorted((free, len(core)) for core, free in cores.items())),
        len(shared),
        sum(shared.values()),
        memory[cell.id] if cell.memory_mib else -1,
        tuple(sorted((size, count) for (owner, size), count in pages.items() if owner == cell.id)),
    )


def _shape(node: Node, host: Host, bare: tuple[CellState, ...]) -> int:
    """Over how many cells a guest goes: as few as could hold it on an empty host."""
    for count in range(1, len(bare) + 1) if node.numa_cells == "auto" else [node.numa_cells]:
        unit = max(1, page_kib(node, host) // 1024)
        if node.vcpus % count or node.memory_mib % count or (node.memory_mib // count) % unit:
            continue
        fitting = [state for state in bare if next(_ways(state, node, host, count, False), None)]
        first = [
            state for state in bare if next(_ways(state, node, host, count, node.cpu.emulator == "isolated"), None)
        ]
        if len(fitting) >= count and first:
            return count
    return 0


def _search(
    case: Case, shapes: dict[tuple[str, int], int], depth: int, state: Any, groups: frozenset[Any], dead: set[Any]
) -> bool:
    if depth == len(case.cluster.nodes):
        return True
    if (depth, state, groups) in dead:
        return False
    node = case.cluster.nodes[depth]
    for h, host in enumerate(case.cluster.hosts):
        count = shapes[node.name, h]
        roam = host.cpu.policy == "shared" and not reserved(host, case.topologies[host.name]) & {
            cpu.id for cpu in case.topologies[host.name].cpus
        }
        exclusive = dedicated(node, host) or node.cpu.emulator == "isolated"
        if (
            node.host not in (None, host.name)
            or not count
            or (roam and exclusive)
            or (node.group and (h, node.group) in groups)
        ):
            continue
        inner = groups | {(h, node.group)} if node.group else groups
        for after in _on_cells(state[h], node, host, count):
            if _search(case, shapes, depth + 1, (*state[:h], after, *state[h + 1 :]), inner, dead):
                return True
    dead.add((depth, state, groups))
    return False


def _on_cells(cells: tuple[CellState, ...], node: Node, host: Host, count: int) -> Iterator[tuple[CellState, ...]]:
    seen = set()
    for chosen in permutations(range(len(cells)), count):
        states = [cells]
        for number, cell in enumerate(chosen):
            isolated = node.cpu.emulator == "isolated" and number == 0
            states = [
                (*s[:cell], after, *s[cell + 1 :])
                for s in states
                for after in _ways(s[cell], node, host, count, isolated)
            ]
        for s in states:
            if s not in seen:
                seen.add(s)
                yield s


def _ways(state: CellState, node: Node, host: Host, count: int, isolated: bool) -> Iterator[CellState]:
    """Every state of a cell after it gave a guest its share."""
    cores, shared, load, memory, pages = state
    vcpus, share_mib, size = node.vcpus // count, node.memory_mib // count, page_kib(node, host)
    if size:
        have = dict(pages)
        have[size] = have.get(size, 0) - share_mib * 1024 // size
        if have[size] < 0:
            return
        pages = tuple(sorted(have.items()))
    else:
        if memory < share_mib:
            return
        memory -= share_mib
    if dedicated(node, host):
        for left in _takes(cores, vcpus, node.cpu.threads):
            for final in _takes(left, 1, "prefer") if isolated else [left]:
                yield (final, shared, load, memory, pages)
        return
    for more in range(vcpus + 1):
        for left in _takes(cores, more, "prefer"):
            for final in _takes(left, 1, "prefer") if isolated else [left]:
                if load + vcpus <= host.cpu.ratio * (shared + more) + 1e-9:
                    yield (final, shared + more, load + vcpus, memory, pages)


def _takes(cores: tuple[tuple[int, int], ...], count: int, threads: str) -> set[tuple[tuple[int, int], ...]]:
    """Every state of the cores after `count` CPUs were taken by the policy."""
    if threads == "require":
        return {s for per_core in (2, 3, 4) if count % per_core == 0 for s in _same(cores, count // per_core, per_core)}
    found = {cores}
    for _ in range(count):
        found = {
            tuple(sorted((*s[:i], (0 if threads == "isolate" else free - 1, total), *s[i + 1 :])))
            for s in found
            for i, (free, total) in enumerate(s)
            if free and (threads != "isolate" or free == total)
        }
    return found


def _same(cores: tuple[tuple[int, int], ...], count: int, per_core: int) -> set[tuple[tuple[int, int], ...]]:
    """States after `count` different cores gave `per_core` CPUs each."""
    found = {(cores, ())}
    for _ in range(count):
        found = {
            ((*s[:i], *s[i + 1 :]), tuple(sorted((*done, (free - per_core, total)))))  # type: ignore[misc]
            for s, done in found
            for i, (free, total) in enumerate(s)
            if free >= per_core
        }
    return {tuple(sorted((*s, *done))) for s, done in found}
