"""The 1.5 profile against strict doubles of kubeadm, kubelet and kubectl, in nodes made of namespaces.

Real here: the shell, files, processes, routes, iptables, and requests between pods. Needs root, as namespaces do.
"""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from provision.base.errors import CommandFailed, KubernetesError, StageTimeout, Unreachable
from provision.base.events import Changed, Event, Output, Warned
from provision.base.secret import Secret
from provision.base.shell import Completed, OnLine
from provision.base.waiting import NotYet, Ready, wait_until
from provision.kubernetes import (
    Credentials,
    Kubectl,
    NodeState,
    Outdated,
    Phase,
    Pod,
    cordon,
    cordoned,
    credentials,
    disown,
    drain,
    evictions,
    forget,
    forget_node,
    initialise,
    join,
    logs_argv,
    nodes_ready,
    observe,
    pods_on,
    prepare,
    profile_for,
    reach,
    set_aside,
    take_back,
    uncordon,
)
from provision.kubernetes.certificate import requested_name
from provision.kubernetes.impatience import impatience
from provision.kubernetes.node import UNIT
from provision.kubernetes.preflight import preflight
from provision.linkerd.wanted import Mesh
from provision.mesh import Platform, configuration, manifests
from provision.specs.objects import Member
from tests.doubles.kubernetes_1_5.kubelet import CLOSED
from tests.doubles.kubernetes_1_5.schema import problem
from tests.doubles.sandbox import Lab, NodeShell, spec_of

CP = Member("cp1", "control-plane", "hv1", "10.77.0.61", "10.244.61.0/24")
W1 = Member("w1", "worker", "hv1", "10.77.0.62", "10.244.62.0/24")
W2 = Member("w2", "worker", "hv1", "10.77.0.63", "10.244.63.0/24")
PROFILE = profile_for("1.5")
ECHO: dict[str, Any] = {
    "apiVersion": "extensions/v1beta1",
    "kind": "DaemonSet",
    "metadata": {"name": "echo", "namespace": "default"},
    "spec": {
        "template": {
            "metadata": {"labels": {"app": "echo"}},
            "spec": {"containers": [{"name": "echo", "image": "meshctl/echo:1", "ports": [{"containerPort": 8080}]}]},
        }
    },
}

T = TypeVar("T")


class Cluster:
    """A lab with its members, and the events of all that was done to it."""

    def __init__(self, folder: Path, *members: Member) -> None:
        self.lab, self.events = Lab(folder), list[Event]()
        self.lab.start()
        self.shells = {member.name: self.lab.node(member) for member in members}
        self.spec = spec_of(folder / "stage" / "bundle", members)

    def __getitem__(self, member: Member) -> NodeShell:
        return self.shells[member.name]

    def prepare(self, member: Member) -> NodeState:
        return prepare(self[member], PROFILE, self.spec, member, self.events.append)

    def observe(self, member: Member) -> NodeState:
        return observe(self[member], PROFILE, self.spec, member)

    def initialise(self, within_s: float = 30) -> None:
        initialise(self[CP], PROFILE, self.spec, CP, self.events.append, within_s=within_s)

    def join(self, member: Member, given: Credentials | None = None, within_s: float = 30) -> None:
        known = given or credentials(self[CP], PROFILE, self.events.append)
        join(self[member], PROFILE, self.spec, member, known, self.events.append, within_s=within_s)

    def provision(self) -> None:
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.prepare, self.spec.members))
        self.initialise()
        for member in self.spec.members[1:]:
            self.join(member)

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(self[CP])

    def pods(self, *members: Member) -> dict[str, Pod]:
        names = [member.name for member in members]
        return soon(lambda: pods_on(self.kubectl, names, namespace="default", labels={"app": "echo"}))

    def mutations(self) -> int:
        return sum(shell.calls.mutations for shell in self.shells.values())

    def ca(self) -> str:
        return self[CP].read(["cat", "/etc/kubernetes/pki/ca.pem"]).stdout


@dataclass
class Dropping(NodeShell):
    """A shell whose connection is lost the first time kubeadm is looked after."""

    lost: bool = False

    def _end(self, argv: Sequence[str], stdin: bytes, within_s: float, on_line: OnLine | None) -> Completed:
        if "poll" in argv and not self.lost:
            self.lost = True
            raise Unreachable("cp1: the SSH connection was lost")
        return super()._end(argv, stdin, within_s, on_line)


