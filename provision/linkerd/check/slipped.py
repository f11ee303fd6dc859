"""What an unknown key is meant for: one whose indentation was lost, a part's own key, another release's; and colons that are missing.

Blogs and mail lose indentation: `dtab:` at column 1 stands for one of the router above it. The finding then says whose key it
is, and what is missing there for this reason alone is not said a second time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import islice

import yaml

from provision.linkerd.check.finding import Finding
from provision.linkerd.check.shape import NO_PLACE
from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.knowledge.schema import Key, Object
from provision.linkerd.knowledge.versions import RELEASES, number
from provision.linkerd.knowledge.walk import Used, reads, walk
from provision.linkerd.knowledge.ways import PROTOCOLS, before, has_place
from provision.linkerd.routing import Config
from provision.linkerd.text import Location, is_null, items, scalar, text_of

UNKNOWN = frozenset(("ML304", "ML305", "ML306", "ML307", "ML308"))
MISSING = frozenset(("ML310", "ML311", "ML314", "ML321", "ML362"))

EXPLAINED = 60
"""Unknown keys for which is looked what they are meant for."""

MOST = 100_000
"""Keys looked at; anchors within anchors can stand for more."""

NAMED = (
    "namer",
    "interpreter",
    "identifier",
    "transformer",
    "telemeter",
    "accrual",
    "balancer",
    "classifier",
    "tracer",
)
"""Families whose ids are no other family's by chance."""

_KIND_AT = 5
"""Which word of ML309's `linkerd RELEASE does not have KIND: …` is the kind."""

_SPAN = re.compile(r"it is there from (\d[\d.]*)(?: to before (\d[\d.]*))?")
_KINDLESS = re.compile(r"`(kind|protocol)` is missing")
_NO_COLON = re.compile(r"^(\s*(?:- +)?)([A-Za-z][A-Za-z0-9]*)[ \t]+([^\s:#&*|>].*)$")
_NO_SPACE = re.compile(r"^([A-Za-z][A-Za-z0-9]*):(\S.*)$")
_NAMES = frozenset(key.name for thing in KNOWLEDGE.objects.values() for key in thing.keys) | {"kind", "protocol"}


def unread(text: str, line: int, message: str) -> str:
    """What is wrong with a text that is no YAML, by the lines up to three before the place; empty when that is not known."""
    lines = text.split("\n")
    near = range(min(line, len(lines)), max(0, line - 4), -1)
    for at in near:
        match = _NO_COLON.match(lines[at - 1])
        if match is not None and match[2] in _NAMES:
            return f"line {at} has no colon: `{match[2]}: {match[3].strip()}`"
    tabbed = next((at for at in near if lines[at - 1].lstrip(" ").startswith("\t")), None)
    if tabbed is not None:
        return f"line {tabbed} is indented by a tab: YAML wants spaces"
    if (
        "expected <block end>" in message
        or "did not find expected" in message
        or "mapping values are not allowed" in message
    ):
        return f"look at the indentation of line {line}: keys of one mapping begin at one column"
    return ""


def explained(findings: Iterable[Finding], config: Config) -> list[Finding]:
    """The findings, those about unknown keys with what is meant; without those that such a key explains."""
    every = list(findings)
    unknown = [one for one in every if one.id in UNKNOWN or (one.id == "ML309" and _SPAN.search(one.message))]
    scalars = [_word(one) for one in every]
    lost = [one for one in every if one.id == "ML310" and _KINDLESS.fullmatch(one.message)]
    if not unknown and not lost:
        return scalars
    meant = _Meant(config)
    slid = [meant.item(one) if lost else None for one in scalars]
    scalars = [one if told is None else told.finding for one, told in zip(scalars, slid, strict=True)]
    fresh: list[Finding] = []
    gone = {told.there for told in slid if told is not None}
    left = EXPLAINED
    for one in scalars:
        told = meant.of(one) if one.id in UNKNOWN and left > 0 else None
        left -= one.id in UNKNOWN
        fresh.append(meant.kind(one) if told is None else told.finding)
        if told is not None and told.there:
            gone.add(told.there)
    return [one for one in fresh if not (one.id in MISSING and one.field in gone)]


