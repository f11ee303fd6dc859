"""The stage kubernetes with a node that fails, and for one node only: on the strict doubles of Kubernetes 1.5, in nodes of namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from provision.base.calls import Calls
from provision.base.errors import KubernetesError, SomeFailed
from provision.base.events import Changed, Event, GaveUp, StepFinished
from provision.bundle import Bundle
from provision.bundle.model import File, Image
from provision.hosts import Hypervisor
from provision.inventory import Cluster
from provision.kubernetes import Kubectl, Phase, Spec, nodes_ready, observe, profile_for
from provision.kubernetes.state_volume import FOLDER, OF, keep
from provision.placement import Pinning
from provision.plan import NodeSeen, Observed, Plan, Verb, limits, rebuilding
from provision.plan.compare import plan
from provision.plan.desired import desired
from provision.run.observe import kubernetes_spec
from provision.run.stages import kubernetes
from provision.run.stages.given_up import GivenUp
from provision.specs import Desired, HostTraits, Member
from tests.doubles.indoors import Indoors
from tests.doubles.sandbox import Lab, NodeShell, spec_of
from tests.unit.plan.test_plan import EMPTY
from tests.unit.sample import ARTIFACTS, CLUSTER

NAMES = ("cp1", "w1", "w2")
BROKEN = (
    "cd /usr/local/sbin && mv systemctl /root/ && printf '#!/bin/sh\\nexit 1\\n' > systemctl && chmod 755 systemctl"
)
MENDED = "mv /root/systemctl /usr/local/sbin/systemctl"


@dataclass
class Ground:
    """Three nodes on which nothing is installed yet, and what should be."""

    cluster: Cluster
    wanted: Desired
    bundle: Bundle
    shells: dict[str, NodeShell]

    @property
    def spec(self) -> Spec:
        return kubernetes_spec(self.cluster, self.wanted, self.bundle)

    def plan(self, *limit: str) -> Plan:
        """By a look at the nodes as they are now."""
        nodes = {member.name: self.look(member) for member in self.spec.members}
        seen = Observed({"hv1": EMPTY}, nodes, None)
        whole = plan(self.wanted, seen)
        narrow = plan(limits.narrowed(self.wanted, limit), seen)
        found = limits.limited(narrow, whole, self.cluster, seen, limit) if limit else whole
        return found.until((kubernetes.NAME,))

    def look(self, member: Member) -> NodeSeen:
        state = observe(self.shells[member.name], profile_for("1.5"), self.spec, member)
        return NodeSeen(unprepared=state.unprepared, member=state.joined)

    def run(self, made: Plan) -> list[Event]:
        """The stage, with --keep-going. Raises SomeFailed at its end, as the run does."""
        events: list[Event] = []
        none, given_up = cast(Any, None), GivenUp(keep_going=True)
        hosts = {"hv1": Hypervisor("hv1", "test:///default", Calls())}
        doors = Indoors(self.cluster, hosts, none, events.append, none, self.bundle, given_up, self.shells)
        kubernetes.run(made, doors)
        self.given_up = given_up
        return events

    def ready(self, *names: str) -> str:
        return repr(nodes_ready(Kubectl(self.shells["cp1"]), names))


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("ground")
    lab = Lab(folder)
    lab.start()
    worker = CLUSTER.nodes[1]
    nodes = (*CLUSTER.nodes, worker.model_copy(update={"name": "w2", "address": "10.77.0.13"}))
    version = CLUSTER.kubernetes.model_copy(update={"version": "v1.5.8"})
    cluster = CLUSTER.model_copy(update={"nodes": nodes, "kubernetes": version})
    pinnings = {name: Pinning(name, "hv1", (0,), (1, 2), (0,), (0,), ()) for name in NAMES}
    wanted = desired(cluster, pinnings, {"hv1": HostTraits("kvm")}, {}, ARTIFACTS, dict.fromkeys(NAMES, "c" * 64))
    spec = spec_of(folder / "stage" / "bundle", wanted.members)
    files = [File(program.path, program.sha256, 1) for program in spec.programs]
    files += [File(archive.path, archive.sha256, 1) for archive in spec.archives]
    images = tuple(Image(reference, one.path) for one in spec.archives for reference in one.references)
    bundle = Bundle("v1.5.8", "amd64", tuple(files), images, None, None, None, spec.bundle_digest)
    try:
        yield Ground(cluster, wanted, bundle, {member.name: lab.node(member) for member in wanted.members})
    finally:
        lab.stop()


def joined(events: list[Event]) -> list[str]:
    return [event.node for event in events if isinstance(event, StepFinished) and event.step == "join"]


def with_its_state(made: Plan) -> Plan:
    """The plan of a control plane that is to go on with the cluster of its state volume."""
    basis = rebuilding.ANEW_WITH_STATE
    kept = (replace(one, verb=Verb.CHANGE, basis=basis) if one.kind == "kubeadm init" else one for one in made.actions)
    return replace(made, actions=tuple(kept))


def test_where_a_cluster_should_be_on_a_volume_and_is_not_no_other_is_made(ground: Ground) -> None:
    with pytest.raises(KubernetesError, match="there is no whole cluster on its state volume"):
        ground.run(with_its_state(ground.plan("cp1")))
    control_plane = ground.spec.control_plane
    assert observe(ground.shells["cp1"], profile_for("1.5"), ground.spec, control_plane).phase is Phase.FRESH


def test_a_node_that_cannot_be_prepared_keeps_no_other_from_joining(ground: Ground) -> None:
    ground.shells["w2"].run(["sh", "-c", BROKEN])
    events = ground.run(ground.plan())
    (given_up,) = [event for event in events if isinstance(event, GaveUp)]
    assert (given_up.node, given_up.stage, given_up.error) == ("w2", "kubernetes", "CommandFailed")
    assert joined(events) == ["w1"]
    assert ground.ready("cp1", "w1") == "Ready(value=('cp1', 'w1'))"
    with pytest.raises(SomeFailed, match="w2: "):
        ground.given_up.tell(events.append)


def test_it_joins_by_itself_afterwards_and_the_other_worker_is_left_alone(ground: Ground) -> None:
    """The routes of all members were whole before, so nobody else has to learn of it."""
    ground.shells["w2"].run(["sh", "-c", MENDED])
    made = ground.plan("w2")
    assert {action.name for action in made.of("kubernetes")} == {"w2"}
    before = ground.shells["w1"].calls.mutations
    assert joined(ground.run(made)) == ["w2"]
    assert ground.ready(*NAMES) == "Ready(value=('cp1', 'w1', 'w2'))"
    assert ground.shells["w1"].calls.mutations == before
    routes = ground.shells["w2"].read(["ip", "-4", "route", "show", "proto", "201"]).stdout
    assert [member.address in routes for member in ground.wanted.members] == [True, True, False]


NEW_ROOT = """
systemctl stop kubelet
docker ps -q --filter name=k8s_ | xargs -r docker rm -f > /dev/null
echo '{}' > /srv/double/cluster.json
rm -f /var/lib/meshctl/kubeadm.* /var/lib/meshctl/prepared
"""


def test_a_control_plane_goes_on_with_the_cluster_of_its_volume_and_is_heard_before_the_stage_ends(
    ground: Ground,
) -> None:
    shell, control_plane = ground.shells["cp1"], ground.spec.control_plane
    shell.run(["sh", "-c", 'mkdir -p "$1" && : > "$2"', "volume", FOLDER, OF])
    keep(shell, control_plane)
    ca = shell.read(["cat", "/etc/kubernetes/pki/ca.pem"]).stdout
    shell.run(["sh", "-c", NEW_ROOT])
    events = ground.run(with_its_state(ground.plan("cp1")))
    said = [f"{event.object}: {event.change}" for event in events if isinstance(event, Changed)]
    assert "cluster of its state volume: take up" in said
    assert not [one for one in said if one.startswith("kubeadm")]
    assert ground.ready(*NAMES) == "Ready(value=('cp1', 'w1', 'w2'))"
    assert shell.read(["cat", "/etc/kubernetes/pki/ca.pem"]).stdout == ca
    assert ground.plan("cp1").changes == ()
