"""How the knowledge of linkerd's configuration is written down: objects with keys, families of kinds, each with since and until.

A type is a word; `[X]` is a list, `1+X` one or a list, `{X}` a map of names to X, `.name` the object `name`, `@name` one of the family
`name`. The words say how a scalar is bound:

- `int`, `bool`, `float`: exactly a number, truth value or fraction, without quotes, since Scala's Option has lost its type by then and
  the value is cast when it is used (`float` until 1.1.0 only, where fractions are declared to Jackson);
- `whole`, `truth`, `number`, `port`: declared to Jackson, which coerces: `"5"` and `5.7` are 5;
- `unread`: never used, so that anything may stand there;
- `str`, `path`, `dtab`, `ip`, `level`: the scalar's text, whatever it looks like; `any` is not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from provision.linkerd.knowledge.versions import FIRST, within

TYPED_FRACTIONS = "1.1.0"
"""From here on optional fractions are declared to Jackson; before, `1` is none and `1.0` is."""


@dataclass(frozen=True)
class Limit:
    """What linkerd requires of a number when it starts."""

    says: str
    """linkerd's message; `{}` is the value."""
    least: float | None = None
    most: float | None = None
    id: str = "ML331"
    fix: str = ""

    def holds(self, value: float) -> bool:
        """Whether a value is within."""
        return (self.least is None or value >= self.least) and (self.most is None or value <= self.most)


@dataclass(frozen=True)
class Key:
    """A key of an object: its type, the first release that has it and the first that has it no more."""

    name: str
    type: str
    since: str = FIRST
    until: str | None = None
    required: bool = False
    default: str = ""
    hint: str = ""
    """Where it went, for those who use it where it is not known; `instead` says it when `becomes` or `gone` do."""
    becomes: str = ""
    """What takes its place at `until` with the same meaning: a key of the same mapping, of one below (`client.failFast`), or of one
    around it (`^.service.retries`)."""
    """`trustCerts[]`: the value becomes the only item of a list."""
    gone: str = ""
    """Why nothing has to take its place at `until`."""
    why: str = ""
    """Why it has another place or name from `until` on."""
    unneeded: str = ""
    """Why releases before `since` need nothing in its place."""
    acts: str = FIRST
    """The first release that does what it says; those before read it and do nothing."""
    limit: Limit | None = None
    """What a number has to be."""
    among: tuple[str, ...] = ()
    """The only words that linkerd takes."""
    says: str = ""
    """linkerd's message for another word, or for a text that makes no path; `{}` is the value."""
    within: str = ""
    """linkerd puts the text into this path, as `{}`, and reads that when it starts."""

    @property
    def instead(self) -> str:
        """What to write where a release does not know it."""
        return self.hint or _unneeded(self) or _instead(self.becomes, self.gone, self.until)

    def known(self, version: str) -> bool:
        """Whether a release reads the key."""
        return within(version, self.since, self.until)

    def works(self, version: str) -> bool:
        """Whether a release reads the key and does what it says."""
        return self.known(version) and within(version, self.acts, None)


@dataclass(frozen=True)
class Object:
    """A mapping that linkerd reads into one class."""

    name: str
    java: str
    keys: tuple[Key, ...]
    was: tuple[str, str] = ("", "")
    """A release, and the Java class that it was read into before."""
    first: frozenset[str] = frozenset()
    """The keys of which the first counts where they stand twice: Jackson sets what is no parameter of the class's constructor when it
    has made the object, and the last one first."""
    ordered: tuple[str, str, str] | None = None
    """Two keys of which 0 < one <= the other is required when both are there or are 0, and linkerd's message."""

    def java_at(self, version: str) -> str:
        """The Java class that a release reads it into."""
        return self.was[1] if self.was[0] and not within(version, self.was[0], None) else self.java

    def at(self, version: str) -> dict[str, Key]:
        """The keys that a release reads, by name."""
        return {key.name: key for key in self.keys if key.known(version)}

    def ever(self, name: str) -> list[Key]:
        """All times of a key, whether a release at hand reads it or not."""
        return [key for key in self.keys if key.name == name]


