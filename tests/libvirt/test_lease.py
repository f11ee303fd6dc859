"""The lease of a host, on libvirt's test driver: one run at a time, of any number of machines, and no dead one stays in the way."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provision.base.calls import Calls
from provision.base.errors import ConflictError, LockedError
from provision.base.events import Event, nowhere
from provision.hosts.hypervisor import Hypervisor
from provision.libvirt_xml import Lease
from provision.run import lease as leases
from provision.run.lease import leased, process_name

OTHER = Lease(
    "00000000-0000-4000-8000-000000000001", "ada@ops2", "provision demo", "2026-01-01T00:00:00Z", "elsewhere", "0"
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "BEAT_S", 0.1)
    monkeypatch.setattr(leases, "EXPIRY_S", 1.0)


def hold(hypervisor: Hypervisor, **more: Any) -> Any:
    return leased({"hv1": hypervisor}, Calls(), "provision demo", nowhere, **more)


def test_a_host_is_held_until_the_end_and_nobody_takes_the_lease_for_a_network(hypervisor: Hypervisor) -> None:
    with hold(hypervisor):
        held = hypervisor.lease()
        assert held is not None
        assert held.command == "provision demo"
        assert hypervisor.networks() == ()
    assert hypervisor.lease() is None


def test_it_is_given_back_after_a_failure(hypervisor: Hypervisor) -> None:
    with pytest.raises(ZeroDivisionError), hold(hypervisor):
        raise ZeroDivisionError
    assert hypervisor.lease() is None


def test_who_looks_while_it_is_given_back_sees_that_nobody_has_it(hypervisor: Hypervisor) -> None:
    """Somebody takes it and gives it back all the time: a look finds it, or nobody's, and does not fail in between."""
    end, seen = threading.Event(), set()

    def come_and_go() -> None:
        while not end.is_set():
            hypervisor.put_lease(OTHER)
            hypervisor.drop_lease(OTHER.uuid)

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        for _ in range(3000):
            seen.add(hypervisor.lease())
    finally:
        end.set()
        thread.join()
    assert seen == {None, OTHER}


def test_a_second_run_is_refused_and_leaves_the_first_its_lease(hypervisor: Hypervisor) -> None:
    with hold(hypervisor):
        with (
            pytest.raises(LockedError, match=r"hv1: another run is at work there: .*\(provision demo, since "),
            hold(hypervisor),
        ):
            pytest.fail("both hold the host")
        assert hypervisor.lease() is not None
    assert hypervisor.lease() is None


def test_a_second_run_that_waits_gets_its_turn(hypervisor: Hypervisor) -> None:
    first_has_it, enough = threading.Event(), threading.Event()

    def first() -> None:
        with hold(hypervisor):
            first_has_it.set()
            enough.wait(0.5)

    thread = threading.Thread(target=first)
    thread.start()
    assert first_has_it.wait(10)
    with hold(hypervisor, patience_s=30):
        assert not thread.is_alive() or hypervisor.lease() is not None
    thread.join()
    assert hypervisor.lease() is None


def test_only_one_of_many_gets_it_at_a_time(hypervisor: Hypervisor) -> None:
    inside, most, refused, lock = [0], [0], [0], threading.Lock()

    def run() -> None:
        try:
            with hold(hypervisor, patience_s=0.3):
                with lock:
                    inside[0] += 1
                    most[0] = max(most[0], inside[0])
                threading.Event().wait(0.05)
                with lock:
                    inside[0] -= 1
        except LockedError:
            refused[0] += 1

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 1
    assert hypervisor.lease() is None


def test_the_lease_of_a_process_of_this_machine_that_ended_is_taken_over_at_once(hypervisor: Hypervisor) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        name = process_name(other.pid)
        other.kill()
    hypervisor.put_lease(replace(OTHER, process=name))
    said: list[Event] = []
    with leased({"hv1": hypervisor}, Calls(), "x", said.append):
        assert hypervisor.lease() != OTHER
    assert "the lease of ada@ops2 (provision demo, since 2026-01-01T00:00:00Z) was taken over" in str(said)


def test_the_lease_of_another_machine_that_gives_no_sign_is_taken_over_when_it_has_expired(
    hypervisor: Hypervisor,
) -> None:
    hypervisor.put_lease(OTHER)
    began = time.monotonic()
    with hold(hypervisor):
        assert time.monotonic() - began >= leases.EXPIRY_S


def test_a_run_that_lost_its_lease_changes_nothing_more(
    hypervisor: Hypervisor, waited: Callable[[Callable[[], bool]], None]
) -> None:
    with leased({"hv1": hypervisor}, hypervisor.calls, "x", nowhere):
        mine = hypervisor.lease()
        assert mine is not None
        hypervisor.drop_lease(mine.uuid)
        while not hypervisor.put_lease(OTHER):
            hypervisor.drop_lease(mine.uuid)
        waited(lambda: hypervisor.calls.refused)
        with pytest.raises(ConflictError, match="this run has lost its lease: nothing more is changed"):
            hypervisor.create_network("<network><name>n</name></network>")
        assert hypervisor.networks() == ()
    found = hypervisor.lease()
    assert found is not None
    assert found.uuid == OTHER.uuid


def test_a_host_that_goes_away_is_changed_no_more_and_the_others_are(
    hypervisor: Hypervisor, waited: Callable[[Callable[[], bool]], None], tmp_path: Path
) -> None:
    whole = Calls()
    here = Hypervisor("hv1", hypervisor.uri, Calls(whole=whole))
    gone = Hypervisor("hv2", "test:///default", Calls(whole=whole))
    with leased({"hv1": here, "hv2": gone}, whole, "x", nowhere):
        gone.close()
        gone.uri = f"test://{tmp_path}/gone.xml"
        waited(lambda: gone.calls.refused)
        here.create_network("<network><name>n</name><bridge name='virbr-n'/></network>")
        with pytest.raises(ConflictError, match="hv2: this run has lost its lease"):
            gone.remove_network("n")
    here.remove_network("n")
    assert (here.lease(), whole.mutations) == (None, 2)
    here.close()


@pytest.fixture
def waited() -> Callable[[Callable[[], bool]], None]:
    from provision.base.waiting import NotYet, Ready, wait_until

    def wait(true: Callable[[], bool]) -> None:
        wait_until(lambda: Ready(None) if true() else NotYet("not yet"), what="it", within_s=10, every_s=0.05)

    return wait


def test_a_machine_under_two_names_is_held_once(hypervisor: Hypervisor) -> None:
    twice = Hypervisor("hv2", hypervisor.uri)
    twice._connection = hypervisor._connection
    with leased({"hv1": hypervisor, "hv2": twice}, Calls(), "x", nowhere):
        assert hypervisor.lease() is not None
    assert hypervisor.lease() is None


def test_what_somebody_made_by_hand_under_that_name_holds_too(hypervisor: Hypervisor) -> None:
    by_hand = hypervisor._connection.use("do it by hand", changes=True)
    by_hand.networkDefineXML("<network><name>meshctl-lease</name><bridge name='virbr-x'/></network>")
    found = hypervisor.lease()
    assert found is not None
    assert found.holder == "somebody"


def test_a_process_has_a_name_while_it_lives() -> None:
    assert process_name(os.getpid()) == process_name(os.getpid()) != ""
    assert process_name(2**22 + 1) == ""
