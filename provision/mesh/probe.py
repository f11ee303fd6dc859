"""What the answers of a node's mesh mean: which hop broke, in linkerd's own words. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import unquote_plus

from provision.base.curl import Answer, options

_EACH = options(within_s=20)

UNLED = "127.41.40.1"
"""The address that a node's own router is asked from: while the port is led to a neighbour's, these requests are not
(`kubernetes.leading` has the same).
"""


def probe_argv(host: str, port: int, admin_port: int) -> tuple[str, ...]:
    """One command for a node: a request for `host` through its own router, then the admin's ping and metrics."""
    admin = f"http://127.0.0.1:{admin_port}/admin"
    route = route_argv(host, port)
    return (*route, "--next", *_EACH, f"{admin}/ping", "--next", *_EACH, f"{admin}/metrics.json")


def route_argv(host: str, port: int, *, address: str = "127.0.0.1", unled: bool = True) -> tuple[str, ...]:
    """A request for `host` through the router at an address; `unled`: through the node's own, wherever its port is led."""
    own = ("--interface", f"host!{UNLED}") if unled else ()
    return ("curl", *_EACH, *own, "--header", f"Host: {host}", f"http://{address}:{port}/")


@dataclass(frozen=True)
class Routed:
    """A request that went through: the pod and node that answered, and who routed it."""

    pod: str
    node: str
    server: str


def judge_route(answer: Answer) -> Routed | str:
    """The routed request to the echo app: who answered, or which hop broke."""
    if answer.status != 200:
        return _hop(answer)
    try:
        said = json.loads(answer.body)
        return Routed(said["pod"], said["node"], answer.headers.get("server", ""))
    except (ValueError, KeyError, TypeError):
        return f"the answer is not the echo app's: {answer.body[:120]!r}"


def _hop(answer: Answer) -> str:
    # 0.8.5 writes the header as a URL has it (`No+hosts+are+available+for+%2Fsvc%2Fx`), later releases as it is.
    said = (unquote_plus(answer.headers.get("l5d-err", "")) or answer.body).strip()[:300] or "no reason given"
    if answer.status == 0:
        return f"node → mesh: nothing answers on the router's port ({said}): does the pod l5d run here?"
    if "No hosts are available" in said:
        return (
            f"mesh → name: the dtab led to no endpoint ({said}): a Service echo with a port named http, and ready pods?"
        )
    if "binding" in said:
        return f"mesh → Kubernetes: the namer got no answer ({said}): is the kubectl proxy on 127.0.0.1:8001 up, and allowed?"
    if answer.status == 400:
        return f"node → mesh: the request had no usable Host ({said})"
    return f"mesh → pod: status {answer.status} ({said}): does the pod network carry?"


def judge_ping(answer: Answer) -> str:
    """Empty when the admin port says pong."""
    return (
        ""
        if answer.status == 200 and answer.body.strip() == "pong"
        else f"/admin/ping: status {answer.status}, {answer.body[:80]!r}"
    )


def judge_metrics(answer: Answer, label: str) -> str:
    """Empty when the metrics count requests of the router `label`."""
    try:
        values = json.loads(answer.body) if answer.status == 200 else {}
    except ValueError:
        values = {}
    counted = [
        key for key, value in values.items() if key.startswith(f"rt/{label}/") and key.endswith("/requests") and value
    ]
    return "" if counted else f"/admin/metrics.json: status {answer.status}, no request counted for router {label}"
