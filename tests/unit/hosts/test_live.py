"""What the kernel says of threads and bridges: by a recorded answer, and by this machine's own."""

from __future__ import annotations

from provision.base.shell import Local
from provision.hosts.live import look, read_mtus, read_threads

ANSWER = """\
mtu 1500 meshbr0
mtu  br-gone
domain 811 lab-cp1
Name:\tqemu-system-x86
Pid:\t811
Cpus_allowed_list:\t0,32
Name:\tqemu-system-x86
Pid:\t813
Cpus_allowed_list:\t0-63
Name:\tIO iothread1
Pid:\t815
Cpus_allowed_list:\t0,32
Name:\tIO mon_iothread
Pid:\t816
Cpus_allowed_list:\t5
Name:\tCPU 0/KVM
Pid:\t817
Cpus_allowed_list:\t2
Name:\tCPU 11/KVM
Pid:\t818
Cpus_allowed_list:\t4-5
Name:\tvhost-811
Pid:\t819
Cpus_allowed_list:\t0
domain 902 lab-w1
Name:\tqemu-system-x86
Pid:\t902
Cpus_allowed_list:\t0
Name:\tCPU 0/TCG
Pid:\t904
Cpus_allowed_list:\t3
"""


def test_threads_that_have_a_pin_are_told_apart_from_those_that_have_none() -> None:
    assert read_threads(ANSWER) == {
        "lab-cp1": {"emulator pin": "0,32", "iothread 1 pin": "0,32", "vCPU 0 pin": "2", "vCPU 11 pin": "4-5"},
        "lab-w1": {"emulator pin": "0", "vCPU 0 pin": "3"},
    }


def test_bridges_that_are_there() -> None:
    assert read_mtus(ANSWER) == {"meshbr0": 1500}
    assert (read_threads(""), read_mtus("")) == ({}, {})


def test_this_machine_answers() -> None:
    """The loopback has an MTU on every Linux; a domain that does not run here has no process."""
    text = look(Local(), ["lo", "no-such-link"], ["meshctl-no-such-domain"])
    assert read_mtus(text) == {"lo": 65536}
    assert read_threads(text) == {}