@dataclass(frozen=True)
class Spread:
    """How an object with a list of items by prefix becomes a list of configs by prefix around it, each with its own object."""

    items: str
    """The key of the list."""
    item_keys: tuple[tuple[str, str], ...]
    """Keys of an item, and what they are called in the object of its config."""
    shared: tuple[tuple[str, str], ...]
    """Keys beside the list, and what they are called in each config's object; `…[]`: as the only item of a list."""
    only: tuple[str, str]
    """A key and the text that it has to have: otherwise something would change its meaning without a word."""
    otherwise: str
    """What would change its meaning."""


@dataclass(frozen=True)
class Kind:
    """One plugin of a family: the id that selects it, and the object it is read into."""

    id: str
    object: str
    since: str = FIRST
    until: str | None = None
    experimental: tuple[str, str | None] | None = None
    """The releases (from, before) in which it needs `experimental: true`."""
    becomes: str = ""
    """Its id from `until` on; `{protocol}` is the router's."""
    hint: str = ""
    """What does its work before `since`, or from `until` on where that is not another id."""
    why: str = ""
    """Why it has another id, or none, from `until` on."""
    flat: tuple[tuple[str, bool], ...] | None = None
    """From `until` on there are no kinds here: the keys that say the same as this id did. None: that cannot be said by keys alone."""
    spread: Spread | None = None
    """From `until` on it is said in several configs by prefix."""

    @property
    def instead(self) -> str:
        """What to write where a release does not have it."""
        return self.hint or _instead(self.becomes.replace("{protocol}", "http"), "", self.until)

    def known(self, version: str) -> bool:
        """Whether a release has the plugin."""
        return within(version, self.since, self.until)

    def needs_flag(self, version: str) -> bool:
        """Whether a release refuses it without `experimental: true`."""
        return self.experimental is not None and within(version, *self.experimental)


@dataclass(frozen=True)
class Family:
    """Plugins of one sort: `kind` (or `protocol`) says which one is meant."""

    name: str
    java: str
    kinds: tuple[Kind, ...]
    selector: str = "kind"
    default: str | None = None
    """The kind that is meant when none is written; None: it has to be written."""
    tree: bool = False
    """Whether Jackson makes a tree of it first, in which of everything that stands twice the last counts, the selector too."""

    def at(self, version: str) -> dict[str, Kind]:
        """The kinds that a release has, by id."""
        return {kind.id: kind for kind in self.kinds if kind.known(version)}

    def ever(self, id_: str) -> list[Kind]:
        """All times of a kind."""
        return [kind for kind in self.kinds if kind.id == id_]


@dataclass
class Knowledge:
    """Every object and family, by name."""

    objects: dict[str, Object] = field(default_factory=dict)
    families: dict[str, Family] = field(default_factory=dict)

    def add(self, *things: Object | Family) -> None:
        """Puts objects and families in."""
        for thing in things:
            if isinstance(thing, Object):
                self.objects[thing.name] = thing
            else:
                self.families[thing.name] = thing


def _unneeded(key: Key) -> str:
    return f"take it out: {key.unneeded}" if key.unneeded else ""


def _instead(becomes: str, gone: str, until: str | None) -> str:
    if becomes:
        return f"{becomes.removeprefix('^.')} since {until}"
    return f"take it out: {gone} since {until}" if gone else ""


def obj(
    name: str,
    java: str,
    *parts: Key | Iterable[Key],
    was: tuple[str, str] = ("", ""),
    first: Iterable[str] = (),
    ordered: tuple[str, str, str] | None = None,
) -> Object:
    """An object of keys and groups of keys."""
    return Object(name, java, tuple(_flat(parts)), was, frozenset(first), ordered)


def _flat(parts: Iterable[Key | Iterable[Key]]) -> Iterator[Key]:
    for part in parts:
        if isinstance(part, Key):
            yield part
        else:
            yield from part


def keys(type_: str, names: str, since: str = FIRST, until: str | None = None, gone: str = "") -> tuple[Key, ...]:
    """Keys of one type and time, their names parted by spaces."""
    return tuple(Key(name, type_, since, until, gone=gone) for name in names.split())
