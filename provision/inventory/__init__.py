"""The inventory: what a user writes, as a frozen model, and the loader that gives it or every problem at once. Pure.

To live here a line is about what the user said. What follows from it (pins, specifications) is worked out elsewhere.
"""

from provision.inventory.addresses import (
    NOTHING_TAKEN,
    Taken,
    TooSmall,
    mac_address,
    node_addresses,
    pod_subnet,
    pod_subnets,
)
from provision.inventory.draft import draft
from provision.inventory.golden import GOLDEN, golden
from provision.inventory.jump import Jump, parse_jump
from provision.inventory.loader.foreign import Foreign, Machine, recognise
from provision.inventory.loader.load import load, read
from provision.inventory.loader.schema import json_schema
from provision.inventory.model import Cluster, Host, Node, Spread
from provision.inventory.template import bridge_names, free_range, named, placed_in
from provision.inventory.tracing import Tracing, volume_of
from provision.inventory.uri import machine_behind, parse_uri

__all__ = [
    "GOLDEN",
    "NOTHING_TAKEN",
    "Cluster",
    "Foreign",
    "Host",
    "Jump",
    "Machine",
    "Node",
    "Spread",
    "Taken",
    "TooSmall",
    "Tracing",
    "bridge_names",
    "draft",
    "free_range",
    "golden",
    "json_schema",
    "load",
    "mac_address",
    "machine_behind",
    "named",
    "node_addresses",
    "parse_jump",
    "parse_uri",
    "placed_in",
    "pod_subnet",
    "pod_subnets",
    "read",
    "recognise",
    "volume_of",
]