def _word(one: Finding) -> Finding:
    """`kind io.l5d.fs` where a mapping has to stand: the colon, or the space behind it, is missing."""
    if one.id == "ML303" and one.message == "a mapping is not a list":
        return replace(one, fix="each item of a list begins with a dash: `- …`")
    if one.id == "ML309" and one.message.startswith("there is no "):
        return _other_family(one)
    match = re.match(r"^'(.*)' is not a mapping$", one.message) if one.id == "ML303" else None
    if match is None:
        return one
    spaced = _NO_COLON.match(match[1])
    joined = _NO_SPACE.match(match[1])
    if spaced is not None and spaced[2] in _NAMES:
        return replace(one, fix=f"a colon is missing: `{spaced[2]}: {spaced[3]}`")
    if joined is not None and joined[1] in _NAMES:
        return replace(one, fix=f"a space is missing behind the colon: `{joined[1]}: {joined[2]}`")
    return one


def _other_family(one: Finding) -> Finding:
    """A kind that is one of something else: a namer where an interpreter has to stand."""
    id_ = one.message.rpartition(" ")[2]
    families = [family.name for family in KNOWLEDGE.families.values() if family.name in NAMED and family.ever(id_)]
    if len(families) != 1:
        return one
    return replace(one, message=f"{one.message}: that is a {families[0]}", fix=f"put it where a {families[0]} stands")


@dataclass(frozen=True)
class _Told:
    """A finding in better words; `there` is the field that the key is meant for."""

    finding: Finding
    there: str = ""


