"""The elements of a domain for what placement decides: CPUs, NUMA nodes, memory and its pages.

Sources: libvirt's formatdomain.html [L] and kbase/kvm-realtime [RT], Nova's libvirt driver (hardware.py, driver.py) [N],
Red Hat's tuning guides for KVM and for real time [RH], QEMU's sources [Q]. Guest NUMA cell N is `guest.memory.cells[N]`.
"""

from __future__ import annotations

from typing import Any

from lxml import etree

from provision.base.cpu_lists import cpu_list
from provision.specs import GuestSpec

NOT_EMULATED = ("svm", "la57", "erms")
"""What an emulated CPU had better not offer, each measured with two guests on two CPUs. For svm the guest loads kvm_amd,
and its CPUs stand still for 50 s; with la57 every page walk has five levels; for erms the kernel and the C library copy
byte by byte (`rep movsb`), which is two thirds of the time of a `docker load`."""

LOCK_OVERHEAD_MIB = 2048
LOCK_OVERHEAD_PER_VCPU_MIB = 80


def element(tag: str, text: str | None = None, /, *children: Any, **attributes: str) -> Any:
    """An XML element; a trailing underscore of an attribute's name is dropped (`type_`)."""
    made = etree.Element(tag, {key.rstrip("_"): value for key, value in attributes.items()})
    made.text = text
    made.extend(children)
    return made


def lock_limit_mib(vcpus: int, memory_mib: int) -> int:
    """What a guest with locked memory may lock, in MiB: its RAM and what QEMU has besides.

    A locked guest without `hard_limit` may take all memory of the host; one with too low a limit dies [L, RH]. The kernel
    counts address space, not pages (mlockall with MCL_FUTURE): 2 GiB for QEMU, its disks' and network's buffers and, under
    emulation, 1 GiB of translated code [Q]; 1/64 of the RAM for page tables of host and guest (each 1/512) and bitmaps;
    80 MiB per vCPU for the stack (8 MiB) and the malloc arena (64 MiB) of its thread, as glibc makes them.
    """
    return memory_mib + LOCK_OVERHEAD_MIB + memory_mib // 64 + LOCK_OVERHEAD_PER_VCPU_MIB * vcpus


def memory_elements(guest: GuestSpec) -> list[Any]:
    """`memtune` (only with locked memory, [L]) and `memoryBacking`."""
    memory = guest.memory
    backing = element("memoryBacking")
    if memory.page_kib:
        backing.append(element("hugepages", None, _page(guest)))
    if memory.nosharepages:
        backing.append(element("nosharepages"))  # KSM would let another guest's writes cost us [RT]
    if memory.locked:
        backing.append(element("locked"))  # QEMU's own memory too; huge pages are never swapped anyway [L]
    # RAM is there from the start, touched by so many threads [L: threads since 8.2.0].
    threads = {"threads": str(memory.allocation_threads)} if memory.allocation_threads else {}
    backing.append(element("allocation", mode="immediate", **threads))
    if not memory.locked:
        return [backing]
    limit = element("hard_limit", str(lock_limit_mib(guest.vcpus, guest.memory_mib)), unit="MiB")
    return [element("memtune", None, limit), backing]


def _page(guest: GuestSpec) -> Any:
    """The page size; `nodeset` names guest cells, and only a guest that has some can name them [L]."""
    cells = {"nodeset": cpu_list(range(len(guest.memory.cells)))} if guest.memory.bound else {}
    return element("page", size=str(guest.memory.page_kib), unit="KiB", **cells)


def numatune(guest: GuestSpec) -> list[Any]:
    """Memory of each guest cell from its own NUMA node and from no other: strict, not preferred [RT, RH 7: a miss costs 10 %].

    `memory` binds what has no cell (QEMU's own), `memnode` each cell [L]. Pins without it are half of the matter [RH].
    """
    if not guest.memory.bound:
        return []
    cells = guest.memory.cells
    nodes = [
        element("memnode", cellid=str(index), mode="strict", nodeset=str(cell)) for index, cell in enumerate(cells)
    ]
    return [element("numatune", None, element("memory", mode="strict", nodeset=cpu_list(cells)), *nodes)]


def cputune(guest: GuestSpec) -> Any:
    """One CPU per vCPU; emulator and iothread on CPUs of the guest's own cell, as Nova pins them [RT, N].

    The emulator's CPUs are in the cell of the memory that it allocates at start: from elsewhere that is slow [L].
    """
    pins = [element("vcpupin", vcpu=str(vcpu), cpuset=str(cpu)) for vcpu, cpu in enumerate(guest.vcpu_pins)]
    emulator = element("emulatorpin", cpuset=cpu_list(guest.emulator_cpus))
    iothread = element("iothreadpin", iothread="1", cpuset=cpu_list(guest.iothread_cpus))
    return element("cputune", None, *pins, emulator, iothread)


def features(guest: GuestSpec) -> Any:
    """ACPI and APIC; with CPUs of its own the guest may also poll instead of sleeping, and tell the host not to.

    hint-dedicated makes the guest load cpuidle-haltpoll (libvirt 5.7, QEMU 2.12), poll-control lets it switch off the
    host's own polling (libvirt 6.10, QEMU 4.2) [L]. On shared CPUs polling would take others' time.
    """
    made = element("features", None, element("acpi"), element("apic"))
    if guest.virtualization == "kvm" and guest.cpu.exclusive:
        hints = (element(name, state="on") for name in ("hint-dedicated", "poll-control"))
        made.append(element("kvm", None, *hints))
    return made


def cpu(guest: GuestSpec) -> Any:
    """The CPU as the guest sees it: under KVM the host's, cores and caches as the pins have them [RT, RH]."""
    if guest.virtualization != "kvm":
        without = (element("feature", policy="disable", name=name) for name in NOT_EMULATED)
        return element("cpu", None, *without, *_cells(guest), mode="maximum")
    return element(
        "cpu", None,
        _topology(guest),
        element("cache", mode="passthrough"),
        *_siblings_on_amd(guest),
        *_cells(guest),
        mode="host-passthrough", migratable="off",
    )  # fmt: skip


def _topology(guest: GuestSpec) -> Any:
    """A socket per NUMA node, so that no last-level cache spans two; successive vCPUs are the threads of a core, as pinned."""
    sockets, threads = len(guest.memory.cells), guest.cpu.threads
    cores = guest.vcpus // sockets // threads
    return element("topology", sockets=str(sockets), dies="1", cores=str(cores), threads=str(threads))


def _siblings_on_amd(guest: GuestSpec) -> list[Any]:
    """AMD's guests see threads only with topoext, which `-cpu host` does not switch on by itself [Q: no_autoenable_flags]."""
    if guest.cpu.threads < 2 or guest.cpu.vendor != "AMD":
        return []
    return [element("feature", policy="require", name="topoext")]


def _cells(guest: GuestSpec) -> list[Any]:
    """The guest's own NUMA cells: vCPUs and memory split evenly, in the order of the pins. Also one alone, for `memnode`."""
    if not guest.memory.bound:
        return []
    count = len(guest.memory.cells)
    vcpus, memory_mib = guest.vcpus // count, guest.memory_mib // count
    cells = (
        element(
            "cell",
            id=str(index),
            cpus=cpu_list(range(index * vcpus, (index + 1) * vcpus)),
            memory=str(memory_mib),
            unit="MiB",
        )
        for index in range(count)
    )
    return [element("numa", None, *cells)]
