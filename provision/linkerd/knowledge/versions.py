"""The releases of linkerd 1.x that meshctl knows, and how they compare."""

from __future__ import annotations

from functools import cache

Version = tuple[int, ...]

RELEASES = (
    *(
        "0.8.5",
        "0.8.6",
        "0.9.0",
        "0.9.1",
        "1.0.0",
        "1.0.1",
        "1.0.2",
        "1.1.0",
        "1.1.1",
        "1.1.2",
        "1.1.3",
        "1.2.0",
        "1.2.1",
    ),
    *("1.3.0", "1.3.1", "1.3.2", "1.3.3", "1.3.4", "1.3.5", "1.3.6", "1.3.7"),
    *("1.4.0", "1.4.1", "1.4.2", "1.4.3", "1.4.4", "1.4.5", "1.4.6", "1.5.0", "1.5.1", "1.5.2"),
    *("1.6.0", "1.6.1", "1.6.2", "1.6.3", "1.6.4", "1.7.0", "1.7.1", "1.7.2", "1.7.3", "1.7.4", "1.7.5"),
)
"""From linkerd's CHANGES.md: the first release known here to the last one made."""

BOUNDARIES = ("0.8.5", "0.8.6", "0.9.0", "0.9.1", "1.0.0", "1.0.1", "1.1.1", "1.2.0", "1.3.0", "1.6.0", "1.7.0")
"""Releases from which on a rendered configuration may look different."""

FIRST, LAST = RELEASES[0], RELEASES[-1]


class UnknownRelease(ValueError):
    """No release of this number; the text names the nearest."""


@cache
def number(version: str) -> Version:
    """(0, 8, 5) of 0.8.5."""
    return tuple(int(part) for part in version.split("."))


def known(version: str) -> str:
    """The version itself. Raises UnknownRelease when there is no such release between 0.8.5 and 1.7.5."""
    if version in RELEASES:
        return version
    import difflib  # not quick to load

    near = difflib.get_close_matches(version, RELEASES, n=1, cutoff=0.5)
    nearest = near[0] if near else LAST
    raise UnknownRelease(f"there is no linkerd {version} among {FIRST} … {LAST}; the nearest is {nearest}")


def within(version: str, since: str, until: str | None) -> bool:
    """Whether a version lies in since <= version < until."""
    return number(since) <= number(version) and (until is None or number(version) < number(until))
