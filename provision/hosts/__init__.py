"""Hypervisors from the inside: libvirt, their shell, their disks, and the threads of live domains.

To live here a line reads or changes a host. `hypervisor` is the one file of the house that imports libvirt.
"""

from provision.hosts.backing import check_backing
from provision.hosts.core_kinds import with_core_kinds
from provision.hosts.downloads import fetch
from provision.hosts.host_disks import (
    claim,
    clear,
    extend_logical,
    fill,
    make_group,
    make_logical,
    make_thin_pool,
    mark_ready,
    observe_storage,
    release,
    remove_group,
    remove_logical,
)
from provision.hosts.host_shell import host_shell
from provision.hosts.hypervisor import Hypervisor
from provision.hosts.live import observe_live
from provision.hosts.noise import Noise
from provision.hosts.pools import PoolLook, look_at_pools, observe_disks
from provision.hosts.refusal import advice
from provision.hosts.uploads import abandoned, copy_path, remove_copy, send, verify_again
from provision.hosts.vcpu_times import DomainTimes, VcpuTimes
from provision.hosts.wire import in_use, routed

__all__ = [
    "DomainTimes",
    "Hypervisor",
    "Noise",
    "PoolLook",
    "VcpuTimes",
    "abandoned",
    "advice",
    "check_backing",
    "claim",
    "clear",
    "copy_path",
    "extend_logical",
    "fetch",
    "fill",
    "host_shell",
    "in_use",
    "look_at_pools",
    "make_group",
    "make_logical",
    "make_thin_pool",
    "mark_ready",
    "observe_disks",
    "observe_live",
    "observe_storage",
    "release",
    "remove_copy",
    "remove_group",
    "remove_logical",
    "routed",
    "send",
    "verify_again",
    "with_core_kinds",
]
