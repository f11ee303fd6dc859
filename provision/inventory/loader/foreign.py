"""Files of other tools that are taken for an inventory: which tool's, and what they say of a cluster's nodes.

Read leniently and never in full: a name to tell, and machines to begin with, are all that is wanted of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from provision.inventory.loader.document import StrictLoader

MANY = 500
"""Machines of one file: more are no longer something to begin with."""


@dataclass(frozen=True)
class Machine:
    """What another tool says of a node; 0 and "" where it says nothing."""

    name: str
    control_plane: bool = False
    address: str = ""
    vcpus: int = 0
    memory_mib: int = 0
    disk_gib: int = 0


@dataclass(frozen=True)
class Foreign:
    """A file of another tool: its name with an article, and what is of use in it."""

    tool: str
    machines: tuple[Machine, ...] = ()
    version: str = ""
    cluster: str = ""
    ranges: dict[str, str] = field(default_factory=dict)
    """Networks by the name that they have under `kubernetes:`."""


API = {
    "k0sctl.k0sproject.io": "a k0sctl file",
    "kubeadm.k8s.io": "a kubeadm configuration",
    "kubelet.config.k8s.io": "a kubelet configuration",
    "kubeproxy.config.k8s.io": "a kube-proxy configuration",
    "kind.x-k8s.io": "a kind file",
    "k3d.io": "a k3d file",
    "kops.k8s.io": "a kops file",
    "kops": "a kops file",
    "kubekey.kubesphere.io": "a KubeKey file",
    "kubeone.k8c.io": "a KubeOne file",
    "kubeone.io": "a KubeOne file",
    "eksctl.io": "an eksctl file",
    "cluster.x-k8s.io": "a Cluster API manifest",
    "infrastructure.cluster.x-k8s.io": "a Cluster API manifest",
    "minikube.sigs.k8s.io": "a minikube file",
}
"""By the group of apiVersion."""

TEXTS = (
    (r"\A\s*<(\?xml|domain|network|pool)\b", "libvirt's XML"),
    (r"\A#cloud-config\b", "a cloud-init file"),
    (r"^[ \t]*Vagrant\.configure\b", "a Vagrantfile"),
    (r"^[ \t]*(resource|provider|terraform|module|variable)\b[^\n:={]{0,200}\{[ \t]*$", "a Terraform file"),
)
"""By what no YAML of ours begins with."""

_CONTROL = re.compile(
    r"(kube|k8s)?[_-]?(control[_-]?planes?|masters?|servers?|controllers?)(\+worker)?|kube_control_plane|single"
)
_KUBE_GROUP = re.compile(r"kube[_-](control[_-]plane|master|node)|k8s[_-]cluster")
_WORKER = re.compile(r"kube[_-]node|(kube[_-]?)?(nodes?|workers?|agents?)")
_SECTION = re.compile(r"\[([A-Za-z0-9_.-]+)(:[a-z]+)?\]\s*(?:#.*)?")
_TEMPLATE = re.compile(r"\{\{-? {0,9}([A-Za-z_][A-Za-z0-9_]{0,99})?[^}\n]{0,200}\}\}")


def recognise(text: str) -> Foreign | None:
    """Whose file a text is; None for ours and for what nobody knows."""
    for pattern, tool in TEXTS:
        if re.search(pattern, text, re.MULTILINE):
            return Foreign(tool)
    lines = [line.strip() for line in text.splitlines() if line.strip() and line.strip()[0] not in "#;"]
    sections = [line for line in lines if _SECTION.fullmatch(line)]
    if sections and (sections[0] == lines[0] or "ansible_" in text):
        return _ini(lines)
    documents = [one for one in _documents(text) if isinstance(one, dict)]
    if not documents or str(documents[0].get("apiVersion", "")).startswith("meshctl/"):
        return None
    return _by_api(documents) or _by_keys(documents[0], text)


def _documents(text: str) -> list[Any]:
    """The values of a text's documents, as far as it is YAML once a template's marks are out of it."""
    parameters = dict(re.findall(r"(?m)^ {1,4}([A-Za-z_][A-Za-z0-9_]*): *([A-Za-z0-9_.-]+) *$", text))
    plain = "\n".join(line for line in text.split("\n") if "{%" not in line)
    plain = _TEMPLATE.sub(lambda found: parameters.get(found[1] or "", "x"), plain)
    try:
        return list(yaml.load_all(plain, StrictLoader))
    except (yaml.YAMLError, RecursionError, ValueError):
        return []


def _by_api(documents: list[dict[Any, Any]]) -> Foreign | None:
    group, _, version = str(documents[0].get("apiVersion", "")).partition("/")
    tool = API.get(group)
    if tool is None:
        manifest = "kind" in documents[0] and bool(version or re.fullmatch(r"v[0-9]+", group))
        return Foreign("a Kubernetes manifest") if manifest else None
    if group == "k0sctl.k0sproject.io":
        return _k0sctl(tool, documents[0])
    return _kubeadm(tool, documents) if group == "kubeadm.k8s.io" else Foreign(tool)


def _by_keys(value: dict[Any, Any], text: str) -> Foreign | None:
    if {"hosts", "network"} <= set(map(str, value)):
        return None  # ours, without its first line
    if isinstance(value.get("all"), dict) or any(_KUBE_GROUP.fullmatch(str(key)) for key in value):
        return _ansible(value, text)
    if "routers" in value and "network" not in value:
        return Foreign("linkerd's own configuration")
    if isinstance(value.get("services"), dict):
        return Foreign("a Compose file")
    if isinstance(value.get("machine"), dict):
        return Foreign("a Talos configuration")
    nodes = value.get("nodes")
    if isinstance(nodes, list) and any(
        isinstance(one, dict) and isinstance(one.get("role"), list) and "address" in one for one in nodes
    ):
        return _rke(nodes)
    counted = next(
        (one for one in (value, *map(_mapping, value.values())) if {"ctlplanes", "masters"} & set(map(str, one))), None
    )
    if counted is not None:
        return _kcli_cluster(counted)
    guests = {str(name): one for name, one in value.items() if _is_kcli_guest(_mapping(one))}
    return _kcli(guests) if guests else None


_KCLI = {"numcpus", "disks", "nets", "cmds", "cpumodel", "reservedns", "cloudinit"}
"""Parameters of a guest that kcli's plans have and no other file here."""


