"""Placement at scale: guests on 500 hosts of 2 × 32 cores with two threads each.

Run it: `python tests/benchmarks/placement.py`. It fails when 10,000 guests take more than 2 s of CPU time or 300 MB.
"""

from __future__ import annotations

import resource
import sys
import time

from provision.inventory.model import Cluster
from provision.placement import place
from provision.placement.topology import Cell, Cpu, Topology

HOSTS = 500
LIMIT_S, LIMIT_MB = 2.0, 300


def main() -> int:
    """Prints the times; 1 when a limit is exceeded."""
    machine = topology()
    warm = place(inventory(100), {f"hv{number}": machine for number in range(HOSTS)}, [])
    assert len(warm.pinnings) == 100
    failed = False
    for count in (1_000, 10_000, 20_000):
        seconds, placed = measure(count, machine)
        memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        speed = f"{seconds:5.2f} s, {seconds / count * 1e6:4.0f} µs each"
        print(f"{count:6} guests on {HOSTS} hosts: {speed}, {placed} placed, {memory_mb:.0f} MB at most")
        failed |= placed < count or (count == 10_000 and (seconds > LIMIT_S or memory_mb > LIMIT_MB))
    return int(failed)


def measure(count: int, machine: Topology) -> tuple[float, int]:
    """CPU seconds of placing `count` guests, and how many were placed."""
    cluster = inventory(count)
    topologies = {host.name: machine for host in cluster.hosts}
    started = time.process_time()
    found = place(cluster, topologies, [])
    return time.process_time() - started, len(found.pinnings)


def topology() -> Topology:
    """Two sockets of 32 cores; second threads are numbered behind all first ones, sockets interleaved."""
    cells = []
    for cell in range(2):
        firsts = range(cell, 64, 2)
        cpus = [Cpu(n + t * 64, cell, 0, n // 2, frozenset({n, n + 64})) for n in firsts for t in range(2)]
        cells.append(Cell(cell, 512 * 1024, tuple(cpus), ((2048, 0),), ((0, 10 + 11 * cell), (1, 21 - 11 * cell))))
    return Topology(tuple(cells))


def inventory(count: int) -> Cluster:
    """Guests of two and four vCPUs, some of which insist on sibling threads, own cores or another host."""
    kinds = (
        {"vcpus": 2},
        {"vcpus": 4, "cpu": {"threads": "require"}},
        {"vcpus": 2, "cpu": {"emulator": "isolated"}},
        {"vcpus": 1, "cpu": {"threads": "isolate"}},
    )
    worker = {"role": "worker", "memory": "8GiB", "disk": "20GiB"}
    nodes = [{"name": f"w{number}", **worker, **kinds[number % len(kinds)]} for number in range(count)]
    nodes[0]["role"] = "control-plane"
    return Cluster.model_validate(
        {
            "apiVersion": "meshctl/v1",
            "cluster": "large",
            "hosts": [{"name": f"hv{n}", "uri": "qemu:///system", "reserved_memory": "8GiB"} for n in range(HOSTS)],
            "network": {"cidr": "10.0.0.0/16", "mode": "bridge", "bridge": "br0"},
            "nodes": nodes,
            "ssh": {"public_key": "ssh-ed25519 AAAA"},
            "kubernetes": {"version": "v1.20.2"},
        }
    )


if __name__ == "__main__":
    sys.exit(main())
