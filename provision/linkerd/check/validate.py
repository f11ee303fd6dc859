"""All that is wrong with a linkerd.yaml for one release: errors that it refuses, and traps that it takes and does not do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from operator import attrgetter
from typing import TYPE_CHECKING

import yaml

from provision.linkerd.check import failing, namerd, placeholders, rules, shape, slipped, traps, twice
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

_NAMERD = "ML393"
"""The finding that a configuration is namerd's."""

_OLD_READER = "1.1.2"
"""The releases before are known to read YAML by Jackson 2.8.4 with SnakeYAML 1.15."""


def validate(
    text: str, version: str, place: Place = ANYWHERE, beside: Iterable[str] = (), *, asked: bool = False
) -> tuple[Finding, ...]:
    """Every finding, in the order of the file, which may be a Kubernetes manifest too. Never raises for what the text holds.

    `beside` are the texts of other files that are checked at the same time: objects that a manifest refers to are looked for
    there too. `asked`: the version is what was asked for, and not an image's.
    """
    with uncollected():
        return _validated(text, version, place, tuple(beside), asked=asked)


def _validated(text: str, version: str, place: Place, beside: tuple[str, ...], *, asked: bool) -> tuple[Finding, ...]:
    marked = placeholders.marked(text)
    if marked is not None:
        return _in_order(marked.judged(_validated(marked.text, version, place, beside, asked=asked)))
    try:
        root = compose(text)
        objects = None if root is None else _manifest(root, text, beside)
    except Unreadable as error:
        what = "JSON" if text.lstrip()[:1] == "{" else "YAML"
        spot, message = Spot(error.line, error.column), f"not {what}: {error.message}"
        fix = slipped.unread(text, error.line, error.message) or "see the position"
        return (found("ML303", spot, (), message, _said(error.message), fix),)
    if root is None:
        fix = "it begins with routers:"
        return (found("ML303", Spot(1, 1), (), "the file is empty", "No content to map due to end-of-input", fix),)
    if objects is not None:
        return _embedded(objects, text, version, place, asked=asked)
    other = placeholders.other_file(root)
    if other:
        message = f"no linkerd configuration in it: it is {other}"
        return (found("ML300", root, (), message, "", "give linkerd's own file, or the manifests that are made of it"),)
    if namerd.is_namerd(root):
        return _in_order(set(namerd.findings(root, version, text, place)))
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
    objects = _objects(text)
    return None if objects is None else objects.release()


def is_manifest(text: str) -> bool:
    """Whether a text is one of Kubernetes' objects."""
    return _objects(text) is not None


def config_map(text: str, name: str, key: str) -> str | None:
    """The value of a key in a ConfigMap of a manifest, of any ConfigMap when no name is given; None when there is none."""
    objects = _objects(text)
    return None if objects is None else objects.value(name, key)


def _objects(text: str) -> Manifest | None:
    marked = placeholders.marked(text)
    try:
        root = compose(text if marked is None else marked.text)
        return None if root is None else _manifest(root, text if marked is None else marked.text)
    except Unreadable:
        return None


def _manifest(root: yaml.Node, text: str, beside: tuple[str, ...] = ()) -> Manifest | None:
    if get(root, "apiVersion") is None:
        return None
    from provision.linkerd.check.manifest import manifest  # most files are linkerd's own

    if manifest([root]) is None:
        return None
    others = tuple(one for other in beside if (objects := _objects(other)) is not None for one in objects.objects)
    own = manifest(compose_all(text))
    return None if own is None else replace(own, beside=others)


def _embedded(objects: Manifest, text: str, version: str, place: Place, *, asked: bool) -> tuple[Finding, ...]:
    from provision.linkerd.check import pods
    from provision.linkerd.check.manifest import embedded, nothing_found

    held = embedded(objects, text, place)
    findings = [*held.findings, *pods.port_names(objects)]
    judged = [(one, validate(one.text, version, one.place)) for one in held.configurations]
    alone = all(any(each.id == _NAMERD for each in every) for _one, every in judged)
    for one, every in judged:  # namerd's beside linkerd's is where it belongs
        findings += [one.outside(each) for each in every if alone or each.id != _NAMERD]
    for container, mounted in held.containers:
        config = None if mounted is None else _config(mounted.text, version, mounted.place)
        pod = pods.Pod(container, objects, config, place.kubernetes, version, asked)
        findings += pods.findings(pod)
    if not held.configurations and not any(mounted for _container, mounted in held.containers):
        findings.append(nothing_found(objects))
    return _in_order(set(findings))


def _config(text: str, version: str, place: Place) -> Config | None:
    try:
        root = compose(text)
    except Unreadable:
        return None
    return None if root is None else Config(root, text, version, place)


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
    return _in_order(slipped.explained(every, config))


def _in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=attrgetter("line", "column", "id", "field", "message")))
