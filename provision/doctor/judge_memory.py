"""Memory against the plan. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from provision.base.units import MIB
from provision.doctor.finding import Finding, found
from provision.doctor.patient import Patient
from provision.libvirt_xml import lock_limit_mib
from provision.placement import page_name

OVERHEAD_MIB = 256
"""What QEMU needs beside the guest's memory: 100 to 200 MiB with a few devices."""


def judge_memory(patient: Patient) -> Iterator[Finding]:
    """MC121 to MC128."""
    memory = patient.facts.memory
    if memory.thp == "always":
        yield found("MC121", patient.name, "transparent_hugepage/enabled is [always]")
    if memory.ksm_running:
        tuned = ", ksmtuned runs" if memory.ksm_tuned else ""
        yield found("MC122", patient.name, f"ksm/run is 1{tuned}; {memory.ksm_sharing_pages} pages are shared")
    yield from _hugepages(patient)
    yield from _locked(patient)
    yield from _swap(patient)
    yield from _room(patient)
    cells = len(patient.topology.cells)
    if memory.numa_balancing and cells > 1 and patient.pinnings:
        yield found("MC128", patient.name, f"kernel.numa_balancing is on, with {cells} NUMA nodes")


def _hugepages(patient: Patient) -> Iterator[Finding]:
    wanted: Counter[tuple[int, int]] = Counter()
    for pin in patient.idle_pinnings:
        wanted.update({(cell, size): count for cell, size, count in pin.hugepages})
    for size in sorted({size for pin in patient.pinnings for _, size, _ in pin.hugepages}):
        if size not in patient.facts.memory.hugetlbfs_kib:
            name = page_name(size)
            seen = f"no hugetlbfs in /proc/mounts has pages of {name}"
            yield found("MC124", patient.name, seen, size=f"{size // 1024}M", name=name)
    there = {(pages.cell, pages.size_kib): pages for pages in patient.facts.memory.hugepages}
    for (cell, size), count in sorted(wanted.items()):
        pages = there.get((cell, size))
        free, total = (pages.free, pages.total) if pages else (0, 0)
        if there and free < count:
            seen = f"NUMA node {cell}: {free} of {total} pages of {size} KiB are free, {count} needed"
            file = f"/sys/devices/system/node/node{cell}/hugepages/hugepages-{size}kB/nr_hugepages"
            yield found("MC123", patient.name, seen, wanted=total - free + count, file=file, size=f"{size // 1024}M")


def _locked(patient: Patient) -> Iterator[Finding]:
    memory = patient.facts.memory
    largest_mib = max((lock_limit_mib(node.vcpus, node.memory_mib) for node in patient.nodes), default=0)
    limit = memory.memlock_bytes
    if limit is None or limit < 0 or memory.may_raise_limits or limit >= largest_mib * MIB:
        return
    needed = f"the largest guest needs {largest_mib} MiB"
    yield found("MC125", patient.name, f"libvirtd may lock {limit // MIB} MiB ({limit} bytes); {needed}")


def _swap(patient: Patient) -> Iterator[Finding]:
    swap = patient.facts.memory.swap_mib
    safe = patient.pinnings and all(pin.hugepages for pin in patient.pinnings)
    if swap and not safe:
        yield found("MC126", patient.name, f"{swap} MiB of swap")


def _room(patient: Patient) -> Iterator[Finding]:
    """Memory of guests that do not run yet; those on huge pages have theirs set aside already."""
    available = patient.facts.memory.available_mib
    starting = [patient.cluster.node(pin.node) for pin in patient.idle_pinnings if not pin.hugepages]
    needed = sum(node.memory_mib + OVERHEAD_MIB for node in starting)
    if available is not None and starting and needed > available:
        seen = f"{available} MiB are available; {', '.join(n.name for n in starting)} need {needed} MiB"
        yield found("MC127", patient.name, seen, lacking=needed - available)
