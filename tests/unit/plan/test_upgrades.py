"""Another Kubernetes version; a bundle and a base image that were made anew: what is done, what is kept, what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision.base.errors import ConflictError
from provision.libvirt_xml import DomainSeen
from provision.plan import BUNDLE_DISK, UPGRADE, Observed, Plan
from provision.plan.compare import plan
from provision.plan.observed import NodeSeen
from provision.specs import baked_image, base_image, bundle_disk, copy_name
from provision.specs.objects import Desired
from tests.unit.plan.test_plan import BUNDLE, complete, domain
from tests.unit.sample import wanted

MEMBER = NodeSeen(member=True, version="v1.20.2")
LACKS = replace(MEMBER, unprepared=("1 image archive(s) to load",), bundle_wanted=True)

SEALED_AGAIN = bundle_disk("v1.20.2", "/cache/again.iso", "c3" * 32, 901)
BUILT_ANEW = base_image("debian-12", "/cache/anew.qcow2", "d4" * 32, 301)


def as_run(node: str) -> DomainSeen:
    """A guest with the disks that it has while it runs."""
    base = copy_name(wanted().base_image.volume, "00c0ffee")
    return domain(node, disks=(f"/srv/pool/{BUNDLE}",), backing=(f"/srv/pool/{base}",))


def planned(meant: Desired, **nodes: NodeSeen) -> Plan:
    seen = {"cp1": MEMBER, "w1": MEMBER, **nodes}
    return plan(meant, Observed({"hv1": complete(domains=(as_run("cp1"), as_run("w1")))}, seen, ()))


def with_artifacts(*, version: str = "v1.20.2", bundle: bool = True, image: bool = False) -> Desired:
    base = BUILT_ANEW if image else wanted().base_image
    sealed = replace(SEALED_AGAIN, title=version) if bundle else wanted().bundle
    meant = replace(wanted(), artifacts=(base, sealed), kubernetes=version)
    paths = {guest.node: f"/srv/pool/{sealed.volume}" for guest in meant.guests}
    return replace(meant, guests=tuple(replace(guest, bundle_path=paths[guest.node]) for guest in meant.guests))


def deeds(found: Plan) -> list[tuple[str, str, str]]:
    return [(action.stage, action.where, action.kind) for action in found.changes]


def test_a_bundle_that_was_sealed_again_changes_nothing_for_who_lacks_nothing_of_it() -> None:
    found = planned(with_artifacts())
    assert found.changes == ()
    assert [note for note in found.notes if "sealed again" in note] == [
        "bundle v1.20.2 was sealed again since cp1, w1 got its disk: they lack nothing of it, "
        "and keep theirs until something of the new one is needed"
    ]


def test_a_base_image_that_was_built_anew_changes_nothing_and_is_said() -> None:
    found = planned(with_artifacts(bundle=False, image=True))
    assert found.changes == ()
    assert [note for note in found.notes if "base image" in note] == [
        "base image debian-12 is another than cp1, w1 were made from: they keep theirs until `meshctl rebuild`"
    ]
    assert not any("base image debian-12 is another" in note for note in planned(wanted()).notes)


def test_one_that_was_baked_of_it_is_no_other_base_image() -> None:
    """Neither for guests that were made before the bake, nor the other way round."""
    plain = wanted().base_image
    baked = baked_image(plain, "v1.20.2", "/cache/baked.qcow2", "e5" * 32, 500)
    found = planned(replace(wanted(), artifacts=(baked, wanted().bundle)))
    assert (found.changes, [note for note in found.notes if "base image" in note]) == ((), [])
    lies = replace(as_run("w1"), backing=(f"/srv/pool/{copy_name(baked.volume, '00c0ffee')}",))
    seen = Observed({"hv1": complete(domains=(as_run("cp1"), lies))}, {"cp1": MEMBER, "w1": MEMBER}, ())
    assert not any("base image" in note for note in plan(wanted(), seen).notes)
    other = baked_image(BUILT_ANEW, "v1.20.2", "/cache/baked.qcow2", "e5" * 32, 500)
    said = planned(replace(wanted(), artifacts=(other, wanted().bundle))).notes
    assert any("is another than cp1, w1 were made from" in note for note in said)


def test_who_lacks_something_of_it_gets_its_disk_and_it_is_sent_there() -> None:
    found = planned(with_artifacts(), w1=LACKS)
    assert deeds(found) == [
        ("images", "hv1", "bundle"),
        ("kubernetes", "w1", BUNDLE_DISK),
        ("kubernetes", "w1", "node software"),
    ]
    assert any("since cp1 got its disk" in note for note in found.notes)


def test_who_has_the_disk_already_is_only_given_what_it_lacks() -> None:
    assert deeds(planned(wanted(), w1=LACKS)) == [("kubernetes", "w1", "node software")]


def test_a_disk_that_only_the_definition_or_only_the_running_guest_has_is_exchanged_again() -> None:
    """Killed between the two."""
    new = copy_name(SEALED_AGAIN.volume, "00c0ffee")
    w1 = as_run("w1")
    assert w1.stamp is not None
    for half in (replace(w1, disks=(f"/srv/pool/{new}",)), replace(w1, stamp=replace(w1.stamp, bundle=new))):
        seen = Observed({"hv1": complete(domains=(as_run("cp1"), half))}, {"cp1": MEMBER, "w1": LACKS}, ())
        assert ("kubernetes", "w1", BUNDLE_DISK) in deeds(plan(with_artifacts(), seen))


def test_a_later_patch_version_is_an_upgrade_the_control_plane_first() -> None:
    lacks = replace(LACKS, unprepared=("7 program(s) of the bundle to install",))
    found = planned(with_artifacts(version="v1.20.3"), cp1=lacks, w1=lacks)
    said = [(action.where, action.reason) for action in found.of("kubernetes", UPGRADE)]
    assert said == [
        (
            "cp1",
            "Kubernetes v1.20.2 → v1.20.3, first of all, not drained; Ready and routing again before the next node",
        ),
        ("w1", "Kubernetes v1.20.2 → v1.20.3, drained first; Ready and routing again before the next node"),
    ]
    assert [action.where for action in found.of("kubernetes", BUNDLE_DISK)] == ["cp1", "w1"]


def test_a_node_that_was_left_drained_behind_is_upgraded_and_not_only_taken_back() -> None:
    drained = replace(LACKS, drained=True)
    found = planned(with_artifacts(version="v1.20.3"), cp1=replace(MEMBER, version="v1.20.3"), w1=drained)
    kinds = [action.kind for action in found.of("kubernetes") if action.where == "w1"]
    assert (UPGRADE in kinds, "uncordon" in kinds) == (True, False)
    assert not [action for action in found.of("kubernetes") if action.where == "cp1"]


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("v1.21.0", "another minor version: kubeadm moves up by one"),
        ("v1.5.8", "another minor version: kubeadm moves up by one"),
        ("v1.20.1", "an older one, which need not read"),
    ],
)
def test_minor_versions_and_older_ones_are_refused_with_the_reason(version: str, why: str) -> None:
    with pytest.raises(
        ConflictError,
        match=f"w1 runs Kubernetes v1.20.2, the inventory wants {version}, {why}.*put kubernetes.version back",
    ):
        planned(with_artifacts(version=version), cp1=LACKS, w1=LACKS)


def test_who_is_no_member_yet_is_upgraded_by_nobody() -> None:
    fresh = NodeSeen(version="v1.20.2", bundle_wanted=True)
    found = planned(with_artifacts(version="v1.20.1"), cp1=fresh, w1=fresh)
    assert found.of("kubernetes", UPGRADE) == ()
    assert [action.where for action in found.of("kubernetes", BUNDLE_DISK)] == ["cp1", "w1"]
