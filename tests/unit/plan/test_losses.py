"""Guests whose disks are gone while their domains are there: refused with the way, and nothing blank is made in their place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision.base.errors import ConflictError
from provision.libvirt_xml import DomainSeen
from provision.plan import HostSeen, Observed, Verb, losses, rebuilding
from provision.plan.compare import plan
from provision.specs import GONE, THROWN_AWAY, Owner
from tests.unit.plan import test_plan_storage
from tests.unit.plan.test_plan import BUNDLE, MEMBERS, complete, domain, planned, volumes_but
from tests.unit.plan.test_rebuilding import marked
from tests.unit.sample import wanted

ROOTS = {volume.node: volume.name for volume in wanted().volumes}
SEEDS = {seed.node: seed.name for seed in wanted().seeds}


def there(node: str, **more: object) -> DomainSeen:
    """A guest with the disks that it was defined with."""
    names = (ROOTS[node], SEEDS[node], BUNDLE)
    return domain(node, disks=tuple(f"/srv/pool/{name}" for name in names), **more)


def without(*names: str, cp1: bool = True, w1: bool = False) -> HostSeen:
    """A host whose pool lacks these; which guests run."""
    guests = (there("cp1", active=cp1), there("w1", active=w1))
    return complete(domains=guests, volumes=volumes_but(without=names))


def refused(seen: HostSeen) -> list[str]:
    with pytest.raises(ConflictError) as caught:
        planned(seen)
    title, *lines = caught.value.message.splitlines()
    assert title == f"{len(lines)} guest(s) that have lost what they start from:"
    assert "put it back" in caught.value.hint
    return [line.strip() for line in lines]


@pytest.mark.parametrize(("names", "what"), [(ROOTS, "root volume"), (SEEDS, "seed")])
def test_a_worker_is_told_to_be_rebuilt(names: dict[str, str], what: str) -> None:
    assert refused(without(names["w1"])) == [
        f"hv1: guest w1 cannot start: its {what} {names['w1']} is gone: `meshctl rebuild INVENTORY w1` makes the node anew"
    ]


def test_all_of_a_dead_device_is_one_sentence_for_each_guest() -> None:
    lines = refused(without(*ROOTS.values(), *SEEDS.values(), cp1=False))
    assert [line.partition(":")[2].partition(":")[0] for line in lines] == [
        " guest cp1 cannot start",
        " guest w1 cannot start",
    ]
    assert f"{ROOTS['w1']} and its seed {SEEDS['w1']} is gone" in lines[1]
    assert lines[0].endswith("is gone: `meshctl restore INVENTORY FILE` makes the control plane anew from a backup")


def test_of_one_that_still_runs_it_is_said_and_its_state_can_be_saved() -> None:
    cp1, w1 = refused(without(*ROOTS.values(), w1=True))
    assert w1 == (
        f"hv1: guest w1 still runs, but its root volume {ROOTS['w1']} is gone, and it would not start again:"
        " `meshctl rebuild INVENTORY w1` makes the node anew"
    )
    assert "while it answers `meshctl rebuild INVENTORY cp1` takes its state along, else `meshctl restore" in cp1


def test_who_is_made_anew_is_not_refused() -> None:
    for asked, seen in (
        ({"w1": THROWN_AWAY}, without(ROOTS["w1"], SEEDS["w1"])),
        (
            {},
            complete(
                domains=(there("cp1"), marked("w1", GONE, active=False)), volumes=volumes_but(without=(ROOTS["w1"],))
            ),
        ),
    ):
        anew = rebuilding.anew(Owner("lab"), {"hv1": seen}, asked)
        found = plan(wanted(), Observed({"hv1": seen}, MEMBERS, ()), anew=anew)
        assert [one.name for one in found.of("volumes", "root volume")] == [ROOTS["w1"]]


def test_nothing_is_concluded_from_a_pool_that_nobody_can_look_into_or_of_other_peoples_guests() -> None:
    (pool,) = complete().pools
    for pools in ((), (replace(pool, active=False),)):
        assert losses(wanted(), {"hv1": complete(pools=pools, volumes=())}) == {}
    theirs = complete(domains=tuple(replace(there(node), stamp=None) for node in ROOTS), volumes=())
    assert losses(wanted(), {"hv1": theirs}) == {}
    assert losses(wanted(), {"hv1": complete(domains=(), volumes=())}) == {}


def test_a_logical_volume_that_is_gone_is_a_loss_too() -> None:
    desired = test_plan_storage.wanted(test_plan_storage.LOGICAL)
    seen = complete(domains=(domain("w1"),), storage=test_plan_storage.with_group())
    assert losses(desired, {"hv1": seen})["w1"].what == f"its root volume {test_plan_storage.ROOT}"


# ── the bundle's disk, in whose place any copy of a bundle will do ─────────────────────────────────────────────────


def test_a_running_guest_gets_another_disk_for_its_bundle_and_one_that_is_off_at_its_start() -> None:
    found = planned(without(BUNDLE, w1=True))
    assert [one.name for one in found.of("kubernetes", "bundle disk")] == ["cp1", "w1"]
    assert [one.kind for one in found.of("images")] == ["bundle"]
    assert found.of("guests") == ()
    off = planned(without(BUNDLE))
    assert [one.name for one in off.of("kubernetes", "bundle disk")] == ["cp1"]
    (guest,) = off.of("guests", "guest")
    assert (guest.name, guest.verb) == ("w1", Verb.CHANGE)
    assert guest.reason.startswith(
        "the disk of its bundle is gone from the pool: gets that of the inventory's; 2 vCPUs"
    )
