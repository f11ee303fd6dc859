"""The first part of the validation: does every node fit what a release of linkerd reads there? Walks the tree once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache

import yaml

from provision.linkerd.check.finding import Finding, found
from provision.linkerd.check.scalars import Value, judge, number, shown, token, true
from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.knowledge.schema import Family, Key, Kind, Object
from provision.linkerd.knowledge.versions import within
from provision.linkerd.knowledge.ways import PROTOCOLS
from provision.linkerd.routing import dtab
from provision.linkerd.text import BOOL, FLOAT, INT, NULL, Inside, Location, is_null, scalar

DEEPEST = 60
"""No configuration nests so deeply; anchors that contain themselves do."""

MOST = 200_000
"""Values looked at. A file of so many is none, but anchors within anchors can stand for more."""

GUESSES = 40
"""Unknown names for which the nearest known one is looked for, which takes a millisecond each."""

LONGEST_NAME = 60

_READ_LATE = ("client", "service")
_SPLIT = "1.0.0"
"""From here on what stands there is used when the first request comes, and not when linkerd starts."""

_BACKOFF_USED = "1.1.1"


def findings(
    root: yaml.Node,
    version: str,
    text: str,
    plugins: Collection[str] = (),
    lost: Collection[int] = (),
    top: str = ".linker",
) -> Iterator[Finding]:
    """Every node that the release would refuse; `text` is what `root` was read from, `plugins` kinds that jars bring, `lost` the
    identities of nodes that do not count, since their keys stand twice: they are read and not used.
    """
    shape = _Shape(version, text, plugins, lost)
    shape.value(top, root, ())
    return iter(shape.found)


class _Shape:
    """The walk over one tree, and what it found: a list, for generators within generators take half of the time."""

    def __init__(self, version: str, text: str, plugins: Collection[str], lost: Collection[int]) -> None:
        self.version = version
        self.split = within(version, _SPLIT, None)
        self.lines = text.split("\n")
        self.plugins = plugins
        self.lost, self.unused = lost, 0
        """Nodes that do not count, and how many of them are around the one that is looked at."""
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
        if type_[0] == "1":
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
            case _:
                self._scalar(_of_type(type_), node, at)

    def _one_or_list(self, type_: str, node: yaml.Node, at: Location) -> str:
        if not isinstance(node, yaml.SequenceNode):
            return type_[2:]
        if not node.value and type_[2] == "@":
            self.say(found("ML326", node, at, "no identifier in the list", "empty identifier list", "name one"))
        return f"[{type_[2:]}]"

    def _list(self, item: str, node: yaml.Node, at: Location) -> None:
        if not isinstance(node, yaml.SequenceNode):
            self.say(_wrong(node, at, "a list", "scala.collection.Seq"))
            return
        for index, one in enumerate(node.value):
            self.value(item, one, (*at, index))

    def _map(self, item: str, node: yaml.Node, at: Location) -> None:
        if not isinstance(node, yaml.MappingNode):
            self.say(_wrong(node, at, "a mapping", "scala.collection.Map"))
            return
        for key, one in node.value:
            self.value(item, one, (*at, scalar(key) or "?"))

    def _object(self, object_: Object, node: yaml.Node, at: Location, selector: str | None) -> None:
        if not isinstance(node, yaml.MappingNode):
            self.say(_wrong(node, at, "a mapping", object_.java_at(self.version)))
            return
        if object_.name not in self.known:
            keys = self.known[object_.name] = object_.at(self.version)
            self.required[object_.name] = [key for key in keys.values() if key.required and key.name != selector]
        known, written = self.known[object_.name], set()
        unused = self._unused(object_, at)
        self.unused += unused
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is not None and (its := known.get(name)) is not None:
                if value.tag == NULL or name == selector:
                    continue
                written.add(name)
                if isinstance(value, yaml.ScalarNode) and _surely(its, value):
                    self.values -= 1
                else:
                    self._keyed(its, value, (*at, name))
            elif name != selector or name is None:
                self.say(self._unknown(object_, known, key, (*at, name or "?")))
        for lacking in self.required[object_.name]:
            if lacking.name not in written and not unused:
                self.say(self._missing(object_, lacking, node, (*at, lacking.name)))
        if object_.ordered and not self.unused:
            self.say(self._ordered(object_, node, at))
        self.unused -= unused

    def _keyed(self, key: Key, node: yaml.Node, at: Location) -> None:
        """Looks at the value of a key."""
        if self.lost and id(node) in self.lost:
            self.unused += 1
            self._value(key, node, at)
            self.unused -= 1
        else:
            self._value(key, node, at)

    def _value(self, key: Key, node: yaml.Node, at: Location) -> None:
        if key.type[0] in "1[{.@":
            self.value(key.type, node, at)
        else:
            self.values -= 1
            if self.values >= 0:
                self._scalar(key, node, at)

    def _unused(self, object_: Object, at: Location) -> bool:
        """Whether a backoff is read and never made, as that of failure accrual."""
        return (
            object_.name == "backoff.jittered"
            and "failureAccrual" in at
            and not within(self.version, _BACKOFF_USED, None)
        )

    def _late(self, at: Location) -> bool:
        """Whether what stands there is used when a request comes."""
        return self.split and len(at) > 2 and at[0] == "routers" and at[2] in _READ_LATE

    def _ordered(self, object_: Object, node: yaml.MappingNode, at: Location) -> Finding | None:
        """Two numbers that have to be more than nothing, and the first not larger than the second."""
        low, high, says = object_.ordered or ("", "", "")
        values = {scalar(key): number(value) for key, value in node.value}
        lacking = [name for name in (low, high) if values.get(name) is None]
        if lacking and any(key.required for key in object_.keys):
            return None  # said already
        pair = [int(values.get(name) or 0) for name in (low, high)]
        if 0 < pair[0] <= pair[1]:
            return None
        named = f"{low} {pair[0]}, {high} {pair[1]}"
        fragment = says.format(*pair)
        value = Value(Key(low, "int"), node, at, self.version, self._late(at))
        return value.refused(
            "ML331", f"0 < {low} <= {high} is required: {named}", fragment, "write both, in this order"
        )

    def _unknown(self, object_: Object, known: dict[str, Key], key: yaml.Node, at: Location) -> Finding:
        name = str(at[-1])
        id_, fragment = (
            _unknown_id(object_.name),
            f'Unrecognized field "{name}" (class {object_.java_at(self.version)}), not marked as ignorable',
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
            fragment = f"missing property '{family.selector}' that is to contain type id"
            if is_null(node):
                fragment = "java.lang.NullPointerException"
            self.say(found("ML303", node, at, f"{shown(node)} is not a mapping", fragment, "write a mapping"))
            return
        selectors = [value for key, value in node.value if key.value == family.selector]
        selector = selectors[-1 if family.tree else 0] if selectors else None
        id_ = _id(selector) or family.default
        if family.name not in self.kinds:
            self.kinds[family.name] = family.at(self.version)
        kinds = self.kinds[family.name]
        if not id_:
            fragment = f"missing property '{family.selector}' that is to contain type id"
            if selector is not None:
                fragment = "Could not resolve type id ''"
            fix = f"one of {', '.join(sorted(kinds))}"
            self.say(found("ML310", node, at, f"`{family.selector}` is missing", fragment, fix))
        elif id_ in kinds:
            self.say(self._experimental(family, kinds[id_], node, at))
            self._object(KNOWLEDGE.objects[kinds[id_].object], node, at, family.selector)
        elif id_ not in self.plugins:  # of a jar's own kind the keys are not known
            self.say(self._unknown_kind(family, kinds, selector or node, id_, (*at, family.selector)))

    def _unknown_kind(self, family: Family, kinds: dict[str, Kind], node: yaml.Node, id_: str, at: Location) -> Finding:
        fragment = f"Could not resolve type id '{id_}' into a subtype of [simple type, class {family.java}]"
        if id_ == family.java.rpartition(".")[2]:  # which every family takes for the id of itself
            fragment = f"Can not construct instance of {family.java}: abstract types"
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
        flags = [value for key, value in node.value if scalar(key) == "experimental" and id(value) not in self.lost]
        if flags and true(flags[-1]):
            return None
        id_ = {"router": "ML319", "interpreter": "ML320"}.get(family.name, "ML318")
        message = f"{kind.id} is experimental in linkerd {self.version}"
        fragment = "is experimental and must be explicitly enabled by setting the `experimental' parameter to `true'"
        return found(id_, node, at, message, fragment, "add `experimental: true`")

    def _missing(self, object_: Object, key: Key, node: yaml.Node, at: Location) -> Finding | None:
        special = {
            "transformer.daemonset": (
                "ML321",
                f"assertion failed: io.l5d.k8s.daemonset: {key.name} property is required",
            ),
            "backoff.jittered": ("ML323", f"'{key.name}' must be specified"),
            "linker": ("ML311", "java.lang.NullPointerException"),
            "serverTls": ("ML310", "java.lang.AssertionError: assertion failed"),
            "zkHost": ("ML310", "host must be specified"),
            **dict.fromkeys(("namer.curator", "namer.serversets"), ("ML310", "problem: null")),
            "identifier.static": ("ML310", "assertion failed: path is required"),
            **dict.fromkeys(_REMOTE, ("ML310", "`dst` is a required field")),
        }
        other = ("ML314", "has no servers") if key.name == "servers" else ("ML310", "")
        id_, fragment = special.get(object_.name, other)
        return found(id_, node, at, "is missing", fragment, f"add `{key.name}:`")

    def _scalar(self, key: Key, node: yaml.Node, at: Location) -> None:
        if key.type == "any":
            return
        if key.type in PATHS:
            text = scalar(node)
            if text is None:
                self.say(_wrong(node, at, "a text", "java.lang.String"))
            else:
                self.say(self._parsed(PATHS[key.type], text, node, at))
            return
        if self.unused and key.type in ("int", "bool", "float"):
            key = _of_type("unread")
        self.say(judge(Value(key, node, at, self.version, self._late(at))))

    def _parsed(self, parse: Callable[[str], object], text: str, node: yaml.Node, at: Location) -> Finding | None:
        try:
            parse(text)
        except dtab.DtabError as error:
            fix = "entries are parted by ; and names begin with /"
            place = Inside(node, self.lines).spot(error.offset)
            return found("ML316", place, at, "linkerd cannot read it", _shortened(error.message), fix)
        return None


PATHS: dict[str, Callable[[str], object]] = {"dtab": dtab.parse, "path": dtab.parse_path}


def _surely(key: Key, value: yaml.ScalarNode) -> bool:
    """Whether a value is right at first sight, as nearly all are. Of the others `judge` says it."""
    type_, text = key.type, value.value
    if type_ == "str":
        return not key.within and not key.among
    if type_ in ("int", "whole"):
        return value.tag == INT and key.limit is None and len(text) < 10 and bool(text.isdecimal())
    if type_ == "port":
        return value.tag == INT and len(text) < 5 and bool(text.isdecimal())
    return type_ == "ip" and text == "0.0.0.0"


_REMOTE = ("interpreter.namerd", "interpreter.namerd.http", "interpreter.mesh")


@cache
def _of_type(type_: str) -> Key:
    """A key of a type and no more, for items of lists."""
    return Key("", type_)


def _id(selector: yaml.Node | None) -> str:
    """The kind that is written, empty where there is none; of a list Jackson takes the bracket."""
    if selector is None or is_null(selector):
        return ""
    text = scalar(selector)
    return text if text is not None else "[" if isinstance(selector, yaml.SequenceNode) else "{"


def _unknown_id(object_: str) -> str:
    """The id for an unknown key, by the object that has it: the top, a router, a client, a server, or any other."""
    places = {"linker": "ML304", "router": "ML305", "client": "ML306", "server": "ML307"}
    parts = object_.split(".")
    return places.get(parts[min(1, len(parts) - 1)], "ML308") if parts[0] in PROTOCOLS else places.get(object_, "ML308")


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
    return next((one.instead for one in times if one.instead), NO_PLACE)


NO_PLACE = "take it out, or another release"
"""The fix of what another release has, where nothing is known to take its place."""


_TOKENS = {INT: "VALUE_NUMBER_INT", FLOAT: "VALUE_NUMBER_FLOAT"}
_MADE_FROM = {INT: "no int/Int-argument constructor/factory method", FLOAT: "no double/Double-argument constructor"}


def _wrong(node: yaml.Node, at: Location, wanted: str, java: str) -> Finding:
    """A node of another form than its class."""
    fragment = f"Can not deserialize instance of {java} out of {_token(node)} token"
    if isinstance(node, yaml.ScalarNode) and is_null(node):
        fragment = "java.lang.NullPointerException"
    elif isinstance(node, yaml.ScalarNode) and (java != _SEQ or not node.value):
        form = _MADE_FROM.get(token(node), "no String-argument constructor/factory method")
        fragment = f"Can not construct instance of {java}: {form}"
    return found("ML303", node, at, f"{shown(node)} is not {wanted}", fragment, f"write {wanted}")


_SEQ = "scala.collection.Seq"


def _token(node: yaml.Node) -> str:
    if isinstance(node, yaml.ScalarNode):
        kind = token(node)
        return ("VALUE_TRUE" if true(node) else "VALUE_FALSE") if kind == BOOL else _TOKENS.get(kind, "VALUE_STRING")
    return "START_ARRAY" if isinstance(node, yaml.SequenceNode) else "START_OBJECT"
