"""Configurations that break one requirement each, made from the knowledge: every kind and key that a release has."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import NamedTuple

from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.knowledge.schema import TYPED_FRACTIONS, Family, Key, Kind, Object
from provision.linkerd.knowledge.versions import within

Data = dict[str, object]
Wrap = Callable[[object], Data]

SAMPLES: dict[str, object] = {
    **dict.fromkeys(("int", "whole", "port", "number"), 1),
    "float": 1.0,
    **dict.fromkeys(("bool", "truth"), True),
    "ip": "127.0.0.1",
    "level": "INFO",
    **dict.fromkeys(("path", "dtab"), "/x"),
}


class Broken(NamedTuple):
    """What is broken, a whole configuration, the fragment of linkerd's message, and the finding's id where linkerd's words are not known.

    `double`: the key that stands in the place of `qqq`, a second time in its mapping.
    """

    what: str
    whole: Data
    fragment: str
    id: str = ""
    double: str = ""

    @property
    def text(self) -> str:
        """The configuration as JSON."""
        text = json.dumps(self.whole)
        return text.replace('"qqq"', json.dumps(self.double)) if self.double else text


class Place(NamedTuple):
    """An object that a release reads, its kind where it is a plugin, and how a configuration is made around one of it."""

    object: Object
    family: Family | None
    kind: Kind | None
    wrap: Wrap

    def data(self, release: str) -> Data:
        """The smallest one that starts."""
        return _smallest(self.object, self.family, self.kind, release)


def _smallest(object_: Object, family: Family | None, kind: Kind | None, release: str) -> Data:
    chosen: Data = (
        {}
        if family is None or kind is None or (family.default and kind.id == family.default)
        else {family.selector: kind.id}
    )
    flag: Data = {"experimental": True} if kind is not None and kind.needs_flag(release) else {}
    needed = {key.name: _sample(key.type, release) for key in object_.at(release).values() if key.required}
    pair: Data = dict.fromkeys(object_.ordered[:2], 1) if object_.ordered else {}
    return {**chosen, **flag, **pair, **needed}


def _sample(type_: str, release: str) -> object:
    if type_[0] == "[":
        return [_sample(type_[1:-1], release)]
    if type_[0] == ".":
        return _smallest(KNOWLEDGE.objects[type_[1:]], None, None, release)
    if type_[0] == "@":
        family = KNOWLEDGE.families[type_[1:]]
        kind = next(iter(family.at(release).values()))
        return _smallest(KNOWLEDGE.objects[kind.object], family, kind, release)
    return SAMPLES.get(type_, "x")


def places(release: str) -> list[Place]:
    """Every object and every kind that a release reads, each once."""
    linker = KNOWLEDGE.objects["linker"]
    found = [Place(linker, None, None, lambda data: data)]  # type: ignore[arg-type, return-value]
    known = {("linker", "")}
    for place in found:  # which grows meanwhile
        for key in place.object.at(release).values():
            if key.name == "backoff" and place.object.name.startswith("accrual") and not within(release, "1.1.1", None):
                continue  # read and never made
            for inner in _inner(place, key, release):
                name = inner.object.name, inner.kind.id if inner.kind else ""
                if name not in known:
                    known.add(name)
                    found.append(inner)
    return found


def _inner(place: Place, key: Key, release: str) -> Iterator[Place]:
    type_, many = key.type.removeprefix("1+"), key.type[0] == "["
    type_ = type_.strip("[]")

    def wrap(data: object) -> Data:
        return place.wrap({**place.data(release), key.name: [data] if many else data})

    if type_[0] == ".":
        yield Place(KNOWLEDGE.objects[type_[1:]], None, None, wrap)
    elif type_[0] == "@":
        family = KNOWLEDGE.families[type_[1:]]
        for kind in family.at(release).values():
            yield Place(KNOWLEDGE.objects[kind.object], family, kind, wrap)


def broken(release: str) -> Iterator[Broken]:
    """Every requirement of a release, broken."""
    seen: set[str] = set()
    for place in places(release):
        data = place.data(release)
        name = place.kind.id if place.kind else place.object.name
        yield Broken(
            f"{name}: unknown key", place.wrap({**data, "qqq": 1}), f'"qqq" (class {place.object.java_at(release)})'
        )
        if place.family is not None and place.family.name not in seen:
            seen.add(place.family.name)
            yield from _kinds(place, data)
        if place.kind is not None and place.kind.needs_flag(release):
            yield Broken(f"{name}: no flag", place.wrap({**data, "experimental": "true"}), "is experimental")
        for key in place.object.at(release).values():
            if place.family is None or key.name != place.family.selector:
                for value, fragment in _values(key, release):
                    yield Broken(f"{name}.{key.name}: {value!r}", place.wrap({**data, key.name: value}), fragment)
        yield from _ordered(place, data)
        yield from _lacking(name, place, data, release)
        if within(release, UNIQUE, None) and data:
            first = next(iter(data))
            yield Broken(
                f"{name}: {first} twice", place.wrap({**data, "qqq": data[first]}), "Duplicate field", double=first
            )
    yield from _between(release)


UNIQUE = "1.0.1"
"""From here on a key that stands twice is refused."""

REMOTE = ("interpreter.namerd", "interpreter.namerd.http", "interpreter.mesh")
LACKING: dict[str, str] = {
    "linker": "java.lang.NullPointerException",
    "transformer.daemonset": "io.l5d.k8s.daemonset: {} property is required",
    "backoff.jittered": "'{}' must be specified",
    "serverTls": "java.lang.AssertionError: assertion failed",
    "zkHost": "host must be specified",
    "identifier.static": "assertion failed: path is required",
    **dict.fromkeys(("namer.curator", "namer.serversets"), "problem: null"),
    **dict.fromkeys(REMOTE, "`dst` is a required field"),
}
"""What linkerd says of an object without one of the keys that it needs, as far as its words are known."""


def _lacking(name: str, place: Place, data: Data, release: str) -> Iterator[Broken]:
    """Without each key that is needed, and with nothing as its value."""
    for key in place.object.at(release).values():
        if key.required and (place.family is None or key.name != place.family.selector):
            says = "has no servers" if key.name == "servers" else LACKING.get(place.object.name, "").format(key.name)
            id_ = "" if says else "ML310"
            bare = {one: value for one, value in data.items() if one != key.name}
            yield Broken(f"{name}: no {key.name}", place.wrap(bare), says, id_)
            yield Broken(f"{name}: {key.name}: null", place.wrap({**data, key.name: None}), says, id_)


def _between(release: str) -> Iterator[Broken]:
    """What must hold between the parts of a configuration, for routers of each protocol."""
    yield Broken("no routers", {"routers": []}, "io.buoyant.config.NoRoutersSpecified$")
    yield Broken("a null namer", {"namers": [None], **_routers(release, "http", 1)}, "java.lang.NullPointerException")
    for protocol in KNOWLEDGE.families["router"].at(release):
        what = f"{protocol} routers"
        yield Broken(f"{what}: one label", _routers(release, protocol, 2), "io.buoyant.config.ConflictingLabels")
        yield Broken(
            f"{what}: one port", _routers(release, protocol, 2, label=True), "io.buoyant.config.ConflictingPorts"
        )
        empty = _routers(release, protocol, 1, servers=[])
        yield Broken(f"{what}: servers: []", empty, "has no servers")
        admin = {"admin": {"port": 4140, "ip": "0.0.0.0"}, **_routers(release, protocol, 1)}
        yield Broken(f"{what}: admin's port", admin, "Failed to bind to")


def _routers(release: str, protocol: str, count: int, *, label: bool = False, **more: object) -> Data:
    kind = KNOWLEDGE.families["router"].at(release)[protocol]
    router: Data = {"protocol": protocol, "servers": [{"port": 4140}], **more}
    router |= {"experimental": True} if kind.needs_flag(release) else {}
    return {"routers": [{**router, "label": f"r{index}"} if label else router for index in range(count)]}


def _kinds(place: Place, data: Data) -> Iterator[Broken]:
    assert place.family is not None
    selector, java = place.family.selector, place.family.java
    yield Broken(
        f"{selector}: qqq",
        place.wrap({**data, selector: "qqq"}),
        f"type id 'qqq' into a subtype of [simple type, class {java}]",
    )
    if place.family.default is None:
        bare = {name: value for name, value in data.items() if name != selector}
        yield Broken(f"no {selector}", place.wrap(bare), f"missing property '{selector}' that is to contain type id")


def _ordered(place: Place, data: Data) -> Iterator[Broken]:
    if place.object.ordered:
        low, high, says = place.object.ordered
        for pair in ((0, 5), (6, 5), (-1, 5), (0, 0)):
            yield Broken(
                f"{low}, {high}: {pair}", place.wrap({**data, low: pair[0], high: pair[1]}), says.format(*pair)
            )


def _values(key: Key, release: str) -> Iterator[tuple[object, str]]:
    """Values that a key does not take, with linkerd's fragment."""
    if key.limit is not None:
        for value in ([key.limit.least - 1] if key.limit.least is not None else []) + (
            [key.limit.most + 1] if key.limit.most is not None else []
        ):
            have: object = float(value) if key.type == "float" else int(value)
            yield have, key.limit.says.format(have)
    if key.among:
        yield "qqq", key.says.format("qqq")
    if key.within:
        yield "", "expected but"
        yield "a b", "expected but"
    match key.type[0]:
        case "[":
            yield "x", "Can not deserialize instance of scala.collection.Seq out of VALUE_STRING token"
            yield {}, "Can not deserialize instance of scala.collection.Seq out of START_OBJECT token"
        case ".":
            yield (
                "x",
                f"Can not construct instance of {KNOWLEDGE.objects[key.type[1:]].java_at(release)}: no String-argument",
            )
        case "@":
            yield "x", "that is to contain type id"
        case "1" if key.type[2] == "@":
            yield "x", "that is to contain type id"
            yield [None], "java.lang.NullPointerException"
        case "1":
            yield {}, "Can not deserialize instance of java.lang.String out of START_OBJECT token"
        case _:
            yield from _scalars(key.type, release)


