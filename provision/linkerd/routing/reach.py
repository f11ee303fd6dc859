"""Which names a router can ever meet: what identifiers make of all requests, and what the dtab makes of those.

A name is a pattern: elements that are known or ANY, and perhaps an open end. Where this cannot be told (names of a cluster, rewriting by
configuration) a pattern is open, so that nothing is called unreachable that is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from provision.linkerd.routing.bound import REWRITING as REWRITING_NAMER
from provision.linkerd.routing.bound import Namer
from provision.linkerd.routing.dtab import (
    NAMERS,
    SYSTEM,
    WILDCARD,
    DtabError,
    Entry,
    Path,
    Prefix,
    leaves,
    parse_path,
    show_path,
)
from provision.linkerd.routing.routers import Router

MOST = 400
"""Patterns looked at. A dtab that makes more of them is left alone."""

MOST_MATCHES = 12_000
"""Entries met by patterns, each as often as it is met."""

LONGEST = 24
"""Elements of a name. Longer ones come of entries that call themselves."""

REWRITING = (b"io.buoyant.http.", b"io.buoyant.hostport", b"io.buoyant.porthost")
"""How the names of system namers that rewrite begin; all others bind."""


class _Any:
    """Any element."""


ANY = _Any()
Element = bytes | _Any


@dataclass(frozen=True)
class Pattern:
    """Names that begin so; `open`: and go on in any way."""

    elements: tuple[Element, ...]
    open: bool = False

    def rest(self, prefix: Prefix) -> Pattern | None:
        """What is left of the names behind a prefix, None when none of them begins so."""
        for want, have in zip(prefix, self.elements, strict=False):
            if want is not WILDCARD and not isinstance(have, _Any) and want != have:
                return None
        if len(prefix) > len(self.elements) and not self.open:
            return None
        return Pattern(self.elements[len(prefix) :], self.open)


def patterns(router: Router, method: bytes | None = None) -> Iterator[Pattern]:
    """What the router's identifiers make of requests; of those with one method, where a method matters."""
    try:
        prefix = parse_path(router.prefix)
    except DtabError:
        yield Pattern((), open=True)
        return
    for identifier in router.identifiers:
        for pattern in _suffixes(router, identifier, ANY if method is None else method):
            yield Pattern((*prefix, *pattern.elements), pattern.open)


def example(first: Iterable[Pattern]) -> str:
    """A name that a router makes, of the last of its patterns: HTTP/1.1's."""
    every = list(first)
    words = iter(("GET", "HOST") if len(every) > 1 else ("HOST",))
    last = every[-1].elements if every else ()
    return show_path(tuple(part if isinstance(part, bytes) else next(words, "x").encode() for part in last))


def _suffixes(router: Router, identifier: Mapping[str, str], method: Element) -> list[Pattern]:
    kind = identifier.get("kind")
    if router.protocol == "h2" and kind in ("io.l5d.header.path", "io.l5d.headerPath"):
        count = _count(identifier.get("segments", ""))
        return [Pattern((ANY,), open=True) if count is None else Pattern((ANY,) * count)]
    match kind:
        case "io.l5d.methodAndHost":
            tail = identifier.get("httpUriInDst") == "true"
            return [Pattern((b"1.0", method), tail), Pattern((b"1.1", method, ANY), tail)]
        case "io.l5d.header.token" | "io.l5d.headerToken":
            return [Pattern((ANY,))]
        case "io.l5d.path":
            count = _count(identifier.get("segments", "1"))
            return [Pattern((ANY,) * (1 if count is None else count))]
        case "io.l5d.static":
            return [Pattern(_static(identifier.get("path", "/")))]
        case "io.l5d.ingress" | "io.l5d.http.ingress" | "io.l5d.h2.ingress":
            return [Pattern((ANY, ANY, ANY))]
        case _:
            return [Pattern((), open=True)]


def _count(text: str) -> int | None:
    """Segments of a path; None when they cannot be told."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 3 else None


def _static(text: str) -> Path:
    try:
        return parse_path(text)
    except DtabError:
        return ()


@dataclass(frozen=True)
class Reached:
    """What names make of a dtab."""

    met: frozenset[Prefix]
    """The prefixes that some name meets."""
    lost: Mapping[tuple[int, Path], Pattern]
    """Leaves, by their entry's place in the text, of which every name meets no entry any more: one such name of each."""
    bound: Mapping[tuple[int, Path], Pattern]
    """Leaves below `/#/` and `/$/` in the same way, each with the name that goes on farthest."""


def reached(
    entries: Iterable[Entry], first: Iterable[Pattern], deep: int = 0, namers: tuple[Namer, ...] = ()
) -> Reached | None:
    """Which entries of a dtab names meet, and what becomes of them. None when there are too many names to tell.

    Leaves below `/#/` of `deep` elements or more are not among the bound: they have all that any namer needs. Names of those
    `namers` that rewrite are followed.
    """
    walk = _Reach(entries, deep, tuple(one for one in namers if one.kind == REWRITING_NAMER))
    return walk.done() if walk.go(list(first)) else None


