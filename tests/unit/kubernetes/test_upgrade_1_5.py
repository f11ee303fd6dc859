"""1.5.8 → 1.5.9 against the strict doubles: two nodes, killed in the midst, and what each of them says of itself."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator

import pytest

from provision.base.errors import KubernetesError
from provision.base.events import Changed, Warned
from provision.kubernetes import Spec, load_images, observe, renew_proxy, runs_version, upgrade
from tests.doubles.sandbox import NodeShell, make_bundle, spec_of
from tests.unit.kubernetes.test_kubernetes_1_5 import CP, PROFILE, W1, Cluster, soon


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"), CP, W1)
    try:
        made.provision()
        yield made
    finally:
        made.lab.stop()


@pytest.fixture(scope="module")
def newer(cluster: Cluster) -> Spec:
    """What 1.5.9 wants; its bundle is not in the nodes yet."""
    folder = cluster.lab.folder / "newer"
    make_bundle(folder, cluster.lab.folder / "doubles.pyz", "v1.5.9")
    return spec_of(folder, (CP, W1), "v1.5.9")


def kubelets(cluster: Cluster) -> dict[str, str]:
    nodes = cluster.kubectl.items("nodes")
    return {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}


def control_plane(cluster: Cluster) -> dict[str, str]:
    text = cluster[CP].read(["cat", "/srv/double/cluster.json"]).stdout
    return dict(json.loads(text)["versions"])


def proxies(cluster: Cluster) -> dict[str, str]:
    pods = cluster.kubectl.items("pods", namespace="kube-system", labels={"component": "kube-proxy"})
    return {pod["spec"]["nodeName"]: pod["spec"]["containers"][0]["image"].rpartition(":")[2] for pod in pods}


def test_a_node_with_the_old_disk_is_refused_before_anything_is_changed(cluster: Cluster, newer: Spec) -> None:
    before = cluster.mutations()
    state = observe(cluster[W1], PROFILE, newer, W1)
    assert (state.version, state.joined) == ("v1.5.8", True)
    assert [program.path for program in state.missing_programs] == ["bin/kubelet"]
    assert [archive.path for archive in state.missing_archives] == ["images/node.tar"]
    with pytest.raises(
        KubernetesError, match=r"the bundle's disk is not what bundle\.yaml says: images/node\.tar: FAILED"
    ):
        load_images(cluster[W1], PROFILE, newer, W1, cluster.events.append)
    assert cluster.mutations() - before == 2  # mounted, unmounted
    assert "v1.5.9" not in cluster[W1].read(["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"]).stdout


def test_the_images_come_first_and_alone(cluster: Cluster, newer: Spec) -> None:
    cluster.lab.exchange(cluster.lab.folder / "newer")
    for member in (CP, W1):
        load_images(cluster[member], PROFILE, newer, member, cluster.events.append)
    state = observe(cluster[W1], PROFILE, newer, W1)
    assert (state.version, state.missing_archives, state.unprepared) == (
        "v1.5.8",
        (),
        ("1 program(s) of the bundle to install",),
    )
    assert kubelets(cluster) == {"cp1": "v1.5.8", "w1": "v1.5.8"}


def test_a_run_that_was_killed_in_the_midst_is_waited_for(cluster: Cluster, newer: Spec) -> None:
    """The unit goes on without us: the next run finds it running, or its end, and does nothing twice."""
    cluster[CP].put("/var/lib/meshctl/upgrade.version", b"v1.5.9\n")
    cluster[CP].run(
        ["systemd-run", "--unit=meshctl-upgrade.service", "--description=killed", "sh", "-c",
         "sleep 1; cd /var/lib/meshctl && echo as before > upgrade.log && echo 0 > upgrade.done"]
    )  # fmt: skip
    cluster.events.clear()
    upgrade(cluster[CP], PROFILE, newer, CP, cluster.events.append)
    assert Changed("cp1", "upgrade to v1.5.9", "start") not in cluster.events
    assert control_plane(cluster)["kube-apiserver"] == "v1.5.8"
    assert observe(cluster[CP], PROFILE, newer, CP).unprepared == ()


def test_the_control_plane_is_moved_by_its_manifests(cluster: Cluster, newer: Spec) -> None:
    cluster[CP].run(["sh", "-c", "cd /var/lib/meshctl && rm upgrade.done && sed -i 1s/9/8/ prepared"])
    cluster.events.clear()
    upgrade(cluster[CP], PROFILE, newer, CP, cluster.events.append)
    wanted = {"etcd": "3.0.14-kubeadm"} | dict.fromkeys(
        ("kube-apiserver", "kube-controller-manager", "kube-scheduler"), "v1.5.9"
    )
    assert control_plane(cluster) == wanted
    assert soon(lambda: runs_version(cluster.kubectl, "cp1", "v1.5.9")) is None
    renew_proxy(cluster.kubectl, "cp1", "v1.5.9", cluster.events.append)
    assert proxies(cluster) == {"cp1": "v1.5.9", "w1": "v1.5.8"}
    assert Changed("cp1", "Kubernetes v1.5.9", "upgrade") in cluster.events
    manifest = cluster[CP].read(["cat", "/etc/kubernetes/manifests/kube-apiserver.json"]).stdout
    assert "--kubelet-client-certificate" in manifest  # what else is in it stays
    left = cluster[CP].read(["sh", "-c", "ls /etc/kubernetes /var/lib/meshctl"]).stdout
    assert ".new" not in left


def test_a_worker_needs_its_programs_only(cluster: Cluster, newer: Spec) -> None:
    upgrade(cluster[W1], PROFILE, newer, W1, cluster.events.append)
    assert soon(lambda: runs_version(cluster.kubectl, "w1", "v1.5.9")) is None
    renew_proxy(cluster.kubectl, "w1", "v1.5.9", cluster.events.append)
    assert proxies(cluster) == {"cp1": "v1.5.9", "w1": "v1.5.9"}
    assert observe(cluster[W1], PROFILE, newer, W1).version == "v1.5.9"


def test_a_second_time_nothing_is_changed(cluster: Cluster, newer: Spec) -> None:
    before = cluster.mutations()
    for member in (CP, W1):
        assert observe(cluster[member], PROFILE, newer, member).unprepared == ()
        renew_proxy(cluster.kubectl, member.name, "v1.5.9", cluster.events.append)
    assert cluster.mutations() == before


def test_an_api_server_that_does_not_come_back_is_said_with_what_was_done(cluster: Cluster, newer: Spec) -> None:
    cluster[CP].run(["sh", "-c", "cd /var/lib/meshctl && rm upgrade.done && sed -i 1s/9/8/ prepared"])
    broken = (
        PROFILE.upgrade_work("control-plane", first=True).replace("left=300", "left=1").replace('"^Server', '"^Nobody')
    )

    class Broken(type(PROFILE)):  # type: ignore[misc]
        def upgrade_work(self, role: str, *, first: bool) -> str:
            del role
            return broken

    with pytest.raises(KubernetesError, match=r"cp1: upgrade to v1\.5\.9: status 1") as caught:
        upgrade(cluster[CP], Broken(), newer, CP, cluster.events.append)
    assert "the API server does not say that it is v1.5.9" in caught.value.message
    upgrade(cluster[CP], PROFILE, newer, CP, cluster.events.append)
    assert observe(cluster[CP], PROFILE, newer, CP).unprepared == ()


# As kubeadm 1.20 said it once, of an emulated control plane; from the next time on the upgrade is itself.
TOOK_BACK = """
echo "[upgrade/apply] FATAL: couldn't upgrade control plane. kubeadm has tried to recover everything into the earlier state." \\
    "Errors faced: timed out waiting for the condition"
