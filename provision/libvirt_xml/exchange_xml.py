"""The disk of a bundle, as it is taken from a running guest and given to it; and our stamp on a running domain. A codec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lxml import etree

from provision.libvirt_xml.documents import parsed
from provision.libvirt_xml.domain_xml import BUNDLE_TARGET, bundle_disk_element
from provision.specs import Stamp, stamp_element

STAMP_PREFIX = "meshctl"


@dataclass(frozen=True)
class BundleDisk:
    """A bundle's disk of a domain: where it lies on the host, and its element."""

    path: str
    xml: str


def bundle_disk_xml(path: str) -> BundleDisk:
    """The disk as a guest is to have it."""
    return BundleDisk(path, _text(bundle_disk_element(path)))


def parse_bundle_disk(domain_xml: str) -> BundleDisk | None:
    """The one that a domain has, None when it has none."""
    for disk in parsed(domain_xml).findall("devices/disk"):
        target, source = disk.find("target"), disk.find("source")
        if target is not None and target.get("dev") == BUNDLE_TARGET:
            return BundleDisk("" if source is None else str(source.get("file", "")), _text(disk))
    return None


def stamp_xml(stamp: Stamp) -> str:
    """The stamp for libvirt's `setMetadata`, which puts it under `STAMP_URI` itself."""
    element = etree.Element("stamp", dict(stamp_element(stamp).attrib))
    return _text(element)


def _text(element: Any) -> str:
    return str(etree.tostring(element, encoding="unicode"))
