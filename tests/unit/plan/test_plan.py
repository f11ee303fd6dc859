"""Desired against observed: what is created, changed, left, and what is a conflict."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision.base.errors import ConflictError
from provision.libvirt_xml.libvirt_seen import DomainSeen, NetworkSeen, PoolSeen, VolumeSeen
from provision.plan.compare import Plan, Verb, plan
from provision.plan.observed import HostSeen, NodeSeen, Observed
from provision.plan.removal import removals
from provision.specs import Owner
from provision.specs.objects import digest
from provision.specs.stamp import Stamp
from provision.specs.volume_names import artifact_volume, owned_volume, volume_name
from tests.unit.sample import CLUSTER, wanted

EMPTY = HostSeen((), (), (), (), "kvm")


def domain(node: str, **more: object) -> DomainSeen:
    guest = wanted().guest(node)
    seed = next(seed.name for seed in wanted().seeds if seed.node == node)
    stamp = Stamp("lab", node, digest(guest), guest.address, "ssh-ed25519 AAAA", seed)
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
        pools=(PoolSeen("meshctl", desired.pools[0].uuid, True, "dir", "/srv/pool", 10**12),),
        volumes=(
            *(VolumeSeen(a.volume, "", a.size) for a in desired.artifacts),
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


def test_an_interrupted_upload_is_sent_again() -> None:
    volumes = tuple(
        replace(v, physical=7) if v.name.endswith(".iso") and v.name.startswith("meshctl") else v
        for v in complete().volumes
    )
    assert change(planned(complete(volumes=volumes)), "bundle") == [
        (Verb.CHANGE, "an earlier upload ended at 7 of 900 bytes: send again")
    ]


@pytest.mark.parametrize(
    ("seen", "kind"),
    [
        (complete(pools=(replace(complete().pools[0], active=False),)), "pool"),
        (complete(networks=(replace(complete().networks[0], active=False),)), "network"),
        (complete(domains=(domain("cp1", active=False), domain("w1"))), "guest"),
    ],
)
def test_what_is_defined_but_not_running_is_started(seen: HostSeen, kind: str) -> None:
    assert [verb for verb, _ in change(planned(seen), kind)] == [Verb.START]


def test_a_guest_of_another_definition_is_changed() -> None:
    stamp = replace(domain("w1").stamp or Stamp("", "", ""), digest="old")
    found = planned(complete(domains=(domain("cp1"), domain("w1", stamp=stamp))))
    assert [verb for verb, _ in change(found, "guest")] == [Verb.CHANGE]


def test_a_guest_keeps_the_seed_it_was_made_with_and_the_plan_says_so() -> None:
    old = replace(wanted().guest("w1"), seed_path="/srv/pool/old-seed.iso")
    stamp = Stamp("lab", "w1", digest(old), old.address, "ssh-ed25519 AAAA", "old-seed.iso")
    found = planned(complete(domains=(domain("cp1"), domain("w1", stamp=stamp))))
    assert found.changes == ()
    assert any("older seed" in note for note in found.notes)


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


def test_emulation_is_said() -> None:
    found = plan(wanted("qemu"), Observed({"hv1": replace(EMPTY, virtualization="qemu")}))
    assert any("software emulation" in note for note in found.notes)
    assert any("software emulation" in action.reason for action in found.of("guests"))


def test_a_guest_that_left_the_inventory_is_noted_and_left() -> None:
    gone = domain("w1", name="lab-w9", stamp=Stamp("lab", "w9", "x"))
    found = planned(complete(domains=(domain("cp1"), domain("w1"), gone)))
    assert found.changes == ()
    assert any("lab-w9 is ours but not in the inventory" in note for note in found.notes)


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
    assert {removal.name for removal in found if removal.order == 3} == {
        artifact.volume for artifact in wanted().artifacts
    }
    assert [removal.name for removal in found if removal.order == 5] == ["meshctl"]


def test_purge_keeps_base_images_that_another_cluster_lives_on() -> None:
    other = VolumeSeen(volume_name(Owner("other"), "n", "root", "qcow2"), "", 1)
    found = removals(Owner("lab"), [(CLUSTER.hosts[0], complete(volumes=(*complete().volumes, other)))], purge=True)
    assert all(removal.order <= 2 for removal in found)


def test_volume_names_carry_their_stamp() -> None:
    name = volume_name(Owner("lab"), "cp1", "seed-0123456789ab", "iso")
    assert owned_volume(Owner("lab"), name) == ("cp1", "seed")
    assert owned_volume(Owner("bal"), name.replace("lab", "bal", 1)) is None
    assert owned_volume(Owner("lab"), "lab.cp1.root.qcow2") is None
    assert artifact_volume(wanted().artifacts[0].volume)
    assert not artifact_volume("meshctl-notes.txt")
