"""Defaults that another release has otherwise: written down where the file's owner would lose by the other one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from provision.linkerd.knowledge.defaults import DEFAULTS, Default
from provision.linkerd.knowledge.place import Place
from provision.linkerd.knowledge.versions import number, within
from provision.linkerd.migrate.steps import Action, Step
from provision.linkerd.routing import Config, Routing, patterns, reached
from provision.linkerd.text import Location
from provision.linkerd.text.edit import Draft
from provision.linkerd.text.plain import Data

_NAMES = ("dstPrefix", "identifier")
"""Keys that decide which names a router makes: kept where its dtab was written for the names that it makes now."""


def statements(draft: Draft, step: Step, place: Place) -> Iterator[Action]:
    """Every default that this step would change silently and that is not written yet, as a change that writes it."""
    config = Config(draft.root, draft.text, step.source, place)
    for old in _changing(step):
        for at, value in _places(config, old):
            if not draft.written(at):
                what = f"is written: {_shown(value)}"
                yield Action(at, what, f"it is the default {_before(old, step)}", _put(at, value))


def _before(old: Default, step: Step) -> str:
    return f"before {step.later}" if step.forward else f"from {old.since} on"


def _shown(value: Data) -> str:
    return str(value["kind"]) if isinstance(value, dict) else str(value)


def _changing(step: Step) -> Iterator[Default]:
    """The defaults of the source that are others in the target, and are to be kept in this direction."""
    for new in DEFAULTS:
        if new.since != step.later or new.kept not in (("both",) if step.forward else ("both", "back")):
            continue
        older = [
            one
            for one in DEFAULTS
            if one.key == new.key and number(one.since) < number(new.since) and within(new.since, one.since, None)
        ]
        if older:
            yield older[-1] if step.forward else new


def _places(config: Config, one: Default) -> Iterator[tuple[Location, Data]]:
    path = tuple(one.key.replace("[]", "").split("."))
    if one.stated is None:
        return
    if path[0] != "routers":
        yield path, one.stated
        return
    for routing in config.routings:
        router = routing.router
        if router.protocol in (one.protocols or (router.protocol,)) and (path[1] not in _NAMES or _meant(routing)):
            stated = one.stated
            yield (
                (*router.at, *path[1:]),
                stated.replace("{protocol}", router.protocol) if isinstance(stated, str) else stated,
            )


def _meant(routing: Routing) -> bool:
    """Whether some name that the router makes meets its dtab, as far as that can be told."""
    if not routing.entries or routing.interpreter != "default":
        return True
    met = reached(routing.entries, patterns(routing.router))
    return met is None or bool(met.met)


def _put(at: Location, value: Data) -> Callable[[Draft], Draft]:
    def edit(draft: Draft) -> Draft:
        names = draft.names(at[:-1])
        after = next((name for name in ("dstPrefix", "label", "protocol") if name in names), "")
        return draft.put(at, value, after=after if at[0] == "routers" and len(at) == 3 else "")

    return edit