def _scalars(type_: str, release: str) -> Iterator[tuple[object, str]]:
    if type_ == "float" and within(release, TYPED_FRACTIONS, None):
        type_ = "number"
    text = "java.lang.String cannot be cast to "
    match type_:
        case "int":
            yield "5", f"{text}java.lang.Integer"
            yield 5.0, "java.lang.Double cannot be cast to java.lang.Integer"
            yield 3000000000, "java.lang.Long cannot be cast to java.lang.Integer"
            yield True, "java.lang.Boolean cannot be cast to java.lang.Integer"
            yield [5], "scala.collection.immutable.$colon$colon cannot be cast to java.lang.Integer"
            yield {"a": 5}, "scala.collection.immutable.Map$Map1 cannot be cast to java.lang.Integer"
        case "bool":
            yield "true", f"{text}java.lang.Boolean"
            yield 1, "java.lang.Integer cannot be cast to java.lang.Boolean"
        case "float":
            yield "0.5", f"{text}java.lang.Double"
            yield 1, "java.lang.Integer cannot be cast to java.lang.Double"
        case "whole":
            yield "5.7", 'Can not deserialize value of type int from String "5.7": not a valid Integer value'
            yield 2147483649, "out of range of int"
            yield True, "Can not deserialize instance of int out of VALUE_TRUE token"
        case "port":
            yield (
                "x",
                'Can not deserialize value of type io.buoyant.config.types.Port from String "x": not a valid Integer value',
            )
            yield 70000, "70000 outside valid range for ports"
            yield -1, "-1 outside valid range for ports"
            yield "", "java.lang.NullPointerException"
        case "number":
            yield "0,9", 'Can not deserialize value of type double from String "0,9": not a valid Double value'
        case "truth":
            yield "x", "Can not deserialize"
        case "ip":
            yield "localhost", "'localhost' is not an IP string literal."
            yield "[::1]", "'[::1]' is not an IP string literal."
            yield "fe80::1%lo", "'fe80::1%lo' is not an IP string literal."
            yield "::1", "Failed to bind to"
        case "level":
            yield "loud", "Illegal log level: loud"
        case "path":
            yield "x", "'/' expected but 'x' found"
        case "dtab":
            yield "/a", "'=' expected but end of input found"
        case "str":
            yield {}, "Can not deserialize instance of java.lang.String out of START_OBJECT token"
