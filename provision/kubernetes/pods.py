"""Pods: whether they stand on every node, and the proof that they reach each other across nodes."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision.base.errors import KubernetesError
from provision.base.shell import Shell
from provision.base.waiting import NotYet, Ready
from provision.kubernetes.api import ApiStarting
from provision.kubernetes.kubectl import Kubectl

ATTEMPT_S = 10.0
"""Seconds for one request: an emulated guest answers in under one, a dropped packet is sent again after 1, 3, 7."""


NEVER = frozenset(("ErrImageNeverPull", "ImagePullBackOff", "InvalidImageName"))
"""The kubelet's reasons that no patience mends: images come from the bundle, there is nothing to pull from."""

CRASHES, CRASHES_BACKOFF_S = 3, 40
"""A container is given up at its third crash in a row: the kubelet's pauses are 10, 20, 40 s and so on, and forgotten after
ten minutes without one. Where it does not say its pause, restarts count."""

STEADY_S = 30.0
"""How long a pod with a restarted container must have been ready."""

Item = Mapping[str, Any]


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
    kubectl: Kubectl,
    nodes: Sequence[str],
    *,
    namespace: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str] | None = None,
) -> Ready[dict[str, Pod]] | NotYet:
    """A ready pod of these labels and annotations on each node, by node; for `wait_until`.

    Raises KubernetesError when one of them will never be ready. Judged by the pods: a DaemonSet's status lags behind by as
    much as a minute.
    """
    try:
        items = kubectl.items("pods", namespace=namespace, labels=labels)
        return judge_pods(items, nodes, annotations or {}, kubectl.now)
    except ApiStarting as error:
        return NotYet(error.message)


def all_ready(kubectl: Kubectl, node: str, *, namespace: str, labels: Mapping[str, str]) -> Ready[None] | NotYet:
    """Whether each pod of these labels that a node has is ready; for `wait_until`. A kubelet that was started anew takes none for ready
    until it has asked it once more.
    """
    try:
        return judge_ready(kubectl.items("pods", namespace=namespace, labels=labels), node)
    except ApiStarting as error:
        return NotYet(error.message)


def judge_ready(items: Sequence[Item], node: str) -> Ready[None] | NotYet:
    """The same of pods that were asked for. Those that are going are not waited for."""
    staying = [item for item in items if not item["metadata"].get("deletionTimestamp")]
    here = [item for item in staying if item["spec"].get("nodeName") == node]
    late = [item["metadata"]["name"] for item in here if not _ready(item)]
    return NotYet(f"{node}: not ready: {', '.join(late)}", (node,)) if late else Ready(None)


def judge_pods(
    items: Sequence[Item],
    nodes: Sequence[str],
    annotations: Mapping[str, str],
    now: Callable[[], datetime.datetime],
    *,
    steady_s: float = STEADY_S,
) -> Ready[dict[str, Pod]] | NotYet:
    """The same of pods that were asked for. `now` is the cluster's clock, asked only where a container was restarted: then the pod must
    have been ready for `steady_s` seconds.
    """
    wanted = [item for item in items if annotations.items() <= item["metadata"].get("annotations", {}).items()]
    here = [item for item in wanted if item["spec"].get("nodeName") in nodes]
    if hopeless := [text for item in here if (text := _hopeless(item))]:
        raise KubernetesError(
            "\n".join(hopeless), hint="`meshctl ssh INVENTORY NODE -- sudo docker logs CONTAINER` shows its last words"
        )
    ready = [item for item in wanted if _ready(item)]
    found = {item["spec"].get("nodeName", ""): item for item in ready if _steady(item, now, steady_s)}
    lacking = {node: f"{node}: {_why(node, items, wanted)}" for node in nodes if node not in found}
    if lacking:
        return NotYet("; ".join(lacking.values()), tuple(lacking))
    return Ready({node: _pod(found[node]) for node in nodes})


def listens_on(item: Item) -> frozenset[int]:
    """The ports that a pod's containers say they listen on."""
    containers = item["spec"].get("containers", ())
    return frozenset(port["containerPort"] for one in containers for port in one.get("ports", ()))


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


def _ready(item: Item) -> bool:
    if item["metadata"].get("deletionTimestamp"):
        return False
    conditions = item.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions) and bool(item["status"].get("podIP"))


def _steady(item: Item, now: Callable[[], datetime.datetime], steady_s: float) -> bool:
    """Whether a ready pod stays so: one that was restarted is ready between two crashes, too."""
    if not steady_s or not any(
        container.get("restartCount") for container in item["status"].get("containerStatuses", [])
    ):
        return True
    since = next((c.get("lastTransitionTime") for c in item["status"]["conditions"] if c["type"] == "Ready"), None)
    return since is None or (now() - datetime.datetime.fromisoformat(since)).total_seconds() >= steady_s


def _hopeless(item: Item) -> str:
    """What keeps a pod from ever being ready, "" for nothing known."""
    for container in item.get("status", {}).get("containerStatuses", []):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") in NEVER or _crashes(container, waiting):
            where = (
                f"{item['spec'].get('nodeName', '?')}: pod {item['metadata']['name']}, container {container['name']}"
            )
            return f"{where}: {waiting['reason']}{_message(waiting)}{_last_end(container)}"
    return ""


def _crashes(container: Item, waiting: Mapping[str, str]) -> bool:
    if waiting.get("reason") != "CrashLoopBackOff":
        return False
    pause = re.search(r"back-off (?:(\d+)m)?(?:(\d+)s)?", waiting.get("message", ""), re.IGNORECASE)
    if pause is None or not any(pause.groups()):
        return int(container.get("restartCount", 0)) >= CRASHES
    return int(pause[1] or 0) * 60 + int(pause[2] or 0) >= CRASHES_BACKOFF_S


def _last_end(container: Item) -> str:
    ended = container.get("lastState", {}).get("terminated")
    if not ended:
        return ""
    why = f" ({ended['reason']})" if ended.get("reason") not in (None, "Error") else ""
    return f"; restarted {container.get('restartCount', 0)} times, last ended with {ended.get('exitCode', '?')}{why}{_message(ended)}"


def _pod(item: Item) -> Pod:
    container = item["status"]["containerStatuses"][0]["containerID"].partition("://")[2]
    return Pod(item["metadata"]["name"], item["spec"]["nodeName"], item["status"]["podIP"], container)


def _why(node: str, items: Sequence[Item], wanted: Sequence[Item]) -> str:
    here = [item for item in wanted if item["spec"].get("nodeName") == node]
    if not here:
        older = any(item["spec"].get("nodeName") == node for item in items)
        return "its pod is of an older configuration" if older else "no pod yet"
    if _ready(here[-1]):
        return f"restarted, and not ready for {STEADY_S:.0f} s yet"
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