def soon(check: Callable[[], Ready[T] | NotYet]) -> T:
    return wait_until(check, what="the double", within_s=15, every_s=0.1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Control plane and worker, provisioned and Ready, with the echo app."""
    made = Cluster(tmp_path_factory.mktemp("cluster"), CP, W1)
    try:
        made.provision()
        soon(lambda: nodes_ready(made.kubectl, [CP.name, W1.name]))
        made.kubectl.apply([ECHO])
        yield made
    finally:
        made.lab.stop()


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Cluster]:
    """A control plane's node, prepared."""
    made = Cluster(tmp_path, CP)
    try:
        made.prepare(CP)
        yield made
    finally:
        made.lab.stop()


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A prepared node on which kubeadm is never begun; each test leaves it as it was."""
    made = Cluster(tmp_path_factory.mktemp("bare"), CP)
    try:
        made.prepare(CP)
        yield made
    finally:
        made.lab.stop()


def test_every_node_is_ready_and_pods_reach_each_other(cluster: Cluster) -> None:
    assert soon(lambda: nodes_ready(cluster.kubectl, ["cp1", "w1"])) == ("cp1", "w1")
    pods = cluster.pods(CP, W1)
    assert [pods[m.name].address.rpartition(".")[0] for m in (CP, W1)] == ["10.244.61", "10.244.62"]
    reach(cluster[CP], pods["cp1"], [pods["w1"]], port=8080)
    reach(cluster[W1], pods["w1"], [pods["cp1"]], port=8080)


def test_ready_is_believed_of_the_kernel_that_runs_only(cluster: Cluster) -> None:
    boot = cluster[W1].read(["cat", "/proc/sys/kernel/random/boot_id"]).stdout.strip()
    assert soon(lambda: nodes_ready(cluster.kubectl, ["w1"], {"w1": boot})) == ("w1",)
    before = nodes_ready(cluster.kubectl, ["cp1", "w1"], {"w1": "the-one-before"})
    assert before == NotYet("w1: its kubelet has not reported since it was started", ("w1",))


def test_a_second_run_only_reads(cluster: Cluster) -> None:
    before = cluster.mutations()
    for member in (CP, W1):
        assert cluster.prepare(member).unprepared == ()
        assert cluster.observe(member).joined
    cluster.initialise()
    cluster.join(W1)
    assert cluster.kubectl.outdated([ECHO]) == Outdated()
    assert cluster.mutations() == before


def logs(cluster: Cluster) -> Completed:
    name = cluster.kubectl.items("pods", namespace="default")[0]["metadata"]["name"]
    argv = ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "logs", name]
    return cluster[CP].read(argv, check=False)


def test_kubelets_know_the_api_server_and_nobody_else_is_let_in(cluster: Cluster) -> None:
    cluster.pods(CP, W1)
    assert logs(cluster).stdout.endswith("has begun\n")
    keys = cluster[CP].read(["stat", "-c", "%a", "/etc/kubernetes/pki/kubelet-client-key.pem"]).stdout
    assert keys == "600\n"
    assert "kubelet-client" not in cluster[W1].read(["sh", "-c", "ls /etc/kubernetes/pki 2>&1 || true"]).stdout


def test_a_cluster_that_was_made_before_that_gets_its_certificate(cluster: Cluster) -> None:
    """As a cluster of an older meshctl is: neither flags nor files, and the kubelet's drop-in another."""
    manifest, drop_in = (
        "/etc/kubernetes/manifests/kube-apiserver.json",
        "/etc/systemd/system/kubelet.service.d/20-meshctl.conf",
    )
    cluster.pods(CP, W1)
    cluster[CP].run(["sed", "-i", 's|"--kubelet-client[^ ]* ||g', manifest])
    cluster[CP].run(["sh", "-c", "rm /etc/kubernetes/pki/kubelet-client*.pem"])
    assert soon(lambda: Ready(None) if logs(cluster).status else NotYet("still let in")) is None
    cluster[CP].run(["sh", "-c", 'echo "# older" >> "$1"', "older", drop_in])
    cluster.prepare(CP)
    assert soon(lambda: NotYet(logs(cluster).stderr) if logs(cluster).status else Ready(logs(cluster).stdout))
    assert cluster.observe(CP).unprepared == ()


def test_looking_at_a_node_is_one_read(cluster: Cluster) -> None:
    reads = cluster[W1].calls.reads
    assert cluster.observe(W1).phase is Phase.MEMBER
    assert cluster[W1].calls.reads == reads + 1


def test_the_token_is_seen_by_nobody(cluster: Cluster) -> None:
    token = credentials(cluster[CP], PROFILE, cluster.events.append).token.reveal()
    assert cluster[CP].read(["sh", "-c", "stat -c %a /var/lib/meshctl/kubeadm.log"]).stdout == "600\n"
    for member in (CP, W1):
        assert cluster[member].read(["ls", "/var/lib/meshctl"]).stdout.count("kubeadm.yaml") == 0
    said = [event.line for event in cluster.events if isinstance(event, Output)]
    assert any(line.startswith("kubeadm join --token=***") for line in said)
    assert not any(token in str(event) for event in cluster.events)


def test_a_worker_loads_no_image_of_the_control_plane(cluster: Cluster) -> None:
    images = cluster[W1].read(["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"]).stdout
    assert "kube-proxy-amd64:v1.5.8" in images
    assert "meshctl/echo:1" in images
    assert "apiserver" not in images


def test_services_of_the_kubelet_follow_the_service_range(cluster: Cluster) -> None:
    spec = replace(cluster.spec, service_cidr="10.100.0.0/16")
    drop_in = next(file for file in PROFILE.node_files(spec, W1) if file.path.endswith("20-meshctl.conf"))
    assert "--cluster-dns=10.100.0.10 " in drop_in.content


def test_docker_closing_the_firewall_is_seen_and_mended(cluster: Cluster) -> None:
    pods = cluster.pods(CP, W1)
    cluster[W1].run(["iptables", "-P", "FORWARD", "DROP"])
    assert cluster.observe(W1).unprepared == ("the firewall's FORWARD policy is not ACCEPT",)
    with pytest.raises(
        KubernetesError, match=r"from echo-\w+ on cp1 .* no answer of echo-\w+ on w1 \(10\.244\.62\.2\): timed out"
    ):
        reach(cluster[CP], pods["cp1"], [pods["w1"]], port=8080, within_s=1)
    cluster.prepare(W1)
    reach(cluster[CP], pods["cp1"], [pods["w1"]], port=8080)


def test_a_reboot_leaves_everything_as_wanted(cluster: Cluster) -> None:
    cluster[W1].run(["sh", "-c", "ip route flush proto 201; double-boot"])
    assert cluster.observe(W1).unprepared == ()
    assert cluster[W1].read(["iptables", "-S", "FORWARD"]).stdout.startswith("-P FORWARD ACCEPT")


def test_a_restart_of_docker_keeps_the_pod_network(cluster: Cluster) -> None:
    cluster[W1].run(["systemctl", "restart", "docker.service"])
    assert cluster.observe(W1).unprepared == ()
    cluster[W1].run(["systemctl", "stop", "docker.service"])
    assert cluster.observe(W1).unprepared == ("docker.service is not running",)
    loads = cluster[W1].read(["grep", '"loads"', "/var/lib/double/docker.json"]).stdout
    cluster.prepare(W1)
    assert cluster[W1].read(["grep", '"loads"', "/var/lib/double/docker.json"]).stdout == loads


@pytest.mark.parametrize(
    ("marker", "unit", "program"),
    [
        ("docker-to-restart", "docker.service", "dockerd"),
        ("kubelet-to-restart", "kubelet.service", "/usr/bin/kubelet"),
    ],
)
def test_a_service_that_a_killed_run_did_not_start_anew_is(
    cluster: Cluster, marker: str, unit: str, program: str
) -> None:
    """What it was to be started for is written already: by the files alone nothing would be left to do."""
    cluster[W1].put(f"/var/lib/meshctl/{marker}", b"1\n")
    assert cluster.observe(W1).unprepared == (f"{unit} is to be started anew",)
    before = cluster[W1].read(["pgrep", "-nf", program], check=False).stdout
    cluster.prepare(W1)
    assert cluster.observe(W1).unprepared == ()
    assert cluster[W1].read(["ls", "/var/lib/meshctl"]).stdout.count("to-restart") == 0
    if before:
        assert cluster[W1].read(["pgrep", "-nf", program]).stdout != before


def test_one_more_node_changes_the_others_routes_and_names_only(cluster: Cluster) -> None:
    cluster[W1].run(["ip", "route", "add", "10.9.0.0/16", "via", "10.77.0.61"])  # somebody else's
    more = replace(cluster.spec, members=(CP, W1, W2))
    state = observe(cluster[W1], PROFILE, more, W1)
    assert [file.path for file in state.stale_files] == ["/etc/meshctl/routes", "/etc/meshctl/no-masquerade"]
    assert not state.bundle_wanted
    kubelet = cluster[W1].read(["pgrep", "-of", "/usr/bin/kubelet"]).stdout
    prepare(cluster[W1], PROFILE, more, W1, cluster.events.append)
    assert "10.244.63.0/24 via 10.77.0.63" in cluster[W1].read(["ip", "route"]).stdout
    assert "10.77.0.63 w2\n" in cluster[W1].read(["cat", "/etc/hosts"]).stdout
    cluster.prepare(W1)
    after = cluster[W1].read(["ip", "route"]).stdout
    assert "10.244.63.0/24" not in after
    assert "10.9.0.0/16" in after
    assert cluster[W1].read(["pgrep", "-of", "/usr/bin/kubelet"]).stdout == kubelet


def test_a_node_that_leaves_keeps_its_routes_until_it_is_gone(cluster: Cluster) -> None:
    staying = replace(cluster.spec, members=(CP,), leaving=(W1,))
    assert observe(cluster[CP], PROFILE, staying, CP).unprepared == ()
    gone = replace(staying, leaving=())
    assert [file.path for file in observe(cluster[CP], PROFILE, gone, CP).stale_files] == [
        "/etc/meshctl/routes",
        "/etc/meshctl/no-masquerade",
    ]


def test_a_node_is_emptied_and_one_that_is_gone_is_fine(cluster: Cluster) -> None:
    cluster.pods(CP, W1)
    cluster.events.clear()
    drain(cluster.kubectl, "w1", cluster.events.append)
    drain(cluster.kubectl, "w9", cluster.events.append)
    assert cluster.events == [Changed("cluster", "node w1", "drain")]
    uncordon(cluster.kubectl, "w1", cluster.events.append)


def test_a_node_that_was_set_aside_is_known_until_it_is_taken_back(cluster: Cluster) -> None:
    assert not cluster.observe(W1).drained
    set_aside(cluster[W1], cluster.kubectl, "w1", cluster.events.append)
    state = cluster.observe(W1)
    assert (state.drained, state.unprepared, state.joined) == (True, (), True)
    cluster.events.clear()
    take_back(cluster[W1], cluster.kubectl, "w1", cluster.events.append)
    assert not cluster.observe(W1).drained
    assert cluster.events == [Changed("cluster", "node w1", "uncordon")]


PUT_POD = """
import fcntl, json, sys
with open("/srv/double/cluster.lock", "w") as lock:
    fcntl.flock(lock, fcntl.LOCK_EX)
    state = json.load(open("/srv/double/cluster.json"))
    state.setdefault("pods", {}).update(json.loads(sys.argv[1]))
    state.setdefault("objects", {}).update(json.loads(sys.argv[2]))
    for name in sys.argv[3:]:
        state["pods"].pop(name, None)
        state["objects"].pop(name, None)
    json.dump(state, open("/srv/double/cluster.json", "w"))
"""


@pytest.fixture
def web(cluster: Cluster) -> Iterator[str]:
    """A pod of a ReplicaSet on w1, which a budget holds; gives the budget's key. Both are gone afterwards, and w1 takes pods."""
    pod = {
        "name": "web-1", "namespace": "shop", "node": "w1", "labels": {"app": "web"}, "annotations": {}, "container": "c1",
        "address": "10.244.62.9", "waiting": "", "message": "", "gone": False, "maker": "ReplicaSet",
    }  # fmt: skip
    budget = {
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "keep", "namespace": "shop"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1},
    }
    key = "PodDisruptionBudget/shop/keep"
    put(cluster, {"shop/web-1": pod}, {key: budget})
    yield key
    put(cluster, {}, {}, "shop/web-1", key)
    take_back(cluster[W1], cluster.kubectl, "w1", cluster.events.append)
    cluster.events.clear()


