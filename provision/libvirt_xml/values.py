"""Values in libvirt's XML, read so that nothing which somebody wrote there can end a run: what cannot be read is left out. Pure."""

from __future__ import annotations

import re
from typing import Any

import netaddr
from lxml import etree

from provision.base.cpu_lists import cpu_list, parse_cpu_list
from provision.libvirt_xml.documents import root_of

MOST_VCPUS = 4096
"""QEMU's most for x86 since 8.2 is 4096; a larger number is none."""

_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
_CLASSES = ((128, 8), (192, 16), (224, 24))


def check_domain(xml: str) -> None:
    """For files that a person gives: raises ValueError with what is passed over in a domain that libvirt shows."""
    root = root_of(xml)
    if root.tag != "domain":
        raise ValueError(f"its element is <{root.tag}>")
    if not root.findtext("name", "").strip():
        raise ValueError("it has no <name>")
    for element in root.iter(tag=etree.Element):
        for name in ("cpuset", "nodeset"):
            parse_cpu_list(element.get(name, ""))
    for path in ("memory", "memoryBacking/hugepages/page", "cpu/numa/cell"):
        for element in root.findall(path):
            if _power(element.get("unit")) is None:
                raise ValueError(f"there is no unit {element.get('unit')!r}")
            number = element.get("size") or element.get("memory") or element.text or ""
            if not number.strip().isdecimal():
                raise ValueError(f"a <{element.tag}> says {number!r}, which is no size")


def whole(text: str | None, otherwise: int) -> int:
    """A number of vCPUs or the like, from 0; `otherwise` for what is none."""
    if text is None or not text.strip().isdecimal() or int(text) > MOST_VCPUS:
        return otherwise
    return int(text)


def scaled_bytes(number: str | None, unit: str | None) -> int:
    """A scaled number as libvirt writes it: KiB when there is no unit; `k`, `M` and so on are powers of 1024, `KB` of 1000.

    0 for what is none.
    """
    base = 1000 if re.fullmatch("[a-z]b", unit or "", re.IGNORECASE) else 1024
    power = _power(unit)
    if power is None or number is None or not number.strip().isdecimal():
        return 0
    return int(number) * int(base**power)


def _power(unit: str | None) -> int | None:
    text = (unit or "KiB").upper().removesuffix("BYTES").removesuffix("BYTE")
    return _POWERS.get(text.removesuffix("B").removesuffix("I"))


def cpus_or_none(text: str | None) -> str:
    """A CPU list in one notation; "" for none, and for what cannot be read."""
    try:
        return cpu_list(parse_cpu_list(text or ""))
    except ValueError:
        return ""


def ip_network(ip: Any) -> str:
    """ADDRESS/PREFIX of an `<ip>`, "" for what is none. libvirt goes by the address's class where nobody says a prefix
    (virSocketAddrGetIPPrefix), and by 64 for IPv6.
    """
    address = ip.get("address", "")
    try:
        known = netaddr.IPAddress(address)
        prefix = ip.get("prefix") or ip.get("netmask") or _by_class(known)
        return f"{address}/{netaddr.IPNetwork(f'{address}/{prefix}').prefixlen}"
    except (netaddr.AddrFormatError, ValueError):
        return ""


def _by_class(address: netaddr.IPAddress) -> int:
    if address.version == 6:
        return 64
    first = address.words[0]
    return next((prefix for below, prefix in _CLASSES if first < below), 24)
