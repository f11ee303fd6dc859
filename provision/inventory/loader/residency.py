"""Rules of `policy.residency`: every place that the inventory names is where data may be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from provision.base.errors import Problem
from provision.base.key_file import regular_content
from provision.inventory.loader.document import Document
from provision.inventory.loader.rules import Parts
from provision.inventory.policy import Policy
from provision.linkerd.knowledge.versions import RELEASES

if TYPE_CHECKING:
    from provision.inventory.residency import Place, Said, Verdict
    from provision.linkerd.wanted import Mesh


def problems(parts: Parts) -> Iterator[Problem]:
    """Every place that the policy does not allow, or that nobody says the country of. Membership is that of today."""
    policy = parts.policy
    if policy is None or policy.residency is None:
        return
    from provision.inventory.residency import refused  # countries and linkerd's knowledge: only for who has a policy

    for verdict in refused(_said(parts, policy), datetime.now(UTC).date()):
        yield _problem(parts.document, verdict)


def _said(parts: Parts, policy: Policy) -> Said:
    from provision.inventory.residency import Said

    beside = tuple(_own_file(parts.document, parts.mesh)) if parts.mesh is not None else ()
    return Said(policy, parts.hosts, parts.nodes, parts.network, parts.kubernetes, parts.mesh, parts.tracing, beside)


def _own_file(document: Document, mesh: Mesh) -> Iterator[Place]:
    """Of one that cannot be read `loader.mesh` says why."""
    from provision.inventory.residency.linkerds import linkerds_places

    if mesh.config_file is None or mesh.version not in RELEASES:
        return
    try:
        file = document.path(mesh.config_file)
        text = regular_content(file).decode()
    except (OSError, ValueError):
        return
    yield from linkerds_places(text, mesh.version, str(file))


def _problem(document: Document, verdict: Verdict) -> Problem:
    place = verdict.place
    message = f"{place.what}: {verdict.reason}"
    if place.spot is not None:
        spot = place.spot
        return Problem(spot.file, spot.line, spot.column, spot.field, message, verdict.hint)
    return document.problem(place.field, message, verdict.hint)