def put(cluster: Cluster, pods: dict[str, Any], objects: dict[str, Any], *gone: str) -> None:
    cluster[CP].run(["python3", "-c", PUT_POD, json.dumps(pods), json.dumps(objects), *gone])


def request_of(name: str) -> str:
    """A certificate request as a kubelet makes it, as the API has it: PEM in base64."""
    argv = [
        "openssl",
        "req",
        "-new",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "/dev/null",
        "-subj",
        f"/O=system:nodes/CN={name}",
    ]
    return base64.b64encode(subprocess.run(argv, capture_output=True, check=True).stdout).decode()


def test_a_node_is_forgotten_with_its_pods_and_requests_and_those_of_others_stay(cluster: Cluster) -> None:
    """Endpoints that lead to it are waited for; here nobody takes them away, so it is said and gone on."""
    requests = {
        f"CertificateSigningRequest//csr-{node}": {
            "kind": "CertificateSigningRequest",
            "metadata": {"name": f"csr-{node}"},
            "spec": {"request": request_of(f"system:node:{node}")},
        }
        for node in ("w1", "w10")
    }
    endpoints = {
        f"Endpoints/shop/{node}": {
            "kind": "Endpoints",
            "metadata": {"name": f"of-{node}", "namespace": "shop"},
            "subsets": [
                {"addresses": [{"ip": "10.244.12.9", "nodeName": node}]},
                {"notReadyAddresses": [{"ip": "1.2.3.4"}]},
            ],
        }
        for node in ("w8", "w9")
    }
    pod = {
        "name": "left-1", "namespace": "shop", "node": "w9", "labels": {}, "annotations": {}, "container": "c1",
        "address": "10.244.12.9", "waiting": "", "message": "", "gone": False, "maker": "DaemonSet",
    }  # fmt: skip
    put(cluster, {"shop/left-1": pod}, requests | endpoints)
    cluster.events.clear()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(forget, "MOVED_S", 1.0)
            forget_node(cluster.kubectl, "w9", cluster.events.append)
        assert [event for event in cluster.events if isinstance(event, Changed)] == [
            Changed("cluster", "node w9", "delete from Kubernetes"),
            Changed("cluster", "pods left-1 of w9", "delete from Kubernetes"),
        ]
        assert any(isinstance(event, Warned) and "of-w9 leads to it still" in event.message for event in cluster.events)
        assert forget.stale_requests(cluster.kubectl.get("csr")["items"], "w1") == ("csr-w1",)
        assert forget.leads_to(cluster.kubectl, "w7") == Ready(None)
    finally:
        put(cluster, {}, {}, "shop/left-1", *requests, *endpoints)


