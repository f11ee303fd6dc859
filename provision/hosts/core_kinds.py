"""Which CPUs of a hybrid machine are efficient ones: libvirt does not say, the kernel does."""

from __future__ import annotations

from collections.abc import Callable

from provision.base.cpu_lists import parse_cpu_list
from provision.base.errors import MeshctlError
from provision.base.shell import Shell
from provision.placement import Topology, replace_efficient

WITHIN_S = 5.0

FEWEST_CPUS = 4
"""No machine with fewer CPUs is hybrid."""

# Intel's hybrid machines have a PMU for each kind of core (arch/x86/events/intel/core.c); all others have one for all, called cpu.
_LOOK = """
if [ -e /sys/devices/cpu_core/cpus ]; then cat /sys/devices/cpu_atom/cpus /sys/devices/cpu_lowpower/cpus; fi 2>/dev/null
true
"""


def with_core_kinds(topology: Topology, shell: Callable[[], Shell | None]) -> Topology:
    """The topology with what the kernel says, where it can matter and somebody can look; else with what libvirt's answer tells."""
    may_be = topology.cpu_vendor == "Intel" and len(topology.cells) == 1 and len(topology.cpus) >= FEWEST_CPUS
    if not may_be or topology.efficient:
        return topology
    try:
        door = shell()
        said = door.read(["sh", "-c", _LOOK], within_s=WITHIN_S).stdout if door else ""
        return replace_efficient(topology, read_efficient(said))
    except (MeshctlError, ValueError):
        return topology


def read_efficient(said: str) -> frozenset[int]:
    """The CPUs of the lists that the kernel gives, one a line. Raises ValueError for what is none."""
    return frozenset(cpu for line in said.splitlines() for cpu in parse_cpu_list(line.strip()))
