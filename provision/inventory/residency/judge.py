"""Whether places are where a policy allows data to be: for each the answer, and its reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from provision.inventory.countries import EEA, MEMBERS, name_of
from provision.inventory.residency.networks import lookup
from provision.inventory.residency.place import Place
from provision.inventory.residency.places import Said, own, places


@dataclass(frozen=True)
class Verdict:
    """What is to be said of a place. `country` is empty where nobody says it, and for what is on the hosts anyway."""

    place: Place
    allowed: bool
    country: str
    reason: str
    hint: str = ""


def judged(said: Said, on: date) -> tuple[Verdict, ...]:
    """A verdict for each place, by the membership of that day. Without `policy.residency` every place with a known country is allowed."""
    return tuple(judge(place, said, on) for place in places(said))


def judge(place: Place, said: Said, on: date) -> Verdict:
    """The verdict of one place."""
    if place.fault:
        return Verdict(place, False, place.country, place.fault, place.say)
    if place.address:
        return _machine(place, said, on)
    if not place.country:
        return Verdict(place, False, "", f"nobody says in which country {place.where} is", place.say)
    return _in(place, place.country, "", said, on)


def _machine(place: Place, said: Said, on: date) -> Verdict:
    ours = own(said, place)
    if ours:
        return Verdict(place, True, "", f"{place.address} is {ours}: on the cluster's hosts")
    found = lookup(said.policy.networks, place.address)
    if found is None:
        hint = f"policy.networks: {place.address}, or the network that it is in, with the code of its country"
        return Verdict(place, False, "", f"nobody says in which country {place.address} is", hint)
    by = "" if found.key == place.address else f"{place.address} is in {found.key}: "
    return _in(place, found.value, by, said, on)


def _in(place: Place, country: str, by: str, said: Said, on: date) -> Verdict:
    allowed = said.policy.residency
    name = f"{country} ({name_of(country)})"
    if allowed is None:
        return Verdict(place, True, country, f"{by}{name}; policy.residency says nothing")
    if country in allowed:
        return Verdict(place, True, country, f"{by}{name} is allowed by name")
    member = MEMBERS.get(country)
    if EEA in allowed and member is not None and member.holds(on):
        return Verdict(place, True, country, f"{by}{name} is in the EEA since {member.since}")
    hint = f"another place, or {country} in policy.residency if the law lets you"
    return Verdict(
        place, False, country, f"{by}{name} is outside of {_words(allowed)}{_past(country, allowed, on)}", hint
    )


def _words(allowed: tuple[str, ...]) -> str:
    return " and ".join(f"the {one}" if one == EEA else one for one in allowed)


def _past(country: str, allowed: tuple[str, ...], on: date) -> str:
    member = MEMBERS.get(country)
    if EEA not in allowed or member is None:
        return ""
    return f", which it left on {member.until}" if member.until is not None and member.until < on else ""


def refused(said: Said, on: date) -> Iterator[Verdict]:
    """The verdicts of a policy that are refusals; none where it names no countries."""
    if said.policy.residency is not None:
        yield from (one for one in judged(said, on) if not one.allowed)