def _is_kcli_guest(said: dict[Any, Any]) -> bool:
    return bool(_KCLI & set(map(str, said))) or {"image", "memory"} <= set(map(str, said))


def _kcli_cluster(said: dict[Any, Any]) -> Foreign:
    """A cluster that is said by numbers of nodes."""
    planes = min(max(_number(said.get("ctlplanes", said.get("masters", 1))), 1), MANY)
    workers = min(_number(said.get("workers", 0)), MANY)
    sizes = (_number(said.get("numcpus", 0)), _number(said.get("memory", 0)), _number(said.get("disk_size", 0)))
    machines = [Machine(f"ctlplane-{number}", True, "", *sizes) for number in range(planes)]
    machines += [Machine(f"worker-{number}", False, "", *sizes) for number in range(workers)]
    return Foreign("a kcli cluster", tuple(machines), cluster=str(said.get("cluster", "")))


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> int:
    found = re.match(r"[0-9]{1,9}", str(value))
    return int(found[0]) if found else 0


def _k0sctl(tool: str, value: dict[Any, Any]) -> Foreign:
    spec = _mapping(value.get("spec"))
    machines = []
    for number, one in enumerate(map(_mapping, _list(spec.get("hosts"))[:MANY]), 1):
        address = str(_mapping(one.get("ssh")).get("address", ""))
        role = str(one.get("role", "worker"))
        machines.append(Machine(str(one.get("hostname") or f"{role}-{number}"), _is_control(role), address))
    version = str(_mapping(spec.get("k0s")).get("version", ""))
    return Foreign(tool, tuple(machines), version, str(_mapping(value.get("metadata")).get("name", "")))


def _rke(nodes: list[Any]) -> Foreign:
    machines = tuple(
        Machine(
            str(one.get("hostname_override") or f"node-{number}"),
            any(_is_control(str(role)) for role in _list(one.get("role"))),
            str(one.get("address", "")),
        )
        for number, one in enumerate(map(_mapping, nodes[:MANY]), 1)
    )
    return Foreign("an RKE file", machines)


