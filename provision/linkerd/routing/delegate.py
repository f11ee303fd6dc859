"""What linkerd makes of a name: the dtab applied step by step, down to what a namer has to bind. Pure: no namer is asked.

The last matching entry wins; earlier ones are its fallbacks. Names below `/#/` go to a configured namer, names below `/$/` to
one of the system; those that only rewrite are computed here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from provision.linkerd.routing.dtab import (
    NAMERS,
    SYSTEM,
    WILDCARD,
    Alt,
    Entry,
    Leaf,
    Neg,
    Path,
    Prefix,
    Tree,
    Union,
    Weighted,
    leaves,
    show_path,
    show_prefix,
)
from provision.linkerd.routing.rewriters import rewrite, rewriter

DEEPEST = 100
"""finagle's own limit: deeper is "Resolution reached maximum recursion depth"."""

MOST = 2000
"""Steps shown at the most: a dtab of two entries can branch without end within the depth allowed."""


@dataclass(frozen=True)
class Step:
    """One replacement: the name, the rule that matched, what it became. `depth` is how many led to it."""

    depth: int
    path: Path
    rule: str
    became: Tree


@dataclass(frozen=True)
class Delegation:
    """The steps in the order in which linkerd tries them, and the leaves they end in, the one tried first at the head."""

    path: Path
    steps: tuple[Step, ...]
    leaves: tuple[Path, ...]
    endless: bool = False


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


def delegate(entries: Iterable[Entry], path: Path) -> Delegation:
    """Every step from a name to the leaves of its tree."""
    walk = _Walk(tuple(entries))
    walk.follow(path, 0)
    return Delegation(path, tuple(walk.steps), tuple(dict.fromkeys(walk.leaves)), walk.endless)


class _Walk:
    """The steps so far."""

    def __init__(self, entries: tuple[Entry, ...]) -> None:
        self.entries = entries
        self.steps: list[Step] = []
        self.leaves: list[Path] = []
        self.endless = False

    def follow(self, path: Path, depth: int) -> None:
        if depth >= DEEPEST or len(self.steps) >= MOST:
            self.endless = True
        elif path[:1] == (NAMERS,) or (path[:1] == (SYSTEM,) and rewriter(path) is None):
            self.leaves.append(path)
        elif path[:1] == (SYSTEM,):
            self._rewritten(path, depth)
        else:
            for entry, tree in lookup(self.entries, path):
                self.steps.append(Step(depth, path, show_prefix(entry.prefix), tree))
                for leaf in leaves(tree):
                    self.follow(leaf, depth + 1)

    def _rewritten(self, path: Path, depth: int) -> None:
        found = rewrite(path)
        self.steps.append(Step(depth, path, show_path(path[:2]), Neg() if found is None else Leaf(found)))
        if found is not None:
            self.follow(found, depth + 1)
