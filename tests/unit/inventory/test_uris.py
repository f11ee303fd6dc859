"""Which machine a URI leads to."""

from __future__ import annotations

from itertools import combinations

import pytest

from provision.inventory.uri import machine_behind
from tests.unit.inventory.test_loader import changed


@pytest.mark.parametrize(
    "uris",
    [
        ("qemu+ssh://root@hv1/system", "qemu+ssh://ops@HV1./system", "qemu+ssh://hv1:22/system?no_tty=1", "qemu+tls://hv1/system"),
        ("qemu:///system", "qemu+unix:///system", "qemu+unix:///system?socket=/run/libvirt/libvirt-sock", "qemu+ssh://root@localhost/system"),
        ("qemu+ssh://root@[fd00::1]/system", "qemu+ssh://root@[FD00::1]:22/system"),
    ],
)  # fmt: skip
def test_ways_to_one_machine(uris: tuple[str, ...]) -> None:
    assert len({machine_behind(uri) for uri in uris}) == 1


def test_machines_of_their_own() -> None:
    uris = (
        "qemu+ssh://root@hv1/system",
        "qemu+ssh://root@hv2/system",
        "qemu+ssh://root@gate:2201/system",
        "qemu+ssh://root@gate:2202/system",
        "qemu+ssh://root@localhost:2201/system",
        "qemu:///system",
        "qemu+unix:///system?socket=/run/meshctl/lab/libvirt-sock",
        "test:///default",
        "test:///srv/node.xml",
    )
    assert all(machine_behind(one) != machine_behind(two) for one, two in combinations(uris, 2))


def test_two_hosts_on_one_machine_are_a_problem_of_the_second() -> None:
    found = changed("- name: hv1", "- name: hv0\n  uri: qemu+unix:///system\n- name: hv1")
    (problem,) = [one for one in found if one.field == "hosts[1].uri"]
    assert problem.message == "leads to the machine of hv0 (line 5), whose CPUs and memory would be given twice"
