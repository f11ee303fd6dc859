"""Changes of the inventory that a living cluster does not take: all at once, each with its way, and never by mistake."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision.base.errors import ConflictError
from provision.kubernetes.node import NodeState, parse
from provision.kubernetes.spec import Spec
from provision.plan import HostSeen, NodeSeen, Observed, Verb, check_name, limits, members
from provision.plan.compare import plan
from provision.specs import Desired, Member, Owner, Stamp
from tests.unit.plan.test_plan import MEMBERS, complete, domain
from tests.unit.sample import CLUSTER, wanted


def known(ready: str, unready: str = "") -> dict[str, bool]:
    return dict.fromkeys(ready.split(), True) | dict.fromkeys(unready.split(), False)


def refused(
    desired: Desired | None = None,
    host: HostSeen | None = None,
    nodes: dict[str, NodeSeen] | None = None,
    ready: str = "",
    unready: str = "",
) -> list[str]:
    observed = Observed({"hv1": host or complete()}, nodes or MEMBERS, (), known=known(ready, unready))
    with pytest.raises(ConflictError) as caught:
        plan(desired or wanted(), observed)
    assert "docs/changes.md" in caught.value.hint
    title, *lines = caught.value.message.splitlines()
    assert title == f"{len(lines)} change(s) of the inventory that a living cluster does not take:"
    return [line.strip() for line in lines]


def test_nodes_do_not_change_their_roles() -> None:
    """kubeadm would be reset on a worker that is to be the control plane, and a new cluster begun there."""
    swapped = {"cp1": NodeSeen(member=True, role="worker"), "w1": NodeSeen(member=True, role="control-plane")}
    assert refused(nodes=swapped) == [
        "cp1 is a worker, the inventory now says control-plane: put it back, or remove the node and add it again",
        "w1 is a control-plane, the inventory now says worker: put it back, or remove the node and add it again",
    ]


def test_services_and_pods_keep_their_addresses() -> None:
    nodes = MEMBERS | {"cp1": NodeSeen(member=True, service_cidr="10.112.0.0/12")}
    (line,) = refused(nodes=nodes)
    assert line.startswith(
        "cp1: Services have addresses of 10.112.0.0/12, kubernetes.service_cidr now says 10.96.0.0/12"
    )
    stamp = domain("w1").stamp
    assert stamp is not None
    moved = domain("w1", stamp=replace(stamp, pod_subnet="10.200.12.0/24"))
    (line,) = refused(host=complete(domains=(domain("cp1"), moved)))
    assert line.startswith(
        "w1: its pods have addresses of 10.200.12.0/24, kubernetes.pod_cidr now gives 10.244.12.0/24"
    )


def test_a_pool_that_moved_would_leave_the_guests_with_blank_disks() -> None:
    elsewhere = domain("w1", disks=("/srv/old/lab.w1.root.qcow2",))
    (line,) = refused(host=complete(domains=(domain("cp1"), elsewhere)))
    assert line.startswith(
        "hv1: guest w1 has its root volume at /srv/old/lab.w1.root.qcow2, the inventory now says /srv/pool/"
    )


def test_the_network_of_living_guests_keeps_its_name_and_one_without_guests_is_no_matter() -> None:
    (network,) = complete().networks
    other = replace(network, name="former", addresses=())
    (line,) = refused(host=complete(networks=(other,)))
    assert line.startswith("hv1: the guests' network is former, the inventory now says meshctl")
    left = plan(wanted(), Observed({"hv1": complete(networks=(other,), domains=())}, {}, None))
    assert left.of("networks")[0].verb is Verb.CREATE


def test_a_ready_node_without_a_guest_lives_on_a_host_that_was_taken_out() -> None:
    """Made once more it would be there twice; not in the inventory, its routes would be cut while it serves."""
    alone = complete(domains=(domain("cp1"),))
    (line,) = refused(host=alone, nodes={"cp1": NodeSeen(member=True)}, ready="cp1 w1")
    assert line.startswith("w1 is a Ready node of the cluster, but its guest is on no host of the inventory")
    (line,) = refused(ready="cp1 w1 w9")
    assert line.startswith("w9 is a Ready node")
    gone = plan(wanted(), Observed({"hv1": alone}, {"cp1": NodeSeen(member=True)}, (), known=known("cp1")))
    assert [action.name for action in gone.of("guests", "guest")] == ["w1"]


def test_so_does_one_that_is_not_ready_unless_somebody_says_that_it_is_gone() -> None:
    """The host may be off, and come back with it."""
    alone = complete(domains=(domain("cp1"),))
    cp1 = {"cp1": NodeSeen(member=True)}
    (line,) = refused(host=alone, nodes=cp1, ready="cp1", unready="w1")
    assert line == (
        "w1 is a node of the cluster, NotReady, and its guest is on no host of the inventory: put its host back into hosts, then take the"
        " node out of nodes and `provision --remove` it; if the guest is gone for good, `meshctl rebuild INVENTORY w1` makes it anew"
    )
    (line,) = refused(ready="cp1 w1", unready="w9")
    assert line.startswith("w9 is a node of the cluster, NotReady")
    assert line.endswith("if the guest is gone for good, `kubectl delete node w9`")
    anew = plan(wanted(), Observed({"hv1": alone}, cp1, (), known=known("cp1", "w1")), anew={"w1"})
    assert [action.name for action in anew.of("guests", "guest")] == ["w1"]
    back = plan(wanted(), Observed({"hv1": alone}, cp1, (), known=known("cp1", "w1")), restoring=True)
    assert [action.name for action in back.of("guests", "guest")] == ["w1"]
    other = plan(limits.narrowed(wanted(), ("cp1",)), Observed({"hv1": alone}, cp1, (), known=known("cp1", "w1")))
    assert other.of("guests", "guest") == ()
    hung = plan(wanted(), Observed({"hv1": complete()}, MEMBERS, (), known=known("cp1", "w1")))
    assert hung.changes == ()


def test_workers_do_not_get_another_control_plane() -> None:
    alone = complete(domains=(domain("w1"),))
    (line,) = refused(host=alone, nodes={"w1": NodeSeen(member=True)})
    assert line.startswith("cp1, the control plane, has no guest on any host of the inventory, but w1 are members")
    back = plan(wanted(), Observed({"hv1": alone}, {"w1": NodeSeen(member=True)}), restoring=True)
    assert [action.name for action in back.of("guests", "guest")] == ["cp1"]
    first = plan(wanted(), Observed({"hv1": alone}, {"w1": NodeSeen(member=False)}))
    assert [action.name for action in first.of("guests", "guest")] == ["cp1"]


def test_all_are_said_at_once_beside_what_others_have() -> None:
    nodes = {"cp1": NodeSeen(member=True, role="worker")}
    stranger = replace(domain("w1"), stamp=None)
    with pytest.raises(ConflictError) as caught:
        plan(wanted(), Observed({"hv1": complete(domains=(domain("cp1"), stranger))}, nodes, ()))
    assert "1 thing(s) in the way that cluster lab does not own:\n  hv1: domain lab-w1 exists" in caught.value.message
    assert (
        "1 change(s) of the inventory that a living cluster does not take:\n  cp1 is a worker" in caught.value.message
    )


def test_a_renamed_cluster_is_told_before_its_guests_are_taken_for_others() -> None:
    stamp = Stamp("lab", "w1", "x", "10.77.0.12", owner="0123456789abcdef")
    hosts = {"hv1": complete(domains=(domain("w1", stamp=stamp),))}
    check_name(Owner("lab", "0123456789abcdef"), hosts)
    check_name(Owner("other", "f" * 16), hosts)
    with pytest.raises(ConflictError, match="this cluster is called lab, not other: lab-w1 carry"):
        check_name(Owner("other", "0123456789abcdef"), hosts)


MEMBER = Member("w1", "worker", "hv1", "10.77.0.12", "10.244.12.0/24")


@pytest.mark.parametrize(
    ("said", "role"),
    [
        ("kubeadm.done\tok\nkubeadm-file\t/etc/kubernetes/admin.conf\n", "control-plane"),
        ("kubeadm.done\tok\nkubeadm-file\t/etc/kubernetes/kubelet.conf\n", "worker"),
        ("kubeadm-file\t/etc/kubernetes/admin.conf\n", ""),
        ("", ""),
    ],
)
def test_a_node_is_what_kubeadm_made_of_it(said: str, role: str) -> None:
    assert NodeState(MEMBER, parse(said)).role == role


def test_routes_to_nobody_are_seen() -> None:
    spec = Spec("v1.20.2", (MEMBER,), "10.244.0.0/16", "10.96.0.0/12", (), "", (), ())
    said = "route\t10.244.12.0/24 via 10.77.0.12 dev ens2\nroute\t10.244.19.0/24 via 10.77.0.19 dev ens2\n"
    assert NodeState(MEMBER, parse(said)).strays(spec) == ("10.77.0.19",)


def test_another_range_of_addresses_moves_no_pods_that_are_there() -> None:
    """The subnets of pods are worked out from the range: those of guests that are there are remembered, and nobody else gets them."""
    network = CLUSTER.network.model_copy(update={"nodes": "10.77.0.2-10.77.0.250"})
    new = CLUSTER.nodes[1].model_copy(update={"name": "w2", "address": None})
    changed = CLUSTER.model_copy(update={"network": network, "nodes": (*CLUSTER.nodes, new)})
    addresses = {"cp1": "10.77.0.11", "w1": "10.77.0.12"}
    pods = {"cp1": "10.244.11.0/24", "w1": "10.244.12.0/24"}
    cp1, w1, w2 = members(changed, addresses, {}, pods=pods)
    assert [cp1.pod_subnet, w1.pod_subnet] == list(pods.values())
    assert w2.pod_subnet not in pods.values()
    moved, *_ = members(changed, addresses, {})
    assert moved.pod_subnet == "10.244.10.0/24"
    elsewhere = changed.kubernetes.model_copy(update={"pod_cidr": "10.245.0.0/16"})
    derived, *_ = members(changed.model_copy(update={"kubernetes": elsewhere}), addresses, {}, pods=pods)
    assert derived.pod_subnet == "10.245.10.0/24"
