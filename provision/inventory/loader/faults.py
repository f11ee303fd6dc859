"""What pydantic finds wrong, in words for people: position, message, hint."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from provision.base.errors import Problem
from provision.base.strict import FieldFault
from provision.inventory.loader.document import Document, Location
from provision.inventory.model import Cluster

_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping of names to values",
    "model_type": "a mapping of fields",
    "model_attributes_type": "a mapping of fields",
}
"""What a field wants, by pydantic's kind of error."""


def problems(document: Document, error: ValidationError) -> Iterator[Problem]:
    """The problems of a ValidationError of `Cluster`, but those that only repeat what YAML's problems say."""
    faults = [fault for fault in error.errors(include_url=False) if not _echo(document, fault)]
    misspelt = {_meant(fault["loc"]) for fault in faults if fault["type"] == "extra_forbidden"}
    for fault in faults:
        if fault["type"] != "missing" or fault["loc"] not in misspelt:
            yield _problem(document, fault)


def _echo(document: Document, fault: Any) -> bool:
    """Whether a fault only repeats another one."""
    if fault["type"] == "too_short":  # pydantic counts only the valid items of a list
        return bool(fault["input"])
    if fault["type"] == "extra_forbidden":
        return bool(fault["loc"][-1] == "<<")
    if fault["loc"][:1] == ("sysctl",) and len(fault["loc"]) > 2:  # one fault for each kind that a setting may have
        return True
    return fault["loc"] in document.faulty


def _meant(location: Location) -> Location:
    """The field that a misspelt one is near to."""
    model = model_at(location[:-1])
    near = difflib.get_close_matches(str(location[-1]), model.model_fields if model is not None else (), n=1)
    return (*location[:-1], *near)


def _problem(document: Document, fault: Any) -> Problem:
    location, kind = fault["loc"], fault["type"]
    between = fault.get("ctx", {}).get("error")
    if isinstance(between, FieldFault):
        location = (*location, *between.field)
    if kind == "extra_forbidden":
        return document.problem(location, "unknown field", _near_field(location), key=True)
    if kind == "invalid_key" or location[-1:] == ("[key]",):
        place = tuple(step for step in location if step != "[key]")
        place = (*place[:-1], str(place[-1]))
        return document.problem(place, "the key is not text", f'put it in quotes: "{place[-1]}"', key=True)
    if kind == "missing":
        return document.problem(location, "is missing", _example(location))
    written = document.written(location)
    message, hint = _words(kind, fault, written if written is not None else _shape(fault["input"]))
    if fault["input"] is None:
        return document.problem(location, "is empty", hint or _example(location))
    if written and isinstance(fault["input"], bool | int | float):
        message, hint = _unquoted(kind, fault["input"], written, message, hint)
    return document.problem(location, message, hint or _example(location))


def _unquoted(kind: str, value: float, written: str, message: str, hint: str) -> tuple[str, str]:
    """Message and hint for a number or truth value where something else is wanted: as written, not as read."""
    if kind == "string_type":
        what = "a truth value" if isinstance(value, bool) else "a number"
        return f"{written} is {what}, not text", f'put it in quotes: "{written}"'
    return message.replace(str(value), written, 1) if str(value) != written else message, hint


def _words(kind: str, fault: Any, shown: str) -> tuple[str, str]:
    """Message and hint."""
    if kind == "value_error":
        message, _, hint = str(fault["msg"]).removeprefix("Value error, ").partition("\n")
        return message, hint
    if kind == "string_type":
        return f"{shown} is not text", "write text"
    if kind == "literal_error":
        return f"{shown} is not one of {fault['ctx']['expected']}", _near(
            shown, fault["ctx"]["expected"].split("'")[1::2]
        )
    if kind == "string_pattern_mismatch":
        return f"{shown} does not have the right form", f"it must match {fault['ctx']['pattern']}"
    if kind == "too_short":
        return "is empty", "at least one is needed"
    if kind in _WANTED:
        listed = kind in ("tuple_type", "list_type") and isinstance(fault["input"], dict)
        return f"{shown} is not {_WANTED[kind]}", _as_list(fault["input"]) if listed else ""
    said = str(fault["msg"])
    return f"{shown}: {said[0].lower()}{said[1:]}".replace("input should be", "must be"), ""


def _as_list(value: dict[Any, Any]) -> str:
    """How a mapping by name is written as the list that is wanted."""
    name = next(iter(value), "x")
    return f"a list, each with its name: [{{name: {name}, …}}]"


def _shape(value: Any) -> str:
    """A value that is no scalar, in a word: a whole mapping in a message helps nobody."""
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else "nothing" if value is None else str(value)


def _near_field(location: Location) -> str:
    model = model_at(location[:-1])
    names = list(model.model_fields) if model is not None else []
    return _near(str(location[-1]), names) or (f"there are: {', '.join(names)}" if names else "")


HABITS = {
    "control-plane": (
        "master",
        "controller",
        "controlplane",
        "control_plane",
        "controller+worker",
        "etcd",
        "server",
        "primary",
        "cp",
    ),
    "worker": ("node", "agent", "minion", "slave", "compute", "kube_node"),
    "dir": ("file", "folder", "directory", "netfs"),
    "logical": ("lvm", "lv", "vg"),
    "block": ("disk", "raw", "device", "nvme"),
    "bridge": ("bridged", "macvtap"),
    "nat": ("natted", "routed", "isolated"),
}
"""What other tools call our values."""


def _near(word: str, names: Iterable[str]) -> str:
    names = list(names)
    meant = next((name for name in names if word.lower() in HABITS.get(name, ())), None)
    if meant is not None:
        return f"did you mean {meant}?"
    near = difflib.get_close_matches(word, list(names), n=1)
    return f"did you mean {near[0]}?" if near else ""


def _example(location: Location) -> str:
    """What the missing field is, from the model's description."""
    model = model_at(location[:-1])
    known = model.model_fields.get(str(location[-1])) if model is not None else None
    return known.description or "" if known is not None else ""


def model_at(location: Location) -> type[BaseModel] | None:
    """The model of the mapping at a location, None when there is none."""
    model: type[BaseModel] = Cluster
    for step in location:
        if isinstance(step, int):
            continue
        known = model.model_fields.get(step)
        inner = inner_model(known.annotation) if known is not None else None
        if inner is None:
            return None
        model = inner
    return model


def inner_model(annotation: Any) -> type[BaseModel] | None:
    """The model within an annotation such as `tuple[Node, ...]` or `Mesh | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    parts = getattr(annotation, "__args__", ())
    return next((inner for part in parts if (inner := inner_model(part)) is not None), None)
