"""The bundle's disk of a guest, and our stamp, as they are given to a running domain."""

from __future__ import annotations

from dataclasses import replace

from provision.libvirt_xml import bundle_disk_xml, domain_xml, parse_bundle_disk, parse_domain, stamp_xml
from provision.libvirt_xml.documents import root_of
from provision.specs import Stamp
from tests.unit.sample import wanted

STAMP = Stamp("lab", "w1", "0123456789abcdef", "10.77.0.12", "ssh-ed25519 AAAA", "seed.iso", "bundle.iso")


def test_the_disk_of_a_guest_is_found_by_its_target_and_is_what_it_would_be_given() -> None:
    xml = domain_xml(replace(wanted().guest("w1"), bundle_path="/srv/pool/a.iso"), STAMP)
    found = parse_bundle_disk(xml)
    assert found is not None
    assert found.path == "/srv/pool/a.iso"
    given = root_of(bundle_disk_xml("/srv/pool/a.iso").xml)
    assert [(one.tag, dict(one.attrib)) for one in given] == [(one.tag, dict(one.attrib)) for one in root_of(found.xml)]
    assert given.find("readonly") is not None
    assert given.find("shareable") is not None


def test_a_guest_without_it_has_none() -> None:
    xml = domain_xml(wanted().guest("w1"), STAMP).replace('dev="vdc"', 'dev="vdz"')
    assert parse_bundle_disk(xml) is None


def test_a_stamp_is_bare_as_libvirt_puts_it_under_its_namespace_itself() -> None:
    element = root_of(stamp_xml(STAMP))
    assert (element.tag, element.get("bundle"), element.get("owner")) == ("stamp", "bundle.iso", None)


def test_what_a_running_guests_disks_lie_over_is_seen() -> None:
    below = '<backingStore type="file"><format type="qcow2"/><source file="/srv/pool/base.qcow2"/></backingStore>'
    xml = domain_xml(wanted().guest("w1"), STAMP).replace('<target dev="vda"', below + '<target dev="vda"')
    assert parse_domain(xml, active=True).backing == ("/srv/pool/base.qcow2",)
    assert parse_domain(domain_xml(wanted().guest("w1"), STAMP), active=False).backing == ()