"""
IMPATIENT = f"""
if [ ! -e /root/waited ]; then
    : > /root/waited
    {TOOK_BACK}
    exit 1
fi
"""


@pytest.fixture
def behind(cluster: Cluster) -> Iterator[None]:
    """cp1 is to be moved once more, and its API server serves: nobody listens on 6443 here, so a double of curl says so."""
    cluster[CP].run(["sh", "-c", "cd /var/lib/meshctl && rm upgrade.done && sed -i 1s/9/8/ prepared"])
    cluster[CP].run(["sh", "-c", "printf '#!/bin/sh\n' > /usr/local/sbin/curl && chmod 755 /usr/local/sbin/curl"])
    cluster.events.clear()
    yield
    cluster[CP].run(["rm", "/usr/local/sbin/curl"])


def begun(cluster: Cluster) -> int:
    """How often an upgrade was begun, after each time but the first with a word of why."""
    warned = [event.message for event in cluster.events if isinstance(event, Warned)]
    assert all(message.endswith("took all back: begun once more") for message in warned)
    assert len(warned) == 1
    return cluster.events.count(Changed("cp1", "upgrade to v1.5.9", "start"))


@pytest.mark.usefixtures("behind")
def test_what_kubeadm_took_back_because_it_waited_in_vain_is_begun_once_more(cluster: Cluster, newer: Spec) -> None:
    class Impatient(type(PROFILE)):  # type: ignore[misc]
        def upgrade_work(self, role: str, *, first: bool) -> str:
            return IMPATIENT + str(PROFILE.upgrade_work(role, first=first))

    upgrade(cluster[CP], Impatient(), newer, CP, cluster.events.append)
    assert begun(cluster) == 2
    assert observe(cluster[CP], PROFILE, newer, CP).unprepared == ()


@pytest.mark.usefixtures("behind")
def test_and_also_when_a_run_that_was_ended_had_begun_it(
    cluster: Cluster, newer: Spec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It fails once the next run has seen that it is still at it."""
    module, asked = importlib.import_module("provision.kubernetes.upgrade"), "/root/asked"
    look = module._begun

    def seen(shell: NodeShell, spec: Spec) -> str:
        said = str(look(shell, spec))
        shell.run(["touch", asked])
        return said

    monkeypatch.setattr(module, "_begun", seen)
    cluster[CP].put("/var/lib/meshctl/upgrade.version", b"v1.5.9\n")
    until = f"until [ -e {asked} ]; do sleep 0.1; done"
    script = f"{until}; cd /var/lib/meshctl && {{ {TOOK_BACK.strip()}; }} > upgrade.log && echo 1 > upgrade.failed"
    words = ("systemd-run", "--unit=meshctl-upgrade.service", "--description=killed", "sh", "-c", script)
    cluster[CP].run(list(words))
    upgrade(cluster[CP], PROFILE, newer, CP, cluster.events.append)
    assert begun(cluster) == 1
    assert observe(cluster[CP], PROFILE, newer, CP).unprepared == ()
