"""One value against the type of its key: as Jackson 2.8 binds it, and as Scala casts it where Jackson was not told the type.

Each function gives a finding, or None where the value is right. What they say of linkerd is its own message.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import isfinite
from typing import NamedTuple

import yaml

from provision.linkerd.check.finding import Finding, found
from provision.linkerd.knowledge.schema import TYPED_FRACTIONS, Key
from provision.linkerd.knowledge.versions import within
from provision.linkerd.routing import dtab
from provision.linkerd.text import ALIAS, BOOL, FLOAT, INT, NULL, TEXT, Location, scalar

LARGEST = 2**31 - 1
_LARGEST_PORT = 65535
_MOST_DIGITS = 20
_LEVELS = ("ALL", "TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL", "OFF")
_TRUE = frozenset(("true", "yes", "on", "y"))

_WHOLE = re.compile(r"-?[0-9]+")
_SIGNED = re.compile(r"[-+]?[0-9]+")
_DOUBLE = re.compile(
    r"[-+]?(?:NaN|Infinity|INF|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?[fFdD]?|0[xX][0-9a-fA-F.]+[pP][-+]?[0-9]+)"
)

WANTED = {
    **dict.fromkeys(("int", "whole"), "a whole number"),
    "port": "a port",
    **dict.fromkeys(("float", "number"), "a number"),
    **dict.fromkeys(("bool", "truth"), "true or false"),
}
_EXACT = {
    "int": ("java.lang.Integer", "a whole number without quotes, sign or fraction, such as 500"),
    "bool": ("java.lang.Boolean", "true or false without quotes"),
    "float": ("java.lang.Double", "a number with a fraction and without quotes, such as 1.0"),
}
_JAVA = {"int": "int", "whole": "int", "port": "io.buoyant.config.types.Port", "truth": "boolean"}
_SCALA = "scala.collection.immutable."
_MAPS = 4
"""Mappings of more keys are hash maps to Scala."""


class Value(NamedTuple):
    """A value with the key that it stands under: all that the functions here are given."""

    key: Key
    node: yaml.Node
    at: Location
    version: str
    late: bool
    """Whether linkerd uses it when the first request comes, and not when it starts."""

    def wrong(self, fragment: str, wanted: str = "") -> Finding:
        """A finding of a value that Jackson cannot make anything of."""
        wanted = wanted or WANTED.get(self.key.type, "a text")
        return found("ML303", self.node, self.at, f"{shown(self.node)} is not {wanted}", fragment, f"write {wanted}")

    def refused(self, id_: str, message: str, fragment: str, fix: str) -> Finding:
        """A finding of a value that linkerd refuses when it uses it."""
        if self.late:
            message = f"{message}: linkerd starts, and every request fails"
        return found(id_, self.node, self.at, message, fragment, fix, "trap" if self.late else "")


def shown(node: yaml.Node) -> str:
    """A value in few words."""
    text = scalar(node)
    return f"{text!r}" if text is not None else "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"


def token(node: yaml.Node) -> str:
    """Jackson's token of a scalar: the tag, but a number that is none is a text, whatever its tag says."""
    tag = str(node.tag)
    if tag == INT and not _WHOLE.fullmatch(node.value):
        return TEXT
    return tag if tag in (INT, FLOAT, BOOL, NULL) else TEXT


def number(node: yaml.Node) -> float | None:
    """What a number is, of whichever type; None of anything else, and of what is infinite. For rules and traps: the rest was said."""
    text = scalar(node)
    try:
        size = float((text or "").strip().replace("_", ""))
    except ValueError:
        return None
    return size if isfinite(size) else None


def true(node: yaml.Node | None) -> bool:
    """Whether a value is a truth value, and true: a text in quotes is none."""
    return node is not None and node.tag == BOOL and str(node.value).lower() in _TRUE


