"""A machine's country by the inventory's own map of networks. No name is looked up: that would ask somebody, and tell him."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import NamedTuple

from provision.inventory.policy import network_of


class Found(NamedTuple):
    """What a map has for a machine, and which of its keys."""

    key: str
    value: str


def lookup(networks: Mapping[str, str], machine: str) -> Found | None:
    """By its name, else by the smallest network that holds its address; None where the map says nothing."""
    if machine.lower() in networks:
        return Found(machine.lower(), networks[machine.lower()])
    try:
        address = ip_address(machine)
    except ValueError:
        return None
    nets = ((network, key) for key in networks if (network := network_of(key)) is not None)
    holding = [(network.prefixlen, key) for network, key in nets if address in network]
    return Found(max(holding)[1], networks[max(holding)[1]]) if holding else None
