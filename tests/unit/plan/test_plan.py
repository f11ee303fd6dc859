"""Desired against observed: what is created, changed, left, and what is a conflict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision.base.errors import ConflictError
from provision.libvirt_xml.libvirt_seen import DomainSeen, Holder, NetworkSeen, PoolSeen, VolumeSeen
from provision.plan.compare import Plan, Verb, plan
from provision.plan.observed import HostSeen, NodeSeen, Observed
from provision.plan.removal import removals
from provision.specs import Owner
from provision.specs.artifact_names import copy_name, is_artifact, mark_name
from provision.specs.objects import GuestSpec, digest
from provision.specs.stamp import Stamp
from provision.specs.volume_names import owned_volume, volume_name
from tests.unit.sample import CLUSTER, wanted

EMPTY = HostSeen((), (), (), (), "kvm")

BASE, BUNDLE = (copy_name(artifact.volume, "00c0ffee") for artifact in wanted().artifacts)
"""The copies in the pool."""


def as_made(node: str) -> GuestSpec:
    """The guest as it was defined: on the copy of the bundle that its pool has."""
    return replace(wanted().guest(node), bundle_path=f"/srv/pool/{BUNDLE}")


def domain(node: str, **more: object) -> DomainSeen:
    guest = wanted().guest(node)
    seed = next(seed.name for seed in wanted().seeds if seed.node == node)
    stamp = Stamp("lab", node, digest(as_made(node)), guest.address, "ssh-ed25519 AAAA", seed, BUNDLE)
    seen = DomainSeen(
        guest.domain, guest.uuid, True, stamp, "kvm", guest.memory_mib, 2, ("1", "2"), "0", ("0",), False, ()
    )
    return replace(seen, **more)  # type: ignore[arg-type]


def complete(**more: object) -> HostSeen:
    desired = wanted()
    network = desired.networks[0]
    seen = HostSeen(
        domains=(domain("cp1"), domain("w1")),
        networks=(
            NetworkSeen(
                network.name, network.uuid, True, Stamp("lab", "", digest(network)), "meshbr0", ("10.77.0.1/24",)
            ),
        ),
        pools=(PoolSeen("meshctl", desired.pools[0].uuid, True, "dir", "/srv/pool"),),
        volumes=(
            VolumeSeen(BASE, f"/srv/pool/{BASE}", 300, 10.0),
            VolumeSeen(mark_name(BASE), "", 0, 11.0),
            VolumeSeen(BUNDLE, f"/srv/pool/{BUNDLE}", 900, 10.0),
            VolumeSeen(mark_name(BUNDLE), "", 0, 11.0),
            *(VolumeSeen(root.name, "", 1) for root in desired.volumes),
            *(VolumeSeen(seed.name, "", 1) for seed in desired.seeds),
        ),
        virtualization="kvm",
    )
    return replace(seen, **more)  # type: ignore[arg-type]


MEMBERS = {"cp1": NodeSeen(member=True), "w1": NodeSeen(member=True)}


def planned(host: HostSeen, nodes: dict[str, NodeSeen] | None = None, mesh: tuple[str, ...] | None = ()) -> Plan:
    return plan(wanted(), Observed({"hv1": host}, MEMBERS if nodes is None else nodes, mesh))


def change(found: Plan, kind: str) -> list[tuple[Verb, str]]:
    return [(action.verb, action.reason) for action in found.changes if action.kind == kind]


def test_from_nothing_everything_is_created_in_the_order_of_the_stages() -> None:
    found = planned(EMPTY, {}, None)
    assert {action.verb for action in found.actions} == {Verb.CREATE}
    stages = list(dict.fromkeys(action.stage for action in found.actions))
    assert stages == ["hosts", "images", "networks", "volumes", "guests", "kubernetes", "mesh"]
    tasks = [action.kind for action in found.of("kubernetes") if action.kind.startswith("kubeadm")]
    assert tasks == ["kubeadm init", "kubeadm join"]


def test_a_complete_cluster_needs_nothing() -> None:
    found = planned(complete())
    assert found.changes == ()
    assert len(found.actions) == 17


def volumes_but(*changed: VolumeSeen, without: tuple[str, ...] = ()) -> tuple[VolumeSeen, ...]:
    """The volumes of a complete host, some of them otherwise and some not there."""
    found = {volume.name: volume for volume in (*complete().volumes, *changed)}
    return tuple(volume for name, volume in found.items() if name not in without)


ROOT, NEW = (volume.name for volume in wanted().volumes)


@pytest.mark.parametrize("size", [7, 300])
def test_an_unmarked_copy_is_no_copy_whatever_its_size(size: int) -> None:
    volumes = volumes_but(VolumeSeen(BASE, f"/srv/pool/{BASE}", size, 10.0), without=(mark_name(BASE), NEW))
    found = planned(complete(volumes=volumes, domains=(domain("cp1"),)))
    assert change(found, "base image") == [(Verb.CREATE, "debian-12 is not in pool meshctl: 0 MiB to send")]
    assert any(f"{BASE} is not complete" in note for note in found.notes)


def test_nothing_is_sent_where_nothing_is_made_from_it() -> None:
    gone = (BASE, mark_name(BASE), BUNDLE, mark_name(BUNDLE))
    assert planned(complete(volumes=volumes_but(without=gone))).changes == ()


def test_a_copy_that_was_written_to_is_verified_again_before_anything_is_made_on_it() -> None:
    touched = VolumeSeen(BASE, f"/srv/pool/{BASE}", 300, 12.0)
    assert planned(complete(volumes=volumes_but(touched))).changes == ()
    found = planned(complete(volumes=volumes_but(touched, without=(NEW,)), domains=(domain("cp1"),)))
    assert change(found, "base image") == [
        (Verb.CHANGE, f"{BASE} was written to after it was verified: is verified again")
    ]


def test_a_marked_copy_of_another_size_is_a_conflict_that_names_it() -> None:
    with pytest.raises(ConflictError, match=rf"hv1: volume {BASE} in pool meshctl .* 299 bytes now instead of 300"):
        planned(complete(volumes=volumes_but(VolumeSeen(BASE, f"/srv/pool/{BASE}", 299, 10.0))))


def test_guests_of_the_former_naming_keep_their_base_and_their_bundle() -> None:
    """No stamp of theirs names the bundle: it is seen among their disks."""
    former = "meshctl.bundle.fedcba098765.iso"

    def made_before(node: str) -> DomainSeen:
        old = replace(wanted().guest(node), bundle_path=f"/srv/pool/{former}")
        stamp = replace(domain(node).stamp or Stamp("", "", ""), digest=digest(old), bundle="")
        return domain(node, stamp=stamp, disks=(f"/srv/pool/{former}",))

    volumes = volumes_but(
        VolumeSeen("meshctl.debian-12.1234567890ab.qcow2", "", 300),
        VolumeSeen(former, "", 900),
        without=(BASE, mark_name(BASE), BUNDLE, mark_name(BUNDLE)),
    )
    assert planned(complete(domains=(made_before("cp1"), made_before("w1")), volumes=volumes)).changes == ()


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (
            complete(
                pools=(replace(complete().pools[0], active=False),),
                domains=(domain("cp1", disks=("/srv/pool/root.qcow2",)), domain("w1")),
            ),
            "pool",
        ),
        (complete(networks=(replace(complete().networks[0], active=False),)), "network"),
        (complete(domains=(domain("cp1", active=False), domain("w1"))), "guest"),
    ],
)
def test_what_is_defined_but_not_running_is_started(seen: HostSeen, kind: str) -> None:
    assert [verb for verb, _ in change(planned(seen), kind)] == [Verb.START]


def test_a_pool_that_an_ended_run_left_is_made_whole_but_never_where_a_guest_has_its_disk() -> None:
    """Its folder may not be there yet; where a guest has a disk, a folder that is gone is a disk that is not mounted."""
    left = replace(complete().pools[0], active=False, autostart=False)
    ((verb, reason),) = change(planned(complete(pools=(left,))), "pool")
    assert (verb, "carried on" in reason) == (Verb.CREATE, True)
    theirs = replace(left, uuid="theirs")
    assert [verb for verb, _ in change(planned(complete(pools=(theirs,))), "pool")] == [Verb.START]


def test_a_network_that_never_started_is_defined_again_with_other_settings() -> None:
    network = complete().networks[0]
    left = replace(network, active=False, stamp=Stamp("lab", "", "old"))
    ((verb, reason),) = change(planned(complete(networks=(left,), domains=())), "network")
    assert (verb, "defined again" in reason) == (Verb.CREATE, True)
    for lived_in in (complete(networks=(left,)), complete(networks=(replace(left, active=True),), domains=())):
        with pytest.raises(ConflictError, match="made with other settings"):
            planned(lived_in)


def test_a_paused_guest_is_said_and_never_started_over() -> None:
    found = planned(complete(domains=(domain("cp1"), domain("w1", halted="paused by somebody: `virsh resume lab-w1`"))))
    (action,) = [action for action in found.actions if (action.kind, action.name) == ("guest", "w1")]
    assert action.verb is Verb.LEAVE
    assert action.reason.startswith("ours, paused by somebody: `virsh resume lab-w1`; ")
    assert found.halted == ("hv1: guest w1 is paused by somebody: `virsh resume lab-w1`",)


def test_a_guest_that_crashed_says_so_before_it_is_started() -> None:
    found = planned(complete(domains=(domain("cp1"), domain("w1", active=False, ended="it crashed"))))
    assert change(found, "guest") == [(Verb.START, "it is defined but not running: it crashed")]


def test_a_stamp_that_cannot_be_read_is_noted_and_not_ours() -> None:
    odd = domain("w1", name="odd", stamp=None, garbage="address 'x'")
    found = planned(complete(domains=(*complete().domains, odd)))
    assert found.changes == ()
    assert found.notes == (
        "hv1: domain odd carries a stamp like ours that cannot be read (address 'x'): not ours, left alone",
    )


def test_a_guest_of_another_definition_is_changed() -> None:
    stamp = replace(domain("w1").stamp or Stamp("", "", ""), digest="old")
    found = planned(complete(domains=(domain("cp1"), domain("w1", stamp=stamp))))
    assert [verb for verb, _ in change(found, "guest")] == [Verb.CHANGE]


def test_a_guest_keeps_the_seed_it_was_made_with_and_the_plan_says_so() -> None:
    old = replace(as_made("w1"), seed_path="/srv/pool/old-seed.iso")
    stamp = Stamp("lab", "w1", digest(old), old.address, "ssh-ed25519 AAAA", "old-seed.iso", BUNDLE)
    found = planned(complete(domains=(domain("cp1"), domain("w1", stamp=stamp))))
    assert found.changes == ()
    (note,) = (note for note in found.notes if "older seed" in note)
    assert (
        "login, sysctl, firewall and mounts are set live where they differ, name servers by `meshctl rebuild` only"
        in note
    )


def test_seeds_are_made_anew_until_their_guest_is_defined() -> None:
    found = planned(complete(domains=(domain("cp1"),)))
    assert [verb for verb, _ in change(found, "seed")] == [Verb.CREATE]


def test_an_unreachable_guest_is_a_pending_change_with_its_reason() -> None:
    found = planned(complete(), MEMBERS | {"w1": NodeSeen(unreachable="no route")})
    assert change(found, "node software") == [(Verb.CHANGE, "cannot be seen: no route")]


def test_an_unfinished_boot_and_a_changed_sysctl_are_pending() -> None:
    faults = ("net.core.somaxconn: wanted 4096, found 128",)
    found = planned(complete(), MEMBERS | {"w1": NodeSeen(unsettled=faults, member=True)})
    assert change(found, "boot") == [(Verb.CHANGE, faults[0])]


def test_a_stale_mesh_says_what_is_stale() -> None:
    assert change(planned(complete(), mesh=("ConfigMap l5d-config differs",)), "mesh") == [
        (Verb.CHANGE, "ConfigMap l5d-config differs")
    ]


def test_a_node_that_a_run_left_drained_takes_pods_again() -> None:
    found = planned(complete(), MEMBERS | {"w1": NodeSeen(member=True, drained=True)})
    (action,) = found.changes
    assert (action.stage, action.kind, action.name) == ("kubernetes", "uncordon", "w1")


def test_emulation_is_said() -> None:
    found = plan(wanted("qemu"), Observed({"hv1": replace(EMPTY, virtualization="qemu")}))
    assert any("software emulation" in note for note in found.notes)
    assert any("software emulation" in action.reason for action in found.of("guests"))


def test_all_conflicts_are_named_at_once_and_nothing_of_others_is_planned() -> None:
    seen = complete(
        domains=(domain("cp1", stamp=None), domain("w1", stamp=Stamp("other", "w1", "x"))),
        networks=(
            replace(complete().networks[0], stamp=None),
            NetworkSeen("theirs", "u", True, None, "br9", ("10.77.0.128/25",)),
        ),
        pools=(replace(complete().pools[0], path="/elsewhere"),),
    )
    with pytest.raises(ConflictError) as caught:
        planned(seen)
    text = caught.value.message
    assert text.startswith("5 thing(s) in the way")
    for part in ("domain lab-cp1", "domain lab-w1", "network meshctl", "network theirs", "pool meshctl"):
        assert part in text


def test_a_pool_that_is_not_ours_but_fits_is_used() -> None:
    found = planned(complete(pools=(replace(complete().pools[0], uuid="theirs"),)))
    assert found.changes == ()


def test_destroy_removes_what_is_stamped_and_nothing_else() -> None:
    foreign = (
        VolumeSeen("lab.cp1.root.00000000.qcow2", "", 1),
        VolumeSeen("data.qcow2", "", 1),
        VolumeSeen(volume_name(Owner("other"), "n", "root", "qcow2"), "", 1),
    )
    seen = complete(
        domains=(
            *complete().domains,
            domain("w1", name="theirs", stamp=None),
            domain("w1", name="other-w1", stamp=Stamp("other", "w1", "d")),
        ),
        networks=(*complete().networks, NetworkSeen("theirs", "u", True, None, "", ())),
        volumes=(*complete().volumes, *foreign, VolumeSeen(volume_name(Owner("lab"), "gone", "root", "qcow2"), "", 1)),
    )
    found = removals(Owner("lab"), [(CLUSTER.hosts[0], seen)], purge=False)
    assert [removal.kind for removal in found if removal.order < 2] == ["guest", "guest", "network"]
    volumes = {removal.name for removal in found if removal.order == 2}
    assert volumes == {root.name for root in wanted().volumes} | {seed.name for seed in wanted().seeds} | {
        volume_name(Owner("lab"), "gone", "root", "qcow2")
    }


def test_purge_also_removes_the_caches_and_our_own_pool_when_it_is_empty_then() -> None:
    found = removals(Owner("lab"), [(CLUSTER.hosts[0], complete())], purge=True)
    assert {removal.name for removal in found if removal.order == 3} == {BASE, BUNDLE}
    assert [removal.name for removal in found if removal.order == 5] == ["meshctl"]


def test_purge_keeps_base_images_that_another_cluster_lives_on() -> None:
    """Its overlay holds the base image and its guest the bundle; the pool stays with them."""
    name = volume_name(Owner("other"), "n", "root", "qcow2")
    theirs = (
        Holder("volume", f"/srv/pool/{name}", (f"/srv/pool/{BASE}",)),
        Holder("domain", "other-n", (f"/srv/pool/{BUNDLE}",)),
    )
    volumes = (*complete().volumes, VolumeSeen(name, f"/srv/pool/{name}", 1))
    found = removals(Owner("lab"), [(CLUSTER.hosts[0], complete(volumes=volumes, holders=theirs))], purge=True)
    assert all(removal.order <= 2 for removal in found)


def test_purge_keeps_what_a_volume_of_another_pool_lies_on() -> None:
    theirs = Holder("volume", "/elsewhere/theirs.qcow2", (f"/srv/../srv/pool/{BASE}",))
    found = removals(Owner("lab"), [(CLUSTER.hosts[0], complete(holders=(theirs,)))], purge=True)
    assert [removal.name for removal in found if removal.order > 2] == [BUNDLE]


def test_purge_removes_what_only_the_cluster_itself_lies_on() -> None:
    ours = (
        Holder("domain", "lab-w1", (f"/srv/pool/{BUNDLE}", f"/srv/pool/{ROOT}")),
        Holder("volume", f"/srv/pool/{ROOT}", (f"/srv/pool/{BASE}",)),
    )
    volumes = volumes_but(VolumeSeen(ROOT, f"/srv/pool/{ROOT}", 1))
    found = removals(Owner("lab"), [(CLUSTER.hosts[0], complete(holders=ours, volumes=volumes))], purge=True)
    assert {removal.name for removal in found if removal.order > 2} == {BASE, BUNDLE, "meshctl"}


def test_purge_takes_a_mark_whose_copy_is_gone() -> None:
    volumes = volumes_but(without=(BASE,))
    found = removals(Owner("lab"), [(CLUSTER.hosts[0], complete(volumes=volumes))], purge=True)
    assert {removal.name for removal in found if removal.order > 2} == {mark_name(BASE), BUNDLE, "meshctl"}


def test_volume_names_carry_their_stamp() -> None:
    name = volume_name(Owner("lab"), "cp1", "seed-0123456789ab", "iso")
    assert owned_volume(Owner("lab"), name) == ("cp1", "seed")
    assert owned_volume(Owner("bal"), name.replace("lab", "bal", 1)) is None
    assert owned_volume(Owner("lab"), "lab.cp1.root.qcow2") is None
    assert is_artifact(BASE)
    assert not is_artifact("meshctl-notes.txt")
