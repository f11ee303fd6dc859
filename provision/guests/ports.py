"""Every port that a meshctl cluster opens, as data: who may reach it, and what happens without the firewall. Pure.

From here come the firewall's rules, the table of docs/security.md, and what the lab's test tries.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum


class Who(StrEnum):
    """Who may reach a port. INSIDE are the cluster's nodes and its pods, ADMINS are `network.admin_cidrs`."""

    ADMINS = "`admin_cidrs`"
    INSIDE = "nodes, pods, `admin_cidrs`"


class Where(StrEnum):
    """On which nodes something listens, if it does at all."""

    EVERY = "every node"
    CONTROL_PLANE = "control plane"
    POD = "its Service and pod, no node's own address"


@dataclass(frozen=True)
class Port:
    """TCP ports of one purpose. `only` is the generation that has it, "" for both; `asks` is what the service itself asks for.

    `without` says what happens where there is no firewall. `loopback`: it listens for the node itself, and is closed all the same.
    `setting` names fields of the inventory that say other numbers.
    """

    numbers: tuple[int, ...]
    what: str
    where: Where
    who: Who
    asks: str
    without: str
    only: str = ""
    loopback: bool = False
    setting: str = ""


SSH = Port(
    (22,),
    "sshd",
    Where.EVERY,
    Who.ADMINS,
    "the inventory's key",
    "everybody may try keys; no password lets in",
)

API = Port(
    (6443,),
    "API server",
    Where.CONTROL_PLANE,
    Who.INSIDE,
    "certificates of the cluster's authority, tokens",
    "everybody may read `/version` and try tokens; 1.5 lets in whoever has any",
)

PORTS = (
    SSH,
    API,
    Port(
        (10250,),
        "kubelet",
        Where.EVERY,
        Who.INSIDE,
        "certificates of the cluster's authority; 1.20 also tokens, and asks the API server what they may do",
        "whoever gets such a certificate or token runs commands in each pod of the node",
    ),
    Port(
        (10255, 4194),
        "kubelet's read-only port, cAdvisor",
        Where.EVERY,
        Who.INSIDE,
        "nothing; closed by the kubelet's flags",
        "where a flag is changed by hand, everybody reads all pods with their settings",
    ),
    Port(
        (2379, 2380),
        "etcd, and etcd's members among themselves",
        Where.CONTROL_PLANE,
        Who.INSIDE,
        "1.20: certificates of etcd's own authority; 1.5: nothing, on the loopback",
        "1.20: everybody may try certificates; 1.5: as safe as its flags",
    ),
    Port(
        (8080,),
        "API server, insecure",
        Where.CONTROL_PLANE,
        Who.INSIDE,
        "nothing",
        "as safe as the flag that keeps it on the loopback: who reaches it is an administrator",
        "1.5",
        loopback=True,
    ),
    Port(
        (9898,),
        "kube-discovery, plain HTTP",
        Where.CONTROL_PLANE,
        Who.INSIDE,
        "nothing; the answer is signed with the token",
        "everybody may collect signed answers, and guess tokens from them at leisure",
        "1.5",
    ),
    Port(
        (10251, 10252, 10257, 10259),
        "scheduler, controller manager",
        Where.CONTROL_PLANE,
        Who.INSIDE,
        "1.5: nothing; 1.20: certificates, tokens",
        "as safe as the flags that keep them on the loopback: metrics and profiles",
        loopback=True,
    ),
    Port(
        (10249, 10256),
        "kube-proxy's metrics and health",
        Where.EVERY,
        Who.INSIDE,
        "nothing; 10249 on the loopback",
        "everybody sees whether kube-proxy is well",
    ),
)
"""What Kubernetes and sshd open. Source: the flags that kubeadm 1.5.8 and 1.20.2 write, and `ss -tln` on nodes of both."""


def opened_by(generation: str) -> tuple[Port, ...]:
    """What a node of a generation of Kubernetes (``1.20``) opens. Port 8080 of another is anybody's."""
    return tuple(port for port in PORTS if port.only in ("", generation))


def mesh_ports(routers: Iterable[int], admin: int) -> tuple[Port, ...]:
    """What linkerd opens, by the numbers of an inventory."""
    return (
        Port(
            tuple(sorted(routers)),
            "linkerd's routers",
            Where.EVERY,
            Who.INSIDE,
            "nothing, plain HTTP",
            "everybody who reaches a node may ask every service of the mesh",
            setting="`mesh.port`, `mesh.incoming_port`, `mesh.protocols`",
        ),
        Port(
            (admin,),
            "linkerd's admin port",
            Where.EVERY,
            Who.INSIDE,
            "nothing; on the loopback unless `mesh.admin_address: 0.0.0.0`",
            "with that, everybody reads its configuration and metrics, changes log levels, and can end it",
            loopback=True,
            setting="`mesh.admin_port`",
        ),
    )


ZIPKIN = Port(
    (9410, 9411),
    "Zipkin: scribe, HTTP",
    Where.POD,
    Who.INSIDE,
    "nothing",
    "everybody with a route to the pods reads the URIs of all requests that are traced",
    setting="`tracing: {kind: zipkin}`",
)


def numbers(ports: Iterable[Port], who: Who) -> tuple[int, ...]:
    """The ports that these people alone may reach, in order."""
    return tuple(sorted({number for port in ports if port.who is who for number in port.numbers}))


def table(ports: Iterable[Port]) -> str:
    """The ports as a table in Markdown."""
    head = (
        "| port | on | what | who reaches it | what it asks for | without the firewall |\n|---|---|---|---|---|---|\n"
    )
    return head + "".join(f"| {' | '.join(_cells(port))} |\n" for port in ports)


def _cells(port: Port) -> Iterator[str]:
    shown = ", ".join(map(str, port.numbers)) + (f" ({port.only})" if port.only else "")
    yield shown + (f" ({port.setting})" if port.setting else "")
    yield port.where.value
    yield port.what
    yield port.who.value
    yield port.asks
    yield port.without
