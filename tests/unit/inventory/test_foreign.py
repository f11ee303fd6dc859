"""Other tools' files: each is called by its name, and the nearest inventory is valid."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from provision import cli
from provision.base.errors import InventoryError
from provision.inventory import draft, load, recognise

CASES = Path(__file__).parents[2] / "data" / "inventories" / "i02-inventories-of-other-tools"

INI = """\
# kubespray's sample
[all]
node1 ansible_host=192.0.2.11 ip=10.3.0.1
node2 ansible_host=192.0.2.12

[kube_control_plane]
node1
[kube_node]
node2
worker[01:03].example.net
[k8s_cluster:children]
kube_control_plane
kube_node
"""

KUBEADM = """\
apiVersion: kubeadm.k8s.io/v1beta2
kind: InitConfiguration
nodeRegistration: {name: Master.example.net}
---
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
kubernetesVersion: v1.28.3
clusterName: prod
networking: {podSubnet: 10.244.0.0/16, serviceSubnet: 10.96.0.0/12}
"""

KUBESPRAY = """\
all:
  hosts:
    node1: {ansible_host: 192.0.2.11}
    node2: {ansible_host: 192.0.2.12}
    node3: {ansible_host: 192.0.2.13}
  children:
    k8s_cluster:
      children:
        kube_control_plane: {hosts: {node1: , node2: }}
        kube_node: {hosts: {node3: }}
    etcd: {hosts: {node1: }}
    bastion: {hosts: {gate: {ansible_host: 192.0.2.1}}}
"""

RKE = "nodes:\n- {address: 192.0.2.1, user: u, role: [controlplane, etcd]}\n- {address: 192.0.2.2, user: u, role: [worker]}\n"

KCLI = """\
parameters:
  mem: 4096
{% for i in range(2) %}
cp-0:
  memory: {{ mem }}
  numcpus: 4
  disks: [{size: 30}]
{% endfor %}
w_1.x:
  memory: 512
  disks: [10]
