"""Statistics of a domain, as libvirt 9.0 with QEMU says them."""

from __future__ import annotations

from provision.hosts import DomainTimes, VcpuTimes
from provision.hosts.vcpu_times import times_in

SAID = {
    "state.state": 1,
    "state.reason": 1,
    "vcpu.current": 2,
    "vcpu.maximum": 4,
    "vcpu.0.state": 1,
    "vcpu.0.time": 1_500_000_000,
    "vcpu.0.wait": 0,
    "vcpu.0.halted": 1,
    "vcpu.0.delay": 250_000_000,
    "vcpu.1.state": 1,
    "vcpu.1.time": 0,
    "vcpu.1.wait": 0,
}


def test_what_vcpus_ran_and_waited() -> None:
    assert times_in(SAID) == DomainTimes({0: VcpuTimes(1.5, 0.25), 1: VcpuTimes(0.0, None)})


def test_of_some_nothing_is_known() -> None:
    assert times_in({"state.state": 1, "state.reason": 1, "vcpu.maximum": 2}) == DomainTimes({})
