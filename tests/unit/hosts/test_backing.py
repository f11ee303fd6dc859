"""Memory found out before a start: what a host says, and what is held against it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from provision.base.calls import Calls
from provision.base.errors import PlacementError
from provision.base.shell import Completed, Local, OnLine, Shell
from provision.hosts.backing import (
    Backing,
    Mount,
    check_backing,
    observe_backing,
    read_backing,
    shortages,
    with_memory_of,
)
from provision.libvirt_xml.domain_xml import domain_xml
from provision.libvirt_xml.libvirt_seen import parse_domain
from provision.plan.observed import HostSeen
from provision.specs.objects import GuestSpec, MemorySpec
from provision.specs.stamp import Stamp
from tests.unit.sample import split_guest

SAID = """\
daemon 812
Max locked memory         65536                67108864             bytes
CapEff:	000001fffeffffff
uid_map          0          0 4294967295
hugetlbfs known /dev/hugepages rw,relatime,pagesize=2M
hugetlbfs late /dev/hugepages1G rw,relatime,pagesize=1024M
node0/hugepages/hugepages-1048576kB/free_hugepages:3
node0/hugepages/hugepages-2048kB/free_hugepages:700
node1/hugepages/hugepages-2048kB/free_hugepages:800
Node 0 MemFree:         1048576 kB
Node 0 Active(file):     524288 kB
Node 0 Inactive(file):   524288 kB
Node 0 SReclaimable:      1024 kB
Node 1 MemFree:         4194304 kB
"""
HOST = read_backing(SAID)


def with_memory(**changes: object) -> GuestSpec:
    guest = split_guest()
    return replace(guest, memory=replace(guest.memory, **changes))  # type: ignore[arg-type]


PLAIN = with_memory(locked=False, hugepages=())
HUGE = with_memory(locked=False)


def faults(backing: Backing, *guests: GuestSpec) -> list[str]:
    return [what for what, _ in shortages("hv1", backing, guests)]


def test_what_a_host_says_is_read() -> None:
    assert (
        Backing(
            daemon=812,
            lockable_bytes=64 << 20,
            mounts=(Mount("/dev/hugepages", 2048, True), Mount("/dev/hugepages1G", 1048576, False)),
            free_pages={(0, 1048576): 3, (0, 2048): 700, (1, 2048): 800},
            free_mib={0: 2049, 1: 4096},
        )
        == HOST
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("67108864", "unlimited"),
        ("000001fffeffffff", "000001ffffffffff"),
    ],
)
def test_no_limit_is_one_that_is_unlimited_or_can_be_raised(old: str, new: str) -> None:
    assert read_backing(SAID.replace(old, new)).lockable_bytes is None


def test_in_a_user_namespace_the_capability_raises_no_limit() -> None:
    said = SAID.replace("000001fffeffffff", "000001ffffffffff").replace("0 4294967295", "100000 65536")
    assert read_backing(said).lockable_bytes == 64 << 20


def test_huge_pages_are_counted_over_all_guests_of_a_cell() -> None:
    assert faults(replace(HOST, free_pages={(0, 2048): 768, (1, 2048): 768}), HUGE) == []
    assert faults(HOST, HUGE, replace(HUGE, node="w1")) == [
        "hv1 cell 0: 700 free huge pages of 2MiB, 1536 needed by cp1, w1",
        "hv1 cell 1: 800 free huge pages of 2MiB, 1536 needed by cp1, w1",
    ]


def test_ordinary_memory_is_counted_with_what_the_kernel_gives_back() -> None:
    assert faults(HOST, PLAIN) == []
    assert faults(HOST, PLAIN, replace(PLAIN, node="w1")) == ["hv1 cell 0: 2049 MiB can be had, 3072 needed by cp1, w1"]


def test_a_page_size_that_libvirtd_has_no_mount_for() -> None:
    there = replace(HOST, free_pages={}, mounts=())
    assert faults(there, HUGE) == ["hv1: libvirtd (pid 812) sees no hugetlbfs with pages of 2MiB, which cp1 needs"]
    giant = with_memory(locked=False, hugepages=((0, 1048576, 3),))
    assert faults(replace(HOST, free_pages={}), giant) == [
        "hv1: /dev/hugepages1G was mounted after libvirtd (pid 812) began, so that cp1 cannot use it"
    ]


def test_locked_memory_must_be_within_libvirtds_limit() -> None:
    locked = with_memory(hugepages=())
    assert faults(HOST, locked) == [
        "hv1: libvirtd (pid 812) may lock 64 MiB and cannot raise that; locked: true needs 5488 MiB for cp1"
    ]
    assert faults(replace(HOST, lockable_bytes=5488 << 20), locked) == []


def test_a_guest_that_is_not_bound_needs_its_cell_all_the_same() -> None:
    memory = MemorySpec((0,), False, (), False, True, None)
    assert faults(replace(HOST, free_mib={0: 3071}), replace(PLAIN, memory=memory))


class _Answers(Local):
    def _end(self, argv: object, stdin: bytes, within_s: float, on_line: OnLine | None) -> Completed:
        return Completed("hv1", (), 0, SAID, "")


def door(_host: str) -> Shell | None:
    return _Answers(calls=Calls())


def test_only_guests_that_are_to_start_are_counted() -> None:
    stopped = HostSeen((), (), (), ())
    with pytest.raises(PlacementError, match=r"2 thing\(s\) that the hosts lack"):
        check_backing([HUGE, replace(HUGE, node="w1")], {"hv1": stopped}, door)
    running = HostSeen((parse_domain(domain_xml(HUGE, Stamp("lab", "cp1", "")), active=True),), (), (), ())
    assert check_backing([HUGE], {"hv1": running}, door) == ()


def test_a_guest_that_restarts_gives_back_what_it_has() -> None:
    """700 and 800 pages are free on the two cells: 768 on each are too many beside it, not after it."""
    seen = parse_domain(domain_xml(HUGE, Stamp("lab", "cp1", "d")), active=True)
    assert (seen.memory_nodes, seen.hugepage_kib, seen.memory_mib) == ("0-1", 2048, 3072)
    there = HostSeen((seen,), (), (), ())
    assert check_backing([HUGE], {"hv1": there}, door, ["cp1"]) == ()
    larger = replace(HUGE, memory=replace(HUGE.memory, hugepages=((0, 2048, 1469), (1, 2048, 1000))))
    with pytest.raises(PlacementError, match="hv1 cell 0: 1468 free huge pages of 2MiB, 1469 needed by cp1"):
        check_backing([larger], {"hv1": there}, door, ["cp1"])
    plain = replace(seen, hugepage_kib=0, memory_nodes="1")
    assert with_memory_of([plain], HOST).free_mib == {0: 2049, 1: 4096 + 3072}


def test_a_host_without_a_shell_is_noted_when_it_matters() -> None:
    hosts = {"hv1": HostSeen((), (), (), ())}
    (note,) = check_backing([HUGE], hosts, lambda _host: None)
    assert note == "hv1: huge pages and libvirtd's limits were not looked at: its URI leads to no shell"
    assert check_backing([PLAIN], hosts, lambda _host: None) == ()


def test_the_script_reads_this_machine() -> None:
    nodes = {int(path.name.removeprefix("node")) for path in Path("/sys/devices/system/node").glob("node[0-9]*")}
    free_mib = observe_backing(Local()).free_mib
    assert set(free_mib) == nodes
    assert sum(free_mib.values()) > 0 or not nodes
