"""A control plane's state on a volume of its own, against the strict doubles of 1.5: real folders, real bind mounts, a real sh.

The volume is a folder that outlives the node's other files here, bound as the seed binds it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from provision.base.errors import CommandFailed, KubernetesError
from provision.kubernetes import Phase, copied, finish, prepare, put_back, take_up
from provision.kubernetes.preflight import preflight
from provision.kubernetes.state_volume import COPIES, DONE, OF, is_behind
from provision.storage import STATE_UNITS
from tests.unit.kubernetes.test_backup_1_5 import BEFORE, Ending, gone_back, keep, taken
from tests.unit.kubernetes.test_kubernetes_1_5 import CP, PROFILE, W1, Cluster

# As MOUNT_STATE of the seed; `mount` is a double in these nodes.
_BIND = """
set -e
cd /var/lib/meshctl-state
mkdir -p kept etcd kubernetes kubelet-pki
[ -e kept/of ] || : > kept/of
for pair in etcd:/var/lib/etcd kubernetes:/etc/kubernetes kubelet-pki:/var/lib/kubelet/pki; do
    mkdir -p "${pair#*:}"
    mountpoint -q "${pair#*:}" || /usr/bin/mount --bind "${pair%%:*}" "${pair#*:}"
done
"""

# The guest's root is gone, and another one is there: with what preparation finds, and nothing of kubeadm's.
_NEW_ROOT = """
systemctl stop kubelet
docker ps -q --filter name=k8s_ | xargs -r docker rm -f > /dev/null
echo '{}' > /srv/double/cluster.json
rm -rf /var/lib/meshctl/kubeadm.* /var/lib/meshctl/prepared /var/lib/meshctl/restore /var/lib/kubelet/config.yaml
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Control plane with a state volume, and a worker."""
    made = Cluster(tmp_path_factory.mktemp("cluster"), CP, W1)
    try:
        made[CP].run(["mkdir", "-p", "/var/lib/meshctl-state"])
        made[CP].run(["sh", "-c", _BIND])
        made.provision()
        made.observe(CP)
        yield made
    finally:
        made.lab.stop()


def content(cluster: Cluster, path: str) -> str:
    return cluster[CP].read(["cat", path], check=False).stdout.strip()


def new_root(cluster: Cluster) -> None:
    cluster[CP].run(["sh", "-c", _NEW_ROOT])
    prepare(cluster[CP], PROFILE, cluster.spec, CP, cluster.events.append)


def test_what_an_init_leaves_elsewhere_is_on_the_volume_when_it_has_ended(cluster: Cluster) -> None:
    assert content(cluster, OF) == f"cp1 {CP.address} v1.5.8"
    assert content(cluster, DONE) == "0"
    state = cluster.observe(CP)
    assert (state.phase, state.unprepared, state.keeps, state.has_state) == (Phase.MEMBER, (), True, True)
    worker = cluster.observe(W1)
    assert (worker.keeps, worker.has_state) == (False, False)


def test_a_copy_that_is_behind_is_found_and_made_again(cluster: Cluster) -> None:
    for script in ("echo other > /var/lib/kubelet/config.yaml", f"rm {DONE}", f": > {OF}"):
        cluster[CP].run(["sh", "-c", script])
        assert cluster.observe(CP).unprepared == ("its state volume has an older copy of its settings",)
        assert prepare(cluster[CP], PROFILE, cluster.spec, CP, cluster.events.append).unprepared == ()
    assert content(cluster, COPIES["/var/lib/kubelet/config.yaml"]) == "other"
    assert content(cluster, DONE) == "0"


def test_a_new_root_goes_on_with_the_cluster_of_the_volume_and_its_workers_know_it(cluster: Cluster) -> None:
    keep(cluster, BEFORE)
    ca, asked = cluster.ca(), cluster[W1].calls.mutations
    new_root(cluster)
    assert cluster.observe(CP).phase is Phase.FOREIGN
    take_up(cluster[CP], CP, cluster.events.append)
    assert cluster[W1].calls.mutations == asked
    state = cluster.observe(CP)
    assert (state.phase, state.unprepared) == (Phase.MEMBER, ())
    assert content(cluster, "/var/lib/kubelet/config.yaml") == "other"
    gone_back(cluster)
    assert cluster.ca() == ca


def test_no_kubeadm_is_begun_over_it(cluster: Cluster) -> None:
    ca = cluster.ca()
    new_root(cluster)
    with pytest.raises(
        KubernetesError, match="there is a cluster on its state volume, and no other is made over it"
    ) as caught:
        cluster.initialise()
    assert "`meshctl rebuild INVENTORY cp1` goes on with it" in caught.value.hint
    assert cluster.ca() == ca


@pytest.mark.parametrize("line", ["read -r prepared", "mkdir -p", "mv -f", "sync\n", "systemctl restart kubelet"])
def test_cut_short_anywhere_it_goes_on(cluster: Cluster, line: str) -> None:
    ca = cluster.ca()
    new_root(cluster)
    with pytest.raises(CommandFailed):
        take_up(Ending("cp1", pid=cluster[CP].pid, before=line), CP, cluster.events.append)
    assert cluster.observe(CP).phase in (Phase.FOREIGN, Phase.MEMBER)  # never one that would be reset
    take_up(cluster[CP], CP, cluster.events.append)
    assert cluster.observe(CP).phase is Phase.MEMBER
    assert cluster.ca() == ca


def test_a_volume_of_another_node_address_or_version_is_not_gone_on_with(cluster: Cluster) -> None:
    new_root(cluster)
    for other in (replace(CP, name="cp9"), replace(CP, address="10.77.0.99")):
        with pytest.raises(
            KubernetesError, match=f"has the cluster of cp1 at {CP.address} with Kubernetes v1.5.8"
        ) as caught:
            take_up(cluster[CP], other, cluster.events.append)
        assert caught.value.hint.startswith(
            f"name the node cp1 with `address: {CP.address}`, and `kubernetes.version: v1.5.8`"
        )
    cluster[CP].run(["sh", "-c", "sed -i 1s/.*/v1.5.7/ /var/lib/meshctl/prepared"])
    with pytest.raises(KubernetesError, match="or its bundle another version"):
        take_up(cluster[CP], CP, cluster.events.append)
    assert cluster.observe(CP).phase is Phase.FOREIGN


@pytest.mark.parametrize("gone", [DONE, "/etc/kubernetes/admin.conf", "/var/lib/etcd/member"])
def test_half_a_cluster_is_none(cluster: Cluster, gone: str) -> None:
    new_root(cluster)
    cluster[CP].run(["mv", gone, "/root/gone"])
    with pytest.raises(KubernetesError, match="there is no whole cluster on its state volume") as caught:
        take_up(cluster[CP], CP, cluster.events.append)
    assert "`meshctl restore INVENTORY FILE`" in caught.value.hint
    assert not content(cluster, "/var/lib/meshctl/kubeadm.done")
    cluster[CP].run(["mv", "/root/gone", gone])
    take_up(cluster[CP], CP, cluster.events.append)


def test_a_backup_goes_onto_the_volume_and_is_a_whole_cluster_only_when_it_is_there(cluster: Cluster) -> None:
    gone_back(cluster)
    state, ca = taken(cluster), cluster.ca()
    ending = Ending("cp1", pid=cluster[CP].pid, before="mv /etc/kubernetes/restore-incoming")
    with pytest.raises(CommandFailed):
        put_back(ending, CP, state, "one", cluster.events.append)
    assert not content(cluster, DONE)
    with pytest.raises(KubernetesError, match="there is no whole cluster on its state volume"):
        take_up(cluster[CP], CP, cluster.events.append)
    put_back(cluster[CP], CP, state, "one", cluster.events.append)
    assert content(cluster, DONE) == "0"
    with pytest.raises(KubernetesError, match="a backup is being put on it"):
        take_up(cluster[CP], CP, cluster.events.append)
    gone_back(cluster)
    finish(cluster[CP])
    for path in ("/var/lib/etcd", "/etc/kubernetes"):
        cluster[CP].read(["mountpoint", "-q", path])
        assert cluster[CP].read(["ls", f"{path}/before-restore"]).stdout
    assert cluster.ca() == ca
    assert copied(cluster[CP], PROFILE.etcd).authority == state.authority


def test_a_guest_whose_volume_is_not_mounted_is_not_fit_for_kubeadm(cluster: Cluster) -> None:
    cluster[W1].run(["sh", "-c", 'mkdir -p "${1%/*}" && : > "$1"', "unit", STATE_UNITS[0]])
    with pytest.raises(
        KubernetesError, match="nothing is mounted at /var/lib/etcd: its state volume has no disk or no filesystem"
    ):
        preflight(cluster[W1], PROFILE, W1)


# What kubeadm's reset does to a folder that is bound below /var/lib/kubelet; $1 is the unit that says there is a volume.
_UNMOUNTED = """
set -e
mv /usr/local/sbin/mount /root/double-of-mount
echo "/var/lib/meshctl-state/kubelet-pki /var/lib/kubelet/pki none bind,nofail 0 0" >> /etc/fstab
mkdir -p "${1%/*}"
: > "$1"
: > /var/lib/meshctl-state/kubelet-pki/of-before
umount /var/lib/kubelet/pki
rmdir /var/lib/kubelet/pki
rm /var/lib/meshctl/kubeadm.done
"""


def test_what_kubeadm_left_half_done_is_reset_on_the_volume_too_and_begun_anew(cluster: Cluster) -> None:
    """The last test here: what it makes is another cluster, as that of a run which never came to its end."""
    ca = cluster.ca()
    cluster[CP].run(["sh", "-c", _UNMOUNTED, "unmounted", STATE_UNITS[0]])
    cluster[CP].run(["sh", "-c", "date > /var/lib/meshctl/kubeadm.started"])
    assert cluster.observe(CP).phase is Phase.HALF
    cluster.initialise()
    cluster[CP].read(["mountpoint", "-q", "/var/lib/kubelet/pki"])
    assert cluster[CP].read(["ls", "/var/lib/kubelet/pki"]).stdout == ""
    state = cluster.observe(CP)
    assert (state.phase, state.unprepared, state.has_state) == (Phase.MEMBER, (), True)
    assert cluster.ca() != ca


def test_where_there_is_no_volume_nothing_is_behind() -> None:
    assert not is_behind(CP, "v1.5.8", {})
    assert not is_behind(CP, "v1.5.8", {"/var/lib/kubelet/config.yaml": "0" * 64})
    assert is_behind(CP, "v1.5.8", {OF: "0" * 64})
