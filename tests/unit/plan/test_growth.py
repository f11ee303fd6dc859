"""Volumes that are smaller or larger than the inventory says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision.base.errors import ConflictError
from provision.base.units import MIB
from provision.libvirt_xml import VolumeSeen
from provision.plan.action import Verb
from provision.plan.compare import plan
from provision.plan.growth import growth, smaller
from provision.plan.observed import HostSeen, NodeSeen, Observed
from provision.storage.claims import READY_TAG, Claim
from provision.storage.seen import Logical
from tests.unit.plan.test_plan import MEMBERS, complete, planned, volumes_but
from tests.unit.plan.test_plan_storage import BLOCK, DATA, EMPTY, LOGICAL, ROOT, on_devices, wanted, with_group
from tests.unit.sample import wanted as files

FILE = files().volumes[1].name


def of_size(mib: int) -> HostSeen:
    return complete(volumes=volumes_but(VolumeSeen(FILE, "", 1, capacity=mib * MIB)))


def logical(root_mib: int, data_mib: int, *tags: str) -> HostSeen:
    made = (Logical("vg0", ROOT, root_mib * MIB, tags), Logical("vg0", DATA, data_mib * MIB, tags))
    return replace(EMPTY, storage=with_group(*made))


def test_a_file_that_is_smaller_is_one_change_and_its_guest_is_not_defined_again() -> None:
    found = planned(of_size(10240))
    (action,) = found.changes
    assert (action.stage, action.verb, action.kind, action.name) == ("volumes", Verb.CHANGE, "root volume size", FILE)
    assert action.reason == "10240 → 12288 MiB, grown live"
    assert planned(of_size(12288)).changes == ()


def test_a_logical_volume_grows_and_one_that_was_being_filled_is_filled_first() -> None:
    (action,) = (one for volume in wanted(LOGICAL).volumes for one in growth(volume, "lab", logical(10240, 10000)))
    assert (action.kind, action.reason) == ("root volume size", "10240 → 20000 MiB, grown while its guest is off")
    member = replace(wanted(LOGICAL).members[0], role="control-plane")
    said = replace(wanted(LOGICAL), members=(member,))
    for tags, kinds in (((), ["root volume", "root volume size"]), ((READY_TAG,), ["root volume size"])):
        found = plan(said, Observed({"hv1": logical(10240, 10000, *tags)}))
        assert [one.kind for one in found.of("volumes") if one.name == ROOT] == kinds


def refused(seen: HostSeen) -> list[str]:
    with pytest.raises(ConflictError) as caught:
        plan(wanted(LOGICAL), Observed({"hv1": seen}))
    return caught.value.message.splitlines()


def test_all_that_would_become_smaller_is_refused_at_once() -> None:
    assert [line.partition(": a filesystem")[0] for line in refused(logical(20480, 12000))[1:]] == [
        "  hv1: w1: disk has 20480 MiB, the inventory now says 20000",
        "  hv1: w1: volume tracing has 12000 MiB, the inventory now says 10000",
    ]


def test_what_lvm_rounds_up_is_not_larger() -> None:
    root = wanted(LOGICAL).volumes[0]
    assert list(smaller(root, logical(20000 + 3, 10000))) == []
    assert len(list(smaller(root, logical(20000 + 4, 10000)))) == 1


def test_a_device_is_what_it_is() -> None:
    seen = replace(EMPTY, storage=on_devices(nvme0n1p3=Claim(ROOT, ready=True), nvme0n1p4=Claim(DATA, ready=True)))
    for volume in wanted(BLOCK).volumes:
        assert ([*growth(volume, "lab", seen)], [*smaller(volume, seen)]) == ([], [])


def test_a_change_of_the_login_is_an_action_of_the_guest() -> None:
    found = planned(complete(), MEMBERS | {"w1": NodeSeen(member=True, login="A → B")})
    (action,) = found.changes
    assert (action.stage, action.where, action.kind, action.reason) == ("guests", "w1", "login", "A → B")
