"""Files that people and accidents make of linkerd's configurations and manifests: `mutant(number)` is always the same text."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.knowledge.versions import RELEASES
from provision.linkerd.pages import CHECKS

DATA = Path(__file__).parents[2] / "data"
SEEDS = [
    *(path.read_text() for path in sorted([*(DATA / "linkerd").rglob("*.y*ml"), *(DATA / "linkerd").rglob("*.json")])),
    *(path.read_text() for path in sorted((DATA / "mesh").rglob("*.yaml"))),
    *(check.example for check in CHECKS),
]
"""Real files: configurations, manifests, and the example of each page."""


def _read(text: str) -> list[object]:
    try:
        return list(yaml.safe_load_all(text))
    except yaml.YAMLError:
        return []


_READ = [_read(text) for text in SEEDS]
READ = [trees for trees in _READ if any(isinstance(tree, dict | list) for tree in trees)]
"""Those of them that are readable, as trees."""

WORDS = [
    *sorted({key.name for thing in KNOWLEDGE.objects.values() for key in thing.keys}),
    *sorted({kind.id for family in KNOWLEDGE.families.values() for kind in family.kinds}),
    *("apiVersion", "kind", "metadata", "data", "spec", "ConfigMap", "List", "items", "<<", "storage", "interfaces"),
    *("/svc => /#/io.l5d.fs;", "/a => /b & 0.5 * /c | ~ ;", "/svc/* => /$/inet/127.1/80", "/a\\x2", "/svc=>/svc"),
    *("{{ .Values.x }}", "{{- if x }}", "${PORT}", "$(HOST)", "<% x %>", "0.0.0.0", "::1", "null", "~", "''", "yes"),
    *("-1", "4140", "0.5", "9" * 400, "1e999", ".inf", "0x10", "2147483648", "[]", "{}", "[{}]", "&a [*a]", "!!set x"),
]
CONTROLS = "\x00\x07\x08\x0b\x1b\x7f\x85\x9b\u2028\u202e\ufeff\ufffe\u0301\r\t\"'\\\U0001f600é"
SIGNS = ":-#{}[]&*!|>%@`,?\\/=~; \t\n"

MANY = 100
"""Mappings and lists of a file of which nothing is multiplied any more: a file of 50,000 lines is no accident."""

Lines = list[str]
Change = Callable[[random.Random, Lines], None]


def _line(draw: random.Random, lines: Lines) -> int:
    return draw.randrange(len(lines))


def _lose(draw: random.Random, lines: Lines) -> None:
    lines[_line(draw, lines)] = ""


def _double(draw: random.Random, lines: Lines) -> None:
    lines.insert(_line(draw, lines), lines[_line(draw, lines)])


def _swap(draw: random.Random, lines: Lines) -> None:
    here, there = _line(draw, lines), _line(draw, lines)
    lines[here], lines[there] = lines[there], lines[here]


def _indent(draw: random.Random, lines: Lines) -> None:
    here = _line(draw, lines)
    for at in range(here, min(here + draw.choice((1, 3, 10)), len(lines))):
        lines[at] = draw.choice(("  ", " ", "\t", "- ")) + lines[at]


def _outdent(draw: random.Random, lines: Lines) -> None:
    here = _line(draw, lines)
    for at in range(here, min(here + draw.choice((1, 3, 10)), len(lines))):
        lines[at] = lines[at].removeprefix("  ")


def _cut(draw: random.Random, lines: Lines) -> None:
    here = _line(draw, lines)
    lines[here] = lines[here][: draw.randint(0, len(lines[here]))]


def _end(draw: random.Random, lines: Lines) -> None:
    del lines[_line(draw, lines) + 1 :]


def _word(draw: random.Random, lines: Lines) -> None:
    """A word of the line becomes one that linkerd or Kubernetes knows."""
    here = _line(draw, lines)
    words = lines[here].split(" ")
    at = draw.randrange(len(words))
    words[at] = draw.choice(WORDS) + (":" if words[at].endswith(":") else "")
    lines[here] = " ".join(words)


def _key(draw: random.Random, lines: Lines) -> None:
    """A key of linkerd's with some value, at a line's indentation."""
    here = _line(draw, lines)
    lead = lines[here][: len(lines[here]) - len(lines[here].lstrip(" "))]
    lines.insert(here, f"{lead}{draw.choice(WORDS)}: {draw.choice(WORDS)}")


def _control(draw: random.Random, lines: Lines) -> None:
    """A character that no terminal should get, raw or as YAML escapes it."""
    here = _line(draw, lines)
    at, sign = draw.randint(0, len(lines[here])), draw.choice(CONTROLS)
    written = sign if draw.random() < 0.5 else f"\\x{ord(sign) & 0xFF:02x}"
    lines[here] = lines[here][:at] + written + lines[here][at:]


def _quoted_control(draw: random.Random, lines: Lines) -> None:
    """The same where YAML takes it: an escape in a quoted key or value."""
    here = _line(draw, lines)
    key, colon, value = lines[here].partition(": ")
    escape = draw.choice(("\\x1b[31m", "\\x07", "\\x9b1m", "\\e]0;x\\a", "\\x7f", "\\r", "\\n", "\\0", "\\u202e"))
    lead = key[: len(key) - len(key.lstrip(" -"))]
    name = key[len(lead) :]
    if draw.random() < 0.5:
        lines[here] = f'{lead}"{name}{escape}"{colon or ": "}{value}'
    else:
        lines[here] = f'{key}{colon or ": "}"{escape}{value.strip(chr(34))}"'


def _sign(draw: random.Random, lines: Lines) -> None:
    here = _line(draw, lines)
    at = draw.randint(0, len(lines[here]))
    lines[here] = lines[here][:at] + draw.choice(SIGNS) + lines[here][at + draw.randint(0, 1) :]


def _many(draw: random.Random, lines: Lines) -> None:
    """A line or its value, many times."""
    here = _line(draw, lines)
    if draw.random() < 0.5:
        lines[here] = lines[here] * draw.choice((2, 20, 100))
    else:
        lines[here:here] = [lines[here]] * draw.choice((2, 20, 100))


def _other(draw: random.Random, lines: Lines) -> None:
    """The end of another file behind the beginning of this one."""
    fresh = draw.choice(SEEDS).split("\n")
    lines[_line(draw, lines) :] = fresh[draw.randrange(len(fresh)) :] or [""]


def _document(draw: random.Random, lines: Lines) -> None:
    lines[len(lines) :] = ["---", *draw.choice(SEEDS).split("\n")]


CHANGES: tuple[Change, ...] = (
    *(_lose, _double, _swap, _indent, _outdent, _cut, _end, _word, _word, _key, _key),
    *(_control, _quoted_control, _quoted_control, _sign, _many, _other, _document),
)


def mutant(number: int) -> tuple[str, str]:
    """A text and a release, always the same for a number: an odd one is a real file with lines changed, an even one with values."""
    draw = random.Random(number)
    text = _lines(draw) if number % 2 else _values(draw)
    return text.encode(errors="replace").decode(), draw.choice(RELEASES)


def _lines(draw: random.Random) -> str:
    lines = draw.choice(SEEDS).split("\n")
    for _ in range(draw.randint(1, 4)):
        draw.choice(CHANGES)(draw, lines)
        lines = lines or [""]
    return "\n".join(lines)


def _values(draw: random.Random) -> str:
    """Other keys and values in the tree of a file, written as YAML or JSON: nearly always readable."""
    documents = [tree for tree in copy.deepcopy(draw.choice(READ)) if tree is not None]
    for _ in range(draw.randint(1, 6)):
        _grow(draw, draw.choice(documents))
    if len(documents) == 1 and draw.random() < 0.3:
        return json.dumps(documents[0], indent=draw.choice((None, 2)), default=str)
    return yaml.safe_dump_all(documents, sort_keys=draw.random() < 0.2, width=draw.choice((60, 10_000)))


def _grow(draw: random.Random, tree: object) -> None:
    """Changes one mapping or list, at any depth."""
    inner = [tree, *_inside(tree)]
    one = draw.choice(inner)
    if isinstance(one, dict):
        keys = [key for key in one if draw.random() < 0.5]
        match draw.randrange(4):
            case 0 if keys:
                one[_key_of(draw)] = one.pop(keys[0])
            case 1 if keys:
                del one[keys[-1]]
            case 2 if keys:
                one[keys[0]] = _value(draw, inner)
            case _:
                one[_key_of(draw)] = _value(draw, inner)
    elif isinstance(one, list):
        one.insert(draw.randint(0, len(one)), _value(draw, inner))
        one[:] = one * (draw.choice((1, 1, 1, 2, 20)) if len(inner) < MANY else 1)


def _inside(tree: object) -> list[object]:
    below = list(tree.values()) if isinstance(tree, dict) else tree if isinstance(tree, list) else []
    mine = [one for one in below if isinstance(one, dict | list)]
    return [*mine, *(deeper for one in mine for deeper in _inside(one))]


def _key_of(draw: random.Random) -> str:
    return draw.choice(WORDS) + (draw.choice(CONTROLS) if draw.random() < 0.1 else "")


def _value(draw: random.Random, others: Sequence[object]) -> object:
    match draw.randrange(8):
        case 0:
            return copy.deepcopy(draw.choice(others))
        case 1:
            return {draw.choice(WORDS): draw.choice(WORDS), "kind": draw.choice(WORDS)}
        case 2:
            return draw.choice((None, True, -1, 0, 4140, 0.5, 2**31, 10**40, float("inf"), [], {}, "", "x" * 10_000))
        case 3:
            return draw.choice(WORDS) + draw.choice(CONTROLS) + draw.choice(WORDS)
        case _:
            return draw.choice(WORDS)