def _malformed(value: Value) -> Finding | None:
    """A number that YAML knows and Java does not: `.inf`, `1:30.5`."""
    if isinstance(value.node, yaml.ScalarNode) and token(value.node) == FLOAT and _double(value.node.value) is None:
        return value.wrong(f"Malformed numeric value '{value.node.value}'", "a number")
    return None


def _double(text: str) -> float | None:
    text = text.strip().replace("_", "")
    if not _DOUBLE.fullmatch(text):
        return None
    try:
        return float(text.rstrip("fFdD"))
    except ValueError:
        return 1.0  # Java has more numbers than Python: hexadecimal fractions


def exact(value: Value) -> Finding | None:
    """A value that is cast to its type without a look."""
    bad = _malformed(value)
    have, (java, fix) = _java(value.node), _EXACT[value.key.type]
    if bad is not None or have == java:
        return bad
    message = f"{shown(value.node)} is not exactly {WANTED[value.key.type]}"
    return value.refused("ML330", message, f"{have} cannot be cast to {java}", f"write {fix}")


def _java(node: yaml.Node) -> str:
    """What Jackson makes of a value when it does not know which type is wanted."""
    if isinstance(node, yaml.SequenceNode):
        return f"{_SCALA}$colon$colon" if node.value else f"{_SCALA}Nil$"
    if isinstance(node, yaml.MappingNode):
        size = len(node.value)
        return f"{_SCALA}Map$Map{size}" if 0 < size <= _MAPS else f"{_SCALA}{'HashMap' if size else 'Map'}"
    match token(node):
        case tag if tag == INT:
            size = abs(int(node.value[:_MOST_DIGITS]))
            return f"java.{'lang.Integer' if size <= LARGEST else 'lang.Long' if size < 2**63 else 'math.BigInteger'}"
        case tag if tag == FLOAT:
            return "java.lang.Double"
        case tag if tag == BOOL:
            return "java.lang.Boolean"
        case _:
            return "java.lang.String"


def _coerced(value: Value) -> Finding | float | None:
    """The whole number that Jackson makes of a value, None of an empty text; or what is wrong with it."""
    node, java = value.node, _JAVA[value.key.type]
    kind, text = token(node), str(node.value)
    if kind == BOOL:
        return value.wrong(f"Can not deserialize instance of {java} out of {_of_truth(node)} token")
    size = float(text) if kind == INT and len(text) < _MOST_DIGITS else _double(text)
    if kind in (INT, FLOAT):
        if size is None:
            return _malformed(value)
        return size if abs(size) <= LARGEST + 1 else value.wrong(f"Numeric value ({text}) out of range of int")
    text = text.strip()
    if text in ("", "null"):
        return None
    if not _SIGNED.fullmatch(text):
        return value.wrong(f'Can not deserialize value of type {java} from String "{text}": not a valid Integer value')
    size = float(text[:_MOST_DIGITS])
    return size if abs(size) <= LARGEST + 1 else value.wrong("Overflow: numeric value")


def _of_truth(node: yaml.Node) -> str:
    return "VALUE_TRUE" if true(node) else "VALUE_FALSE"


def _whole(value: Value) -> Finding | None:
    have = _coerced(value)
    return have if isinstance(have, Finding) else None


def _port(value: Value) -> Finding | None:
    have = _coerced(value)
    if isinstance(have, Finding):
        return have
    if have is None:
        return value.wrong("java.lang.NullPointerException")
    if not 0 <= int(have) <= _LARGEST_PORT:
        fragment = f"{int(have)} outside valid range for ports"
        return found("ML315", value.node, value.at, f"{int(have)} is not a port", fragment, "1 to 65535")
    return None


def _fraction(value: Value) -> Finding | None:
    kind, text = token(value.node), str(value.node.value)
    if kind == BOOL:
        return value.wrong(f"Can not deserialize instance of double out of {_of_truth(value.node)} token")
    if kind == TEXT and text.strip() not in ("", "null") and _double(text if "_" not in text else "_") is None:
        return value.wrong(f'Can not deserialize value of type double from String "{text}": not a valid Double value')
    return _malformed(value)


