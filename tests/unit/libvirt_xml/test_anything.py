"""Whatever somebody wrote into libvirt's XML, it is read: one odd object of others must not end a run about ours."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from provision.libvirt_xml import parse_domain, parse_network, parse_pool
from provision.libvirt_xml.domain_xml import domain_xml, network_xml, pool_xml
from provision.placement import tenants
from provision.plan import Live, Observed, host_drifts, plan
from provision.specs import Owner
from provision.specs.stamp import Stamp
from tests.unit.plan.test_plan import MEMBERS, complete
from tests.unit.sample import split_guest, wanted

DATA = Path(__file__).parents[2] / "data"
OURS = Stamp("other", "cp1", "0123456789abcdef", "10.77.0.11", "ssh-ed25519 AAAA", "seed.iso")
DOMAINS = [
    domain_xml(split_guest(), OURS).replace("<name>lab-cp1<", "<name>theirs<"),
    *(path.read_text() for path in sorted((DATA / "domains").glob("*.xml"))),
]
NETWORK, POOL = network_xml(wanted().networks[0], Owner("lab")), pool_xml(wanted().pools[0])
GARBAGE = (
    "",
    " ",
    "x",
    "-1",
    "9" * 30,
    "1-",
    "^",
    "3-x",
    "10.0.0.1",
    "fe80::1/x",
    "ü",
    "0x10",
    "KiB",
    "''",
    "../..",
    "\u2028",
)


def mutated(xml: str, seed: int) -> str:
    """The document with some elements gone or twice, and some attributes and texts gone or garbage."""
    chance = random.Random(seed)
    root = etree.fromstring(xml)
    for element in list(root.iter(tag=etree.Element)):
        if chance.random() < 0.85:
            continue
        _mutate(element, chance)
    return etree.tostring(root, encoding="unicode")


def _mutate(element: Any, chance: random.Random) -> None:
    deed = chance.randrange(4)
    parent = element.getparent()
    if deed == 0 and parent is not None:
        parent.remove(element)
    elif deed == 1 and parent is not None:
        parent.append(etree.fromstring(etree.tostring(element)))
    elif deed == 2 and element.attrib:
        del element.attrib[chance.choice(sorted(element.attrib))]
    elif element.attrib and chance.random() < 0.7:
        element.set(chance.choice(sorted(element.attrib)), chance.choice(GARBAGE))
    else:
        element.text = chance.choice(GARBAGE)


@given(st.sampled_from(DOMAINS), st.integers(0, 2**32), st.booleans())
def test_any_domain_is_read_placed_and_planned_around(xml: str, seed: int, active: bool) -> None:
    seen = parse_domain(mutated(xml, seed), active=active)
    tenants("lab", "hv1", [seen])
    around({"domains": (*complete().domains, seen)})


@given(st.integers(0, 2**32))
def test_any_network_is_read_and_planned_around(seed: int) -> None:
    xml = mutated(NETWORK, seed)
    seen = parse_network(
        xml.replace("<name>meshctl</name>", "<name>theirs</name>").replace("10.77.", "10.78."), active=True
    )
    if seen.name == "theirs" and seen.bridge != "meshbr0":
        around({"networks": (*complete().networks, seen)})


@given(st.integers(0, 2**32))
def test_any_pool_is_read_and_planned_around(seed: int) -> None:
    xml = mutated(POOL, seed).replace("<name>meshctl</name>", "<name>theirs</name>").replace("/srv/pool", "/srv/theirs")
    seen = parse_pool(xml, active=False)
    if seen.name != "meshctl":
        around({"pools": (*complete().pools, seen)})


def around(more: dict[str, Any]) -> None:
    """A plan and the drift of a complete cluster, beside something else."""
    hosts = {"hv1": complete(**more)}
    plan(wanted(), Observed(hosts, MEMBERS, ()))
    host_drifts(wanted(), hosts, {"hv1": Live()})


STAMPS: list[tuple[str, str]] = [
    ('cluster="other"', 'cluster=""'),
    ('cluster="other"', ""),
    ('node="cp1"', 'node="../cp1"'),
    ('address="10.77.0.11"', 'address="10.77.0.x"'),
    ('host_key="ssh-ed25519 AAAA"', 'host_key="AAAA"'),
    ('vcpu_pins="2,34,3,35"', 'vcpu_pins="two"'),
    ('emulator_cpus="0,32"', 'emulator_cpus="0-"'),
]


@pytest.mark.parametrize(("before", "after"), STAMPS)
def test_garbage_in_a_stamp_of_ours_is_no_stamp_and_is_named(before: str, after: str) -> None:
    assert before in DOMAINS[0]
    seen = parse_domain(DOMAINS[0].replace(before, after, 1), active=True)
    assert seen.stamp is None
    assert seen.garbage.startswith(before.partition("=")[0])


def test_a_network_with_an_address_without_prefix_has_that_of_its_class() -> None:
    xml = "<network><name>old</name><ip address='{}'/></network>"
    found = {
        address: parse_network(xml.format(address), active=True).addresses
        for address in ("10.1.2.3", "192.168.5.1", "fd00::1", "?")
    }
    assert found == {
        "10.1.2.3": ("10.1.2.3/8",),
        "192.168.5.1": ("192.168.5.1/24",),
        "fd00::1": ("fd00::1/64",),
        "?": (),
    }


@pytest.mark.parametrize(
    "parse", [lambda xml: parse_domain(xml, active=True), lambda xml: parse_network(xml, active=True)]
)
@pytest.mark.parametrize("xml", ["", "<", "<domain><name>x\x01y</name></domain>", "<a/><b/>"])
def test_what_is_no_xml_is_read_as_far_as_it_goes(parse: Callable[[str], Any], xml: str) -> None:
    assert parse(xml).stamp is None