"""


@pytest.mark.parametrize(
    ("text", "tool", "nodes"),
    [
        (INI, "a kubespray file in ini form", ["node1+", "node2", "worker01", "worker02", "worker03"]),
        (KUBESPRAY, "a kubespray file", ["node1+", "node2", "node3"]),
        (KUBEADM, "a kubeadm configuration", ["master+"]),
        (RKE, "an RKE file", ["node-1+", "node-2"]),
        (KCLI, "a kcli plan", ["cp-0+", "w-1"]),
        ("ctlplanes: 1\nworkers: 2\nnumcpus: 6\n", "a kcli cluster", ["ctlplane-0+", "worker-0", "worker-1"]),
        ("apiVersion: k0sctl.k0sproject.io/v1beta1\nspec: {hosts: [{role: worker}, {role: controller, hostname: no}]}\n",
         "a k0sctl file", ["worker-1", "no+"]),
        ("web1 ansible_host=192.0.2.1\n[web]\nweb1\n[masters]\nm1\n", "an Ansible inventory in ini form", ["m1+"]),
    ],
)  # fmt: skip
def test_the_nearest_inventory_is_valid_and_has_the_same_nodes(text: str, tool: str, nodes: list[str]) -> None:
    with pytest.raises(InventoryError) as caught:
        load("their file.yml", text)
    (problem,) = caught.value.problems
    assert (problem.line, problem.column) == (1, 1)
    assert problem.message == f"this is {tool}, not meshctl's: begin with inventories/single-host.yaml"
    assert "meshctl init --from 'their file.yml'" in problem.hint
    found = recognise(text)
    assert found is not None
    cluster = load("x.yaml", draft(found))
    assert [f"{node.name}{'+' * (node.role == 'control-plane')}" for node in cluster.nodes] == nodes


def test_sizes_addresses_and_versions_are_taken_along() -> None:
    found = recognise(KCLI)
    assert found is not None
    nodes = load("x.yaml", draft(found)).nodes
    assert [(node.vcpus, node.memory_mib) for node in nodes] == [(4, 4096), (4, 1024)]
    text = draft(recognise(INI))  # type: ignore[arg-type]
    assert "at 10.3.0.1 there" in text
    text = draft(recognise(KUBEADM))  # type: ignore[arg-type]
    assert "cluster: prod" in text
    assert "v1.28.3 there" in text
    assert "pod_cidr: 10.244.0.0/16" in text


@pytest.mark.parametrize("name", ["kubespray", "k0sctl", "kcli"])
def test_i02_inventories_of_other_tools(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = CASES / f"{name}.yaml"
    monkeypatch.setattr("sys.argv", ["meshctl", "validate", str(file)])
    assert cli._run() == 3
    first, *rest = capsys.readouterr().err.splitlines()
    assert f":1:1: this is a {name}" in first
    assert first.endswith("not meshctl's: begin with inventories/single-host.yaml")
    assert not any("unknown field" in line or "is missing" in line for line in rest)
    monkeypatch.setattr("sys.argv", ["meshctl", "init", "--from", str(file)])
    assert cli._run() == 0
    made = tmp_path / "made.yaml"
    made.write_text(capsys.readouterr().out)
    assert len(load(str(made)).nodes) == 1


def test_i02_habits_are_answered_with_our_words() -> None:
    with pytest.raises(InventoryError) as caught:
        load(str(CASES / "habits.yaml"))
    assert [(one.field, one.hint) for one in caught.value.problems] == [
        ("hosts", "a list, each with its name: [{name: hv1, …}]"),
        ("nodes[0].role", "did you mean control-plane?"),
        ("nodes[0].memory", "write it like 16384MiB or 16384GiB"),
        ("nodes[0].disk", "write it like 50GiB or 50MiB"),
    ]


@pytest.mark.parametrize(
    ("role", "meant"),
    [("node", "worker"), ("controller", "control-plane"), ("etcd", "control-plane"), ("Master", "control-plane")],
)
def test_i02_other_tools_roles(role: str, meant: str) -> None:
    text = (CASES / "habits.yaml").read_text().replace("role: master", f"role: {role}")
    with pytest.raises(InventoryError) as caught:
        load("x.yaml", text)
    assert f"did you mean {meant}?" in [one.hint for one in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "tool"),
    [
        ("apiVersion: kind.x-k8s.io/v1alpha4\nkind: Cluster\n", "a kind file"),
        ("apiVersion: apps/v1\nkind: DaemonSet\n", "a Kubernetes manifest"),
        ("services: {web: {image: x}}\n", "a Compose file"),
        ("routers:\n- protocol: http\n", "linkerd's own configuration"),
        ("machine: {type: worker}\ncluster: {}\n", "a Talos configuration"),
        ("<domain type='kvm'><name>x</name></domain>\n", "libvirt's XML"),
        ('resource "libvirt_domain" "x" {\n}\n', "a Terraform file"),
        ('Vagrant.configure("2") do |config|\nend\n', "a Vagrantfile"),
        ("#cloud-config\nusers: []\n", "a cloud-init file"),
    ],
)
def test_what_says_nothing_of_nodes_is_called_by_its_name(text: str, tool: str) -> None:
    with pytest.raises(InventoryError) as caught:
        load("x.yaml", text)
    (problem,) = caught.value.problems
    assert f"this is {tool}, not" in problem.message
    assert problem.hint == "`meshctl init` prints that"


@pytest.mark.parametrize(
    "text",
    [
        "apiVersion: meshctl/v1\nall: {hosts: {a: }}\n",
        "# c\napiVersion: meshctl/v2\nservices: {}\n",
        "hosts: []\nnetwork: {}\nnodes: [{role: [a], address: 10.0.0.1}]\n",
        "[1, 2]\n",
        "x",
        "",
    ],
)
def test_what_is_ours_or_nobodys_is_not_called_anothers(text: str) -> None:
    assert recognise(text) is None


def test_init_prints_an_inventory_to_begin_with(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["meshctl", "init"])
    assert cli._run() == 0
    assert load("x.yaml", capsys.readouterr().out).cluster == "single"


def test_init_says_what_it_cannot_read(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for text, said in (("a: b\n", "whose file is this?"), ("services: {}\n", "a Compose file says nothing of nodes")):
        file = tmp_path / "x"
        file.write_text(text)
        monkeypatch.setattr("sys.argv", ["meshctl", "init", "--from", str(file)])
        assert cli._run() == 3
        assert said in capsys.readouterr().err


def test_no_file_of_another_tool_breaks_it() -> None:
    """Damaged at random: it is recognised or not, and what is made of it is valid."""
    chance = random.Random(1)
    odd = [
        "\x1b[2J",
        "{{ x }}",
        "- ",
        ": ",
        "[",
        "]",
        "{",
        "no",
        "localhost",
        "9" * 30,
        "é",
        "\n",
        "node[1:99999]",
        "ä.b",
        "hosts:",
    ]
    made = 0
    for _ in range(300):
        text = chance.choice([INI, KUBESPRAY, KUBEADM, RKE, KCLI, "ctlplanes: 1\nworkers: 999999\n"])
        for _ in range(chance.randrange(4)):
            at = chance.randrange(len(text))
            text = text[:at] + chance.choice(odd) + text[at + chance.randrange(6) :]
        found = recognise(text)
        if found is not None and found.machines:
            cluster = load("x.yaml", draft(found))
            assert cluster.control_plane
            made += 1
    assert made > 100
