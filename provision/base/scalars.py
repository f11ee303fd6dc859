"""What single fields of the inventory hold: sizes, networks, addresses, names, versions.

Rules raise ValueError with a message and, behind a newline, a hint.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

import netaddr
from pydantic import BeforeValidator, Field

from provision.base.units import KIB, MIB, TIB, format_size, parse_size

NAME_PATTERN = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
NAME = re.compile(NAME_PATTERN)

SIZE_PATTERN = r"^[0-9]+(\.[0-9]+)? ?[KMGT]iB$"


MANY_GIB = 1024
"""From here on a number without a unit is rather one of MiB: other tools count memory in these."""

LARGEST_SIZE = 256 * TIB
"""The largest disks there are (2025) have 245 TB; beyond that it is a slip of the unit."""


def _size(value: Any) -> Any:
    if isinstance(value, str):
        size = parse_size(value)
        if size > LARGEST_SIZE:
            raise ValueError(f"no disk has {value}\n{format_size(LARGEST_SIZE)} at the most")
        return size
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"{value} is not a size\nwrite it like 8GiB")
    units = ("MiB", "GiB") if value >= MANY_GIB else ("GiB", "MiB")
    raise ValueError(f"{value} has no unit\nwrite it like {value}{units[0]} or {value}{units[1]}")


def _size_or_none(value: Any) -> Any:
    return 0 if value == "none" else _size(value)


def _network(value: Any) -> Any:
    try:
        network = netaddr.IPNetwork(value)
    except (netaddr.AddrFormatError, TypeError, ValueError):
        raise ValueError(f"{value!r} is not a network\nwrite it like 10.77.0.0/24") from None
    if network.version != 4 or "/" not in str(value):
        raise ValueError(f"{value!r} is not an IPv4 network with a prefix length\nwrite it like 10.77.0.0/24")
    if network.ip != network.network:
        raise ValueError(f"{value} has bits set behind its prefix\nthe network is {network.cidr}")
    return str(network)


def _address(value: Any) -> Any:
    if not isinstance(value, str) or not netaddr.valid_ipv4(value, netaddr.INET_PTON):
        raise ValueError(f"{value!r} is not an IPv4 address\nwrite it like 10.77.0.1")
    return value


def _name(value: Any) -> Any:
    if not isinstance(value, str) or NAME.fullmatch(value) is None:
        raise ValueError(
            f"{value!r} is not a name\nlower-case letters, digits and inner hyphens, at most 63 (a DNS label)"
        )
    return value


def _setting(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("a kernel setting is a whole number or text\nput it in quotes")
    return value


def _cells(value: Any) -> Any:
    if value != "auto" and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ValueError(f"{value!r} is not a number of NUMA nodes\n1 or more, or auto")
    return value


def _version(value: Any) -> Any:
    text = str(value)
    if re.fullmatch(r"v1\.(5|20)\.[0-9]{1,3}", text) is None:
        number = re.fullmatch(r"v?([0-9]+\.[0-9]+)(\.[0-9]+)?", text)
        if number is not None and number[1] not in ("1.5", "1.20"):
            raise ValueError(f"{text} is not supported\nv1.5.x and v1.20.x are")
        raise ValueError(f"{text} is not a version\nwrite it like {_full_version(text)}")
    return text


def _full_version(text: str) -> str:
    whole = text if text.startswith("v") else f"v{text}"
    return whole if re.fullmatch(r"v1\.(5|20)\.[0-9]+", whole) else "v1.5.8" if "1.5" in text else "v1.20.2"


def _written(pattern: str, example: str) -> Any:
    """What an editor may accept for a value that is checked here in Python."""
    return Field(json_schema_extra={"pattern": pattern, "examples": [example]})


Size = Annotated[int, BeforeValidator(_size, json_schema_input_type=str), _written(SIZE_PATTERN, "8GiB")]
SizeOrNone = Annotated[
    int,
    BeforeValidator(_size_or_none, json_schema_input_type=str),
    _written(rf"{SIZE_PATTERN}|^none$", "8GiB"),
]
"""None is 0 bytes."""
Cidr = Annotated[
    str,
    BeforeValidator(_network, json_schema_input_type=str),
    _written(r"^[0-9]{1,3}(\.[0-9]{1,3}){3}/[0-9]{1,2}$", "10.77.0.0/24"),
]
Address = Annotated[
    str, BeforeValidator(_address, json_schema_input_type=str), _written(r"^[0-9]{1,3}(\.[0-9]{1,3}){3}$", "10.77.0.1")
]
Name = Annotated[str, BeforeValidator(_name, json_schema_input_type=str), _written(f"^{NAME_PATTERN}$", "w1")]
Setting = Annotated[int | str, BeforeValidator(_setting)]
Version = Annotated[
    str, BeforeValidator(_version, json_schema_input_type=str), _written(r"^v1\.(5|20)\.[0-9]+$", "v1.20.2")
]
NumaCells = Annotated[int | Literal["auto"], BeforeValidator(_cells)]
HugePages = Literal["none", "2MiB", "1GiB"]
HUGEPAGE_KIB = {"2MiB": 2 * MIB // KIB, "1GiB": 1024 * MIB // KIB}
"""KiB of a huge page, as libvirt's XML says it."""