def test_what_is_no_request_is_nobodys() -> None:
    assert requested_name("") == ""
    assert requested_name("-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END") == ""
    assert forget.stale_requests([{"metadata": {"name": "x"}, "spec": {}}], "w1") == ()


HELD = "shop/web-1 is held by PodDisruptionBudget shop/keep (1 healthy, 1 must stay)"


def test_a_node_that_cannot_be_emptied_is_said_with_what_holds_it(cluster: Cluster, web: str) -> None:
    with pytest.raises(KubernetesError, match=r"^w1 could not be drained \(not within 2 s\): ") as caught:
        drain(cluster.kubectl, "w1", cluster.events.append, within_s=2)
    assert caught.value.message.splitlines()[1:] == [f"    {HELD}"]
    assert caught.value.hint.endswith("it takes no new pods until it is uncordoned")
    assert cordoned(cluster.kubectl, "w1")
    assert (
        cluster[CP].read(["pgrep", "-fc", "kubectl.* drain"], check=False).stdout == "0\n"
    )  # nor goes it on behind our back


def test_what_goes_is_known_before_and_goes(cluster: Cluster, web: str) -> None:
    assert [str(one) for one in evictions(cluster.kubectl, "w1")] == ["shop/web-1"]
    put(cluster, {}, {}, web)
    drain(cluster.kubectl, "w1", cluster.events.append, orphans=False, local_data=False)
    assert evictions(cluster.kubectl, "w1") == ()


def test_a_failing_drain_is_taken_back_and_a_failure_of_that_hides_it_not(cluster: Cluster, web: str) -> None:
    with pytest.raises(KubernetesError, match="could not be drained") as caught:
        set_aside(cluster[W1], cluster.kubectl, "w1", cluster.events.append, within_s=2)
    assert caught.value.hint.endswith("the node takes pods again as before")
    assert not cordoned(cluster.kubectl, "w1")
    assert not cluster.observe(W1).drained
    program = "/usr/local/sbin/kubectl"
    script = (
        '#!/bin/sh\ncase "$*" in *uncordon*) echo "error: no quorum" >&2; exit 1;; esac\nexec /usr/bin/kubectl "$@"\n'
    )
    cluster[CP].put(program, script.encode(), mode=0o755)
    try:
        with pytest.raises(KubernetesError, match="could not be drained") as caught:
            set_aside(cluster[W1], cluster.kubectl, "w1", cluster.events.append, within_s=2)
    finally:
        cluster[CP].run(["rm", program])
    assert HELD in caught.value.message
    assert "also: w1 takes no pods: kubectl uncordon: error: no quorum" in str(caught.value)