def _truth(value: Value) -> Finding | None:
    kind, text = token(value.node), str(value.node.value).strip()
    if kind in (BOOL, INT) or (kind == TEXT and text in ("true", "True", "false", "False", "null", "")):
        return None
    return value.wrong("Can not deserialize")


def _ip(value: Value) -> Finding | None:
    text = str(value.node.value)
    if text in ("0.0.0.0", "127.0.0.1"):
        return None
    import ipaddress  # not needed for most files, and not quick to load

    try:
        address = ipaddress.ip_address("" if "%" in text else text)
    except ValueError:
        fragment, fix = f"'{text}' is not an IP string literal.", "0.0.0.0, or 127.0.0.1 for localhost"
        return found("ML315", value.node, value.at, f"{text} is not an address", fragment, fix)
    if address.version == 4 or getattr(address, "ipv4_mapped", None):
        return None
    message = f"linkerd's start script turns IPv6 off, so nothing listens on {text}"
    return found("ML315", value.node, value.at, message, "Failed to bind to", "an address of IPv4")


def _level(value: Value) -> Finding | None:
    text = str(value.node.value)
    if text.upper() in _LEVELS:
        return None
    fragment = f"Illegal log level: {text}"
    return found("ML325", value.node, value.at, f"{text} is no log level", fragment, f"one of {', '.join(_LEVELS)}")


_TYPED: dict[str, Callable[[Value], Finding | None]] = {
    "whole": _whole,
    "port": _port,
    "number": _fraction,
    "truth": _truth,
    "ip": _ip,
    "level": _level,
}


def judge(value: Value) -> Finding | None:
    """What is wrong with a value whose type is no path, list or object."""
    type_ = value.key.type
    if type_ == "unread":
        return _malformed(value)
    if type_ in _EXACT and not (type_ == "float" and within(value.version, TYPED_FRACTIONS, None)):
        return exact(value) or _limited(value)
    if not isinstance(value.node, yaml.ScalarNode):
        java = _JAVA.get(type_, "java.lang.String" if type_ == "str" else "double")
        return value.wrong(f"Can not deserialize instance of {java} out of {_start(value.node)} token")
    if type_ == "str":
        return _word(value)
    return _TYPED["number" if type_ == "float" else type_](value) or _limited(value)


def _start(node: yaml.Node) -> str:
    return "START_ARRAY" if isinstance(node, yaml.SequenceNode) else "START_OBJECT"


def _limited(value: Value) -> Finding | None:
    """A number that linkerd requires to be larger or smaller."""
    limit, have = value.key.limit, number(value.node)
    if limit is None or have is None or limit.holds(have):
        return None
    text = str(value.node.value)
    most = " to ".join(f"{bound:g}" for bound in (limit.least, limit.most) if bound is not None)
    fix = limit.fix or (f"{most} is allowed" if limit.most is not None else f"{most} or more")
    return value.refused(limit.id, f"{text} is not within what linkerd allows", limit.says.format(text), fix)


def _word(value: Value) -> Finding | None:
    text, key = str(value.node.value), value.key
    if key.among and text not in key.among:
        fix = f"one of {', '.join(key.among)}"
        return value.refused("ML332", f"{text!r} is none of the words that linkerd takes", key.says.format(text), fix)
    if key.within:
        try:
            dtab.parse_path(key.within.format(text))
        except dtab.DtabError as error:
            message = f"linkerd makes the path {key.within.format(text)} of it, and cannot read that"
            return value.refused("ML316", message, error.message.partition(" at '")[0], "write a name")
    return None


def is_alias(node: yaml.Node) -> bool:
    """Whether a scalar is an alias, of which linkerd reads the name."""
    return getattr(node, "style", None) == ALIAS
