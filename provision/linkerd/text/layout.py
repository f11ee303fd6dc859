"""Where in a text an entry of a mapping or list is cut out, or put in: stretches with what takes their place, in lines and in brackets."""

from __future__ import annotations

import yaml

from provision.linkerd.text import spans
from provision.linkerd.text.document import scalar

Cut = tuple[int, int, str]
"""From, to before, and what stands there instead."""


def alone(text: str, offset: int) -> bool:
    """Whether nothing but space stands before an offset in its line."""
    return not text[spans.line_start(text, offset) : offset].strip()


def bounds(child: tuple[yaml.Node, yaml.Node] | yaml.Node, text: str) -> tuple[int, int]:
    """Where a key with its value, or an item, begins and ends."""
    if not isinstance(child, tuple):
        return spans.start(child), spans.end(child, text)
    key, value = child
    return spans.start(key), max(spans.end(value, text), int(key.end_mark.index))


def flow_cut(every: list[tuple[int, int]], index: int) -> Cut:
    """Takes an entry out of brackets, with one of the commas beside it; `every`: the bounds of all entries."""
    begin, stop = every[index]
    if index + 1 < len(every):
        return begin, every[index + 1][0], ""
    return (every[index - 1][1] if index else begin), stop, ""


def block_cut(
    root: yaml.Node, text: str, begin: int, stop: int, following: int | None, *, keep_comments: bool
) -> list[Cut]:
    """Takes an entry out of lines; behind a dash the next one comes up to it. Comments stay where they are, if they are to be kept."""
    line, indent = spans.line_start(text, begin), " " * spans.column(text, begin)
    last = spans.line_end(text, stop)
    kept = spans.comments(root, text, begin, last) if keep_comments else []
    if alone(text, begin):
        first = line if keep_comments else spans.comments_above(text, begin)
        return [(first, min(last + 1, len(text)), "".join(f"{indent}{one}\n" for one in kept))]
    if following is None:
        return [(begin, last, "")]
    dash = " " * (len(text[line:begin]) - len(text[line:begin].lstrip()))
    between = spans.comments(root, text, last, following)
    return [(line, line, "".join(f"{dash}{one}\n" for one in (*kept, *between))), (begin, following, "")]


def emptied(text: str, cut: Cut, begin: int, empty: str) -> Cut:
    """The last entry of a mapping or list goes: brackets take its place."""
    first, stop, kept = cut
    if not alone(text, begin):
        return first, stop, empty
    return first, stop, " " * max(spans.column(text, begin), 1) + empty + "\n" + kept


def flow_insert(text: str, parent: yaml.Node, new: str) -> Cut:
    """Puts an entry in at the end of brackets, on a line of its own where the last one has one."""
    begin, stop = bounds(parent.value[-1], text)
    line = spans.line_start(text, begin)
    own_line = not text[line:begin].strip()
    return stop, stop, f",\n{text[line:begin]}{new}" if own_line else f", {new}"


def block_insert(text: str, parent: yaml.Node, lines: str, before: str, after: str) -> Cut:
    """Puts lines in before or after a key, or at the end; between parts that empty lines part, with one."""
    names = [scalar(key) for key, _ in parent.value]
    indent = spans.column(text, spans.start(parent.value[0][0]))
    shown = spans.shifted(lines, 0, indent)
    if before in names:
        key = spans.start(parent.value[names.index(before)][0])
        if alone(text, key):
            place = spans.comments_above(text, key)
            return place, place, shown + "\n" * (1 + _parted(text, place))
    last = len(names) - 1 - names[::-1].index(after) if after in names else len(names) - 1
    place = spans.line_end(text, bounds(parent.value[last], text)[1])
    blank = (
        indent == 0
        and last == len(names) - 1
        and any(_parted(text, spans.line_start(text, spans.start(key))) for key, _ in parent.value[1:])
    )
    return place, place, "\n" * (1 + blank) + shown


def _parted(text: str, line: int) -> bool:
    """Whether an empty line stands above a line that is not the first one."""
    return line > 1 and text[spans.line_start(text, line - 1) : line].strip() == ""
