"""The API server asked by curl on the control plane: reading, and nothing else.

kubectl begins with registering every kind that it knows: ten seconds and more of a busy emulated CPU, for each question of
those that a run asks every few seconds. Where kubeadm leaves the administrators' certificate in files, curl needs one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

from provision.base.curl import Answer, answers, options
from provision.base.errors import KubernetesError

PORT = 6443
NAME = "kubernetes"
"""A name that kubeadm puts into the API server's certificate, whatever the node is called."""

REQUEST_S = 60
"""For one list. It takes under a tenth of a second, and the handshake before the first of them one, under emulation."""

_OK = 200
_BUSY = (429, 500, 502, 503, 504)
"""Too many requests, etcd does not answer, still starting: worth asking again."""


class ApiStarting(KubernetesError):
    """The API server does not answer yet: worth asking again."""


def starting(where: str, said: str) -> ApiStarting:
    """The failure to be raised when the server, or somebody who asked it, says such a thing."""
    return ApiStarting(f"{where}: the API server does not answer: {said}", hint="it may still be starting: run again")


class Kind(NamedTuple):
    """A kind of objects: its group and version as manifests have them, and its plural."""

    api: str
    plural: str


@dataclass(frozen=True)
class Certificates:
    """Files of the control plane, for root only: the cluster's authority, and who asks."""

    authority: str
    certificate: str
    key: str


def lists_argv(who: Certificates, paths: Iterable[str], *, port: int = PORT) -> list[str]:
    """One command for several lists over one connection."""
    means = ("--cacert", who.authority, "--cert", who.certificate, "--key", who.key)
    here = ("--resolve", f"{NAME}:{port}:127.0.0.1", "--noproxy", "*")
    urls = (f"https://{NAME}:{port}{path}" for path in paths)
    return ["curl", *options(within_s=REQUEST_S), *means, *here, *urls]


def list_path(
    kind: Kind, namespace: str = "", labels: Mapping[str, str] | None = None, fields: Mapping[str, str] | None = None
) -> str:
    """Where a kind is listed: in a namespace, or with none the cluster's own objects, and those of all namespaces."""
    root = f"/apis/{kind.api}" if "/" in kind.api else f"/api/{kind.api}"
    inside = f"/namespaces/{namespace}" if namespace else ""
    choices = {"labelSelector": labels, "fieldSelector": fields}
    chosen = "&".join(f"{name}={quote(selector(said), safe='')}" for name, said in choices.items() if said)
    return f"{root}{inside}/{kind.plural}" + (f"?{chosen}" if chosen else "")


def selector(labels: Mapping[str, str]) -> str:
    """Labels as the API and kubectl want them to choose by: `app=l5d,tier=x`."""
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def listed(where: str, kinds: Sequence[Kind], printed: str) -> list[dict[str, Any]]:
    """The objects of all the lists that `lists_argv` asked for. Raises ApiStarting or KubernetesError."""
    found = answers(printed)
    if len(found) != len(kinds):
        raise ApiStarting(f"{where}: curl gave {len(found)} answers to {len(kinds)} questions")
    return [item for kind, answer in zip(kinds, found, strict=True) for item in _items(where, kind, answer)]


def _items(where: str, kind: Kind, answer: Answer) -> list[dict[str, Any]]:
    if answer.status != _OK:
        raise _refused(where, kind, answer)
    said = json.loads(answer.body)
    # Only the list says what its items are: `ConfigMapList`.
    name = str(said["kind"]).removesuffix("List")
    return [{"kind": name, "apiVersion": said["apiVersion"], **item} for item in said.get("items") or ()]


def _refused(where: str, kind: Kind, answer: Answer) -> KubernetesError:
    said = _message(answer.body)[:300] or "no reason given"
    if answer.status == 0 and "certificate" in said.lower():
        hint = "`kubeadm init` makes them, for a year: `kubeadm certs check-expiration` there; and compare the clocks"
        return KubernetesError(f"{where}: the API server's or our certificate: {said}", hint=hint)
    if answer.status == 0 or answer.status in _BUSY:
        return starting(where, said)
    return KubernetesError(f"{where}: {kind.plural} of {kind.api}: status {answer.status}, {said}")


def _message(body: str) -> str:
    """What an object of kind Status says, or the text itself."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.strip()