def _kubeadm(tool: str, documents: list[dict[Any, Any]]) -> Foreign:
    every = {str(one.get("kind")): one for one in documents}
    cluster, init = every.get("ClusterConfiguration", {}), every.get("InitConfiguration", {})
    networking = _mapping(cluster.get("networking"))
    ranges = {"pod_cidr": networking.get("podSubnet"), "service_cidr": networking.get("serviceSubnet")}
    name = str(_mapping(init.get("nodeRegistration")).get("name", "cp1"))
    address = str(_mapping(init.get("localAPIEndpoint")).get("advertiseAddress", ""))
    return Foreign(
        tool,
        (Machine(name, True, address),),
        str(cluster.get("kubernetesVersion", "")),
        str(cluster.get("clusterName", "")),
        {key: str(value) for key, value in ranges.items() if value},
    )


def _kcli(guests: dict[str, Any]) -> Foreign:
    machines = []
    for name, one in list(guests.items())[:MANY]:
        disk = next(iter(_list(one.get("disks"))), one.get("disk_size", 0))
        size = _number(disk.get("size", 0) if isinstance(disk, dict) else disk)
        control = _is_control(re.sub(r"[-_]?[0-9]+$", "", name.rpartition("-")[2] or name))
        machines.append(Machine(name, control, "", _number(one.get("numcpus", 0)), _number(one.get("memory", 0)), size))
    return Foreign("a kcli plan", tuple(machines))


def _is_control(word: str) -> bool:
    return _CONTROL.fullmatch(word.lower()) is not None


def _ansible(value: dict[Any, Any], text: str) -> Foreign:
    """Groups within groups, each with hosts and their variables."""
    every = [entry for name, group in value.items() for entry in _group_hosts(str(name), group)]
    return _of_groups(every, text, "file")


def _group_hosts(name: str, group: Any, depth: int = 0) -> Iterator[tuple[str, str, dict[Any, Any]]]:
    for host, variables in _mapping(_mapping(group).get("hosts")).items():
        yield name, str(host), _mapping(variables)
    for child, inner in _mapping(_mapping(group).get("children")).items() if depth < 8 else ():
        yield from _group_hosts(str(child), inner, depth + 1)


def _ini(lines: list[str]) -> Foreign:
    every: list[tuple[str, str, dict[Any, Any]]] = []
    group, kind = "", ""
    for line in lines:
        section = _SECTION.fullmatch(line)
        if section is not None:
            group, kind = section[1], section[2] or ""
        elif not kind:
            words = line.split("#")[0].split()
            variables = dict(word.partition("=")[::2] for word in words[1:])
            every += [(group, host, variables) for host in _expanded(words[0])]
    return _of_groups(every, "\n".join(lines), "file in ini form")


def _expanded(hosts: str) -> list[str]:
    """`node[1:3]` is three hosts."""
    found = re.fullmatch(r"([^\[\]]*)\[([0-9]{1,6}):([0-9]{1,6})\]([^\[\]]*)", hosts)
    if found is None:
        return [hosts]
    first, last = int(found[2]), int(found[3])
    numbers = range(first, min(last, first + MANY) + 1)
    return [f"{found[1]}{number:0{len(found[2])}d}{found[4]}" for number in numbers]


def _of_groups(every: list[tuple[str, str, dict[Any, Any]]], text: str, form: str) -> Foreign:
    variables: dict[str, dict[Any, Any]] = {}
    groups: dict[str, set[str]] = {}
    for group, host, said in every:
        variables[host] = variables.get(host, {}) | said
        groups.setdefault(host, set()).add(group)
    machines = tuple(
        Machine(
            host,
            any(_is_control(group) for group in groups[host]),
            str(said.get("ip") or said.get("ansible_host") or said.get("ansible_ssh_host") or ""),
        )
        for host, said in list(variables.items())[:MANY]
        if any(_is_control(group) or _WORKER.fullmatch(group) for group in groups[host]) or groups[host] <= {"all"}
    )
    kubespray = any(_KUBE_GROUP.fullmatch(group) for kinds in groups.values() for group in kinds) or "kube_node" in text
    return Foreign(
        f"a kubespray {form}" if kubespray else f"an Ansible inventory{' in ini form' if 'ini' in form else ''}",
        machines,
    )
