"""What linkerd makes of a name: the dtab applied step by step, down to what a namer has to bind. Pure: no namer is asked.

The last matching entry wins; earlier ones are its fallbacks. Names below `/#/` go to a configured namer, names below `/$/` to
one of the system; those that only rewrite are computed here. An entry that leads back to itself is never left: linkerd follows
it until it is too deep, and that failure ends the search, whatever stands behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from provision.linkerd.routing.bound import REWRITING, Namer, owner
from provision.linkerd.routing.dtab import (
    NAMERS,
    SYSTEM,
    WILDCARD,
    Alt,
    Empty,
    Entry,
    Fail,
    Leaf,
    Neg,
    Path,
    Prefix,
    Tree,
    Union,
    Weighted,
    show_path,
    show_prefix,
)
from provision.linkerd.routing.rewriters import rewrite, rewriter

DEEPEST = 100
"""finagle's own limit: deeper is "Max recursion level reached"."""

MOST = 2000
"""Steps shown at the most: a dtab of two entries can branch without end within the depth allowed."""

TOO_DEEP = "Max recursion level reached."
"""What finagle says of a name that never ends."""

What = Literal["leaf", "circle", "fail", "empty"]


@dataclass(frozen=True)
class Step:
    """One replacement: the name, the rule that matched, what it became. `depth` is how many led to it."""

    depth: int
    path: Path
    rule: str
    became: Tree


@dataclass(frozen=True)
class End:
    """Where a way ends: in a leaf for a namer, in a circle, in `!` or in `$`. Ways that end in nothing have no end."""

    what: What
    path: Path


@dataclass(frozen=True)
class Delegation:
    """The steps in the order in which linkerd tries them, and where they end, the one tried first at the head."""

    path: Path
    steps: tuple[Step, ...]
    ends: tuple[End, ...]
    unfinished: bool = False
    """There are more steps than are shown."""

    @property
    def leaves(self) -> tuple[Path, ...]:
        """The names that namers have to bind, in the order in which they are tried."""
        return tuple(end.path for end in self.ends if end.what == "leaf")

    @property
    def circle(self) -> Path | None:
        """The name at which the request fails, when the way that is tried first runs in a circle."""
        return self.ends[0].path if self.ends and self.ends[0].what == "circle" else None


def matches(prefix: Prefix, path: Path) -> bool:
    """Whether a path begins with a prefix."""
    return len(prefix) <= len(path) and all(
        want is WILDCARD or want == have for want, have in zip(prefix, path, strict=False)
    )


def lookup(entries: Iterable[Entry], path: Path) -> list[tuple[Entry, Tree]]:
    """The entries that match, the last first, each with its tree for this path."""
    found = [entry for entry in entries if matches(entry.prefix, path)]
    return [(entry, _extended(entry.tree, path[len(entry.prefix) :])) for entry in reversed(found)]


def _extended(tree: Tree, rest: Path) -> Tree:
    match tree:
        case Leaf(path):
            return Leaf(path + rest)
        case Alt(trees):
            return Alt(tuple(_extended(part, rest) for part in trees))
        case Union(parts):
            return Union(tuple(Weighted(part.weight, _extended(part.tree, rest)) for part in parts))
        case _:
            return tree


def delegate(entries: Iterable[Entry], path: Path, namers: tuple[Namer, ...] = ()) -> Delegation:
    """Every step from a name to the ends of its tree; over those of the namers that rewrite, too."""
    walk = _Walk(tuple(entries), tuple(one for one in namers if one.kind == REWRITING), namers)
    walk.follow(path, ())
    return Delegation(path, tuple(walk.steps), tuple(dict.fromkeys(walk.ends)), walk.unfinished)


def _trees(tree: Tree) -> Iterator[Tree]:
    """The leaves and symbols of a tree, in the order in which they are tried."""
    match tree:
        case Alt(trees):
            for part in trees:
                yield from _trees(part)
        case Union(parts):
            for share in parts:
                yield from _trees(share.tree)
        case _:
            yield tree


Trail = tuple[tuple[int, Path], ...]
"""The entries that led to a name, by identity, each with the name that it met."""


class _Walk:
    """The steps so far."""

    def __init__(self, entries: tuple[Entry, ...], rewriting: tuple[Namer, ...], namers: tuple[Namer, ...]) -> None:
        self.entries, self.rewriting, self.namers = entries, rewriting, namers
        self.steps: list[Step] = []
        self.ends: list[End] = []
        self.unfinished = False

    def follow(self, path: Path, trail: Trail) -> None:
        if len(trail) > DEEPEST:
            self.ends.append(End("circle", path))
        elif len(self.steps) >= MOST:
            self.unfinished = True
        elif path[:1] == (NAMERS,) and (namer := self._rewriter(path)) is not None:
            self._step(path, trail, show_path(path[: 1 + len(namer.prefix)]), namer.rewritten(path))
        elif path[:1] == (NAMERS,) or (path[:1] == (SYSTEM,) and rewriter(path) is None):
            self.ends.append(End("leaf", path))
        elif path[:1] == (SYSTEM,):
            self._rewritten(path, trail)
        else:
            for entry, tree in lookup(self.entries, path):
                self._entry(entry, tree, path, trail)

    def _entry(self, entry: Entry, tree: Tree, path: Path, trail: Trail) -> None:
        self.steps.append(Step(len(trail), path, show_prefix(entry.prefix), tree))
        if any(one == id(entry) and path[: len(before)] == before for one, before in trail):
            # What an entry made of a name, it makes of every name that begins with it: from here on all repeats itself.
            self.ends.append(End("circle", path))
            return
        for part in _trees(tree):
            match part:
                case Leaf(leaf):
                    self.follow(leaf, (*trail, (id(entry), path)))
                case Fail():
                    self.ends.append(End("fail", path))
                case Empty():
                    self.ends.append(End("empty", path))

    def _rewriter(self, path: Path) -> Namer | None:
        """The namer that makes another name of this one, None where it is bound."""
        namer = owner(path, self.namers) if self.rewriting else None
        return namer if namer in self.rewriting else None

    def _rewritten(self, path: Path, trail: Trail) -> None:
        self._step(path, trail, show_path(path[:2]), rewrite(path))

    def _step(self, path: Path, trail: Trail, rule: str, found: Path | None) -> None:
        """A name that a namer makes of another one, and what comes of it."""
        self.steps.append(Step(len(trail), path, rule, Neg() if found is None else Leaf(found)))
        if found is not None:
            self.follow(found, (*trail, (0, path)))
