"""Pods: whether they stand on every node, and the proof that they reach each other across nodes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision.base.errors import KubernetesError
from provision.base.shell import Shell
from provision.base.waiting import NotYet, Ready
from provision.kubernetes.api import ApiStarting
from provision.kubernetes.kubectl import Kubectl

ATTEMPT_S = 10.0
"""Seconds for one request: an emulated guest answers in under one, a dropped packet is sent again after 1, 3, 7."""


@dataclass(frozen=True)
class Pod:
    """A running pod: its node, address and the id of its first container."""

    name: str
    node: str
    address: str
    container: str


# Runs on the source's node, in the network namespace of the source pod: images need hold no tools. Arguments:
# seconds, port, addresses. Prints `ADDRESS<tab>ok|error<tab>TEXT` for each.
_REACH = """
import http.client, sys
within, port = float(sys.argv[1]), int(sys.argv[2])
for address in sys.argv[3:]:
    try:
        connection = http.client.HTTPConnection(address, port, timeout=within)
        connection.request("GET", "/")
        answer = connection.getresponse()
        word = "ok" if answer.status == 200 else "error"
        text = "%d %s" % (answer.status, answer.read(300).decode(errors="replace"))
    except OSError as error:
        word, text = "error", str(error) or type(error).__name__
    print("\\t".join((address, word, " ".join(text.split()))))
"""

_ENTER = """
set -eu
pid=$(docker inspect --format '{{.State.Pid}}' "$1")
shift
exec nsenter -t "$pid" -n -- "$@"
"""


def pods_on(
    kubectl: Kubectl, nodes: Sequence[str], *, namespace: str, labels: Mapping[str, str]
) -> Ready[dict[str, Pod]] | NotYet:
    """A ready pod of these labels on each node, by node; for `wait_until`.

    Judged by the pods: a DaemonSet's status lags behind by as much as a minute.
    """
    try:
        items = kubectl.items("pods", namespace=namespace, labels=labels)
    except ApiStarting as error:
        return NotYet(error.message)
    found = {item["spec"].get("nodeName", ""): item for item in items if _ready(item)}
    lacking = [f"{node}: {_why(node, items)}" for node in nodes if node not in found]
    return NotYet("; ".join(lacking)) if lacking else Ready({node: _pod(found[node]) for node in nodes})


def reach(shell: Shell, source: Pod, targets: Sequence[Pod], *, port: int, within_s: float = ATTEMPT_S) -> None:
    """One HTTP request from inside the source pod to each target, each in `within_s` seconds.

    Raises KubernetesError naming each that failed.
    """
    addresses = {target.address: target for target in targets}
    if not addresses:
        return
    inside = ["python3", "-c", _REACH, str(within_s), str(port), *addresses]
    completed = shell.read(
        ["sh", "-c", _ENTER, "enter", source.container, *inside], within_s=60 + within_s * len(addresses)
    )
    answers = dict(_answers(completed.stdout))
    failed = {a: answers.get(a, ("error", "not tried")) for a in addresses if answers.get(a, ("",))[0] != "ok"}
    if failed:
        text = "; ".join(f"{addresses[a].name} on {addresses[a].node} ({a}): {said}" for a, (_, said) in failed.items())
        raise KubernetesError(
            f"pod network: from {source.name} on {source.node} ({source.address}) no answer of {text}",
            hint="`ip route show proto 201` and `iptables -S FORWARD` on both nodes: meshctl-network.service sets them",
        )


def _answers(text: str) -> list[tuple[str, tuple[str, str]]]:
    rows = (line.split("\t") for line in text.splitlines())
    return [(row[0], (row[1], row[2])) for row in rows if len(row) == 3]


def _ready(item: Mapping[str, Any]) -> bool:
    if item["metadata"].get("deletionTimestamp"):
        return False
    conditions = item.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions) and bool(item["status"].get("podIP"))


def _pod(item: Mapping[str, Any]) -> Pod:
    container = item["status"]["containerStatuses"][0]["containerID"].partition("://")[2]
    return Pod(item["metadata"]["name"], item["spec"]["nodeName"], item["status"]["podIP"], container)


def _why(node: str, items: Sequence[Mapping[str, Any]]) -> str:
    here = [item for item in items if item["spec"].get("nodeName") == node]
    if not here:
        return "no pod yet"
    status = here[-1].get("status", {})
    waiting = [
        json.dumps(state["waiting"].get("reason", "waiting")).strip('"') + _message(state["waiting"])
        for container in status.get("containerStatuses", [])
        for state in [container.get("state", {})]
        if "waiting" in state
    ]
    return ", ".join(waiting) or f"{status.get('phase', 'Unknown')}, not ready"


def _message(waiting: Mapping[str, str]) -> str:
    text = waiting.get("message", "")
    return f" ({text[:160]})" if text else ""
