"""The door to libvirt, and a real libvirtd that stops answering."""

from __future__ import annotations

import time
from collections.abc import Callable

import libvirt
import pytest

from provision.base.errors import HypervisorError
from provision.base.parallel import for_each
from provision.hosts import hypervisor as door
from provision.hosts.connection import Patience
from provision.hosts.hypervisor import Hypervisor
from tests.libvirt.daemon import Daemon

POOL = "<pool type='dir'><name>p</name><target><path>/nowhere</path></target></pool>"

CALLS: dict[str, Callable[[Hypervisor], object]] = {
    "list domains": lambda one: one.domains(),
    "create the storage pool": lambda one: one.create_pool(POOL),
    "start test": lambda one: one.start_domain("test"),
}


def _connected(daemon: Daemon, patience: Patience) -> Hypervisor:
    made = Hypervisor("hv1", daemon.uri, patience=patience)
    assert [domain.name for domain in made.domains()] == ["test"]
    return made


@pytest.mark.parametrize("what", CALLS)
def test_each_call_has_a_deadline_and_says_host_deed_and_next_step(libvirtd: Daemon, what: str) -> None:
    hypervisor = _connected(libvirtd, Patience(open=1, read=1, change=1, slow=1))
    libvirtd.stop()
    started = time.monotonic()
    with pytest.raises(HypervisorError, match=f"hv1: cannot {what}: libvirt has not answered for 1 s") as caught:
        CALLS[what](hypervisor)
    assert time.monotonic() - started < 3
    assert f"virsh -c '{libvirtd.uri}' version" in caught.value.hint


def test_opening_has_one_deadline_for_all_who_wait_for_it(libvirtd: Daemon) -> None:
    hypervisor = Hypervisor("hv1", libvirtd.uri, patience=Patience(open=1))
    libvirtd.stop()
    started = time.monotonic()
    with pytest.raises(HypervisorError, match=r"not answered for 1 s \(opening the connection\)"):
        for_each(range(8), lambda _: hypervisor.domains())
    hypervisor.close()
    assert time.monotonic() - started < 4


def test_the_connection_is_given_up_too_and_the_next_call_opens_another(libvirtd: Daemon) -> None:
    hypervisor = _connected(libvirtd, Patience(read=1))
    libvirtd.stop()
    with pytest.raises(HypervisorError):
        hypervisor.domains()
    libvirtd.go_on()
    assert [domain.name for domain in hypervisor.domains()] == ["test"]
    hypervisor.close()


def test_keepalive_ends_a_connection_to_a_daemon_that_hangs(libvirtd: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "ALIVE_S", 1)
    monkeypatch.setattr(door, "ALIVE_COUNT", 1)
    hypervisor = _connected(libvirtd, Patience(read=30))
    libvirtd.stop()
    started = time.monotonic()
    with pytest.raises(HypervisorError, match=r"hv1: cannot list domains: .*keepalive") as caught:
        hypervisor.domains()
    assert time.monotonic() - started < 10
    assert "restart libvirtd" in caught.value.hint
    libvirtd.go_on()
    assert [domain.name for domain in hypervisor.domains()] == ["test"]


def test_closing_a_connection_to_a_daemon_that_hangs_does_not(libvirtd: Daemon) -> None:
    hypervisor = _connected(libvirtd, Patience())
    libvirtd.stop()
    started = time.monotonic()
    hypervisor.close()
    assert time.monotonic() - started < 3


def test_what_libvirt_says_still_comes_through_with_its_words(libvirtd: Daemon) -> None:
    hypervisor = _connected(libvirtd, Patience())
    with pytest.raises(HypervisorError, match="hv1: cannot start nobody: Domain not found"):
        hypervisor.start_domain("nobody")
    with hypervisor._reading("look") as connection, pytest.raises(libvirt.libvirtError):
        connection.lookupByName("nobody")
