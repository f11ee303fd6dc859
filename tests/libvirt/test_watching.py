"""`meshctl watch` through its own doors: a guest of libvirt's test driver, its real sshd, and the script that stays behind it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from provision.libvirt_xml import domain_xml
from provision.run.engine import World, opened
from provision.run.watched import Watched
from provision.run.watching import Watching, watching
from provision.specs import Stamp
from tests.libvirt import test_diagnosis
from tests.libvirt.test_access import cluster
from tests.unit.guests.sshd import Sshd, public_of
from tests.unit.sample import wanted

LONG_S = 90.0


sshd = test_diagnosis.sshd


@pytest.fixture
def world(uri: str, sshd: Sshd) -> Iterator[World]:
    with opened(cluster(uri, sshd, key_file=str(sshd.user)), print) as made:
        guest = wanted().guest("cp1")
        stamp = Stamp("lab", "cp1", "0123456789abcdef", guest.address, public_of(sshd.folder / "host"), "seed.iso")
        door = made.hypervisors["hv1"]
        door.define_domain(domain_xml(guest, replace(stamp, owner=made.cluster.owner.id, vcpu_pins="1,2")))
        door.start_domain(guest.domain)
        yield made


def until(seen: Watching, there: Callable[[Watched], bool]) -> Watched:
    ends_s = time.monotonic() + LONG_S
    while time.monotonic() < ends_s:
        if there(now := seen.now()):
            return now
        time.sleep(0.1)
    raise AssertionError(f"not within {LONG_S} s: {seen.now()}")


def test_what_is_there_is_watched_and_what_is_not_is_said(world: World, sshd: Sshd) -> None:
    with watching(world, 1.0) as seen:
        assert seen.now().rows[0].fault == "it has not answered yet"
        now = until(seen, lambda one: one.rows[0].busy is not None and bool(one.rows[1].fault))
        assert seen.complete()
    cp1, w1 = now.rows
    assert (cp1.node, cp1.host, cp1.fault, cp1.steal_by) == ("cp1", "hv1", "", "guest")
    assert cp1.age_s is not None
    assert cp1.again_per_s is not None
    assert now.cost is not None
    assert 0 < now.cost < 1
    assert w1.fault == "w1: no host that answers has its guest"
    why = dict(now.unseen)
    assert why["hv1"] == "waits of vCPUs: libvirt does not say them"
    assert "linkerd on cp1" in why
    world.sessions.close()
    ends_s = time.monotonic() + LONG_S
    while scripts(sshd) and time.monotonic() < ends_s:
        time.sleep(0.1)
    assert scripts(sshd) == []  # nothing of it stays on the guest


def test_a_guest_that_is_lost_is_shown_as_that_and_heard_again(
    world: World, sshd: Sshd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provision.run.watching.RETRY_S", 0.5)
    with watching(world, 1.0) as seen:
        until(seen, lambda one: one.rows[0].busy is not None)
        for pid in sshd.descendants():
            if pid != sshd.process.pid:
                os.kill(pid, 9)
        lost = until(seen, lambda one: bool(one.rows[0].fault))
        assert (lost.rows[0].busy, lost.rows[0].age_s is not None) == (None, True)
        until(seen, lambda one: not one.rows[0].fault and one.rows[0].busy is not None)


def scripts(sshd: Sshd) -> list[int]:
    """Processes of sessions that are the script."""
    found = []
    for pid in sshd.descendants():
        with suppress(OSError):
            if "on_guest" in Path(f"/proc/{pid}/cmdline").read_text(errors="replace"):
                found.append(pid)
    return found