def test_what_a_person_has_cordoned_stays_so(cluster: Cluster) -> None:
    cluster.events.clear()
    cordon(cluster.kubectl, "w1", cluster.events.append)
    cordon(cluster.kubectl, "w1", cluster.events.append)
    assert cluster.events == [Changed("cluster", "node w1", "cordon")]
    assert not set_aside(cluster[W1], cluster.kubectl, "w1", cluster.events.append)
    assert not cluster.observe(W1).drained
    uncordon(cluster.kubectl, "w1", cluster.events.append)
    assert not cordoned(cluster.kubectl, "w1")


def test_what_an_ended_run_has_emptied_is_a_persons_from_his_first_word_on(cluster: Cluster) -> None:
    assert set_aside(cluster[W1], cluster.kubectl, "w1", cluster.events.append)
    assert set_aside(
        cluster[W1], cluster.kubectl, "w1", cluster.events.append
    )  # the next run's, still to be taken back
    disown(cluster[W1])
    assert not cluster.observe(W1).drained
    assert not set_aside(cluster[W1], cluster.kubectl, "w1", cluster.events.append)
    uncordon(cluster.kubectl, "w1", cluster.events.append)


def test_a_name_that_kubernetes_does_not_know_is_said_with_those_it_does(cluster: Cluster) -> None:
    with pytest.raises(KubernetesError, match="Kubernetes has no node w9") as caught:
        cordon(cluster.kubectl, "w9", cluster.events.append)
    assert "it has cp1, w1" in caught.value.hint


def test_the_log_of_a_pod_by_argv_that_1_5_takes(cluster: Cluster) -> None:
    name = cluster.pods(CP, W1)["w1"].name
    argv = logs_argv(name, "main", "default", tail=5, since_s=600, follow=False)
    assert cluster[CP].read(argv).stdout.endswith("has begun\n")


def test_pods_leave_the_cluster_under_the_nodes_address(cluster: Cluster) -> None:
    rules = cluster[CP].read(["iptables", "-t", "nat", "-S"]).stdout
    assert "-A POSTROUTING -s 10.244.61.0/24 -j MESHCTL-EGRESS" in rules
    assert rules.index("-d 10.244.0.0/16 -j RETURN") < rules.index("-A MESHCTL-EGRESS -j MASQUERADE")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"apiVersion": "apps/v1"}, 'no kind "DaemonSet" is registered for version "apps/v1"'),
        (
            {"spec": {**ECHO["spec"], "updateStrategy": {}}},
            "found invalid field updateStrategy for v1beta1.DaemonSetSpec",
        ),
        ({"kind": "Role", "apiVersion": "rbac.authorization.k8s.io/v1beta1"}, 'no kind "Role" is registered'),
    ],
)
def test_what_1_5_does_not_know_is_refused_and_the_rest_applied(
    cluster: Cluster, change: dict[str, Any], said: str
) -> None:
    wrong = {**ECHO, "metadata": {"name": "wrong", "namespace": "default"}, **change}
    right = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "right", "namespace": "default"},
        "data": {"y": "no"},
    }
    with pytest.raises(KubernetesError, match=said):
        cluster.kubectl.apply([wrong, right])
    assert cluster.kubectl.get("configmap", "right")["data"] == {"y": "no"}
    cluster.kubectl.delete("configmap", "right", namespace="default")
    cluster.kubectl.delete("configmap", "right", namespace="default")  # absent is fine


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("tolerations", [{"operator": "Exists"}], "found invalid field tolerations for v1.PodSpec"),
        ("dnsPolicy", "ClusterFirstWithHostNet", "ClusterFirstWithHostNet"),
    ],
)
def test_pods_of_later_versions_are_refused(cluster: Cluster, field: str, value: object, said: str) -> None:
    template = {**ECHO["spec"]["template"], "spec": {**ECHO["spec"]["template"]["spec"], field: value}}
    with pytest.raises(KubernetesError, match=said):
        cluster.kubectl.apply([{**ECHO, "spec": {"template": template}}])


def test_the_mesh_is_written_in_words_that_1_5_knows(cluster: Cluster) -> None:
    words = PROFILE.workloads
    platform = Platform(
        daemonset_api=words.daemonset_api,
        rbac_api=words.rbac_api,
        dns_policy=words.host_network_dns_policy,
        mesh_image="buoyantio/linkerd:0.8.5",
        standin=False,
        kubectl_image="buoyantio/kubectl:v1.4.0",
        echo_image="meshctl/echo:1",
        annotations=words.annotations,
        tolerations=words.tolerations,
    )
    mesh = Mesh(namespace="kube-system")
    wanted = manifests("lab", mesh, configuration(mesh), platform)
    assert {manifest["kind"] for manifest in wanted} >= {"ConfigMap", "DaemonSet", "Service"}
    assert [problem(dict(manifest)) for manifest in wanted if problem(dict(manifest))] == []
    cluster.kubectl.create(cluster.kubectl.outdated(wanted).absent)
    assert cluster.kubectl.outdated(wanted) == Outdated()
    changed = dict(wanted[0], metadata={**wanted[0]["metadata"], "labels": {"app": "changed"}})
    assert cluster.kubectl.outdated([changed]) == Outdated(different=(changed,))
    cluster.kubectl.apply([changed])
    assert cluster.kubectl.outdated([changed]) == Outdated()
    for manifest in wanted:
        cluster.kubectl.delete(manifest["kind"].lower(), manifest["metadata"]["name"], namespace="kube-system")


