"""A changed mesh comes onto three nodes without a request lost: on the strict doubles of Kubernetes 1.5 and of linkerd, in nodes of
namespaces, with real rules and real requests. Needs root, as namespaces do.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from provision.base.errors import MeshError
from provision.base.events import Changed, Event, Warned
from provision.base.interruption import Interrupted
from provision.base.waiting import NotYet, Ready, wait_until
from provision.bundle import Bundle
from provision.bundle.model import MeshImage
from provision.inventory import Cluster as Inventory
from provision.kubernetes.kubectl import digest, stamped
from provision.kubernetes.leading import lead, led_to, listeners
from provision.linkerd.wanted import Mesh
from provision.mesh import digest_of, node_of, pod_digests
from provision.plan import Plan
from provision.run.cluster_drift import cluster_drifts
from provision.run.observe import mesh_manifests
from provision.run.stages import mesh
from provision.run.stages.given_up import GivenUp
from tests.doubles.indoors import Indoors
from tests.doubles.sandbox import NodeShell
from tests.unit.kubernetes.test_kubernetes_1_5 import CP, W1, W2, Cluster
from tests.unit.kubernetes.test_leading import begin
from tests.unit.kubernetes.test_pruning_1_5 import ONE
from tests.unit.sample import CLUSTER

NAMES = ("cp1", "w1", "w2")
BUNDLE = Bundle("v1.5.8", "amd64", (), (), MeshImage(ONE, standin=True), ONE, ONE, "0123456789ab")
LOST = "meshctl/lost:1"

# Twenty requests a second, each at its own time; at the end of its stdin the count and what failed.
ASK = """
import concurrent.futures, http.client, json, sys, threading, time
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
asked, failed, lock = 0, [], threading.Lock()
def ask():
    try:
        connection = http.client.HTTPConnection("127.0.0.1", 4140, timeout=20)
        connection.request("GET", "/", headers={"Host": "echo"})
        answer = connection.getresponse(); body = answer.read()
        fault = "" if answer.status == 200 else "%d %s" % (answer.status, body)
    except Exception as error:
        fault = repr(error)
    if fault:
        with lock: failed.append(time.strftime("%H:%M:%S ") + fault)
with concurrent.futures.ThreadPoolExecutor(32) as pool:
    print("begun", flush=True)
    while not ended.wait(0.05):
        pool.submit(ask); asked += 1
