"""Backup, restore and renewal of 1.5 against the strict doubles: what they hold of certificates is real, and so is openssl."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from provision.base.errors import CommandFailed, KubernetesError
from provision.base.shell import Completed, OnLine
from provision.base.waiting import NotYet, Ready
from provision.kubernetes import (
    ApiStarting,
    ControlState,
    Phase,
    awaken,
    copied,
    expiries,
    finish,
    nodes_ready,
    prepare,
    put_back,
    trusted_authority,
)
from provision.kubernetes.holders import sign_anew
from provision.kubernetes.put_back import restored
from provision.kubernetes.renewal import lapsed, renew_worker, sign_control_plane, start_control_plane, unfinished
from tests.doubles.sandbox import NodeShell
from tests.unit.kubernetes.test_kubernetes_1_5 import CP, PROFILE, W1, Cluster, soon

LOG = "/var/lib/etcd/member/wal/0000000000000000-0000000000000000.wal"
LATER: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "later", "namespace": "default"},
    "data": {},
}
BEFORE = {**LATER, "metadata": {"name": "before", "namespace": "default"}}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Control plane and worker, whose certificates have 20 days."""
    made = Cluster(tmp_path_factory.mktemp("cluster"), CP, W1)
    try:
        for member in (CP, W1):
            made[member].put("/var/lib/double/certificate-days", b"20\n")
        made.provision()
        soon(lambda: nodes_ready(made.kubectl, ["cp1", "w1"]))
        yield made
    finally:
        made.lab.stop()


@dataclass
class Ending(NodeShell):
    """A shell on which a script ends just before a line of it: as when the machine does."""

    before: str = ""

    def _end(self, argv: Sequence[str], stdin: bytes, within_s: float, on_line: OnLine | None) -> Completed:
        words = [word.replace(self.before, f"exit 9\n{self.before}") for word in argv]
        return super()._end(words, stdin, within_s, on_line)


def config_maps(cluster: Cluster) -> set[str]:
    found = cluster.kubectl.get("configmap", namespace="default")["items"]
    return {one["metadata"]["name"] for one in found}


def taken(cluster: Cluster) -> ControlState:
    """A copy of the state, with a ConfigMap that it has and another that came after it."""
    keep(cluster, BEFORE)
    state = copied(cluster[CP], PROFILE.etcd)
    keep(cluster, LATER)
    return state


def keep(cluster: Cluster, manifest: dict[str, Any]) -> None:
    """Applies it, and waits until the double's etcd has written it."""
    cluster.kubectl.apply([manifest])
    written = ["grep", "-q", f"ConfigMap/default/{manifest['metadata']['name']}", LOG]
    soon(lambda: NotYet("") if cluster[CP].read(written, check=False).status else Ready(None))


def gone_back(cluster: Cluster) -> None:
    def look() -> Ready[None] | NotYet:
        try:
            names = config_maps(cluster)
        except ApiStarting as error:
            return NotYet(error.message)
        return Ready(None) if "before" in names and "later" not in names else NotYet(str(names))

    soon(look)
    awaken(cluster[W1])
    soon(lambda: nodes_ready(cluster.kubectl, ["cp1", "w1"]))
    finish(cluster[CP])


