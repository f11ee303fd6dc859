"""Dtabs: the parser and printer of linkerd's routing rules, with linkerd's own wording for what it refuses.

    /svc => /#/io.l5d.k8s/default/http ;      # a prefix, and the tree that replaces it
    /http/*/* => 0.9 * /a & 0.1 * /b | ~ ;

The grammar is that of finagle's NameTreeParsers (6.41 to 21.4). A prefix may hold `*` for any one element; entries are
parted by `;`, a newline parts nothing; `#` begins a comment only where whitespace may stand.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

SHOWABLE = frozenset(string.ascii_letters + string.digits + "_:.#$%-")
"""Characters that stand for themselves in a label; any other byte is written \\xHH."""

WHITESPACE = frozenset(" \t\n\r\x0b\x0c\x1c\x1d\x1e\x1f")
"""What Java's Character.isWhitespace takes of ASCII."""

WILDCARD = None
"""The element `*` of a prefix."""

NAMERS = b"#"
"""The first element of names that a configured namer binds."""

SYSTEM = b"$"
"""The first element of names that linkerd's own namers bind or rewrite."""

DEEPEST = 200
"""Parentheses within parentheses. linkerd has no bound but its stack; nobody writes more."""

_SPACE = re.compile(r"(?:[ \t\n\r\x0b\x0c\x1c-\x1f]|#[^\n]*)*")
_LABELS = re.compile(r"/(?:[0-9A-Za-z_:.#$%-]+(?:/[0-9A-Za-z_:.#$%-]+)*)?(?![/\\*0-9A-Za-z_:.#$%-])")
"""A path without escapes and wildcards, as nearly all are: read at once, the others letter by letter."""

T = TypeVar("T")

Path = tuple[bytes, ...]
Prefix = tuple[bytes | None, ...]


@dataclass(frozen=True)
class Leaf:
    """A path: another name, or one that a namer binds."""

    path: Path


@dataclass(frozen=True)
class Alt:
    """Alternatives `a | b`: the first that is there."""

    trees: tuple[Tree, ...]


@dataclass(frozen=True)
class Weighted:
    """A part of a union and its share of the requests."""

    weight: float
    tree: Tree


@dataclass(frozen=True)
class Union:
    """A union `0.9 * a & 0.1 * b`: requests are spread over the parts by weight."""

    parts: tuple[Weighted, ...]


@dataclass(frozen=True)
class Fail:
    """`!`: ends the search, no alternative is tried."""


@dataclass(frozen=True)
class Neg:
    """`~`: nothing here; the next alternative is tried."""


@dataclass(frozen=True)
class Empty:
    """`$`: bound, but to no endpoint at all."""


Tree = Leaf | Alt | Union | Fail | Neg | Empty

SYMBOLS: dict[str, Tree] = {"!": Fail(), "~": Neg(), "$": Empty()}


@dataclass(frozen=True)
class Entry:
    """One rule: names that begin with `prefix` become `tree`, each path of it followed by the rest of the name."""

    prefix: Prefix
    tree: Tree
    start: int = 0
    """Where the entry begins in the text it was read from; no part of its meaning."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and (self.prefix, self.tree) == (other.prefix, other.tree)

    def __hash__(self) -> int:
        return hash((self.prefix, self.tree))


class DtabError(ValueError):
    """A dtab or path that linkerd refuses. `message` is linkerd's, `offset` where in the text."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.message = message
        self.offset = offset


@lru_cache(maxsize=8)
def parse(text: str) -> tuple[Entry, ...]:
    """The entries of a dtab, in their order. Raises DtabError."""
    return _Parser(text).dtab()


def parse_path(text: str) -> Path:
    """A path such as `/svc/checkout`. Raises DtabError."""
    return _Parser(text).whole(_Parser.path)


def parse_prefix(text: str) -> Prefix:
    """A path that may hold `*`. Raises DtabError."""
    return _Parser(text).whole(_Parser.prefix)


def parse_tree(text: str) -> Tree:
    """A name tree. Raises DtabError."""
    return _Parser(text).whole(_Parser.tree)


