"""etcd's members, asked and taken away through a control plane that lives: by the gateway to its API, with curl (as ADR 0009).

Whether a member may go is etcd's to say: it refuses what would leave fewer than a majority of members that it is in touch with
(`strict-reconfig-check`, on by default). That is asked beforehand too, as nothing may be thrown away for a refusal to come after it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from provision.base.curl import Answer, answers, options
from provision.base.errors import KubernetesError
from provision.base.events import Changed, Emit
from provision.base.shell import Shell
from provision.kubernetes.api import Certificates

CLIENT_PORT, PEER_PORT = 2379, 2380
ASK_S = 15
"""For one question: a membership change waits for the majority, of which one may just be electing a leader (10 s, emulated)."""

_OK = 200


@dataclass(frozen=True)
class EtcdMember:
    """A member of etcd. `id` is its number in decimal; one that was added and never started has no name."""

    id: str
    name: str
    address: str


def etcd_members(shell: Shell, etcd: Certificates) -> tuple[EtcdMember, ...]:
    """The members as the etcd behind `shell` knows them. Raises KubernetesError when it does not answer."""
    return read_members(shell.where, _asked(shell, etcd, "member/list", {}))


def read_members(where: str, said: dict[str, Any]) -> tuple[EtcdMember, ...]:
    """The members in an answer of the gateway. Raises KubernetesError when it is none. Pure."""
    found = [_member(one) for one in said.get("members") or ()]
    if not found or not all(one.id.isdigit() and one.address for one in found):
        raise KubernetesError(f"{where}: etcd does not say who its members are: {json.dumps(said)[:300]}")
    return tuple(found)


def _member(one: dict[str, Any]) -> EtcdMember:
    peer = next(iter(one.get("peerURLs") or ()), "")
    address = peer.removeprefix("https://").removesuffix(f":{PEER_PORT}")
    return EtcdMember(str(one.get("ID", "")), str(one.get("name", "")), address)


def at_address(members: Iterable[EtcdMember], address: str) -> EtcdMember | None:
    """The member of the control plane at an address, None when it is none."""
    return next((one for one in members if one.address == address), None)


def require_quorum_without(shell: Shell, etcd: Certificates, node: str, address: str) -> None:
    """Raises KubernetesError when etcd could not write any more without the member of this node."""
    members = etcd_members(shell, etcd)
    if at_address(members, address) is None:
        return
    others = [one for one in members if one.address != address]
    well = _healthy(shell, etcd, others)
    if fault := quorum_fault(node, others, well):
        raise KubernetesError(
            f"{shell.where}: {fault}", hint="first the others: `meshctl status`, `meshctl restart` or `rebuild` them"
        )


def quorum_fault(node: str, others: Sequence[EtcdMember], well: Iterable[str]) -> str:
    """Why etcd needs this node's member, "" when the others are enough; `well` are the addresses of those that are healthy. Pure."""
    healthy, need = set(well), len(others) // 2 + 1
    if not others:
        return f"{node} has the only etcd of the cluster"
    silent = [one.name or one.address for one in others if one.address not in healthy]
    if len(others) - len(silent) >= need:
        return ""
    return (
        f"without {node} etcd would have {len(others)} members, of which {need} must answer, but {', '.join(silent)} does not:"
        " the cluster could write nothing any more"
    )


def _healthy(shell: Shell, etcd: Certificates, members: Sequence[EtcdMember]) -> list[str]:
    if not members:
        return []
    urls = [f"https://{one.address}:{CLIENT_PORT}/health" for one in members]
    asked = answers(shell.read(["curl", *_means(etcd), *urls], within_s=ASK_S * len(urls) + 15.0, check=False).stdout)
    return [one.address for one, answer in zip(members, asked, strict=False) if _is_well(answer)]


def _is_well(answer: Answer) -> bool:
    try:
        return answer.status == _OK and str(json.loads(answer.body).get("health", "")).lower() == "true"
    except (ValueError, AttributeError):
        return False


def take_away_member(shell: Shell, etcd: Certificates, node: str, address: str, emit: Emit) -> bool:
    """Takes the member at an address out of etcd, if there is one: of a control plane that goes, is made anew, or began to join and did
    not end. Gives whether there was. Raises KubernetesError when etcd refuses.
    """
    found = at_address(etcd_members(shell, etcd), address)
    if found is None:
        return False
    _asked(shell, etcd, "member/remove", {"ID": found.id})
    emit(Changed("cluster", f"etcd member {found.name or '(never started)'} of {node}", "remove"))
    return True


def _asked(shell: Shell, etcd: Certificates, what: str, question: dict[str, str]) -> dict[str, Any]:
    url = f"https://127.0.0.1:{CLIENT_PORT}/v3/cluster/{what}"
    argv = ["curl", *_means(etcd), "--data", json.dumps(question), url]
    ask = shell.read if what == "member/list" else shell.run
    said = answers(ask(argv, within_s=ASK_S + 15.0, check=False).stdout)
    if not said or said[0].status == 0:
        why = said[0].body if said else "curl gave no answer"
        hint = _hint(why) if "timed out" in why else "does it run? `docker ps -a` there"
        raise KubernetesError(f"{shell.where}: etcd does not answer to {what}: {why}", hint=hint)
    if said[0].status != _OK:
        raise KubernetesError(f"{shell.where}: etcd refuses {what}: {_reason(said[0].body)}", hint=_hint(said[0].body))
    found = json.loads(said[0].body)
    return found if isinstance(found, dict) else {}


def _means(etcd: Certificates) -> tuple[str, ...]:
    return (
        *options(within_s=ASK_S),
        "--noproxy",
        "*",
        "--cacert",
        etcd.authority,
        "--cert",
        etcd.certificate,
        "--key",
        etcd.key,
    )


def _reason(body: str) -> str:
    try:
        said = json.loads(body)
        return str(said.get("error") or said.get("message") or body)
    except (ValueError, AttributeError):
        return body.strip()[:300]


def _hint(body: str) -> str:
    lost = ("unhealthy cluster", "not enough started", "no leader", "timed out")
    if any(word in body for word in lost):
        return "too few of etcd's members are there: bring the others back first (docs/control-planes.md)"
    return "docs/control-planes.md"
