"""What stamps say of a cluster's upkeep: read back, absent from old ones, and passed over by who does not know it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from lxml import etree

from provision.libvirt_xml import domain_xml, network_xml, parse_domain, parse_network
from provision.specs import Owner, Stamp, Upkeep, digest, read_stamp, stamp_element, stamp_text
from provision.specs.stamp import KEPT, STAMPED
from tests.unit.sample import wanted

UPKEEP = Upkeep("2026-11-30T03:00:00Z", "2026-11-30T05:00:00Z", "meshctl", "dir")
STAMP = Stamp("pr-1", "cp1", "d", "10.9.0.11", owner="a" * 16, upkeep=UPKEEP)


def read(stamp: Any) -> tuple[Stamp | None, str]:
    root = etree.Element("domain")
    etree.SubElement(root, "metadata").append(stamp)
    return read_stamp(root)


def test_it_is_read_back_from_a_guest_and_from_a_network() -> None:
    guest = parse_domain(domain_xml(wanted().guest("cp1"), STAMP), active=True)
    assert guest.stamp is not None
    assert guest.stamp.upkeep == UPKEEP
    network = parse_network(network_xml(wanted().networks[0], Owner("lab"), UPKEEP), active=True)
    assert network.stamp is not None
    assert (network.stamp.upkeep, network.stamp.digest) == (UPKEEP, digest(wanted().networks[0]))


def test_an_old_stamp_has_none_and_is_a_stamp() -> None:
    element = stamp_element(Stamp("lab", "cp1", "d"))
    assert not set(element.attrib) & set(KEPT)
    assert read(element) == (Stamp("lab", "cp1", "d"), "")


def test_who_does_not_know_it_reads_the_rest() -> None:
    """An older meshctl takes the attributes that it knows out of the element, and no others."""
    known = {name: stamp_element(STAMP).get(name, "") for name in STAMPED}
    assert Stamp(**known) == replace(STAMP, upkeep=Upkeep())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("expires", "soon"), ("expires", "2026-02-31T00:00:00Z"), ("store", "tape"), ("pool", "../x")),
        *(("labels", "--all"), ("labels", "a=b c"), ("taints", "for=db"), ("taints", "for=db:NoSchedule,-x=y:z")),
    ],
)
def test_what_cannot_be_read_makes_it_no_stamp(name: str, value: str) -> None:
    element = stamp_element(STAMP)
    element.set(name, value)
    assert read(element) == (None, f"{name} {value!r}")


def test_libvirt_gets_it_without_a_namespace() -> None:
    element = etree.fromstring(stamp_text(STAMP))
    assert (element.tag, element.get("expires")) == ("stamp", UPKEEP.expires)


def test_of_a_running_network_the_definition_says_the_moment() -> None:
    before = network_xml(wanted().networks[0], Owner("lab"), UPKEEP)
    later = replace(UPKEEP, expires="2026-12-01T00:00:00Z")
    seen = parse_network(before, active=True, definition=network_xml(wanted().networks[0], Owner("lab"), later))
    assert seen.stamp is not None
    assert seen.stamp.upkeep == later