class _Reach:
    """The walk over names, and what it saw."""

    def __init__(self, entries: Iterable[Entry], deep: int, rewriting: tuple[Namer, ...]) -> None:
        self.index, self.deep, self.rewriting = _Index(entries), deep, rewriting
        self.met: set[Prefix] = set()
        self.origins: dict[Pattern, set[tuple[int, Path]]] = {}
        self.matched: set[Pattern] = set()
        self.bound: dict[tuple[int, Path], Pattern] = {}
        self.matches = 0

    def go(self, waiting: list[Pattern]) -> bool:
        seen = set[Pattern]()
        while waiting:
            pattern = waiting.pop()
            if pattern in seen or (pattern.elements[:1] == (NAMERS,) and not self.rewriting):
                continue
            seen.add(pattern)
            if len(seen) > MOST or self.matches > MOST_MATCHES or len(pattern.elements) > LONGEST:
                return False
            if pattern.elements[:1] == (NAMERS,):
                waiting += self._renamed(pattern)
                continue
            fresh = _rewritten(pattern) if pattern.elements[:1] == (SYSTEM,) else self._matched(pattern)
            if fresh is None:
                continue
            self.matched.add(pattern)
            waiting += fresh
        return True

    def _matched(self, pattern: Pattern) -> list[Pattern] | None:
        """What the entries make of a name, None when it meets none."""
        fresh: list[Pattern] = []
        matched = False
        for entry, rest in self.index.matching(pattern):
            matched = True
            self.matches += 1
            self.met.add(entry.prefix)
            for leaf in leaves(entry.tree):
                self._leaf(entry, leaf, rest, fresh)
        return fresh if matched else None

    def _leaf(self, entry: Entry, leaf: Path, rest: Pattern, fresh: list[Pattern]) -> None:
        if leaf[:1] == (NAMERS,) and self.rewriting:
            fresh.append(Pattern((*leaf, *rest.elements), rest.open))
        if leaf[:1] == (NAMERS,) and len(leaf) >= self.deep:
            return
        origin = (entry.start, leaf)
        if leaf[:1] == (NAMERS,) or leaf[:1] == (SYSTEM,):
            before = self.bound.get(origin)
            if before is None or (
                not before.open and (rest.open or len(rest.elements) > len(before.elements) - len(leaf))
            ):
                self.bound[origin] = Pattern((*leaf, *rest.elements), rest.open)
            if leaf[:1] == (NAMERS,):
                return
        name = Pattern((*leaf, *rest.elements), rest.open)
        self.origins.setdefault(name, set()).add(origin)
        fresh.append(name)

    def _renamed(self, pattern: Pattern) -> list[Pattern]:
        """What the namers that rewrite make of names below `/#/`."""
        inside = Pattern(pattern.elements[1:], pattern.open)
        found = ((namer, inside.rest(namer.prefix)) for namer in self.rewriting)
        return [name for namer, rest in found if rest is not None and (name := _renamed(namer, rest)) is not None]

    def done(self) -> Reached:
        alive = {origin for name in self.matched for origin in self.origins.get(name, ())}
        lost = {
            origin: name
            for name, origins in self.origins.items()
            for origin in origins - alive
            if name.elements[:1] not in ((SYSTEM,), ()) and isinstance(name.elements[0], bytes)
        }
        return Reached(frozenset(self.met), lost, self.bound)


class _Index:
    """Entries by the first element of their prefix, so that thousands of them are not all tried for each name."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self.every: list[Entry] = []
        self.by_first: dict[bytes | None, list[Entry]] = {}
        self.loose: list[Entry] = []
        for entry in entries:
            self.every.append(entry)
            first = entry.prefix[:1]
            if first and first[0] is not WILDCARD:
                self.by_first.setdefault(first[0], []).append(entry)
            else:
                self.loose.append(entry)

    def matching(self, pattern: Pattern) -> Iterator[tuple[Entry, Pattern]]:
        """The entries that some of the names meet, with what is left of the names."""
        first = pattern.elements[0] if pattern.elements else ANY
        some = self.every if isinstance(first, _Any) else [*self.by_first.get(first, ()), *self.loose]
        for entry in some:
            rest = pattern.rest(entry.prefix)
            if rest is not None:
                yield entry, rest


def _renamed(namer: Namer, rest: Pattern) -> Pattern | None:
    """The name that a namer's pattern makes of others; None when they do not look like the pattern."""
    captured: dict[str, Element] = {}
    for position, word in enumerate(word for word in namer.pattern.split("/") if word):
        if position >= len(rest.elements) and not rest.open:
            return None
        element = rest.elements[position] if position < len(rest.elements) else ANY
        if word.startswith("{") and word.endswith("}"):
            captured[word] = element
        elif word != "*" and not isinstance(element, _Any) and element != word.encode():
            return None
    parts = [part for part in namer.name.split("/") if part]
    return Pattern(tuple(captured.get(part, ANY if "{" in part else part.encode()) for part in parts))


def _rewritten(pattern: Pattern) -> list[Pattern]:
    """What a rewriting system namer may make of names: its prefix stays, the rest may be anything."""
    name = pattern.elements[1] if len(pattern.elements) > 1 else b""
    if not isinstance(name, bytes) or not name.startswith(REWRITING):
        return []
    if not name.endswith(b"Pfx"):
        return [Pattern((), open=True)]
    place = 3 if name.endswith(b"subdomainOfPfx") else 2
    return [Pattern(pattern.elements[place : place + 1], open=True)]
