"""Changes to a configuration's text: only what is changed is written anew, every other byte, comments too, stays as it is.

A library that reads and prints YAML would write the whole file in its own manner, and cannot keep JSON at all. Here each change is made
in the text, at the offsets of the nodes; the result is read again, and has to mean what the change was to bring about.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import yaml

from provision.linkerd.text import layout, spans
from provision.linkerd.text.document import (
    Location,
    Unreadable,
    compose,
    is_null,
    scalar,
    text_of,
)
from provision.linkerd.text.plain import (
    Data,
    Plain,
    Scalar,
    block,
    inline,
    item,
    of,
    plain,
    word,
)


class CannotEdit(Exception):
    """The text is written in a way in which this change cannot be made safely. The text says why."""


@dataclass(frozen=True)
class Fragment:
    """A key with its value, to be put somewhere: `lines` from column 0, with its comments; None where it stood in brackets."""

    value: Plain
    lines: str | None = None


@dataclass(frozen=True)
class Draft:
    """A text and what can be changed in it. Every change gives a new draft, or raises CannotEdit."""

    text: str

    @cached_property
    def root(self) -> yaml.Node:
        """The first document. Raises CannotEdit when there is none."""
        try:
            root = compose(self.text)
        except Unreadable as error:
            raise CannotEdit(error.message) from error
        if root is None:
            raise CannotEdit("the file is empty")
        if "*" in self.text and _repeated(root):
            raise CannotEdit("the file uses YAML's aliases, which linkerd does not follow")
        return root

    @property
    def strict(self) -> bool:
        """Whether the text is JSON."""
        return self.text.lstrip()[:1] == "{"

    def find(self, at: Location) -> yaml.Node | None:
        """The node at a location."""
        node: yaml.Node | None = self.root
        for step in at:
            node = _child(node, step)
        return node

    def find_key(self, at: Location) -> yaml.Node | None:
        """The key of a location, or the item: where a reader looks for it."""
        parent = self.find(at[:-1]) if at else None
        if isinstance(parent, yaml.MappingNode):
            return next((key for key, _ in reversed(parent.value) if scalar(key) == at[-1]), None)
        return self.find(at)

    def names(self, at: Location) -> list[str]:
        """The keys of the mapping at a location; none when there is no mapping."""
        node = self.find(at)
        return [scalar(key) or "" for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []

    def length(self, at: Location) -> int:
        """How many items the list at a location has."""
        node = self.find(at)
        return len(node.value) if isinstance(node, yaml.SequenceNode) else 0

    def written(self, at: Location) -> bool:
        """Whether there is a value at a location that is not null."""
        node = self.find(at)
        return node is not None and not is_null(node)

    def says(self, at: Location, value: Data) -> bool:
        """Whether a value stands at a location."""
        return self.written(at) and self.meaning(at) == of(value)

    def meaning(self, at: Location) -> Plain:
        """What stands at a location. Raises CannotEdit when nothing does."""
        return plain(self._node(at))

    def rename(self, at: Location, name: str) -> Draft:
        """Gives a key another name."""
        if name in self.names(at[:-1]):
            raise CannotEdit(f"{text_of((*at[:-1], name))} is there already")
        key, _ = self._pair(at)

        def change(parent: Plain) -> None:
            assert isinstance(parent, dict)  # noqa: S101 - _pair has seen a mapping
            parent[name] = parent.pop(str(at[-1]))

        return self._with([(spans.start(key), int(key.end_mark.index), word(name, strict=self.strict))], at, change)

    def replace(self, at: Location, value: Data) -> Draft:
        """Writes another scalar, or a value in brackets, where one stands in one line."""
        node = self._node(at)
        if spans.is_block(node) or getattr(node, "style", None) in ("|", ">"):
            raise CannotEdit(f"{text_of(at)} is written over several lines")

        def change(parent: Plain) -> None:
            parent[at[-1]] = of(value)  # type: ignore[index]

        begin, stop = spans.start(node), spans.end(node, self.text)
        gap = " " if begin == stop and self.text[begin - 1 : begin] == ":" else ""
        return self._with([(begin, stop, gap + inline(of(value), strict=self.strict))], at, change)

    def remove(self, at: Location) -> Draft:
        """Takes a key out of its mapping, or an item out of its list; comments stay. A mapping that it was alone in goes too."""
        return self._removed(self._widened(at), keep_comments=True)

    def remove_hidden(self, at: Location, *, first: bool = False) -> Draft:
        """Takes out one of keys that stand twice and do not count: of those before the last; `first`: of those behind the first."""
        parent = self._node(at[:-1])
        pairs = parent.value if isinstance(parent, yaml.MappingNode) else []
        twice = [index for index, (key, _) in enumerate(pairs) if scalar(key) == at[-1]]
        if len(twice) < 2:
            raise CannotEdit(f"{text_of(at)} stands once")
        if not first:
            return self._cut(parent, twice[0], lambda _: None, at, keep_comments=True)
        left = plain(pairs[twice[-2]][1])
        return self._cut(parent, twice[-1], lambda meant: _set(meant, str(at[-1]), left), at, keep_comments=True)

    def put(self, at: Location, value: Data, before: str = "", after: str = "") -> Draft:
        """Writes a new key, with the mappings that lead to it; where it is told, else at the end. Raises CannotEdit when it is there."""
        return self._put(at, Fragment(of(value)), before, after)

    def append(self, at: Location, value: Data, before: str = "") -> Draft:
        """Adds an item to a list, which is made when it is not there."""
        return self._append(at, of(value), before)

    def add(self, at: Location, value: Plain) -> Draft:
        """Adds an item, as it was read elsewhere, to a list."""
        return self._append(at, value, "")

    def move(self, at: Location, to: Location, after: str = "") -> Draft:
        """Moves a key with its value and its comments."""
        fragment = self._fragment(at)
        return self._removed(self._widened(at), keep_comments=False)._put(to, fragment, "", after)

    def move_items(self, at: Location, to: Location, before: str = "") -> Draft:
        """Moves the items of a list to the end of another; comments within them stay behind as comments."""
        items = self.meaning(at)
        draft = self
        for one in items if isinstance(items, list) else ():
            draft = draft._append(to, one, before)
        return draft.remove(at)

    def move_item(self, at: Location, to: Location) -> Draft:
        """Moves one item of a list to the end of another; comments within it stay behind as comments."""
        return self._append(to, self.meaning(at), str(at[0])).remove(self._sole(at))

    def copy(self, at: Location, to: Location) -> Draft:
        """Writes what stands at a location at another one too."""
        return self._put(to, Fragment(self.meaning(at)), "", "")

    def enlist(self, at: Location, to: Location) -> Draft:
        """Makes a value the only item of a list under another key beside it."""
        return self._put(to, Fragment([self.meaning(at)]), "", str(at[-1])).remove(at)

    def unlist(self, at: Location, to: Location) -> Draft:
        """The reverse of `enlist`. Raises CannotEdit when the list has not one item."""
        items = self.meaning(at)
        if not isinstance(items, list) or len(items) != 1:
            raise CannotEdit(f"{text_of(to)} takes one, {text_of(at)} has {self.length(at)}")
        return self._put(to, Fragment(items[0]), "", str(at[-1])).remove(at)

    # How it is done.

    def _sole(self, at: Location) -> Location:
        """The list that would be left empty, or the item itself."""
        return at[:-1] if self.length(at[:-1]) == 1 else at

    def _widened(self, at: Location) -> Location:
        """The mapping that would be left empty, or the place itself."""
        while len(at) > 1 and isinstance(at[-1], str) and isinstance(at[-2], str) and len(self.names(at[:-1])) == 1:
            at = at[:-1]
        return at

    def _node(self, at: Location) -> yaml.Node:
        node = self.find(at)
        if node is None:
            raise CannotEdit(f"{text_of(at)} is not there")
        return node

    def _pair(self, at: Location) -> tuple[yaml.Node, yaml.Node]:
        parent = self._node(at[:-1])
        found = (
            [pair for pair in parent.value if scalar(pair[0]) == at[-1]] if isinstance(parent, yaml.MappingNode) else []
        )
        if not found:
            raise CannotEdit(f"{text_of(at)} is not there")
        return found[-1][0], found[-1][1]

    def _with(self, changes: list[tuple[int, int, str]], at: Location, change: Callable[[Plain], None]) -> Draft:
        """The text with stretches replaced; `change` does the same to the meaning of the node above `at`, and both have to agree."""
        text = self.text
        for begin, stop, new in sorted(changes, reverse=True):
            text = text[:begin] + new + text[stop:]
        meant = plain(self.root)
        change(_inside(meant, at[:-1]))
        draft = Draft(text)
        if plain(draft.root) != meant:
            raise CannotEdit(f"{text_of(at)} is written in an unusual way")
        return draft

    def _fragment(self, at: Location) -> Fragment:
        key, value = self._pair(at)
        if not spans.is_block(self._node(at[:-1])):
            return Fragment(plain(value))
        begin, stop = spans.start(key), spans.line_end(self.text, spans.end(value, self.text) or spans.start(value))
        indent = spans.column(self.text, begin)
        above = self.text[spans.comments_above(self.text, begin) : begin] if layout.alone(self.text, begin) else ""
        comments = "".join(f"{line.strip()}\n" for line in above.splitlines() if line.strip())
        return Fragment(plain(value), comments + spans.shifted(self.text[begin:stop], indent, 0))

    def _removed(self, at: Location, *, keep_comments: bool) -> Draft:
        parent = self._node(at[:-1])
        if isinstance(parent, yaml.MappingNode):
            self._pair(at)
            index = max(index for index, (key, _) in enumerate(parent.value) if scalar(key) == at[-1])
        else:
            self._node(at)
            index = int(at[-1])

        def change(meant: Plain) -> None:
            del meant[at[-1]]  # type: ignore[arg-type,union-attr]

        return self._cut(parent, index, change, at, keep_comments=keep_comments)

    def _cut(
        self, parent: yaml.Node, index: int, change: Callable[[Plain], None], at: Location, *, keep_comments: bool
    ) -> Draft:
        bounds = [layout.bounds(child, self.text) for child in parent.value]
        if not spans.is_block(parent):
            return self._with([layout.flow_cut(bounds, index)], at, change)
        begin, stop = bounds[index]
        if isinstance(parent, yaml.SequenceNode):
            begin = self.text.rfind("-", 0, begin)
        following = bounds[index + 1][0] if index + 1 < len(bounds) else None
        if following is not None and isinstance(parent, yaml.SequenceNode):
            following = self.text.rfind("-", 0, following)
        cut = layout.block_cut(self.root, self.text, begin, stop, following, keep_comments=keep_comments)
        if len(bounds) == 1:
            empty = "{}" if isinstance(parent, yaml.MappingNode) else "[]"
            cut = [layout.emptied(self.text, cut[0], begin, empty), *cut[1:]]
        return self._with(cut, at, change)

    def _put(self, at: Location, fragment: Fragment, before: str, after: str) -> Draft:
        if not at or self.written(at):
            raise CannotEdit(f"{text_of(at) or 'the file'} is there already")
        if self.find(at) is not None:
            return self._inserted(at, fragment, "", str(at[-1])).remove_hidden(at)
        parent = self.find(at[:-1])
        if parent is None or is_null(parent):
            return self._put(at[:-1], _wrapped(str(at[-1]), fragment), before if parent is None else "", after)
        return self._inserted(at, fragment, before, after)

    def _inserted(self, at: Location, fragment: Fragment, before: str, after: str) -> Draft:
        parent = self.find(at[:-1])
        if not isinstance(parent, yaml.MappingNode):
            raise CannotEdit(f"{text_of(at[:-1])} is no mapping")

        def change(meant: Plain) -> None:
            assert isinstance(meant, dict)  # noqa: S101 - the parent is a mapping
            meant[str(at[-1])] = fragment.value

        name = str(at[-1])
        if not parent.value:
            return self._with(
                [(spans.start(parent), spans.end(parent, self.text), "{" + self._entry(name, fragment) + "}")],
                at,
                change,
            )
        if not spans.is_block(parent):
            return self._with([layout.flow_insert(self.text, parent, self._entry(name, fragment))], at, change)
        lines = fragment.lines or block(name, fragment.value)
        if fragment.lines and not re.match(rf"(?:#[^\n]*\n)*[\"']?{re.escape(name)}\b", fragment.lines):
            lines = _renamed(fragment.lines, name)
        return self._with([layout.block_insert(self.text, parent, lines, before, after)], at, change)

    def _entry(self, name: str, fragment: Fragment) -> str:
        if fragment.lines and "#" in fragment.lines and _COMMENTED.search(fragment.lines):
            raise CannotEdit(f"the comments of {name} have no place within brackets")
        return f"{word(name, strict=self.strict)}: {inline(fragment.value, strict=self.strict)}"

    def _append(self, at: Location, value: Plain, before: str) -> Draft:
        node = self.find(at)
        if node is None or is_null(node):
            return self._put(at, Fragment([value]), before, "")
        if not isinstance(node, yaml.SequenceNode):
            raise CannotEdit(f"{text_of(at)} is no list")

        def change(meant: Plain) -> None:
            meant.append(value)  # type: ignore[union-attr]

        new = inline(value, strict=self.strict)
        if not node.value:
            cut = (spans.start(node), spans.end(node, self.text), f"[{new}]")
        elif not spans.is_block(node):
            cut = layout.flow_insert(self.text, node, new)
        else:
            place = spans.line_end(self.text, spans.end(node, self.text))
            cut = (place, place, "\n" + spans.shifted(item(value), 0, spans.column(self.text, spans.start(node))))
        return self._with([cut], (*at, 0), change)


_COMMENTED = re.compile(r"(?:^|\s)#", re.MULTILINE)


def _renamed(lines: str, name: str) -> str:
    """A fragment under another name: the key is what stands before the first colon behind the comments."""
    above = re.match(r"(?:#[^\n]*\n)*", lines)
    head = above.group() if above else ""
    return head + word(name) + lines[lines.index(":", len(head)) :]


def _wrapped(name: str, fragment: Fragment) -> Fragment:
    """A fragment as the only entry of a mapping."""
    lines = None
    if fragment.lines is not None:
        own = _renamed(fragment.lines, name)
        lines = ":\n" + spans.shifted(own, 0, 2)
    return Fragment({name: fragment.value}, lines)


def _child(node: yaml.Node | None, step: str | int) -> yaml.Node | None:
    if isinstance(step, int):
        return node.value[step] if isinstance(node, yaml.SequenceNode) and step < len(node.value) else None
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in reversed(node.value) if scalar(key) == step), None)


def _inside(meant: Plain, at: Location) -> Plain:
    for step in at:
        if isinstance(meant, Scalar):
            raise CannotEdit(f"{text_of(at)} is not there")
        meant = meant[step]  # type: ignore[index]
    return meant


def _repeated(root: yaml.Node) -> bool:
    """Whether a node stands in two places: YAML's aliases."""
    seen: set[int] = set()
    return any(id(node) in seen or seen.add(id(node)) for node in _every(root))  # type: ignore[func-returns-value]


def _every(node: yaml.Node) -> Iterator[yaml.Node]:
    yield node
    if isinstance(node, yaml.ScalarNode):
        return
    for child in node.value:
        for part in child if isinstance(child, tuple) else (child,):
            yield from _every(part)


def _set(meant: Plain, name: str, value: Plain) -> None:
    assert isinstance(meant, dict)  # noqa: S101 - the parent is a mapping
    meant[name] = value
