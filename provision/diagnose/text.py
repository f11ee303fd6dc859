"""A verdict for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from provision.base.visible import visible_line
from provision.diagnose.cause import Cause
from provision.diagnose.split import Split
from provision.diagnose.verdict import Verdict

MOST_SERVICES, MOST_ENDPOINTS = 10, 5


def as_text(verdict: Verdict) -> str:
    """What was found, the heaviest first; where the time goes; what was looked at, and what was not."""
    lines = [_head(verdict)]
    for number, one in enumerate(verdict.causes, 1):
        lines += _cause(number, one, verdict.p99_ms)
    lines += _rest(verdict)
    lines += [line for one in verdict.splits[:MOST_SERVICES] for line in _split(one)]
    lines += [f"looked at: {one}" for one in verdict.looked_at]
    lines += [f"not seen: {where}: {why}" for where, why in verdict.unseen]
    return "\n".join(visible_line(line) for line in lines)


def _head(verdict: Verdict) -> str:
    about = f"service {verdict.service} of {verdict.cluster}" if verdict.service else verdict.cluster
    found = f"{len(verdict.causes)} cause(s)" if verdict.causes else "nothing found"
    p99 = "no requests were seen" if verdict.p99_ms is None else f"p99 {verdict.p99_ms:.0f} ms"
    return f"{about}: {found}; {p99}, {verdict.seconds:.0f} s looked at"


def _cause(number: int, one: Cause, p99_ms: float | None) -> list[str]:
    return [
        f"{number}. {one.id} {one.where}: {one.seen}",
        f"    explains: {_explains(one, p99_ms)}",
        f"    why: {one.why}",
        f"    fix: {one.fix}",
        f"    see: {one.docs}",
    ]


def _explains(one: Cause, p99_ms: float | None) -> str:
    if not one.explains_ms:
        return "no part of p99 that can be reckoned"
    if p99_ms is None:
        return f"{one.explains_ms:.1f} ms of a request that meets it ({one.sure})"
    return f"{one.explains_ms:.1f} ms of p99 ({one.explains_ms / p99_ms:.0%}, {one.sure})" if p99_ms else one.sure


def _rest(verdict: Verdict) -> Iterator[str]:
    if verdict.unexplained_ms is not None and verdict.p99_ms:
        share = verdict.unexplained_ms / verdict.p99_ms
        yield f"unexplained: {verdict.unexplained_ms:.1f} ms of p99 ({share:.0%}) beyond the median"


def _split(one: Split) -> list[str]:
    parts = (("proxy", one.proxy_ms), ("network", one.network_ms), ("service", one.service_ms))
    said = ", ".join(f"{name} {ms:.0f} ms" for name, ms in parts if ms is not None)
    whole = "–" if one.p99_ms is None else f"{one.p99_ms:.0f} ms"
    head = f"service {one.service}: {one.requests} requests, p99 {whole}: {said}"
    return [
        head,
        *(
            f"    {end.address} {end.pod} on {end.node}: {end.answer_ms:.0f} ms"
            for end in one.endpoints[:MOST_ENDPOINTS]
        ),
    ]
