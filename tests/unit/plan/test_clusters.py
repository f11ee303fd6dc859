"""Clusters by their stamps alone, and which of them are garbage."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision.base.moments import moment
from provision.libvirt_xml import (
    DomainSeen,
    Holder,
    NetworkSeen,
    PoolSeen,
    VolumeSeen,
    domain_xml,
    network_xml,
    parse_domain,
    parse_network,
)
from provision.plan.clusters import ClusterSeen, Machine, clusters, our_pools
from provision.plan.garbage import hindrance, unused
from provision.specs import Owner, PoolSpec, Stamp, Upkeep, mark_name
from provision.specs.volume_names import volume_name
from tests.unit.sample import wanted

MINE, OTHER = "a" * 16, "b" * 16
NOW = 1_800_000_000.0
DAY = 86400.0
KEPT = Upkeep(moment(NOW - DAY), moment(NOW - 60), "meshctl", "dir")
POOL = PoolSeen("meshctl", PoolSpec("", "meshctl", "dir", "/srv/pool").uuid, True, "dir", "/srv/pool")
COPY = f"meshctl.debian-12.{'1' * 32}-00000001.qcow2"


def domain(node: str = "cp1", owner: str = MINE, upkeep: Upkeep = KEPT) -> DomainSeen:
    guest = wanted().guest(node)
    return parse_domain(domain_xml(guest, Stamp("lab", node, "d", owner=owner, upkeep=upkeep)), active=True)


def network(owner: str = MINE, upkeep: Upkeep = KEPT, mode: str = "nat") -> NetworkSeen:
    spec = replace(wanted().networks[0], mode=mode)
    return parse_network(network_xml(spec, Owner("lab", owner), upkeep), active=True)


def machine(*domains: DomainSeen, networks: tuple[NetworkSeen, ...] = (), **more: object) -> Machine:
    volumes = {
        "meshctl": (VolumeSeen(volume_name(Owner("lab", MINE), "cp1", "root", "qcow2"), "/srv/pool/r", 3 << 20),)
    }
    return replace(Machine(domains, networks, (POOL,), volumes), **more)  # type: ignore[arg-type]


def only(found: Machine) -> ClusterSeen:
    (one,) = clusters({"hv1": found})
    return one


def test_a_cluster_is_the_sum_of_its_guests_and_files() -> None:
    one = only(machine(domain(), domain("w1"), networks=(network(),)))
    assert (one.owner, one.nodes, one.vcpus, one.memory_mib) == (Owner("lab", MINE), ("cp1", "w1"), 4, 5120)
    assert (one.disk_mib, one.created, one.expires) == (3, KEPT.created, KEPT.expires)
    said = one.as_data(NOW)
    assert (said["age_s"], said["expired"], said["hosts"]) == (int(DAY), True, ["hv1"])


def test_two_owners_of_a_name_are_two_clusters_and_a_clone_is_none() -> None:
    clone = replace(domain(), name="lab-cp1-clone")
    found = clusters({"hv1": machine(domain(), clone), "hv2": machine(domain("w1", OTHER))})
    assert [(one.owner.id, one.nodes, list(one.parts)) for one in found] == [
        (MINE, ("cp1",), ["hv1"]),
        (OTHER, ("w1",), ["hv2"]),
    ]


def test_a_cluster_that_is_being_taken_over_is_one() -> None:
    old = "old-" + MINE
    assert only(machine(domain(owner=old), domain("w1", owner=""))).nodes == ("cp1", "w1")


def test_the_latest_moment_counts_and_none_is_never_over() -> None:
    later = replace(KEPT, expires=moment(NOW + 60))
    assert not only(machine(domain(), networks=(network(upkeep=later),))).expired(NOW)
    assert only(machine(domain(), networks=(network(),))).expired(NOW)
    assert not only(machine(domain(upkeep=Upkeep()))).expired(NOW)


def test_a_part_without_a_moment_does_not_undo_that_of_another() -> None:
    """A node that an older meshctl defined anew has lost it: the network still says it."""
    assert only(machine(domain(upkeep=Upkeep()), networks=(network(),))).expired(NOW)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (machine(domain(upkeep=replace(KEPT, pool=""))), "no stamp on hv1 says where its volumes lie"),
        (machine(domain(upkeep=replace(KEPT, store="block"))), "its volumes on hv1 are devices, which its inventory"),
        (machine(domain(upkeep=replace(KEPT, store="logical"))), "its volumes on hv1 are logical volumes"),
        (
            machine(domain(upkeep=replace(KEPT, pool="other"))),
            "its volumes on hv1 lie in several pools: meshctl, other",
        ),
        (
            machine(domain(), networks=(network(upkeep=replace(KEPT, store="logical")),)),
            "its volumes on hv1 are logical volumes",
        ),
        (machine(domain(), volumes={}), "pool meshctl on hv1 is not active"),
        (machine(domain(), networks=(network(),)), ""),
        (machine(networks=(network(),)), ""),
    ],
)
def test_what_cannot_all_be_known_is_left_with_the_reason(found: Machine, why: str) -> None:
    said = hindrance(only(found), frozenset())
    assert said.startswith(why)
    assert bool(said) == bool(why)


def test_a_bridged_cluster_waits_for_hosts_that_do_not_answer() -> None:
    bridged = only(machine(domain(), networks=(network(mode="bridge"),)))
    assert hindrance(bridged, {"hv2"}) == "it may have a part on hv2, from which there is no answer"
    assert hindrance(bridged, frozenset()) == ""
    assert hindrance(only(machine(domain(), networks=(network(),))), {"hv2"}) == ""
    assert hindrance(only(machine(domain())), {"hv2"}), "nobody knows whether it is bridged"


def copies(age_s: float | None, *, mark: bool = True) -> tuple[VolumeSeen, ...]:
    modified = None if age_s is None else NOW - age_s
    copy = VolumeSeen(COPY, f"/srv/pool/{COPY}", 400 << 20, modified)
    return (copy, VolumeSeen(mark_name(COPY), "/srv/pool/m", 0, modified)) if mark else (copy,)


def gone(found: Machine, *going: ClusterSeen, abandoned: frozenset[str] = frozenset()) -> list[str]:
    return [one.name for one in unused("hv1", found, going, {"meshctl": abandoned}, NOW, 7 * DAY)]


def test_an_old_artifact_without_a_user_goes_and_no_other() -> None:
    assert gone(machine(volumes={"meshctl": copies(8 * DAY)})) == [COPY]
    assert gone(machine(volumes={"meshctl": copies(6 * DAY)})) == []
    assert gone(machine(volumes={"meshctl": copies(None)})) == []
    used = (Holder("domain", "somebody", (f"/srv/pool/{COPY}",)),)
    assert gone(machine(volumes={"meshctl": copies(8 * DAY)}, holders=used)) == []


def test_an_upload_goes_when_nobody_goes_on_with_it() -> None:
    found = machine(volumes={"meshctl": copies(8 * DAY, mark=False)})
    assert gone(found) == []
    assert gone(found, abandoned=frozenset({COPY})) == [COPY]


def test_what_only_an_expired_cluster_needs_goes_with_it() -> None:
    used = (Holder("domain", "lab-cp1", (f"/srv/pool/{COPY}",)),)
    found = machine(domain(), networks=(network(),), volumes={"meshctl": copies(8 * DAY)}, holders=used)
    assert gone(found) == []
    assert gone(found, only(found)) == [COPY]


def test_our_pools_are_those_that_we_made_that_a_stamp_names_or_that_a_guest_lies_in() -> None:
    made = PoolSeen("default", "x", True, "dir", "/var/lib/libvirt/images")
    said = PoolSeen("fast", "y", True, "dir", "/fast")
    inactive = replace(POOL, active=False)
    assert our_pools([made, said], [domain(upkeep=replace(KEPT, pool="fast"))], []) == {"fast"}
    assert our_pools([made, POOL], [], []) == {"meshctl"}
    assert our_pools([replace(made, path="/srv/pool")], [domain(upkeep=Upkeep())], []) == {"default"}
    assert our_pools([inactive], [], []) == set()