@pytest.mark.parametrize("words", ["wait --for=x", "auth can-i", "api-resources", "rollout status ds/x --watch=true"])
def test_verbs_of_later_versions_are_unknown(cluster: Cluster, words: str) -> None:
    assert cluster[CP].run(["kubectl", *words.split()], check=False).status == 1


def test_pods_without_an_image_say_so(cluster: Cluster) -> None:
    labels = {"app": "lost"}
    container = {"name": "lost", "image": "lost:1"}
    spec = {"template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}}}
    cluster.kubectl.apply([{**ECHO, "metadata": {"name": "lost", "namespace": "default"}, "spec": spec}])

    def pulled() -> Ready[str] | NotYet:
        answer = pods_on(cluster.kubectl, ["w1"], namespace="default", labels=labels)
        assert isinstance(answer, NotYet)
        return Ready(answer.seen) if "ErrImagePull" in answer.seen else answer

    assert "w1: ErrImagePull (image pull failed for lost:1" in soon(pulled)
    cluster.kubectl.delete("daemonset", "lost", namespace="default")


def test_a_second_init_is_never_begun(cluster: Cluster) -> None:
    ca = cluster.ca()
    cluster.initialise()
    assert cluster.ca() == ca
    # and this is what it would have done:
    config = PROFILE.init_config(cluster.spec, CP, Secret("aaaaaa.bbbbbbbbbbbbbbbb")).reveal()
    assert "kubernetesVersion: v1.5.8" in config


def test_kubeadm_runs_on_when_we_are_killed_and_is_not_begun_twice(alone: Cluster) -> None:
    began = multiprocessing.get_context("fork").Event()

    def emit(event: Event) -> None:
        if "kubeadm init" in str(event):
            began.set()

    alone[CP].run(["sh", "-c", "mv /var/lib/double/docker.json /var/lib/double/away.json"])  # no images: it waits
    killed = multiprocessing.get_context("fork").Process(
        target=lambda: initialise(alone[CP], PROFILE, alone.spec, CP, emit, within_s=60)
    )
    killed.start()
    assert began.wait(20)
    assert killed.pid is not None
    os.kill(killed.pid, signal.SIGKILL)
    killed.join()
    soon(
        lambda: (
            Ready(1)
            if alone[CP].read(["test", "-e", "/etc/kubernetes/pki/ca.pem"], check=False).status == 0
            else NotYet("")
        )
    )
    ca = alone.ca()
    assert alone.observe(CP).phase is Phase.RUNNING
    alone[CP].run(["mv", "/var/lib/double/away.json", "/var/lib/double/docker.json"])
    alone.initialise()
    assert alone.ca() == ca
    assert alone.observe(CP).joined


def test_a_hanging_init_is_ended_explained_and_begun_anew(alone: Cluster) -> None:
    """The deadline leaves time to make four pairs of RSA keys on a busy machine."""
    alone[CP].put("/etc/docker/daemon.json", b"{}")
    alone[CP].run(["systemctl", "restart", "docker.service"])
    alone.shells["cp1"] = dropping = Dropping(where="cp1", pid=alone[CP].pid)
    with pytest.raises(KubernetesError, match=r"cp1: kubeadm init: not within 25 s") as failure:
        alone.initialise(within_s=25)
    assert dropping.lost
    assert "non-shareable IPC" in failure.value.message
    assert "waiting for the control plane to become ready" in failure.value.message
    assert "default-ipc-mode" in failure.value.hint
    state = alone.observe(CP)
    assert state.phase is Phase.HALF
    ca = alone.ca()
    alone.prepare(CP)
    alone.initialise()
    assert any(isinstance(event, Warned) and "did not finish" in event.message for event in alone.events)
    assert alone.ca() != ca
    assert alone.observe(CP).unprepared == ()  # reset emptied /etc/cni/net.d


def test_a_control_plane_of_somebody_else_is_left_bare(bare: Cluster) -> None:
    bare[CP].put("/etc/kubernetes/admin.conf", b"server: https://10.77.0.61:6443\nca: theirs\n")
    with pytest.raises(KubernetesError, match=r"kubeadm that meshctl did not start, /etc/kubernetes/admin\.conf"):
        bare.initialise()
    assert bare[CP].read(["cat", "/etc/kubernetes/admin.conf"]).stdout.endswith("theirs\n")
    bare[CP].run(["rm", "/etc/kubernetes/admin.conf"])


def test_preflight_names_all_faults_at_once(bare: Cluster) -> None:
    bare.lab.local.run(["nsenter", "-t", str(bare[CP].pid), "-u", "hostname", "Wrong"])
    script = "import socket; s = socket.create_server(('127.0.0.1', 10250)); open('/run/up', 'w').close(); input()"
    bare[CP].run(["sh", "-c", 'setsid "$1" -c "$2" < /dev/zero > /dev/null 2>&1 &', "listen", sys.executable, script])
    soon(
        lambda: Ready(1) if bare[CP].read(["test", "-e", "/run/up"], check=False).status == 0 else NotYet("no listener")
    )
    with pytest.raises(KubernetesError) as failure:
        preflight(bare[CP], PROFILE, CP)
    for fault in ("the host name is 'Wrong'", "port 10250 is in use"):
        assert fault in failure.value.message
    bare.lab.local.run(["nsenter", "-t", str(bare[CP].pid), "-u", "hostname", "cp1"])
    bare[CP].run(["pkill", "-f", "create_server"])
    soon(
        lambda: (
            NotYet("it listens") if bare[CP].read(["pgrep", "-f", "create_server"], check=False).stdout else Ready(1)
        )
    )
    preflight(bare[CP], PROFILE, CP)


def test_a_bundle_that_is_not_what_it_says_is_refused(tmp_path: Path) -> None:
    made = Cluster(tmp_path, CP)
    try:
        made[CP].run(["touch", "/var/lib/double/no-disk"])
        with pytest.raises(KubernetesError, match="no disk with the label meshbundle"):
            made.prepare(CP)
        made[CP].run(["rm", "/var/lib/double/no-disk"])
        right = made.spec
        made.spec = replace(right, archives=tuple(replace(archive, sha256="0" * 64) for archive in right.archives))
        with pytest.raises(KubernetesError, match=r"images/control-plane\.tar: FAILED"):
            made.prepare(CP)
        made.spec = right
        assert made.prepare(CP).unprepared == ()
        assert made[CP].read(["mountpoint", "/run/meshctl/bundle"], check=False).status != 0
    finally:
        made.lab.stop()


def test_a_third_node_with_a_wrong_token_then_the_right_one_then_rebuilt(cluster: Cluster) -> None:
    token = credentials(cluster[CP], PROFILE, cluster.events.append).token.reveal()
    cluster.spec = replace(cluster.spec, members=(CP, W1, W2))
    cluster.shells["w2"] = cluster.lab.node(W2)
    cluster.prepare(W2)
    with pytest.raises(KubernetesError, match="failed to verify JWS signature") as failure:
        cluster.join(W2, Credentials(Secret(token[:7] + "0" * 16)))
    assert "the token is not the cluster's" in failure.value.hint
    cluster.join(W2)
    assert soon(lambda: nodes_ready(cluster.kubectl, ["cp1", "w1", "w2"]))
    # A new guest under an old name: its Node is still there, and 1.5 refuses to join beside it.
    wipe = "systemctl stop kubelet; rm -rf /etc/kubernetes /var/lib/meshctl/kubeadm.* /var/lib/kubelet"
    cluster[W2].run(["sh", "-c", wipe])
    assert cluster.observe(W2).phase is Phase.FRESH
    cluster.join(W2)
    assert any("former guest" in str(event) for event in cluster.events)
    assert soon(lambda: nodes_ready(cluster.kubectl, ["w2"]))


class TestTheDoubleItself:
    """It must be able to fail a profile that does wrong."""

    @pytest.mark.parametrize(
        ("words", "status", "said"),
        [
            ("init --kubernetes-version v1.5.8", 1, "unknown flag: --kubernetes-version"),
            ("init --ignore-preflight-errors all", 1, "unknown flag: --ignore-preflight-errors"),
            ("token create", 1, 'unknown command "token"'),
            ("init --use-kubernetes-version v1.5.8", 2, "unsupported kernel release"),
            ("init --skip-preflight-checks", 1, "stable.txt"),
            (
                "init --skip-preflight-checks --use-kubernetes-version v1.5.8 --token short.token",
                1,
                "expected <6 characters>",
            ),
            ("join --skip-preflight-checks --token abcdef.0123456789abcdef", 1, "must specify master address"),
            ("join --skip-preflight-checks 10.77.0.61", 1, "Must specify --token"),
            ("join --skip-preflight-checks --token abcdef.0123456789abcdef a b", 1, "more than one master address"),
            ("init --config /root/kubeadm.yaml --token abcdef.0123456789abcdef", 70, "--config replaces"),
            ("init --config /root/none.yaml", 1, "unable to read config"),
        ],
    )
    def test_commands(self, cluster: Cluster, words: str, status: int, said: str) -> None:
        done = cluster[W1].run(["kubeadm", *words.split()], check=False)
        assert (done.status, said in done.stderr) == (status, True), done.stderr

    @pytest.mark.parametrize(
        ("content", "mode", "said"),
        [
            (b"apiVersion: kubeadm.k8s.io/v1beta2\nkind: MasterConfiguration\n", 0o600, "unable to decode config"),
            (
                b"apiVersion: kubeadm.k8s.io/v1alpha1\nkind: MasterConfiguration\ntoken: x\n",
                0o600,
                "has no field token",
            ),
            (b"apiVersion: kubeadm.k8s.io/v1alpha1\nkind: MasterConfiguration\n", 0o644, "others may read it"),
        ],
    )
    def test_configuration_files(self, cluster: Cluster, content: bytes, mode: int, said: str) -> None:
        cluster[W1].put("/root/wrong.yaml", content, mode=mode)
        done = cluster[W1].run(
            ["kubeadm", "init", "--config", "/root/wrong.yaml", "--skip-preflight-checks"], check=False
        )
        assert done.status != 0
        assert said in done.stderr

    def test_waits_for_ever_for_a_master_with_a_port(self, cluster: Cluster) -> None:
        argv = ["kubeadm", "join", "--skip-preflight-checks", "--token=abcdef.0123456789abcdef", "10.77.0.61:6443"]
        with pytest.raises(CommandFailed, match="Failed to request cluster info, will try again"):
            cluster[W1].run(argv, within_s=6)

    def test_a_kubelet_with_its_defaults_is_not_let_pass(self, cluster: Cluster) -> None:
        done = cluster[W1].run(["kubelet", "--kubeconfig=/etc/kubernetes/kubelet.conf"], check=False)
        assert done.stderr == "DOUBLE: --anonymous-auth is true: that is open to everybody\n"
        argv = [f"{flag}={closed}" for flag, (_, closed) in CLOSED.items()]
        lost = cluster[W1].run(["kubelet", "--kubeconfig=/etc/kubernetes/kubelet.conf", *argv], check=False)
        assert "unable to load client CA file" in lost.stderr

    def test_a_kubelet_needs_its_configuration_and_its_unit_a_reload(self, bare: Cluster) -> None:
        bare[CP].run(["systemctl", "start", "kubelet"])
        said = "invalid kubeconfig: stat /etc/kubernetes/kubelet.conf: no such file or directory"

        def look() -> Ready[bool] | NotYet:
            log = bare[CP].read(["cat", "/var/lib/double/kubelet.service.log"], check=False).stdout
            return Ready(True) if said in log else NotYet(log)

        assert soon(look)
        bare[CP].run(["sh", "-c", "echo >> /etc/systemd/system/kubelet.service.d/20-meshctl.conf"])
        assert bare[CP].run(["systemctl", "restart", "kubelet"], check=False).status == 70
        bare[CP].run(["systemctl", "stop", "kubelet"])
        assert bare.prepare(CP).unprepared == ()

    def test_a_node_is_ready_without_a_pod_network_and_a_second_init_breaks_it(self, alone: Cluster) -> None:
        alone.initialise()
        alone[CP].run(["rm", "/etc/cni/net.d/10-meshctl.conf"])
        alone.kubectl.apply([ECHO])
        assert soon(lambda: nodes_ready(alone.kubectl, ["cp1"]))
        with pytest.raises(StageTimeout, match=r"ContainerCreating \(cni config unintialized\)"):
            wait_until(
                lambda: pods_on(alone.kubectl, ["cp1"], namespace="default", labels={"app": "echo"}),
                what="pods", within_s=1.5, every_s=0.2,
            )  # fmt: skip
        ca = alone.ca()
        argv = ["kubeadm", "init", "--skip-preflight-checks", "--use-kubernetes-version=v1.5.8"]
        done = alone[CP].run([*argv, f"--api-advertise-addresses={CP.address}"], check=False)
        assert done.status == 1
        assert "it already exists" in done.stderr
        assert alone.ca() != ca
        with pytest.raises(KubernetesError, match="certificate signed by unknown authority"):
            alone.kubectl.items("nodes")

    def test_one_unit_runs_once(self, bare: Cluster) -> None:
        argv = ["systemd-run", f"--unit={UNIT}", "--description=x", "sleep", "30"]
        bare[CP].run(argv)
        again = bare[CP].run(argv, check=False)
        assert again.status == 1
        assert "already exists" in again.stderr
        assert bare.observe(CP).phase is Phase.RUNNING
        bare[CP].run(["systemctl", "stop", UNIT])

    def test_a_unit_is_not_stopped_while_a_pod_is_half_started(self, bare: Cluster) -> None:
        """Its process would be nobody's, and keep its port: the next control plane's etcd would not get it."""
        bare[CP].run(["systemd-run", f"--unit={UNIT}", "--description=x", "sleep", "30"])
        stop = f"flock /srv/double/cluster.lock sh -c 'sleep 2; echo let go >&3' & sleep 0.2; systemctl stop {UNIT}; echo stopped; wait"
        assert bare[CP].run(["sh", "-c", f"exec 3>&1; {stop}"]).stdout.splitlines() == ["let go", "stopped"]


# kubeadm as it was once where the control plane was busy; from the next time on it is itself.
IMPATIENT = """
mkdir -p /opt/real && mv /usr/bin/kubeadm /opt/real/kubeadm
cat > /usr/bin/kubeadm <<'END'
#!/bin/sh
if [ "$1" != join ]; then exec /opt/real/kubeadm "$@"; fi
mv -f /opt/real/kubeadm /usr/bin/kubeadm
echo 'error execution phase kubelet-start: error uploading crisocket: error patching node "w1" through apiserver:' \\
    'net/http: request canceled (Client.Timeout exceeded while awaiting headers)'
exit 1
END
chmod 755 /usr/bin/kubeadm
"""


def test_a_join_that_a_busy_api_server_did_not_answer_is_begun_once_more(tmp_path: Path) -> None:
    made = Cluster(tmp_path, CP, W1)
    try:
        for member in (CP, W1):
            made.prepare(member)
        made.initialise()
        made[W1].run(["sh", "-ec", IMPATIENT])
        made.join(W1)
        warned = [event.message for event in made.events if isinstance(event, Warned)]
        assert warned == ["w1: the API server did not answer kubeadm in its ten seconds: joined once more"]
        assert made.observe(W1).joined
    finally:
        made.lab.stop()


def test_any_other_failure_of_a_join_is_not_tried_again() -> None:
    assert not impatience("error execution phase preflight: couldn't validate the identity of the API Server: x509")
    assert not impatience("Client.Timeout exceeded while awaiting headers")  # the kubelet's own, which it mends itself