class _Parser:
    """One text and a place in it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.index = 0
        self.depth = 0

    def dtab(self) -> tuple[Entry, ...]:
        entries = []
        while True:
            self._space()
            if self._peek():
                entries.append(self._entry())
                self._space()
            if not self._maybe(";"):
                break
        self._end()
        return tuple(entries)

    def whole(self, rule: Callable[[_Parser], T]) -> T:
        found = rule(self)
        self._space()
        self._end()
        return found

    def _entry(self) -> Entry:
        start = self.index
        prefix = self.prefix()
        self._space()
        self._eat("=")
        self._eat(">")
        return Entry(prefix, self.tree(), start)

    def _plain(self) -> Path | None:
        """A path without escapes and wildcards, None where it is no such."""
        found = _LABELS.match(self.text, self.index)
        if found is None:
            return None
        self.index = found.end()
        return (
            tuple(label.encode() for label in found.group()[1:].split("/")) if found.end() - found.start() > 1 else ()
        )

    def path(self) -> Path:
        self._space()
        plain = self._plain()
        if plain is not None:
            return plain
        self._eat("/")
        if not self._at_label():
            return ()
        labels = [self._label()]
        while self._maybe("/"):
            labels.append(self._label())
        return tuple(labels)

    def prefix(self) -> Prefix:
        self._space()
        plain = self._plain()
        if plain is not None:
            return plain
        self._eat("/")
        if not (self._at_label() or self._peek() == "*"):
            return ()
        elements = [self._element()]
        while self._maybe("/"):
            elements.append(self._element())
        return tuple(elements)

    def _element(self) -> bytes | None:
        return WILDCARD if self._maybe("*") else self._label()

    def tree(self) -> Tree:
        trees = [self._union()]
        while self._maybe("|"):
            trees.append(self._union())
        return trees[0] if len(trees) == 1 else Alt(tuple(trees))

    def _union(self) -> Tree:
        parts = [self._weighted()]
        self._space()
        while self._maybe("&"):
            parts.append(self._weighted())
            self._space()
        return parts[0].tree if len(parts) == 1 else Union(tuple(parts))

    def _weighted(self) -> Weighted:
        self._space()
        weight = 1.0
        if self._peek() in set("0123456789."):
            weight = self._number()
            self._space()
            self._eat("*")
        return Weighted(weight, self._simple())

    def _number(self) -> float:
        start = self.index
        while self._peek() and self._peek() in "0123456789.":
            if self._peek() == "." and "." in self.text[start : self.index]:
                raise self._illegal("number char", self.index)
            self.index += 1
        if self.text[start : self.index] == ".":
            raise self._illegal("weight", start)
        return float(self.text[start : self.index])

    def _simple(self) -> Tree:
        self._space()
        symbol = SYMBOLS.get(self._peek())
        if symbol is not None:
            self.index += 1
            return symbol
        if self._peek() == "/":
            return Leaf(self.path())
        if self._peek() != "(" or self.depth == DEEPEST:
            raise self._illegal("simple")
        self.index += 1
        self.depth += 1
        tree = self.tree()
        self.depth -= 1
        self._eat(")")
        return tree

    def _label(self) -> bytes:
        label = bytearray()
        while True:
            if self._maybe("\\"):
                self._eat("x")
                label.append(16 * self._hex() + self._hex())
            elif self._peek() in SHOWABLE:
                label += self._peek().encode()
                self.index += 1
            else:
                raise self._illegal("label char")
            if not self._at_label():
                return bytes(label)

    def _hex(self) -> int:
        digit = self._peek()
        if not digit or digit not in string.hexdigits:
            raise self._illegal("hex char")
        self.index += 1
        return int(digit, 16)

    def _at_label(self) -> bool:
        return self._peek() == "\\" or self._peek() in SHOWABLE

    def _space(self) -> None:
        found = _SPACE.match(self.text, self.index)
        self.index = found.end() if found else self.index

    def _peek(self) -> str:
        return self.text[self.index : self.index + 1]

    def _maybe(self, char: str) -> bool:
        if self._peek() != char:
            return False
        self.index += 1
        return True

    def _eat(self, char: str) -> None:
        if not self._maybe(char):
            raise self._illegal(f"'{char}'")

    def _end(self) -> None:
        if self._peek():
            raise self._illegal("end of input")

    def _illegal(self, expected: str, at: int | None = None) -> DtabError:
        index = self.index if at is None else at
        found = f"'{self.text[index]}'" if index < len(self.text) else "end of input"
        shown = f"{self.text[:index]}[{self.text[index : index + 1]}]{self.text[index + 1 :]}"
        return DtabError(f"{expected} expected but {found} found at '{shown}'", index)


def show(entries: tuple[Entry, ...]) -> str:
    """A dtab in one line, as it is parsed again."""
    return " ; ".join(f"{show_prefix(entry.prefix)} => {show_tree(entry.tree)}" for entry in entries)


def show_path(path: Path) -> str:
    """`/svc/checkout`."""
    return show_prefix(path)


def show_prefix(prefix: Prefix) -> str:
    """`/http/*/*`."""
    return "/" + "/".join("*" if label is WILDCARD else _show_label(label) for label in prefix)


def _show_label(label: bytes) -> str:
    """As linkerd shows it: one odd byte, and all are written as numbers."""
    text = label.decode("latin-1")
    return text if SHOWABLE.issuperset(text) else "".join(f"\\x{byte:02x}" for byte in label)


def show_tree(tree: Tree) -> str:
    """A tree with the parentheses that it needs."""
    if isinstance(tree, Alt):
        return " | ".join(_show_union(part) for part in tree.trees)
    return _show_union(tree)


def _show_union(tree: Tree) -> str:
    if isinstance(tree, Union):
        return " & ".join(_show_weighted(part) for part in tree.parts)
    return _show_simple(tree)


def _show_weighted(part: Weighted) -> str:
    return _show_simple(part.tree) if part.weight == 1.0 else f"{_show_number(part.weight)} * {_show_simple(part.tree)}"


def _show_number(weight: float) -> str:
    """Without an exponent, which the grammar does not know."""
    return f"{weight:.20f}".rstrip("0").rstrip(".")


def _show_simple(tree: Tree) -> str:
    match tree:
        case Leaf(path):
            return show_path(path)
        case Fail():
            return "!"
        case Neg():
            return "~"
        case Empty():
            return "$"
        case _:
            return f"({show_tree(tree)})"


def leaves(tree: Tree) -> Iterator[Path]:
    """The paths of a tree, in the order in which they are tried."""
    match tree:
        case Leaf(path):
            yield path
        case Alt(trees):
            for part in trees:
                yield from leaves(part)
        case Union(parts):
            for share in parts:
                yield from leaves(share.tree)
        case _:
            return


def symbols(tree: Tree) -> bool:
    """Whether a tree holds `!` or `$`: its owner means that nothing, or no endpoint, is found."""
    match tree:
        case Alt(trees):
            return any(map(symbols, trees))
        case Union(parts):
            return any(symbols(share.tree) for share in parts)
        case _:
            return isinstance(tree, Fail | Empty)
