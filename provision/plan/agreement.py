"""What is agreed to with a plan: its deeds, and what should exist after them. Comparable, and small enough for a file. Pure."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from provision.plan.action import Action
from provision.specs import Desired, digest

Deed = tuple[str, ...]
"""As `Action.deed`: stage, verb, where, kind, name, and the digest of what is there of it."""


@dataclass(frozen=True)
class Agreement:
    """`deeds` are what is done; `things` what should exist: a digest of each, by its name for people.

    Words are no part of it, nor are paths on the machine that plans: another machine may carry out what this one showed.
    """

    deeds: frozenset[Deed]
    things: Mapping[str, str]

    @classmethod
    def to(cls, wanted: Desired, changes: Iterable[Action]) -> Agreement:
        """The agreement to do these changes for what is wanted."""
        return cls(frozenset(action.deed for action in changes), {name: digest(one) for name, one in _things(wanted)})

    def departures(self, agreed: Agreement) -> tuple[str, ...]:
        """What is otherwise than was agreed, one line each; nothing when it is the same."""
        things = _in_things(self.things, agreed.things)
        return (*_to_do(self.deeds, agreed.deeds), *self.done_since(agreed), *things)

    def beyond(self, agreed: Agreement) -> tuple[str, ...]:
        """The same without `done_since`: nothing when all that is to do was agreed to."""
        return (*_to_do(self.deeds, agreed.deeds), *_in_things(self.things, agreed.things))

    def done_since(self, agreed: Agreement) -> tuple[str, ...]:
        """What is no longer to do, one line each: somebody did it, or it came right by itself."""
        return tuple(f"no longer to do: {_words(deed)}" for deed in sorted(_not_in(self.deeds, agreed.deeds)))


def _to_do(now: frozenset[Deed], then: frozenset[Deed]) -> Iterator[str]:
    new = _not_in(then, now)
    changed = {deed[:-1] for deed in now - then - new}
    yield from (f"changed by somebody: {_words(deed)}" for deed in sorted(changed))
    yield from (f"new: {_words(deed)}" for deed in sorted(new))


def _not_in(these: frozenset[Deed], deeds: frozenset[Deed]) -> frozenset[Deed]:
    """Deeds that are not among these, from whatever they begin."""
    known = {deed[:-1] for deed in these}
    return frozenset(deed for deed in deeds if deed[:-1] not in known)


def _words(deed: Deed) -> str:
    _, verb, where, kind, name = deed[:5]
    return f"{verb} {kind} {name}" + (f" on {where}" if where != name else "")


def _in_things(now: Mapping[str, str], then: Mapping[str, str]) -> Iterator[str]:
    for name in sorted({*now, *then}):
        if name not in then:
            yield f"should exist, and should not then: {name}"
        elif name not in now:
            yield f"should exist no longer: {name}"
        elif now[name] != then[name]:
            yield f"should be otherwise: {name}"


def _things(wanted: Desired) -> Iterator[tuple[str, Hashable]]:
    yield "the owner's id", wanted.owner_id
    yield "the addresses of Services", wanted.service_cidr
    if wanted.endpoint:
        yield "the control planes' shared address", wanted.endpoint
    yield from ((f"pool {one.name} of {one.host}", one) for one in wanted.pools)
    yield from ((f"network {one.name} of {one.host}", one) for one in wanted.networks)
    yield from ((f"{one.kind} {one.title}", replace(one, path="")) for one in wanted.artifacts)
    yield from ((f"volume group {one.name} of {one.host}", one) for one in wanted.groups)
    yield from ((f"volume {one.kind} of {one.node}", one) for one in wanted.volumes)
    yield from ((f"seed of {one.node}", one) for one in wanted.seeds)
    yield from ((f"guest {one.node}", one) for one in wanted.guests)
    yield from ((f"member {one.name}", one) for one in wanted.members)
    yield from ((f"member {one.name}, which is in no inventory", one) for one in wanted.leaving)
