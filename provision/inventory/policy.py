r"""`policy:` of the inventory as typed, frozen data: in which countries the cluster's data may be, and what says where things are.

Rules raise ValueError with a message and, behind ``\n``, a hint.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, field_validator

from provision.base.strict import FieldFault, Strict
from provision.inventory.countries import EEA, known, nearest

_MACHINE = re.compile(r"(?=.*[a-z])[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def _fault(value: Any) -> str:
    """Message and hint for what is no country's code, empty for one that is."""
    if isinstance(value, str) and known(value):
        return ""
    meant = nearest(value) if isinstance(value, str) else ""
    hint = f'did you mean "{meant}"?' if meant else 'two capitals in quotes: "NO", "SE"'
    return f"{value!r} is not a country's code of ISO 3166\n{hint}"


def _country(value: Any) -> Any:
    if fault := _fault(value):
        raise ValueError(fault)
    return value


def _countries(value: Any) -> Any:
    """One code or several, `EEA` among them."""
    several = isinstance(value, list | tuple)
    for index, one in enumerate(value if several else [value]):
        fault = "" if one == EEA else _fault(one)
        if fault:
            raise FieldFault(f"{fault}; {EEA} stands for all of the area", *([index] if several else []))
    if several and not value:
        raise ValueError(f"is empty\n{EEA}, or the countries that data may be in")
    return tuple(value) if several else (value,)


_CODE: Any = Field(json_schema_extra={"pattern": "^[A-Z]{2}$", "examples": ["SE"]})
Country = Annotated[str, BeforeValidator(_country, json_schema_input_type=str), _CODE]
Countries = Annotated[tuple[str, ...], BeforeValidator(_countries, json_schema_input_type=str | list[str])]


def network_of(key: str) -> IPv4Network | IPv6Network | None:
    """The network that a key of `networks` is, None for a machine's name. Raises ValueError for what is neither."""
    if _MACHINE.fullmatch(key):
        return None
    return ip_network(key)


class Policy(Strict):
    """Where the cluster's data may be, and what says where things are (docs/residency.md)."""

    residency: Countries | None = Field(
        None,
        description='the countries that data may be in: `EEA`, codes of ISO 3166 such as `"NO"`, or a list of both; default: anywhere',
    )
    networks: dict[str, Country] = Field(
        default_factory=dict,
        description="where machines are, by their network, or by the name that the inventory has for one: CIDR or name → country; the"
        " smallest network that holds an address decides, and nobody else is asked",
    )
    operator: Country | None = Field(
        None,
        description="where the machines are that meshctl is run on: backups, logs of runs, images and bundles lie there",
    )
    controller: str | None = Field(
        None, description="who is responsible for the data (GDPR art. 4 no. 7), and how to reach them; for the report"
    )
    purpose: str | None = Field(None, description="what the data are processed for; for the report")

    @field_validator("networks")
    @classmethod
    def _networks_or_names(cls, value: dict[str, str]) -> dict[str, str]:
        seen: dict[object, str] = {}
        for key in value:
            try:
                network = network_of(key)
            except ValueError as error:
                raise FieldFault(
                    f"{key!r}: {_reason(error)}\na network like 10.20.0.0/16, an address, or a name", key
                ) from error
            first = seen.setdefault(network or key, key)
            if first != key:
                raise FieldFault(f"{key} is the same network as {first}\nkeep one of the two", key)
        return value


def _reason(error: ValueError) -> str:
    said = str(error)
    return "has bits set behind its prefix" if "host bits" in said else "is neither a network nor a machine's name"
