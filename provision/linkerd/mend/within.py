"""Changes to a configuration wherever it stands: a file of its own, or a literal block in a Kubernetes manifest."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from provision.linkerd.check import Embedded, Manifest, embedded, manifest
from provision.linkerd.knowledge.place import ANYWHERE, Place
from provision.linkerd.text import Unreadable, compose_all


class Inner(NamedTuple):
    """A configuration that was given to be changed: where it will run, and the block of a manifest that it stands in."""

    text: str
    place: Place
    block: Embedded | None


def rewritten(text: str, place: Place, change: Callable[[Inner], str]) -> str:
    """The text with each configuration in it changed, from the last to the first. Line ends stay as they are."""
    if text.count("\r\n") == text.count("\n") > 0:
        return rewritten(text.replace("\r\n", "\n"), place, change).replace("\n", "\r\n")
    objects = objects_of(text)
    if objects is None:
        return _closed(Inner(text, place, None), change)
    for one in sorted(embedded(objects, text, place).configurations, key=lambda one: one.begin, reverse=True):
        fresh = _closed(Inner(one.text, one.place, one), change) if one.indent is not None else one.text
        if fresh != one.text:
            text = one.rewritten(text, fresh)
    return text


def _closed(inner: Inner, change: Callable[[Inner], str]) -> str:
    """The text changed as one whose last line ends, whether it does or not: a literal value may stand there, which
    would gain a line end with the first line that is put after it.
    """
    if not inner.text or inner.text.endswith("\n"):
        return change(inner)
    return change(inner._replace(text=inner.text + "\n")).removesuffix("\n")


def configurations(text: str) -> tuple[str, ...]:
    """The configurations of a manifest; of any other text itself."""
    objects = objects_of(text)
    return (text,) if objects is None else tuple(one.text for one in embedded(objects, text, ANYWHERE).configurations)


def objects_of(text: str) -> Manifest | None:
    """The objects of a Kubernetes manifest, None when a text is none."""
    try:
        return manifest(compose_all(text))
    except Unreadable:
        return None
