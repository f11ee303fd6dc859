"""Known failures of kubeadm, the kubelet, container runtimes and etcd, by what they print: one registry, causes before symptoms.

The texts are those of kubeadm 1.5 (a092d8e0f95f52), 1.20.2 and 1.37 (cmd/kubeadm/app/preflight/checks.go, discovery/, phases/), of
k8s.io/system-validators, of the kubelets' cmd/kubelet and pkg/kubelet, and of users' reports.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from provision.kubernetes.failures.control_plane import CONTROL_PLANE, NOTHING
from provision.kubernetes.failures.joining import JOINING
from provision.kubernetes.failures.kubelet import KUBELET, POD_NETWORK
from provision.kubernetes.failures.machine import MACHINE
from provision.kubernetes.failures.model import Failure
from provision.kubernetes.failures.runtime import RUNTIME

FAILURES: tuple[Failure, ...] = (*MACHINE, *RUNTIME, *KUBELET, *CONTROL_PLANE, *JOINING, *POD_NETWORK, *NOTHING)
"""In the order of causes: what stands on a machine follows from what is wrong with it."""

BY_NAME = {failure.name: failure for failure in FAILURES}
BY_ID = {failure.id: failure for failure in FAILURES}

UNKNOWN = "provision again resets the node and begins anew; `meshctl ssh` leads to its logs"

SHOWN = 4
"""Causes said at once: kubeadm's checks before the start name all faults of a node together."""

_WARNING = re.compile(r"\[WARNING |\bWARNING: ")


def hint_for(lines: Iterable[str], generation: str = "") -> str:
    """Advice on what is wrong by these lines, root causes first, none of their symptoms; general advice when nothing is known.

    `generation` of Kubernetes, such as ``1.5``: some advice differs.
    """
    said = [advice_on(failure, whats, generation) for failure, whats in causes(lines)]
    return ". Also: ".join(said[:SHOWN]) or UNKNOWN


def causes(lines: Iterable[str]) -> list[tuple[Failure, tuple[str, ...]]]:
    """The root causes in these lines with what fills their text, in the registry's order.

    A warning counts only when nothing else is found, or when what else is found can follow from it.
    """
    all_lines = list(lines)
    warned = _found(line for line in all_lines if _WARNING.search(line))
    found = _found(line for line in all_lines if not _WARNING.search(line))
    certain = {name for name in found if not BY_NAME[name].vague}
    why = {name for name in warned if not found or _explains(name, certain)}
    names = certain | why or set(found)
    follow = {symptom for name in names for symptom in _consequences(name)}
    texts = {name: tuple(dict.fromkeys((*found.get(name, ()), *warned.get(name, ())))) for name in names}
    return [(failure, texts[failure.name]) for failure in FAILURES if failure.name in names - follow]


def tells_of(lines: Iterable[str]) -> frozenset[str]:
    """The names of all failures that these lines match, symptoms too."""
    return frozenset(_found(lines))


def _explains(warned: str, certain: set[str]) -> bool:
    """Whether what is only warned of can be why the rest is; anything can be why "something does not run"."""
    consequences = _consequences(warned)
    return bool(consequences & certain if certain else consequences)


def _found(lines: Iterable[str]) -> dict[str, list[str]]:
    """The failures that these lines tell of, by name, with what the group `what` held."""
    found: dict[str, list[str]] = {}
    for line in lines:
        for failure, match in _matches(line):
            whats = found.setdefault(failure.name, [])
            if what := match.groupdict().get("what"):
                whats.append(what.strip())
    return found


def _matches(line: str) -> Iterator[tuple[Failure, re.Match[str]]]:
    for failure, patterns in _COMPILED:
        match = next((match for pattern in patterns if (match := pattern.search(line))), None)
        if match:
            yield failure, match


def _consequences(name: str) -> set[str]:
    """The names of all that follows from a failure, also by way of others."""
    direct = BY_NAME[name].symptoms
    return {*direct, *(further for symptom in direct for further in _consequences(symptom))}


def advice_on(failure: Failure, whats: Iterable[str] = (), generation: str = "") -> str:
    """One failure in words: id, cause with what fills its text, and what to do."""
    advice = failure.advice_of.get(generation, failure.advice)
    what = ", ".join(whats)
    cause = failure.cause if what or "{what}" not in failure.cause else failure.cause.replace(" ({what})", "")
    return f"{failure.id}: {cause}: {advice}".replace("{what}", what)


_COMPILED = tuple(
    (failure, tuple(re.compile(pattern, re.IGNORECASE) for pattern in failure.patterns)) for failure in FAILURES
)
