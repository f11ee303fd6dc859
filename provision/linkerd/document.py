"""A configuration as nodes with positions, read as linkerd reads it: YAML, or JSON when it begins with `{`."""

from __future__ import annotations

from dataclasses import dataclass

import yaml

Location = tuple[str | int, ...]


class Unreadable(ValueError):
    """Not YAML at all: message, line and column from 1."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.message, self.line, self.column = message, line, column


@dataclass(frozen=True)
class Spot:
    """A place in the file, counted from 1."""

    line: int
    column: int


def compose(text: str) -> yaml.Node | None:
    """The node tree, None of an empty file. Raises Unreadable."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise Unreadable(" ".join(filter(None, (error.context, error.problem))), line, column) from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(f"the character {error.character!r} is not allowed: {error.reason}", line, 1) from error
    except (yaml.YAMLError, ValueError) as error:
        raise Unreadable(str(error), 1, 1) from error
    except RecursionError as error:
        raise Unreadable("nested too deeply", 1, 1) from error
    return node


def spot(node: yaml.Node) -> Spot:
    """Where a node begins."""
    mark = node.start_mark
    return Spot(mark.line + 1, mark.column + 1) if mark else Spot(1, 1)


def is_null(node: yaml.Node) -> bool:
    """An empty or null scalar, which linkerd takes for a key left out."""
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def scalar(node: yaml.Node) -> str | None:
    """The text of a scalar, None of anything else."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None


def get(node: yaml.Node | None, name: str) -> yaml.Node | None:
    """The value of a key, the last one where it stands twice; None when there is none."""
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in reversed(node.value) if scalar(key) == name and not is_null(value)), None)


def items(node: yaml.Node | None) -> list[yaml.Node]:
    """The items of a list, nothing of anything else."""
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def text_of(location: Location) -> str:
    """`routers[0].client.tls`."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text
