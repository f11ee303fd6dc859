"""Labels and taints that somebody has given a node: they go with its object, and its kubelet knows nothing of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from provision.base.errors import KubernetesError
from provision.base.events import Changed, Emit
from provision.base.waiting import NotYet, Ready
from provision.kubernetes.api import ApiStarting
from provision.kubernetes.kubectl import Kubectl, kubectl_argv
from provision.kubernetes.lookout import wait_on
from provision.specs import LABEL, TAINT

REGISTERED_S = 300.0
"""A kubelet makes its node's object in its first seconds, on busy emulated CPUs within a minute."""

_TAINTS_OF_1_5 = "scheduler.alpha.kubernetes.io/taints"
"""The annotation in which Kubernetes 1.5 notes them, as JSON."""

_KUBELETS = frozenset(
    f"{domain}/{name}"
    for domain in ("kubernetes.io", "beta.kubernetes.io")
    for name in ("arch", "os", "hostname", "instance-type")
)
"""What each kubelet gives its own node as it registers."""

_CONDITIONS = ("node.kubernetes.io/", "node.alpha.kubernetes.io/", "node.cloudprovider.kubernetes.io/")
"""Taints that controllers give and take as a node's conditions change; a cordon is one of them."""


@dataclass(frozen=True)
class Given:
    """What somebody has given a node, each as kubectl takes it: labels `disk=nvme`, taints `for=db:NoSchedule`."""

    labels: tuple[str, ...] = ()
    taints: tuple[str, ...] = ()

    @classmethod
    def noted(cls, labels: str, taints: str) -> Given:
        """As a stamp has them, with commas between."""
        return cls(*(tuple(filter(None, words.split(","))) for words in (labels, taints)))

    def over(self, before: Given) -> Given:
        """What this has, and what of `before` it does not have."""
        left = before.lacking(self)
        return Given((*self.labels, *left.labels), (*self.taints, *left.taints))

    def lacking(self, there: Given) -> Given:
        """What of this is not `there`. What has another value there was given later, and stays."""
        known = {_what(word) for word in (*there.labels, *there.taints)}
        return Given(
            tuple(label for label in self.labels if _what(label) not in known),
            tuple(taint for taint in self.taints if _what(taint) not in known),
        )


def given_to(kubectl: Kubectl, node: str) -> Given | None:
    """What somebody has given a node; None where Kubernetes does not know it. Raises ApiStarting or KubernetesError."""
    found = _object(kubectl, node)
    return judge_given(found) if found is not None else None


def judge_given(node: Mapping[str, Any]) -> Given:
    """What of a node's object neither its kubelet nor a controller has said. Pure. What the API would not take, as somebody may have
    written it into the annotation of 1.5, could not be given back, and is none.
    """
    labels = (node["metadata"].get("labels") or {}).items()
    theirs = [f"{key}={value}" for key, value in labels if key not in _KUBELETS]
    taints = [_taint(one) for one in taints_of(node) if not one["key"].startswith(_CONDITIONS)]
    return Given(_formed(theirs, LABEL), _formed(taints, TAINT))


def _formed(words: Iterable[str], form: str) -> tuple[str, ...]:
    return tuple(sorted(word for word in words if re.fullmatch(form, word)))


def taints_of(node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A node's taints, wherever its generation notes them: `key`, `value`, `effect`. Pure."""
    noted = (node["metadata"].get("annotations") or {}).get(_TAINTS_OF_1_5)
    return [*(node["spec"].get("taints") or ()), *(json.loads(noted) if noted else ())]


def give_back(kubectl: Kubectl, node: str, given: Given, emit: Emit) -> None:
    """Gives a node that has just joined what it does not have of this. Raises KubernetesError, or StageTimeout while it is not known."""
    there = wait_on(
        kubectl.watched,
        lambda: _known(kubectl, node),
        what=f"{node}: known to Kubernetes",
        within_s=REGISTERED_S,
        emit=emit,
    )
    left = given.lacking(there)
    _give(kubectl, node, "label", left.labels, emit)
    _give(kubectl, node, "taint", left.taints, emit)


def _give(kubectl: Kubectl, node: str, verb: str, words: Iterable[str], emit: Emit) -> None:
    """`kubectl label` and `kubectl taint` take their words alike, in 1.5 as in 1.20."""
    if not (said := list(words)):
        return
    done = kubectl.shell.run(kubectl_argv(verb, "node", node, *said, "--overwrite"), within_s=60.0, check=False)
    if done.status != 0:
        raise KubernetesError(
            f"{node}: kubectl {verb} {' '.join(said)}: {done.stderr.strip() or f'status {done.status}'}",
            hint="it had that before it was made anew; run `meshctl provision` again, or give it by hand",
        )
    emit(Changed("cluster", f"{verb}s {', '.join(said)} of {node}", "put back"))


def _known(kubectl: Kubectl, node: str) -> Ready[Given] | NotYet:
    try:
        given = given_to(kubectl, node)
    except ApiStarting as error:
        return NotYet(error.message)
    return NotYet("its kubelet has not registered it yet") if given is None else Ready(given)


def _object(kubectl: Kubectl, node: str) -> Mapping[str, Any] | None:
    return next((one for one in kubectl.items("nodes") if one["metadata"]["name"] == node), None)


def _taint(said: Mapping[str, Any]) -> str:
    return f"{said['key']}={said.get('value') or ''}:{said['effect']}"


def _what(word: str) -> tuple[str, str]:
    """What a label or a taint is, whatever its value: key, and effect of a taint."""
    key, _, said = word.partition("=")
    return key, said.partition(":")[2]