class _Meant:
    """What the unknown keys of one file are meant for."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.objects: dict[Location, Object] = {}
        self.unknown: dict[str, Location] = {}
        for used in islice(walk(config.root, config.release), MOST):
            if isinstance(used, Used):
                self.objects.setdefault(used.at[:-1], used.object)
                if used.key is None:
                    self.unknown.setdefault(text_of(used.at), used.at)
            else:
                kind = used.family.at(config.release).get(used.id)
                if kind is not None:
                    self.objects.setdefault(used.at, KNOWLEDGE.objects[kind.object])
        lists = [("routers",), ("namers",)]
        self.places = [(*at, index) for at in lists for index in range(len(items(_find(config.root, at))))]

    def item(self, one: Finding) -> _Told | None:
        """An item of a list that has slipped out of the empty list right above it: `- port: 4140` below an empty `servers:`."""
        at = (
            next((at for at in self.places if text_of(at) == one.field), ()) if _KINDLESS.fullmatch(one.message) else ()
        )
        if not at or not isinstance(at[-1], int) or at[-1] == 0:
            return None
        before = (*at[:-1], at[-1] - 1)
        above, node = _find(self.config.root, before), _find(self.config.root, at)
        if not isinstance(above, yaml.MappingNode) or not isinstance(node, yaml.MappingNode) or not above.value:
            return None
        name, thing = scalar(above.value[-1][0]) or "", self.objects.get(before)
        key = thing.at(self.config.release).get(name) if thing is not None and is_null(above.value[-1][1]) else None
        if key is None or not all(_holds(key, scalar(each) or "", self.config.release) for each, _value in node.value):
            return None
        there = text_of((*before, name))
        message = f"this is an item of {name}: it has slipped out of {there}"
        return _Told(replace(one, message=message, fix=f"indent it below `{name}:`"), there)

    def of(self, one: Finding) -> _Told | None:
        """Better words for an unknown key, None when there are none."""
        at = self.unknown.get(one.field)
        if at is None:
            return None
        if not one.message.startswith("no release has"):
            return _Told(self._migrating(one))
        looks: list[Callable[[Finding, Location], _Told | None]] = [self._slipped, self._elsewhen]
        if not one.fix.startswith("did you mean"):
            looks += [self._outside, self._part]
        for look in (*looks, self._other_protocol):
            told = look(one, at)
            if told is not None:
                return told
        return None

    def kind(self, one: Finding) -> Finding:
        """A kind of another release, with the command that leads from there."""
        return self._migrating(one) if one.id == "ML309" else one

    def _slipped(self, one: Finding, at: Location) -> _Told | None:
        """A key of what stands right above it, deeper in."""
        name = str(at[-1])
        for place in self._above(at):
            thing = self.objects.get(place)
            if thing is not None and name in thing.at(self.config.release) and not self._has(place, name):
                head = self._head(place)
                message = f"{name} is a key of {self._called(place, thing)}: it has slipped out of {text_of(place)}"
                return _Told(replace(one, message=message, fix=f"indent it below {head}"), text_of((*place, name)))
        return self._emptied(one, at)

    def _emptied(self, one: Finding, at: Location) -> _Told | None:
        """A key of the part right above it, of which nothing is left: `service:` and below it, as far out, `totalTimeoutMs: 5`."""
        before, name = self._before(at), str(at[-1])
        thing = self.objects.get(at[:-1], KNOWLEDGE.objects["linker"] if len(at) == 1 else None)
        if not before or thing is None or not is_null(before[-1][1]):
            return None
        place = before[-1][0]
        key = thing.at(self.config.release).get(str(place[-1]))
        if key is None or name not in _plainly(key, self.config.release):
            return None
        message = f"{name} is a key of `{place[-1]}`: it has slipped out of {text_of(place)}"
        return _Told(replace(one, message=message, fix=f"indent it below `{place[-1]}:`"), text_of((*place, name)))

    def _above(self, at: Location) -> Iterator[Location]:
        """The mappings that end right above a key, the outermost first."""
        before = self._before(at)
        place, node = before[-1] if before else ((), None)
        while node is not None:
            if isinstance(node, yaml.SequenceNode) and node.value:
                place, node = (*place, len(node.value) - 1), node.value[-1]
            elif isinstance(node, yaml.MappingNode) and node.value and not node.flow_style:
                yield place
                key, node = node.value[-1]
                place = (*place, scalar(key) or "?")
            else:
                return

    def _before(self, at: Location) -> list[tuple[Location, yaml.Node]]:
        """The known keys that stand before one in its mapping."""
        parent = _find(self.config.root, at[:-1])
        before: list[tuple[Location, yaml.Node]] = []
        for key, value in parent.value if isinstance(parent, yaml.MappingNode) else ():
            if scalar(key) == at[-1]:
                break
            if text_of((*at[:-1], scalar(key) or "?")) not in self.unknown:
                before.append(((*at[:-1], scalar(key) or "?"), value))
        return before

    def _outside(self, one: Finding, at: Location) -> _Told | None:
        """A key of something around it, indented too far."""
        name = str(at[-1])
        for depth in range(len(at) - 2, -1, -1):
            thing = self.objects.get(at[:depth])
            if thing is None and depth == 0:
                thing = KNOWLEDGE.objects["linker"]
            if thing is not None and name in thing.at(self.config.release) and not self._has(at[:depth], name):
                message = f"{name} is a key of {self._called(at[:depth], thing)}: it is indented too far"
                fix = f"move it to the left, beside {text_of(at[: depth + 1])}"
                return _Told(replace(one, message=message, fix=fix), text_of((*at[:depth], name)))
        return None

    def _part(self, one: Finding, at: Location) -> _Told | None:
        """A key of a part of this mapping, such as `failures` of failureAccrual."""
        thing, name = self.objects.get(at[:-1]), str(at[-1])
        if thing is None:
            return None
        owners = [key.name for key in thing.at(self.config.release).values() if _holds(key, name, self.config.release)]
        if not owners or len(owners) > 3:
            return None
        message = f"{name} is a key of {' or '.join(owners)}, not of what it stands in"
        return _Told(replace(one, message=message, fix=f"write it below `{owners[0]}:`"))

    def _other_protocol(self, one: Finding, at: Location) -> _Told | None:
        """A key of the same part of routers of another protocol: `httpAccessLog` in one for h2."""
        thing, name = self.objects.get(at[:-1]), str(at[-1])
        if thing is None or thing.name.partition(".")[0] not in PROTOCOLS:
            return None
        own, _, part = thing.name.partition(".")
        others = [each for each in PROTOCOLS if each != own and name in _names(f"{each}.{part}", self.config.release)]
        if not others:
            return None
        message = f"{name} is a key of {' and '.join(others)} routers, not of {own}'s"
        return _Told(replace(one, message=message))

    def _elsewhen(self, one: Finding, at: Location) -> _Told | None:
        """A key that other releases read at this place."""
        name = str(at[-1])
        if name not in _NAMES:
            return None
        known = [one_ for one_ in RELEASES if reads(self.config.root, at, one_) or self._by_type(at, one_)]
        if not known:
            return None
        last = known[-1]
        after = next((release for release in RELEASES if number(release) > number(last)), None)
        when = f"it is there from {known[0]}{f' to before {after}' if after else ''}"
        message = f"linkerd {self.config.release} does not know {name} here: {when}"
        return _Told(self._migrating(replace(one, message=message, fix=NO_PLACE)))

    def _by_type(self, at: Location, release: str) -> bool:
        """Whether the part that the key stands in has it in a release, of whatever kind the part is."""
        around = self.objects.get(at[:-2]) if len(at) > 1 else None
        times = () if around is None else around.ever(str(at[-2]))
        return any(key.known(release) and _holds(key, str(at[-1]), release) for key in times)

    def _migrating(self, one: Finding) -> Finding:
        """With the command that takes the file from the releases that know it to this one, and whether that finds a place for it."""
        span = _SPAN.search(one.message)
        if span is None or "mesh migrate" in one.fix:
            return one
        source = span[1] if span[2] is None else before(span[2])
        name = one.message.split()[_KIND_AT].rstrip(":") if one.id == "ML309" else one.field.rpartition(".")[2]
        command = f"`meshctl mesh migrate FILE --from {source} --to {self.config.release}`"
        if has_place(name, source, self.config.release):
            fix = f"{command} does it"
            return replace(one, fix=fix if one.fix == NO_PLACE else f"{one.fix}; {fix}")
        hint = f"nothing in {self.config.release} means the same: take it out" if one.fix == NO_PLACE else one.fix
        return replace(one, fix=f"{hint}; {command} does the rest and names this")

    def _has(self, place: Location, name: str) -> bool:
        node = _find(self.config.root, place)
        return isinstance(node, yaml.MappingNode) and any(scalar(key) == name for key, _value in node.value)

    def _called(self, place: Location, thing: Object) -> str:
        if not place:
            return "the file's top"
        words = [str(part) for part in place if isinstance(part, str)]
        last = words[-1] if words else thing.name
        return f"a {last.removesuffix('s')}" if isinstance(place[-1], int) else f"`{last}`"

    def _head(self, place: Location) -> str:
        """The first line of a mapping, as a reader knows it."""
        node = _find(self.config.root, place)
        if isinstance(node, yaml.MappingNode) and node.value:
            key, value = node.value[0]
            dash = "- " if isinstance(place[-1], int) else ""
            return f"`{dash}{scalar(key)}:{f' {scalar(value)}' if isinstance(value, yaml.ScalarNode) else ''}`"
        return text_of(place)


def _plainly(key: Key, release: str) -> frozenset[str]:
    """The keys of the mapping that a key leads to, as long as that says no kind."""
    if key.type[0] == ".":
        return _names(key.type[1:], release)
    family = KNOWLEDGE.families.get(key.type[1:])
    kind = family.at(release).get(family.default or "") if family is not None else None
    return frozenset() if kind is None else _names(kind.object, release)


def _holds(key: Key, name: str, release: str) -> bool:
    """Whether a key leads to mappings that have another one, in a release."""
    type_ = key.type.removeprefix("1+").strip("[]{}")
    if type_[:1] == ".":
        return name in _names(type_[1:], release)
    if type_[:1] == "@" and name != "experimental":
        return any(name in _names(one, release) for one in _kinds(type_[1:], release))
    return False


@cache
def _names(thing: str, release: str) -> frozenset[str]:
    return frozenset(KNOWLEDGE.objects[thing].at(release))


@cache
def _kinds(family: str, release: str) -> frozenset[str]:
    """The objects of a family's kinds."""
    return frozenset(kind.object for kind in KNOWLEDGE.families[family].at(release).values())


def _find(root: yaml.Node, at: Location) -> yaml.Node | None:
    node: yaml.Node | None = root
    for step in at:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
            node = node.value[step] if step < len(node.value) else None
        elif isinstance(node, yaml.MappingNode):
            node = next((value for key, value in reversed(node.value) if scalar(key) == step), None)
        else:
            return None
    return node
