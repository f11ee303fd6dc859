"""All that is wrong with a linkerd.yaml for one release: errors that it refuses, and traps that it takes and does not do."""

from __future__ import annotations

from collections.abc import Iterable
from operator import attrgetter
from typing import TYPE_CHECKING

import yaml

from provision.linkerd.check import failing, rules, shape, traps, twice
from provision.linkerd.check.finding import Finding, found
from provision.linkerd.knowledge.place import ANYWHERE, Place
from provision.linkerd.knowledge.twice import counting, strict
from provision.linkerd.knowledge.versions import FIRST, within
from provision.linkerd.routing import Config
from provision.linkerd.text import (
    Spot,
    Unreadable,
    compose,
    compose_all,
    get,
    uncollected,
)
from provision.linkerd.text.strict import refused

if TYPE_CHECKING:
    from provision.linkerd.check.manifest import Manifest

_OLD_READER = "1.1.2"
"""The releases before are known to read YAML by Jackson 2.8.4 with SnakeYAML 1.15."""


def validate(text: str, version: str, place: Place = ANYWHERE) -> tuple[Finding, ...]:
    """Every finding, in the order of the file, which may be a Kubernetes manifest too. Never raises for what the text holds."""
    with uncollected():
        return _validated(text, version, place)


def _validated(text: str, version: str, place: Place) -> tuple[Finding, ...]:
    try:
        root = compose(text)
        objects = None if root is None else _manifest(root, text)
    except Unreadable as error:
        what = "JSON" if text.lstrip()[:1] == "{" else "YAML"
        spot, message = Spot(error.line, error.column), f"not {what}: {error.message}"
        return (found("ML303", spot, (), message, _said(error.message), "see the position"),)
    if root is None:
        fix = "it begins with routers:"
        return (found("ML303", Spot(1, 1), (), "the file is empty", "No content to map due to end-of-input", fix),)
    if objects is not None:
        return _embedded(objects, text, version, place)
    told = refused(text, root) if within(version, FIRST, _OLD_READER) else None
    if told is not None:
        return (found("ML303", told.at, (), "linkerd's reader of YAML refuses it", told.message, "see the position"),)
    return _judged(root, text, version, place)


_SAID_TOO = ("mapping values are not allowed", "while scanning for the next token")


def _said(message: str) -> str:
    """The part of libyaml's message that SnakeYAML says too."""
    return next((part for part in _SAID_TOO if message.startswith(part)), "")


def release_of(text: str) -> str | None:
    """The release of linkerd that a Kubernetes manifest names by its image; None when it is no manifest, or names none."""
    try:
        root = compose(text)
        objects = None if root is None else _manifest(root, text)
    except Unreadable:
        return None
    return None if objects is None else objects.release()


def _manifest(root: yaml.Node, text: str) -> Manifest | None:
    if get(root, "apiVersion") is None:
        return None
    from provision.linkerd.check.manifest import manifest  # most files are linkerd's own

    return manifest(compose_all(text)) if manifest([root]) is not None else None


def _embedded(objects: Manifest, text: str, version: str, place: Place) -> tuple[Finding, ...]:
    from provision.linkerd.check.manifest import embedded

    configurations, findings = embedded(objects, text, place)
    for one in configurations:
        findings += [one.outside(finding) for finding in validate(one.text, version, one.place)]
    return _in_order(set(findings))


def _judged(root: yaml.Node, text: str, version: str, place: Place) -> tuple[Finding, ...]:
    repeated = twice.repeats(root)  # rarely
    counts = counting(root, version) if repeated and not strict(version) else None
    config = Config(root if counts is None else counts.root, text, version, place)
    every = {
        *shape.findings(root, version, text, place.plugins, () if counts is None else counts.lost),
        *(twice.findings(root, counts) if repeated else ()),
        *rules.findings(config),
        *traps.findings(config),
        *failing.findings(config),
    }
    return _in_order(every)


def _in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=attrgetter("line", "column", "id", "field", "message")))
