"""The cluster as it is now: what libvirt, Kubernetes and the mesh say of each guest. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from provision.base.errors import InventoryError, KubernetesError, ShellError
from provision.base.parallel import for_each
from provision.base.shell import Shell
from provision.kubernetes import WARN_DAYS, Expiry, expiries, kubectl_for
from provision.kubernetes.leading import led_to
from provision.libvirt_xml import DomainSeen
from provision.run.access import asked, node_target
from provision.run.engine import World
from provision.run.observe import observe_hosts

ABSENT = "–"
RENEWAL = "`meshctl renew INVENTORY`; then fetch the kubeconfig again"


@dataclass(frozen=True)
class GuestStatus:
    """One guest. Strings are for people; `–` where nobody could say."""

    node: str
    host: str
    state: str
    address: str
    memory_mib: int
    vcpu_pins: tuple[str, ...]
    emulator_cpus: str
    ready: str = ABSENT
    kubernetes: str = ABSENT
    mesh: str = ABSENT
    led: str = ""
    """The address whose router its mesh's requests are led to, "" for its own."""


@dataclass(frozen=True)
class ClusterStatus:
    """All guests of the inventory, and why Kubernetes could not be asked (empty when it could)."""

    cluster: str
    guests: tuple[GuestStatus, ...]
    kubernetes_error: str = ""
    certificates: tuple[Expiry, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """For --json."""
        dates = [
            {"name": one.name, "expires": one.at.isoformat() if one.at else None, "days": one.days}
            for one in self.certificates
        ]
        return asdict(self) | {"certificates": dates}


def cluster_status(world: World) -> ClusterStatus:
    """Asks every host, then the API server through the control plane."""
    hosts = observe_hosts(world.cluster, world.hypervisors, probe=False)
    ours = {
        d.stamp.node: (host, d)
        for host, seen in hosts.items()
        for d in seen.domains
        if _is_ours(d, world.cluster.cluster) and d.stamp
    }
    nodes: dict[str, Any] = {}
    pods: dict[str, Any] = {}
    certificates: tuple[Expiry, ...] = ()
    led: Mapping[str, str] = {}
    error = ""
    try:
        domains = [domain for _, domain in ours.values()]
        shell = world.sessions.to(node_target(world, asked(world, domains), domains))
        certificates = expiries(shell)  # first: an API server whose certificate has expired says nothing
        nodes, pods = _ask_kubernetes(world, shell)
        led = _led(world, [domain for _, domain in ours.values()], nodes)
    except (ShellError, KubernetesError, InventoryError) as failure:
        error = failure.message
    unseen = "unknown" if world.silent else "absent"
    found = (_guest(node.name, ours.get(node.name), nodes, pods, unseen) for node in world.cluster.nodes)
    guests = tuple(replace(one, led=led.get(one.node, "")) for one in found)
    return ClusterStatus(world.cluster.cluster, guests, error, certificates)


def _is_ours(domain: DomainSeen, cluster: str) -> bool:
    return domain.stamp is not None and domain.stamp.cluster == cluster


def _ask_kubernetes(world: World, shell: Shell) -> tuple[dict[str, Any], dict[str, Any]]:
    kubectl = kubectl_for(world.cluster.kubernetes.generation, shell)
    nodes = {node["metadata"]["name"]: node for node in kubectl.items("nodes")}
    labels = {"app": "l5d"}
    pods = {
        pod["spec"].get("nodeName", ""): pod
        for pod in kubectl.items("pods", namespace=world.cluster.mesh.namespace, labels=labels)
    }
    return nodes, pods


def _led(world: World, domains: Sequence[DomainSeen], nodes: Mapping[str, Any]) -> dict[str, str]:
    """Where the mesh's requests of nodes are led, of those that Kubernetes calls Ready: others would keep who asks waiting."""
    names = [
        node.name for node in world.cluster.nodes if node.name in nodes and _condition(nodes[node.name]) == "Ready"
    ]

    def look(name: str) -> str:
        try:
            return led_to(world.sessions.to(node_target(world, name, domains)))
        except (ShellError, InventoryError):
            return ""

    return {name: to for name, to in zip(names, for_each(names, look), strict=True) if to}


def _guest(
    name: str, found: tuple[str, DomainSeen] | None, nodes: Mapping[str, Any], pods: Mapping[str, Any], unseen: str
) -> GuestStatus:
    inside = GuestStatus(
        name, ABSENT, unseen, ABSENT, 0, (), ABSENT,
        ready=_node(nodes[name]) if name in nodes else ABSENT,
        kubernetes=nodes[name]["status"]["nodeInfo"]["kubeletVersion"] if name in nodes else ABSENT,
        mesh=_mesh(pods[name]) if name in pods else ABSENT,
    )  # fmt: skip
    if found is None:
        return inside
    host, domain = found
    return replace(
        inside,
        host=host,
        state=domain.halted.partition(":")[0] or ("running" if domain.active else "shut off"),
        address=domain.stamp.address if domain.stamp else ABSENT,
        memory_mib=domain.memory_mib,
        vcpu_pins=domain.vcpu_cpus,
        emulator_cpus=domain.emulator_cpus,
    )


def _condition(item: Mapping[str, Any]) -> str:
    ready = next((c["status"] for c in item.get("status", {}).get("conditions", ()) if c["type"] == "Ready"), "False")
    return "Ready" if ready == "True" else "NotReady"


def _node(node: Mapping[str, Any]) -> str:
    """As `kubectl get nodes` has it."""
    return _condition(node) + (",SchedulingDisabled" if node["spec"].get("unschedulable") else "")


def _mesh(pod: Mapping[str, Any]) -> str:
    standin = " (stand-in)" if pod["metadata"].get("labels", {}).get("meshctl/stand-in") == "true" else ""
    return f"{_condition(pod)}{standin}"


def as_text(status: ClusterStatus) -> str:
    """A table, one guest a line."""
    head = ("NODE", "HOST", "STATE", "ADDRESS", "MEMORY", "VCPU PINS", "EMULATOR", "KUBERNETES", "VERSION", "MESH")
    lines = table([head, *(_row(guest) for guest in status.guests)])
    error = [f"Kubernetes could not be asked: {status.kubernetes_error}"] if status.kubernetes_error else []
    return "\n".join([*lines, *error, *_certificates(status)])


def _certificates(status: ClusterStatus) -> Iterator[str]:
    due = [one for one in status.certificates if one.due]
    if due:
        yield f"warning: certificates expire within {WARN_DAYS} days: {', '.join(map(str, due))}\n    fix: {RENEWAL}"
    elif status.certificates:
        yield f"certificates: the next to expire is {status.certificates[0]}, of {len(status.certificates)}"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, columns below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(guest: GuestStatus) -> tuple[str, ...]:
    pins = " ".join(f"{vcpu}→{cpus}" for vcpu, cpus in enumerate(guest.vcpu_pins)) or ABSENT
    return (
        guest.node, guest.host, guest.state, guest.address, f"{guest.memory_mib} MiB", pins, guest.emulator_cpus or ABSENT,
        guest.ready, guest.kubernetes, guest.mesh + (f", led to {guest.led}" if guest.led else ""),
    )  # fmt: skip
