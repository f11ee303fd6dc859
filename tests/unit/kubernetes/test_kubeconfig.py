"""The cluster's kubeconfig among others: private, whole or not at all, and nothing of others lost. kubectl reads what comes out."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from provision.base.errors import ConflictError, KubernetesError, MeshctlError
from provision.base.secret import Secret
from provision.cli.access import kubeconfig as command
from provision.kubernetes.kubeconfig import dumped, of_cluster
from provision.run.kubeconfig import kubectls_file, merge, save

ADMIN_1_20 = """\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://10.77.0.11:6443
  name: kubernetes
contexts:
- context:
    cluster: kubernetes
    user: kubernetes-admin
  name: kubernetes-admin@kubernetes
current-context: kubernetes-admin@kubernetes
kind: Config
preferences: {}
users:
- name: kubernetes-admin
  user:
    client-certificate-data: Q0VSVA==
    client-key-data: S0VZ
"""
ADMIN_1_5 = """\
apiVersion: v1
clusters:
- cluster: {certificate-authority-data: Q0E=, server: "https://10.77.0.11:6443"}
  name: kubernetes
contexts:
- context: {cluster: kubernetes, user: admin}
  name: admin@kubernetes
- context: {cluster: kubernetes, user: kubelet}
  name: kubelet@kubernetes
current-context: admin@kubernetes
kind: Config
preferences: {}
users:
- name: admin
  user: {client-certificate-data: Q0VSVA==, client-key-data: S0VZ}
- name: kubelet
  user: {client-certificate-data: eA==, client-key-data: eQ==}
"""
OTHERS = """\
# mine
apiVersion: v1
kind: Config
preferences: {colors: true}
clusters:
- name: prod
  cluster: {server: https://prod.example.net, insecure-skip-tls-verify: true}
contexts:
- name: prod
  context: {cluster: prod, user: me, namespace: shop}
current-context: prod
users:
- name: me
  user:
    token: "0123"
    auth-provider: {name: oidc, config: {expiry: 2027-01-02T03:04:05Z}}
extensions:
- name: tool
  extension: {last-update: 2027-01-02}
"""


def ours(server: str = "10.77.0.11", cluster: str = "oslo") -> Secret:
    return Secret(dumped(of_cluster(cluster, ADMIN_1_20.replace("10.77.0.11", server))))


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(path.read_text(), Loader=yaml.BaseLoader)
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("admin", [ADMIN_1_20, ADMIN_1_5])
def test_names_come_from_the_cluster_and_only_the_administrator_goes_out(admin: str) -> None:
    assert yaml.safe_load(dumped(of_cluster("oslo", admin))) == {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "oslo", "cluster": {"certificate-authority-data": "Q0E=", "server": "https://10.77.0.11:6443"}}
        ],
        "contexts": [{"name": "oslo", "context": {"cluster": "oslo", "user": "meshctl-oslo"}}],
        "users": [{"name": "meshctl-oslo", "user": {"client-certificate-data": "Q0VSVA==", "client-key-data": "S0VZ"}}],
        "current-context": "oslo",
    }


def test_a_file_of_its_own_is_private_whatever_the_umask_and_is_written_again(tmp_path: Path) -> None:
    path = tmp_path / "admin.conf"
    before = os.umask(0)
    try:
        save(path, "oslo", ours())
        assert mode(path) == 0o600
        path.chmod(0o644)
        save(path, "oslo", ours("10.77.0.99"))
    finally:
        os.umask(before)
    assert mode(path) == 0o600
    assert "10.77.0.99" in path.read_text()
    assert os.listdir(tmp_path) == ["admin.conf"]


@pytest.mark.parametrize("there", [OTHERS, ADMIN_1_20, dumped(of_cluster("bergen", ADMIN_1_20)), "letters\n", "- a\n"])
def test_what_else_is_in_the_way_is_left_alone(tmp_path: Path, there: str) -> None:
    path = tmp_path / "config"
    path.write_text(there)
    with pytest.raises(ConflictError) as caught:
        save(path, "oslo", ours())
    assert caught.value.hint
    assert path.read_text() == there


def test_merging_adds_one_context_and_keeps_all_else(tmp_path: Path) -> None:
    path = tmp_path / "dotfiles" / "config"
    path.parent.mkdir()
    path.write_text(OTHERS)
    path.chmod(0o644)
    link = tmp_path / "config"
    link.symlink_to(path)
    merge(link, "oslo", ours())
    assert link.is_symlink()
    assert mode(path) == 0o600
    said = read(path)
    for section, kept in yaml.load(OTHERS, Loader=yaml.BaseLoader).items():
        there = said[section]
        assert there[: len(kept)] == kept if section in ("clusters", "contexts", "users") else there == kept
    assert yaml.safe_load(path.read_text())["users"][0]["user"]["token"] == "0123"
    assert [entry["name"] for entry in said["contexts"]] == ["prod", "oslo"]
    again = path.read_text()
    merge(link, "oslo", ours())
    assert path.read_text() == again
    merge(link, "oslo", ours("10.77.0.99"))
    assert [entry["name"] for entry in read(path)["clusters"]] == ["prod", "oslo"]
    assert "10.77.0.99" in path.read_text()
    assert sorted(os.listdir(path.parent)) == ["config"]


def test_merging_into_nothing_makes_the_context_the_current_one(tmp_path: Path) -> None:
    path = tmp_path / ".kube" / "config"
    merge(path, "oslo", ours())
    assert (read(path)["current-context"], mode(path), mode(path.parent)) == ("oslo", 0o600, 0o700)


def test_an_entry_of_that_name_that_is_somebody_elses_is_a_conflict(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(theirs := OTHERS.replace("prod", "oslo"))
    with pytest.raises(ConflictError, match="an entry oslo that meshctl did not write") as caught:
        merge(path, "oslo", ours())
    assert "rename-context oslo" in caught.value.hint
    assert path.read_text() == theirs


def test_kubectl_is_not_interrupted(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(OTHERS)
    (tmp_path / "config.lock").touch()
    with pytest.raises(ConflictError, match=r"config\.lock is there"):
        merge(path, "oslo", ours())
    assert path.read_text() == OTHERS
    assert (tmp_path / "config.lock").exists()


def test_where_kubectl_looks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("KUBECONFIG", f":{tmp_path}/a:{tmp_path}/b")
    assert kubectls_file() == tmp_path / "a"
    monkeypatch.setenv("KUBECONFIG", "")
    assert kubectls_file() == tmp_path / ".kube/config"


def test_a_folder_that_is_not_there_and_a_broken_admin_conf_are_said(tmp_path: Path) -> None:
    with pytest.raises(MeshctlError, match="cannot be written: No such file"):
        save(tmp_path / "no" / "admin.conf", "oslo", ours())
    with pytest.raises(KubernetesError, match="contexts has no entry 'gone'"):
        of_cluster("oslo", ADMIN_1_20.replace("current-context: kubernetes-admin@kubernetes", "current-context: gone"))


@pytest.mark.parametrize("words", [[], ["--merge", "--output", "-"]])
def test_where_it_goes_must_be_said(words: list[str]) -> None:
    done = CliRunner().invoke(command, ["no-such.yaml", *words])
    assert done.exit_code == 2
    assert "say where it goes" in done.output