print(json.dumps({"asked": asked, "failed": failed}))
"""


def inventory(**more: Any) -> Inventory:
    nodes = (*CLUSTER.nodes, CLUSTER.nodes[1].model_copy(update={"name": "w2", "address": "10.77.0.13"}))
    version = CLUSTER.kubernetes.model_copy(update={"version": "v1.5.8"})
    wanted = Mesh.model_validate({"roll": {"drain_s": 2, "steady_s": 1}, **more})
    return CLUSTER.model_copy(update={"nodes": nodes, "kubernetes": version, "mesh": wanted})


@dataclass
class Ground:
    """Three nodes with Kubernetes."""

    cluster: Cluster
    events: list[Event] = field(default_factory=list)

    def run(self, inventory: Inventory, events: list[Event] | None = None) -> list[Event]:
        """The stage, as a run of all nodes has it."""
        said = [] if events is None else events
        none = cast(Any, None)
        doors = Indoors(inventory, {}, none, said.append, none, BUNDLE, GivenUp(), self.shells)
        mesh.run(Plan("lab", none, ()), doors)
        return said

    @property
    def shells(self) -> dict[str, NodeShell]:
        return self.cluster.shells

    def digests(self, app: str = "l5d") -> dict[str, str]:
        pods = self.cluster.kubectl.items("pods", namespace="default", labels={"app": app})
        return {node_of(pod): digest_of(pod) for pod in pods}

    def led(self) -> dict[str, str]:
        return {name: to for name, shell in self.shells.items() if (to := led_to(shell))}

    @contextmanager
    def asked(self) -> Iterator[dict[str, dict[str, Any]]]:
        """Load from each node; what was counted is there at the end."""
        found: dict[str, dict[str, Any]] = {}
        inside = {
            name: ["nsenter", "-t", str(shell.pid), "-n", "python3", "-c", ASK] for name, shell in self.shells.items()
        }
        running = {
            name: subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            for name, argv in inside.items()
        }
        try:
            for one in running.values():
                assert one.stdout is not None
                assert one.stdout.readline() == "begun\n"
            yield found
        finally:
            for name, one in running.items():
                found[name] = json.loads(one.communicate("", timeout=60)[0])
        print(found)


def none_failed(found: dict[str, dict[str, Any]]) -> None:
    assert {name: one["failed"] for name, one in found.items()} == {name: [] for name in NAMES}
    assert all(one["asked"] > 20 for one in found.values())


def wanted(one: Inventory, app: str = "l5d") -> dict[str, str]:
    return dict.fromkeys(NAMES, pod_digests(mesh_manifests(one, BUNDLE))[app])


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    made = Cluster(tmp_path_factory.mktemp("ground"), CP, W1, W2)
    try:
        made.provision()
        found = Ground(made)
        found.run(inventory())
        yield found
    finally:
        made.lab.stop()


def turns(events: list[Event]) -> list[tuple[str, str]]:
    return [
        (event.where, event.change.split()[0])
        for event in events
        if isinstance(event, Changed) and event.object == "its router"
    ]


def test_a_change_rolls_node_by_node_and_no_request_is_lost(ground: Ground) -> None:
    new = inventory(failure_accrual={"failures": 7})
    with ground.asked() as found:
        events = ground.run(new)
    none_failed(found)
    assert turns(events) == [(name, what) for name in NAMES for what in ("led", "serves")]
    assert ground.digests() == wanted(new)
    assert ground.led() == {}
    held = [name for name in ground.cluster.kubectl.names_in("default") if name.startswith("configmap/l5d-config-")]
    assert len(held) == 1  # the former one is pruned when nobody reads it any more


def test_a_mesh_as_wanted_is_left_alone(ground: Ground) -> None:
    before = {name: shell.calls.mutations for name, shell in ground.shells.items()}
    assert not [event for event in ground.run(inventory(failure_accrual={"failures": 7})) if isinstance(event, Changed)]
    assert {name: shell.calls.mutations for name, shell in ground.shells.items()} == before


def test_another_heap_reaches_the_pods_too(ground: Ground) -> None:
    new = inventory(failure_accrual={"failures": 7}, heap="256MiB")
    ground.run(new)
    assert ground.digests() == wanted(new)


def test_what_a_killed_run_left_is_finished_by_the_next_one(ground: Ground) -> None:
    """Killed when the first node had its pod taken away: its rule stays, and all goes on being served."""
    new = inventory(failure_accrual={"failures": 8})

    class Killed(list[Event]):
        def append(self, event: Event) -> None:
            if isinstance(event, Changed) and event.change == "replace":
                raise Interrupted("killed")

    with ground.asked() as found:
        with pytest.raises(Interrupted):
            ground.run(new, Killed())
        assert set(ground.led()) == {"cp1"}
        time.sleep(3)
        events = ground.run(new)
    none_failed(found)
    assert turns(events)[0] == ("cp1", "serves")
    assert ground.digests() == wanted(new)
    assert ground.led() == {}


def test_one_that_does_not_start_stops_at_the_first_node_and_the_old_inventory_leads_back(ground: Ground) -> None:
    old, new = inventory(failure_accrual={"failures": 8}), inventory(image=LOST)
    with ground.asked() as found:
        with pytest.raises(
            MeshError, match="cp1: its new router does not prove itself, so the roll stops here"
        ) as refused:
            ground.run(new)
        assert "with the inventory as it was" in refused.value.hint
        assert set(ground.led()) == {"cp1"}
        left = ground.digests()
        assert {name: left[name] for name in ("w1", "w2")} == {name: wanted(old)[name] for name in ("w1", "w2")}
        events = ground.run(old)
    none_failed(found)
    assert [where for where, _ in turns(events)] == ["cp1", "cp1"]
    assert ground.digests() == wanted(old)
    assert ground.led() == {}


def test_a_node_that_was_led_by_hand_or_whose_run_died_at_the_end_gets_its_requests_back(ground: Ground) -> None:
    lead(ground.shells["w1"], CP.address, (4140,))
    events = ground.run(inventory(failure_accrual={"failures": 8}))
    assert turns(events) == [("w1", "serves")]
    assert ground.led() == {}


def test_no_neighbour_no_roll_unless_a_gap_is_allowed(ground: Ground) -> None:
    """Where other nodes answer nobody: here their port is shut to this one."""
    shut = ["-p", "tcp", "--dport", "4140", "-s", CP.address, "-j", "REJECT"]
    for name in ("w1", "w2"):
        ground.shells[name].run(["iptables", "-I", "INPUT", *shut])
    try:
        changed = {"failure_accrual": {"failures": 9}}
        with pytest.raises(MeshError, match="cp1: no other node's router answers it"):
            ground.run(inventory(**changed))
        assert ground.led() == {}
        events = ground.run(inventory(**changed, roll={"drain_s": 0, "steady_s": 0, "gap": True}))
        assert [event.message for event in events if isinstance(event, Warned)] == [
            "cp1: no other router takes its requests: they fail until its new one answers"
        ]
    finally:
        for name in ("w1", "w2"):
            ground.shells[name].run(["iptables", "-D", "INPUT", *shut])


def test_a_port_that_somebody_else_has_is_named_with_his_process_before_anything_is_written(ground: Ground) -> None:
    before = ground.digests()
    begin(ground.shells["w2"], "timeout", "60", "python3", "-m", "http.server", "4150")
    wait_until(lambda: taken(ground.shells["w2"]), what="the port", within_s=20, every_s=0.2)
    with pytest.raises(MeshError, match="w2: port 4150 is taken by python3"):
        ground.run(inventory(port=4150))
    assert ground.digests() == before


def taken(shell: NodeShell) -> Ready[None] | NotYet:
    return Ready(None) if listeners(shell, (4150,)) else NotYet("nobody")


def test_what_a_hand_did_to_the_mesh_is_drift_and_the_next_run_undoes_it(ground: Ground) -> None:
    now = inventory(failure_accrual={"failures": 9})
    ground.run(now)
    kubectl, made = ground.cluster.kubectl, mesh_manifests(now, BUNDLE)

    def seen() -> list[tuple[str, str, str, str, str]]:
        found = cluster_drifts(kubectl, made, now, NAMES)
        return [(one.where, one.object, one.field, one.wanted, one.found) for one in found]

    assert seen() == []
    service = next(one for one in made if (one["kind"], one["metadata"]["name"]) == ("Service", "echo"))
    changed = stamped(service)
    changed["metadata"]["annotations"]["meshctl/digest"] = digest(service)  # as `kubectl edit` leaves it
    changed["spec"] = {**service["spec"], "ports": [{"name": "http", "port": 81, "targetPort": 8080}]}
    ground.shells["cp1"].run(
        ["kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf", "apply", "-f", "-"],
        stdin=json.dumps(changed).encode(),
    )
    other = mesh_manifests(inventory(heap="128MiB", failure_accrual={"failures": 9}), BUNDLE)
    assert seen() == [("cluster", "Service echo in default", "spec.ports[0].port", "8080", "81")]
    stale = [one.field for one in cluster_drifts(kubectl, other, now, NAMES) if one.object.startswith("pod l5d")]
    assert stale == ["template"] * 3
    events = ground.run(now)
    assert [event.object for event in events if isinstance(event, Changed)] == ["Service echo"]
    assert seen() == []
