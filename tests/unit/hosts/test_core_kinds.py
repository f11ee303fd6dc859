"""Which cores are efficient, by what the kernel says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision.base.shell import Local
from provision.hosts.core_kinds import read_efficient, with_core_kinds
from provision.placement.topology import Cell, Cpu, Topology

PLAIN = Topology((Cell(0, 1024, tuple(Cpu(n, 0, 0, n, frozenset({n})) for n in range(4))),), "Intel")


@pytest.mark.parametrize(
    ("said", "cpus"), [("", set()), ("16-23\n", set(range(16, 24))), ("8-11\n20-21\n", {8, 9, 10, 11, 20, 21})]
)
def test_the_kernels_lists_are_read(said: str, cpus: set[int]) -> None:
    assert read_efficient(said) == cpus


def test_a_machine_is_asked_only_where_it_can_be_hybrid() -> None:
    asked: list[str] = []
    for topology in (
        replace(PLAIN, cpu_vendor="AMD"),
        Topology(PLAIN.cells * 2, "AMD"),
        replace(PLAIN, efficient=frozenset({3})),
    ):
        assert with_core_kinds(topology, lambda: asked.append("x")) is topology
    assert asked == []
    assert with_core_kinds(PLAIN, lambda: None) == PLAIN


def test_this_machine_answers() -> None:
    assert with_core_kinds(PLAIN, Local).efficient <= {0, 1, 2, 3}
