"""Templates: what stands in `{{ … }}`, `${…}`, `<% … %>` or `__…__` is put in later, and nothing is concluded from it.

The text is judged with a word of the same length in the place of each. What is then found at such a word is dropped, and the
placeholders are said once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import yaml

from provision.linkerd.check.finding import Finding, found
from provision.linkerd.text import Spot, Unreadable, compose, get, scalar

_BRACES = r"\{\{(?:[^{}]|\{[^{}]*\})*\}\}|\{%.*?%\}|<%.*?%>|\[\[-?\s*[.$A-Za-z][^\[\],\n]*\]\]"
_WORDS = r"\$+\{[^{}\n]*\}|[%#]\{[\w.:-]+\}|\$[A-Z][A-Z0-9_]+|__[A-Z][A-Z0-9_]*__|<[A-Z][A-Z0-9_]+>|%[A-Z][A-Z0-9_]+%|@[A-Z][A-Z0-9_]*@"
_SIGNS = ("{{", "{%", "<", "[[", "$", "%", "#{", "__", "@")
"""One of these is in every placeholder, and quickly looked for."""

_PLACEHOLDER = re.compile(rf"{_BRACES}|{_WORDS}", re.DOTALL)
_TEMPLATE_ONLY = re.compile(_BRACES, re.DOTALL)
_CONTROL = re.compile(rf"^[ \t]*(?:(?:{_BRACES})[ \t]*)+$", re.MULTILINE)
"""A line of nothing but a template's statements."""

_OBJECT = re.compile(r"^[\"']?apiVersion[\"']?\s*:", re.MULTILINE)
_MARK = re.compile(r"zq[0-9]+z*")

ABOUT_KEYS = frozenset(("ML304", "ML305", "ML306", "ML307", "ML308", "ML346"))
"""Findings about a key, which holds whatever the value will be."""

ABOUT_ABSENCE = frozenset(
    ("ML300", "ML310", "ML311", "ML314", "ML344", "ML345", "ML347", "ML352", "ML353", "ML355", "ML362")
)
"""Findings about what is not there, which a template's statements may put in."""


@dataclass(frozen=True)
class Marked:
    """A text with a word for each placeholder, and what stood there."""

    text: str
    first: str
    begin: Spot
    count: int
    lines: frozenset[int]
    statements: bool
    """Whether lines are nothing but a template's statements, which may put in anything."""
    broken: bool
    """Whether linkerd could not read the text as it stands."""

    def judged(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings that hold whatever is put in, and the placeholders themselves."""
        every = list(findings)
        kept = [one for one in every if self._holds(one)]
        shown = " ".join(self.first.split())
        shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
        number = f", and there are {self.count - 1} more" if self.count > 1 else ""
        message = f"{shown} is a template's placeholder{number}: nothing is concluded from it"
        dropped = any(one.severity == "error" for one in every if one not in kept)
        grave = "error" if dropped or self.broken else "trap"
        own = found("ML392", self.begin, (), message, "", "render the template first, and check what comes out", grave)
        return [*kept, own]

    def _holds(self, one: Finding) -> bool:
        if _MARK.search(f"{one.field} {one.message} {one.fix} {one.linkerd}"):
            return False
        if one.id in ("ML303", "ML300") and not one.field:
            return one.id == "ML300"
        if self.statements and one.id in ABOUT_ABSENCE:
            return False
        return one.line not in self.lines or one.id in ABOUT_KEYS


def placeholder(text: str) -> str:
    """The first placeholder of a template, empty for a text that is none."""
    found_ = marked(text)
    return "" if found_ is None else " ".join(found_.first.split())


def marked(text: str) -> Marked | None:
    """The text of a template with words in it; None of a text that is none. In a manifest `${…}` may be a script's."""
    if not any(sign in text for sign in _SIGNS):
        return None
    pattern = _TEMPLATE_ONLY if _OBJECT.search(text) else _PLACEHOLDER
    every = [one for one in pattern.finditer(text) if not _commented(text, one.start())]
    if not every:
        return None
    begin = every[0].start()
    spot = Spot(text.count("\n", 0, begin) + 1, begin - text.rfind("\n", 0, begin))
    fresh = "".join(_pieces(text, every))
    lines = frozenset(number for number, line in enumerate(fresh.split("\n"), start=1) if _MARK.search(line))
    return Marked(fresh, every[0].group(), spot, len(every), lines, bool(_CONTROL.search(text)), _broken(text))


def _broken(text: str) -> bool:
    try:
        return compose(text) is None
    except Unreadable:
        return True


def _commented(text: str, offset: int) -> bool:
    """Whether an offset is behind a `#` of its line that begins a comment."""
    line = text[text.rfind("\n", 0, offset) + 1 : offset]
    return bool(re.search(r"(?:^|\s)#", line))


def _pieces(text: str, every: list[re.Match[str]]) -> Iterator[str]:
    controls = {one.start(): one.end() for one in _CONTROL.finditer(text)}
    inside = list(controls.items())
    at = 0
    for number, one in enumerate(every):
        if one.start() < at:
            continue
        yield text[at : one.start()]
        alone = any(begin <= one.start() and one.end() <= end for begin, end in inside)
        lost = "\n" * one.group().count("\n")
        yield lost if alone else f"zq{number}".ljust(len(one.group()) - len(lost), "z") + lost
        at = one.end()
    yield text[at:]


def other_file(root: yaml.Node) -> str:
    """What a file is that lies beside linkerd's and is another program's; empty when it is not known to be one."""
    if get(root, "routers") is not None:
        return ""
    for what, keys in OTHERS.items():
        if all(get(root, key) is not None for key in keys):
            return what
    names = [scalar(key) or "?" for key, _value in root.value] if isinstance(root, yaml.MappingNode) else []
    if len(names) < FOREIGN or not KNOWN.isdisjoint(names):
        return ""
    from difflib import get_close_matches  # not needed for most files, and not quick to load

    if any(get_close_matches(name, KNOWN, n=1, cutoff=0.7) for name in names[:20]):
        return ""
    return f"another program's, by its keys: {', '.join(names[:6])}{', …' if len(names) > 6 else ''}"


KNOWN = frozenset(
    (
        "routers",
        "namers",
        "admin",
        "telemetry",
        "tracers",
        "usage",
        "storage",
        "interfaces",
        "protocol",
        "servers",
        "dtab",
    )
)
"""Keys of which one at least stands at the top of linkerd's file, or of namerd's, or of one that lost its indentation."""

FOREIGN = 2
"""Keys that a file has at the least before it is taken for another program's: a single one is a fault more likely."""


OTHERS = {
    "a Helm chart's Chart.yaml": ("apiVersion", "name", "version"),
    "a file of docker-compose": ("version", "services"),
    "a file of Kustomize": ("resources", "configMapGenerator"),
    "Prometheus' configuration": ("scrape_configs",),
    "an Ansible inventory": ("all", "hosts"),
}
"""What stands in files that people give by mistake."""