def paths(packed: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        return tar.getnames()


def mode(cluster: Cluster, path: str) -> str:
    return cluster[CP].read(["stat", "-c", "%a", path]).stdout.strip()


def test_a_copy_has_all_by_which_the_control_plane_is_known_and_leaves_nothing(cluster: Cluster) -> None:
    mutations = cluster.mutations()
    state = copied(cluster[CP], PROFILE.etcd)
    assert cluster.mutations() == mutations
    assert (state.kubernetes, state.database) == ("v1.5.8", b"")
    names = paths(state.files)
    assert {"etc/kubernetes/pki/ca-key.pem", "etc/kubernetes/pki/tokens.csv", "etc/kubernetes/admin.conf"} <= {*names}
    assert "etc/kubernetes/manifests/etcd.json" in names
    assert LOG.removeprefix("/var/lib/etcd/") in paths(state.log)
    assert state.authority == trusted_authority(cluster[W1])
    assert trusted_authority(cluster[CP]) != ""


def test_it_goes_back_on_the_control_plane_that_lives_and_what_was_there_is_set_aside(cluster: Cluster) -> None:
    state, ca = taken(cluster), cluster.ca()
    put_back(cluster[CP], CP, state, "one", cluster.events.append)
    assert restored(cluster[CP]) == "one in place"
    gone_back(cluster)
    assert cluster.ca() == ca
    assert cluster.observe(CP).phase is Phase.MEMBER
    assert mode(cluster, "/var/lib/etcd/before-restore") == mode(cluster, "/etc/kubernetes/before-restore") == "700"
    cluster[CP].read(["test", "-d", "/var/lib/etcd/before-restore/member"])
    cluster[CP].read(["test", "-e", "/etc/kubernetes/before-restore/pki/ca-key.pem"])
    left = cluster[CP].read(["find", "/var/lib/etcd", "/etc/kubernetes", "-name", "restore-*"]).stdout
    assert (left, restored(cluster[CP])) == ("", "")


@pytest.mark.parametrize(
    "line", ["aside /var/lib/etcd member", "mv /var/lib/etcd/restore-incoming", "echo 0 >", "sync"]
)
def test_one_that_was_cut_short_goes_on_and_no_kubeadm_is_begun_before_it_has(cluster: Cluster, line: str) -> None:
    state, ca = taken(cluster), cluster.ca()
    ending, name = Ending("cp1", pid=cluster[CP].pid, before=line), f"cut{len(line)}"
    with pytest.raises(CommandFailed):
        put_back(ending, CP, state, name, cluster.events.append)
    assert restored(cluster[CP]) == f"{name} begun"
    if cluster.observe(CP).phase is not Phase.MEMBER:
        with pytest.raises(KubernetesError, match="a backup is being put on it"):
            cluster.initialise()
    put_back(cluster[CP], CP, state, name, cluster.events.append)
    gone_back(cluster)
    assert cluster.ca() == ca
    cluster[CP].read(["grep", "-q", "later", LOG.replace("etcd/", "etcd/before-restore/")])


def test_a_control_plane_whose_disk_is_gone_comes_back_and_its_workers_know_it(cluster: Cluster) -> None:
    state, ca, pods = taken(cluster), cluster.ca(), cluster[W1].calls.mutations
    cluster[CP].run(["systemctl", "stop", "kubelet"])
    cluster[CP].run(["sh", "-c", "rm -rf /var/lib/etcd /etc/kubernetes /var/lib/kubelet /var/lib/meshctl/kubeadm.*"])
    cluster[CP].run(
        ["sh", "-c", "docker ps -q --filter name=k8s_ | xargs -r docker rm -f; echo '{}' > /srv/double/cluster.json"]
    )
    assert cluster.observe(CP).phase is Phase.FRESH
    prepare(cluster[CP], PROFILE, cluster.spec, CP, cluster.events.append)
    put_back(cluster[CP], CP, state, "two", cluster.events.append)
    assert cluster[W1].calls.mutations == pods
    gone_back(cluster)
    assert cluster.ca() == ca
    assert mode(cluster, "/etc/kubernetes/pki/ca-key.pem") == "644"  # as the double's kubeadm has it
    assert mode(cluster, "/etc/kubernetes/admin.conf") == "600"


def test_a_control_plane_that_is_none_has_nothing_to_copy(cluster: Cluster) -> None:
    with pytest.raises(KubernetesError, match=r"w1: etcd gives no snapshot: .*"):
        copied(cluster[W1], PROFILE.etcd)


def ends(cluster: Cluster) -> dict[str, int]:
    found = {f"cp1 {one.name}": one.days for one in expiries(cluster[CP])}
    return found | {f"w1 {one.name}": one.days for one in expiries(cluster[W1])}


def subjects(cluster: Cluster) -> str:
    script = """
cd /etc/kubernetes
openssl x509 -in pki/apiserver.pem -noout -subject -ext subjectAltName,extendedKeyUsage
for number in 1 2; do
    sed -n 's/^ *client-certificate-data: //p' admin.conf | sed -n "${number}p" | base64 -d | openssl x509 -noout -subject
done
cat pki/apiserver-key.pem; sed -n 's/client-key-data//p' admin.conf
"""
    return cluster[CP].read(["sh", "-c", script]).stdout


def served(cluster: Cluster) -> str:
    """The certificate that the API server read when it started."""
    return str(json.loads(cluster[CP].read(["cat", "/srv/double/cluster.json"]).stdout)["serving"])


def renew_control_plane(cluster: Cluster, shell: NodeShell) -> None:
    """As `renew` does it with the only control plane."""
    sign_control_plane(shell, PROFILE.renewal, cluster.events.append)
    start_control_plane(shell, PROFILE.renewal, cluster.kubectl, cluster.events.append)


def test_certificates_are_signed_anew_with_the_same_names_and_keys_and_everybody_believes_them(
    cluster: Cluster,
) -> None:
    before, who, ca = ends(cluster), subjects(cluster), cluster.ca()
    assert {days for name, days in before.items() if not name.endswith(" ca")} == {19}
    renew_control_plane(cluster, cluster[CP])
    renew_worker(
        cluster[W1], PROFILE.renewal.worker, cluster[CP], PROFILE.renewal, cluster.kubectl, cluster.events.append
    )
    after = ends(cluster)
    # A whole year is left of what was signed in this very second.
    assert {days for name, days in after.items() if not name.endswith(" ca")} <= {364, 365}
    assert (subjects(cluster), cluster.ca()) == (who, ca)
    soon(lambda: nodes_ready(cluster.kubectl, ["cp1", "w1"]))
    assert not unfinished(cluster[CP])
    assert not unfinished(cluster[W1])
    assert served(cluster) == cluster[CP].read(["cat", "/etc/kubernetes/pki/apiserver.pem"]).stdout
    assert cluster[CP].read(["sh", "-c", "ls -d /run/meshctl-renew.* 2>/dev/null | wc -l"]).stdout.strip() == "0"
    assert mode(cluster, "/etc/kubernetes/kubelet.conf") == "600"


def test_a_renewal_that_was_cut_short_is_seen_by_the_next_run(cluster: Cluster) -> None:
    ending = Ending("cp1", pid=cluster[CP].pid, before="systemctl restart kubelet")
    with pytest.raises(CommandFailed):
        renew_control_plane(cluster, ending)
    assert unfinished(cluster[CP])
    renew_control_plane(cluster, cluster[CP])
    assert not unfinished(cluster[CP])


ROTATING = "/var/lib/kubelet/pki/kubelet-client-current.pem"

# As kubelets of 1.20 keep theirs: the certificate and, behind it, its key, by a link; one that ended a day ago.
_LAPSED = """
set -eu
mkdir -p /var/lib/kubelet/pki
cd /var/lib/kubelet/pki
openssl ecparam -name prime256v1 -genkey -noout -out key
echo extendedKeyUsage=clientAuth > use
openssl req -new -key key -subj /O=system:nodes/CN=system:node:cp1 |
    openssl x509 -req -CA "$1" -CAkey "$2" -set_serial 7 -days -1 -extfile use -out dated.pem 2>/dev/null
cat key >> dated.pem
ln -sf dated.pem kubelet-client-current.pem
"""


def test_what_a_kubelet_would_have_renewed_is_signed_anew_when_it_has_expired(cluster: Cluster) -> None:
    authority, node = PROFILE.renewal.authority, cluster[CP]
    renewal = replace(PROFILE.renewal, rotating=(ROTATING,))
    assert lapsed(renewal, expiries(node, ROTATING)) == ()  # none is there
    node.run(["sh", "-c", _LAPSED, "lapsed", authority.certificate, authority.key])
    key = node.read(["openssl", "pkey", "-in", ROTATING]).stdout
    (holder,) = lapsed(renewal, expiries(node, ROTATING))
    assert sign_anew(node, holder, node, authority) == 1
    found = {one.name: one for one in expiries(node, ROTATING)}[ROTATING.removesuffix(".pem")]
    assert found.days in (364, 365)
    assert lapsed(renewal, (found,)) == ()
    assert node.read(["openssl", "pkey", "-in", ROTATING]).stdout == key
    assert node.read(["readlink", ROTATING]).stdout == "dated.pem\n"
    subject = node.read(["openssl", "x509", "-noout", "-subject", "-in", ROTATING]).stdout
    begins = [["openssl", "x509", "-noout", "-startdate", "-in", path] for path in (ROTATING, authority.certificate)]
    assert node.read(begins[0]).stdout == node.read(begins[1]).stdout  # a clock that is behind believes it
    assert subject.replace(" ", "") == "subject=O=system:nodes,CN=system:node:cp1\n"
