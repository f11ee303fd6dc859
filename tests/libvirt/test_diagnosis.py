"""`meshctl diagnose` through its own doors: a guest of libvirt's test driver, its real sshd, and the script that runs behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from provision.base.events import Event, Progress
from provision.diagnose import as_text, judge
from provision.libvirt_xml import domain_xml
from provision.run.diagnosis import diagnose
from provision.run.engine import opened
from provision.specs import Stamp
from tests.libvirt.test_access import cluster
from tests.unit.guests.sshd import Sshd, public_of, running
from tests.unit.sample import wanted


@pytest.fixture
def sshd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("MESHCTL_STATE", str(tmp_path / "state"))
    with running(tmp_path / "guest") as made:
        yield made


def test_what_is_there_is_looked_at_and_what_is_not_is_said(uri: str, sshd: Sshd) -> None:
    events: list[Event] = []
    with opened(cluster(uri, sshd, key_file=str(sshd.user)), events.append) as world:
        guest = wanted().guest("cp1")
        stamp = Stamp("lab", "cp1", "0123456789abcdef", guest.address, public_of(sshd.folder / "host"), "seed.iso")
        stamp = replace(stamp, owner=world.cluster.owner.id, vcpu_pins="1,2")
        door = world.hypervisors["hv1"]
        door.define_domain(domain_xml(guest, stamp))
        door.start_domain(guest.domain)
        seen = diagnose(world, "", 1.0)
    assert [(one.name, one.host) for one in seen.guests] == [("cp1", "hv1")]
    assert seen.guests[0].own.segments_sent >= 0
    why = dict(seen.unseen)
    assert why["w1"] == "its guest does not run, or was not seen"
    assert why["hv1"] == "its URI leads to no shell"
    assert "pods and endpoints have no names" in why["Kubernetes"]
    assert seen.routers[0].fault
    assert {one.what for one in events if isinstance(one, Progress)} == {"looking at 2 machines"}
    assert "not seen: w1" in as_text(judge(seen))
