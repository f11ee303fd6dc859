"""Golden XML (regenerate with MESHCTL_REGENERATE=1), and what comes back from libvirt's own normalised form."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.base.cpu_lists import cpu_list, parse_cpu_list
from provision.libvirt_xml.domain_xml import domain_xml, network_xml, pool_xml, upload_volume_xml, volume_xml
from provision.libvirt_xml.libvirt_seen import parse_domain, parse_network
from provision.specs import Owner
from provision.specs.objects import GuestSpec
from provision.specs.stamp import Stamp
from tests.unit.sample import split_guest, wanted

GOLDEN = Path(__file__).parents[2] / "data" / "xml"
STAMP = Stamp("lab", "cp1", "0123456789abcdef", "10.77.0.11", "ssh-ed25519 AAAAC3 lab-cp1", "lab.cp1.seed.iso")


def guest(virtualization: str = "kvm") -> GuestSpec:
    return wanted(virtualization).guest("cp1")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("domain-kvm", domain_xml(guest("kvm"), STAMP)),
        ("domain-qemu", domain_xml(guest("qemu"), STAMP)),
        ("domain-split", domain_xml(split_guest(), STAMP)),
        ("network-nat", network_xml(wanted().networks[0], Owner("lab"))),
        ("pool", pool_xml(wanted().pools[0])),
        ("root-volume", volume_xml(wanted().volumes[0])),
        ("seed-volume", upload_volume_xml("lab.cp1.seed.iso", private=True)),
    ],
)
def test_golden(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.xml"
    if os.environ.get("MESHCTL_REGENERATE"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_what_was_written_is_read_back() -> None:
    seen = parse_domain(domain_xml(guest(), STAMP), active=True)
    assert seen.stamp == replace(STAMP, vcpu_pins="1,2", emulator_cpus="0", iothread_cpus="0")
    assert (seen.vcpu_cpus, seen.emulator_cpus, seen.iothread_cpus) == (("1", "2"), "0", ("0",))
    assert (seen.memory_mib, seen.vcpus, seen.type, seen.balloon) == (3072, 2, "kvm", False)
    assert seen.disks[0] == guest().disks[0].path


def test_a_vcpu_without_a_pin_floats_on_the_cpuset_of_vcpu() -> None:
    pins = "<cputune><vcpupin vcpu='1' cpuset='5'/></cputune>"
    xml = f"<domain type='kvm'><name>x</name><memory>1048576</memory><vcpu cpuset='0-3,^2'>2</vcpu>{pins}</domain>"
    assert parse_domain(xml, active=False).vcpu_cpus == ("0-1,3", "5")


@pytest.mark.parametrize(
    ("memory", "mib"),
    [
        ("<memory>2097152</memory>", 2048),
        ("<memory unit='KiB'>2097152</memory>", 2048),
        ("<memory unit='k'>2097152</memory>", 2048),
        ("<memory unit='M'>2048</memory>", 2048),
        ("<memory unit='GiB'>2</memory>", 2048),
        ("<memory unit='GB'>2</memory>", 1907),
        ("<memory unit='T'>1</memory>", 1048576),
        ("<memory unit='bytes'>2147483648</memory>", 2048),
        ("<memory unit='b'>2147483648</memory>", 2048),
    ],
)
def test_memory_is_read_in_all_of_libvirts_units(memory: str, mib: int) -> None:
    assert parse_domain(f"<domain type='kvm'><name>x</name>{memory}</domain>", active=True).memory_mib == mib


def test_a_balloon_is_seen() -> None:
    devices = "<devices><memballoon model='virtio'/></devices>"
    xml = f"<domain type='kvm'><name>x</name><memory unit='KiB'>1048576</memory><vcpu>1</vcpu>{devices}</domain>"
    assert parse_domain(xml, active=True).balloon


def test_a_network_without_our_stamp_has_none() -> None:
    seen = parse_network(
        "<network><name>default</name><uuid>u</uuid><ip address='192.168.122.1' netmask='255.255.255.0'/></network>",
        active=True,
    )
    assert seen.stamp is None
    assert seen.addresses == ("192.168.122.1/24",)


@given(st.frozensets(st.integers(0, 300)))
def test_cpu_lists_are_read_back(cpus: frozenset[int]) -> None:
    assert parse_cpu_list(cpu_list(cpus)) == cpus
