"""The first part of the validation: does every node fit what a release of linkerd reads there? Walks the tree once."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator

import yaml

from provision.linkerd.check.finding import Finding, found
from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.knowledge.schema import Family, Key, Kind, Object
from provision.linkerd.knowledge.versions import number
from provision.linkerd.routing import dtab
from provision.linkerd.text import NULL, Inside, Location, is_null, scalar

DEEPEST = 60
"""No configuration nests so deeply; anchors that contain themselves do."""

MOST = 200_000
"""Values looked at. A file of so many is none, but anchors within anchors can stand for more."""

GUESSES = 40
"""Unknown names for which the nearest known one is looked for, which takes a millisecond each."""

LONGEST_NAME = 60

_INT = re.compile(r"[-+]?[0-9][0-9_]*(\.[0-9]*)?")
"""Jackson cuts fractions off."""

_LEVELS = ("ALL", "TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL", "FATAL", "OFF")
_LARGEST_PORT = 65535
_MOST_DIGITS = 20


def findings(
    root: yaml.Node, version: str, text: str, plugins: Collection[str] = (), top: str = ".linker"
) -> Iterator[Finding]:
    """Every node that the release would refuse; `text` is what `root` was read from, `plugins` kinds that jars bring."""
    shape = _Shape(version, text, plugins)
    shape.value(top, root, ())
    return iter(shape.found)


class _Shape:
    """The walk over one tree, and what it found: a list, for generators within generators take half of the time."""

    def __init__(self, version: str, text: str, plugins: Collection[str]) -> None:
        self.version = version
        self.lines = text.split("\n")
        self.plugins = plugins
        self.found: list[Finding] = []
        self.known: dict[str, dict[str, Key]] = {}
        self.required: dict[str, list[Key]] = {}
        self.kinds: dict[str, dict[str, Kind]] = {}
        """The keys of each object and the kinds of each family in this release, looked up once."""
        self.values, self.guesses = MOST, GUESSES

    def say(self, finding: Finding | None) -> None:
        """Keeps a finding, if it is one."""
        if finding is not None:
            self.found.append(finding)

    def value(self, type_: str, node: yaml.Node, at: Location) -> None:
        """Looks at a node that should be of a type."""
        self.values -= 1
        if len(at) > DEEPEST or self.values < 0:
            return
        first = type_[0]
        if first not in "1[{.@":
            if type_ != "any":
                self._scalar(type_, node, at)
            return
        if first == "1":
            type_ = self._one_or_list(type_, node, at)
        match type_[0]:
            case "[":
                self._list(type_[1:-1], node, at)
            case "{":
                self._map(type_[1:-1], node, at)
            case ".":
                self._object(KNOWLEDGE.objects[type_[1:]], node, at, None)
            case "@":
                self._plugin(KNOWLEDGE.families[type_[1:]], node, at)
            case _ if type_ != "any":
                self._scalar(type_, node, at)

    def _one_or_list(self, type_: str, node: yaml.Node, at: Location) -> str:
        if not isinstance(node, yaml.SequenceNode):
            return type_[2:]
        if not node.value and type_[2] == "@":
            self.say(found("ML326", node, at, "no identifier in the list", "empty identifier list", "name one"))
        return f"[{type_[2:]}]"

    def _list(self, item: str, node: yaml.Node, at: Location) -> None:
        if not isinstance(node, yaml.SequenceNode):
            self.say(_wrong(node, at, "a list"))
            return
        for index, one in enumerate(node.value):
            self.value(item, one, (*at, index))

    def _map(self, item: str, node: yaml.Node, at: Location) -> None:
        if not isinstance(node, yaml.MappingNode):
            self.say(_wrong(node, at, "a mapping"))
            return
        for key, one in node.value:
            self.value(item, one, (*at, scalar(key) or "?"))

    def _object(self, object_: Object, node: yaml.Node, at: Location, selector: str | None) -> None:
        if not isinstance(node, yaml.MappingNode):
            self.say(_wrong(node, at, "a mapping"))
            return
        if object_.name not in self.known:
            keys = self.known[object_.name] = object_.at(self.version)
            self.required[object_.name] = [key for key in keys.values() if key.required and key.name != selector]
        known, written = self.known[object_.name], set()
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is not None and (its := known.get(name)) is not None:
                if value.tag == NULL or name == selector:
                    continue
                written.add(name)
                if its.type == "str" and isinstance(value, yaml.ScalarNode):
                    self.values -= 1  # any text will do, and most values are texts
                else:
                    self.value(its.type, value, (*at, name))
            elif name != selector or name is None:
                self.say(self._unknown(object_, known, key, (*at, name or "?")))
        for lacking in self.required[object_.name]:
            if lacking.name not in written:
                self.say(self._missing(object_, lacking, node, (*at, lacking.name)))

    def _unknown(self, object_: Object, known: dict[str, Key], key: yaml.Node, at: Location) -> Finding:
        name = str(at[-1])
        id_, fragment = (
            _unknown_id(object_.name),
            f'Unrecognized field "{name}" (class {object_.java}), not marked as ignorable',
        )
        times = object_.ever(name)
        if times:
            message = f"linkerd {self.version} does not know it: {_when(times)}"
            return found(id_, key, at, message, fragment, _hint(times))
        near = self._near(name, known)
        others = f"there are: {', '.join(sorted(known))}" if known else "take it out"
        fix = f"did you mean {near}?" if near else others
        return found(id_, key, at, f"no release has the key {name} here", fragment, fix)

    def _plugin(self, family: Family, node: yaml.Node, at: Location) -> None:
        if not isinstance(node, yaml.MappingNode):
            self.say(_wrong(node, at, "a mapping"))
            return
        selector = next((value for key, value in node.value if key.value == family.selector), None)
        id_ = scalar(selector) if selector is not None and not is_null(selector) else family.default
        if family.name not in self.kinds:
            self.kinds[family.name] = family.at(self.version)
        kinds = self.kinds[family.name]
        if id_ is None:
            fragment = f"missing property '{family.selector}' that is to contain type id"
            fix = f"one of {', '.join(sorted(kinds))}"
            self.say(found("ML310", node, at, f"`{family.selector}` is missing", fragment, fix))
        elif id_ in kinds:
            self.say(self._experimental(family, kinds[id_], node, at))
            self._object(KNOWLEDGE.objects[kinds[id_].object], node, at, family.selector)
        elif id_ not in self.plugins:  # of a jar's own kind the keys are not known
            self.say(self._unknown_kind(family, kinds, selector or node, id_, (*at, family.selector)))

    def _unknown_kind(self, family: Family, kinds: dict[str, Kind], node: yaml.Node, id_: str, at: Location) -> Finding:
        fragment = f"Could not resolve type id '{id_}' into a subtype of [simple type, class {family.java}]"
        times = family.ever(id_)
        if times:
            message = f"linkerd {self.version} does not have {id_}: {_when(times)}"
            return found("ML309", node, at, message, fragment, _hint(times))
        near = self._near(id_, kinds)
        fix = f"did you mean {near}?" if near else f"one of {', '.join(sorted(kinds)) or 'none'}"
        return found("ML309", node, at, f"there is no {family.name} {id_}", fragment, fix)

    def _near(self, name: str, known: Collection[str]) -> str:
        """The nearest of the known names, empty when there is none or when there are too many to look for."""
        self.guesses -= 1
        if self.guesses < 0 or len(name) > LONGEST_NAME:
            return ""
        return nearest(name, known)

    def _experimental(self, family: Family, kind: Kind, node: yaml.MappingNode, at: Location) -> Finding | None:
        if not kind.needs_flag(self.version):
            return None
        flags = [scalar(value) for key, value in node.value if scalar(key) == "experimental"]
        if flags and flags[-1] in ("true", "True", "TRUE"):
            return None
        id_ = {"router": "ML319", "interpreter": "ML320"}.get(family.name, "ML318")
        message = f"{kind.id} is experimental in linkerd {self.version}"
        fragment = "is experimental and must be explicitly enabled by setting the `experimental' parameter to `true'"
        return found(id_, node, at, message, fragment, "add `experimental: true`")

    def _missing(self, object_: Object, key: Key, node: yaml.Node, at: Location) -> Finding | None:
        unused = "failureAccrual" in at and number(self.version) < (1, 1, 1)
        if object_.name == "backoff.jittered" and unused:
            return None  # it is made when it is used, and there it is not
        special = {
            "transformer.daemonset": (
                "ML321",
                f"assertion failed: io.l5d.k8s.daemonset: {key.name} property is required",
            ),
            "backoff.jittered": ("ML323", f"'{key.name}' must be specified"),
            "linker": ("ML311", "java.lang.NullPointerException"),
        }
        other = ("ML314", "has no servers") if key.name == "servers" else ("ML310", "")
        id_, fragment = special.get(object_.name, other)
        return found(id_, node, at, "is missing", fragment, f"add `{key.name}:`")

    def _scalar(self, type_: str, node: yaml.Node, at: Location) -> None:
        text = scalar(node)
        if type_ == "str" and text is not None:
            return
        if text is None:
            self.say(_wrong(node, at, _WANTED.get(type_, "text")))
        elif type_ in PATHS:
            self.say(self._parsed(PATHS[type_], text, node, at))
        else:
            self.say(_SCALARS[type_](type_, text, node, at))

    def _parsed(self, parse: Callable[[str], object], text: str, node: yaml.Node, at: Location) -> Finding | None:
        try:
            parse(text)
        except dtab.DtabError as error:
            fix = "entries are parted by ; and names begin with /"
            place = Inside(node, self.lines).spot(error.offset)
            return found("ML316", place, at, "linkerd cannot read it", _shortened(error.message), fix)
        return None


PATHS: dict[str, Callable[[str], object]] = {"dtab": dtab.parse, "path": dtab.parse_path}

_PROTOCOLS = tuple(kind.id for kind in KNOWLEDGE.families["router"].kinds)

_WANTED = {
    "int": "a whole number",
    "port": "a port",
    "cache": "a whole number",
    "float": "a number",
    "bool": "true or false",
}


def _whole(type_: str, text: str, node: yaml.Node, at: Location) -> Finding | None:
    if text.isascii() and text.isdecimal() and len(text) < _MOST_DIGITS:
        number = int(text)
    elif not _INT.fullmatch(text.strip()):
        return _wrong(node, at, "a whole number")
    else:
        number = int(text.strip().partition(".")[0].replace("_", "")[:_MOST_DIGITS])
    if type_ == "port" and not 0 <= number <= _LARGEST_PORT:
        fragment = f"{number} outside valid range for ports"
        return found("ML315", node, at, f"{number} is not a port", fragment, "1 to 65535")
    if type_ == "cache" and number <= 0:
        fragment = "assertion failed: maxCacheSize > 0"
        return found("ML328", node, at, f"a cache of {number}", fragment, "1000 is a good size")
    return None


def _fraction(type_: str, text: str, node: yaml.Node, at: Location) -> Finding | None:
    try:
        number = float(text)
    except ValueError:
        return _wrong(node, at, "a number")
    if type_ == "rate" and not 0 <= number <= 1:
        fragment = f"Sample rate not within the valid range of 0-1, was {text}"
        return found("ML324", node, at, f"a sample rate of {text}", fragment, "0.001 is one request of a thousand")
    return None


def _truth(_type: str, text: str, node: yaml.Node, at: Location) -> Finding | None:
    return None if text.lower() in ("true", "false", "0", "1") else _wrong(node, at, "true or false")


def _ip(_type: str, text: str, node: yaml.Node, at: Location) -> Finding | None:
    if text in ("0.0.0.0", "127.0.0.1"):
        return None
    import ipaddress  # not needed for most files, and not quick to load

    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        fragment, fix = f"'{text}' is not an IP string literal.", "0.0.0.0, or 127.0.0.1 for localhost"
        return found("ML315", node, at, f"{text} is not an address", fragment, fix)
    return None


def _level(_type: str, text: str, node: yaml.Node, at: Location) -> Finding | None:
    if text.upper() in _LEVELS:
        return None
    fragment = f"Illegal log level: {text}"
    return found("ML325", node, at, f"{text} is no log level", fragment, f"one of {', '.join(_LEVELS)}")


_SCALARS = {
    **dict.fromkeys(("int", "cache", "port"), _whole),
    **dict.fromkeys(("float", "rate"), _fraction),
    "bool": _truth,
    "ip": _ip,
    "level": _level,
}


def _unknown_id(object_: str) -> str:
    """The id for an unknown key, by the object that has it: the top, a router, a client, a server, or any other."""
    places = {"linker": "ML304", "router": "ML305", "client": "ML306", "server": "ML307"}
    parts = object_.split(".")
    return (
        places.get(parts[min(1, len(parts) - 1)], "ML308") if parts[0] in _PROTOCOLS else places.get(object_, "ML308")
    )


def _shortened(message: str) -> str:
    """The message up to the dtab itself, which may be long."""
    return message.partition(" at '")[0]


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name of the same last word (`a.b.ewma` is `ewma`), or of nearly the same letters; empty when there is none."""
    last = name.rpartition(".")[2]
    same = [one for one in known if one.rpartition(".")[2] == last]
    if same:
        return same[0]
    import difflib  # not needed for most files, and not quick to load

    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.7)), "")


def _when(times: Iterable[Key | Kind]) -> str:
    return " and ".join(
        f"it is there from {one.since}{f' to before {one.until}' if one.until else ''}" for one in times
    )


def _hint(times: Iterable[Key | Kind]) -> str:
    return next((one.instead for one in times if one.instead), "take it out, or another release")


def _wrong(node: yaml.Node, at: Location, wanted: str) -> Finding:
    text = scalar(node)
    have = f"{text!r}" if text is not None else "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
    return found("ML303", node, at, f"{have} is not {wanted}", "Can not deserialize instance of", f"write {wanted}")
