"""Which CPUs and memory of which host each guest gets. Pure, deterministic, explained, and it remembers: pins that are right stay.

To live here a line decides who gets what of a host, or says and draws why. It reads topologies, never a host.
"""

from provision.placement.drawing import draw
from provision.placement.fitness import (
    GUESTS_ARCHITECTURE,
    TWO_MACHINES,
    absent,
    check_machines,
    foreign_architecture,
    one_machine,
)
from provision.placement.keep import claimed
from provision.placement.layout import reserved_cpus
from provision.placement.model import MemoryHeld, Pinning, Placement, Refusal, Tenant
from provision.placement.need import page_name
from provision.placement.palette import style
from provision.placement.picture import CellMap, as_map, cell_maps, held_by
from provision.placement.place import place
from provision.placement.tenants import tenants
from provision.placement.topology import Topology, parse_capabilities, replace_efficient

__all__ = [
    "GUESTS_ARCHITECTURE",
    "TWO_MACHINES",
    "CellMap",
    "MemoryHeld",
    "Pinning",
    "Placement",
    "Refusal",
    "Tenant",
    "Topology",
    "absent",
    "as_map",
    "cell_maps",
    "check_machines",
    "claimed",
    "draw",
    "foreign_architecture",
    "held_by",
    "one_machine",
    "page_name",
    "parse_capabilities",
    "place",
    "replace_efficient",
    "reserved_cpus",
    "style",
    "tenants",
]
