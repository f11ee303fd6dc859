"""What can be bound: names below `/#/` by the namers that are configured, names below `/$/` by linkerd's own.

A fault is said only of what is certain: what a registry holds is not known here, how many elements its namer needs is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.knowledge.versions import number
from provision.linkerd.routing.dtab import NAMERS, SYSTEM, DtabError, Path, parse_path, show_path
from provision.linkerd.routing.rewriters import REWRITERS

REWRITING = "io.l5d.rewrite"
"""The namer that makes another name of a name, by the configuration's own pattern."""

BINDING = ("inet", "nil", "fail", "io.buoyant.rinet", "io.buoyant.http.status")
"""linkerd's own names below `/$/` that bind; with those that rewrite these are all."""

NEEDED = {
    "io.l5d.k8s": ("namespace", "port", "service"),
    "io.l5d.k8s.external": ("namespace", "port", "service"),
    "io.l5d.k8s.ns": ("port", "service"),
    "io.l5d.k8s.istio": ("version", "port", "cluster"),
    "io.l5d.consul": ("datacentre", "service"),
    "io.l5d.fs": ("file",),
    "io.l5d.dnssrv": ("address",),
}
"""What a namer needs behind its prefix; with fewer elements it finds nothing, ever."""

_PORT = re.compile(rb"[0-9]{1,5}")
_LARGEST_PORT = 65535
NEAR = 0.75
"""How alike two names are of which one may be meant by the other."""


@dataclass(frozen=True)
class Namer:
    """A configured namer: its kind, its prefix as it stands behind `/#/`, and what its names need behind that."""

    kind: str
    prefix: Path
    needs: tuple[str, ...] = ()
    pattern: str = ""
    name: str = ""
    """Of io.l5d.rewrite: what its names look like, and the name that is made of one."""

    def rewritten(self, path: Path) -> Path | None:
        """The name that io.l5d.rewrite makes of one of its names, None where that does not look like the pattern.

        What stands behind the pattern's elements is dropped. A `{word}` is a whole element, otherwise it stands for itself.
        """
        behind, words = path[1 + len(self.prefix) :], [word for word in self.pattern.split("/") if word]
        if len(behind) < len(words):
            return None
        name = self.name
        for word, label in zip(words, behind, strict=False):
            shown = show_path((label,))[1:]
            if word.startswith("{") and word.endswith("}"):
                name = name.replace(word, shown)
            elif word not in ("*", shown):
                return None
        try:
            return parse_path(name)
        except DtabError:
            return None


@dataclass(frozen=True)
class Fault:
    """Why nothing can bind a name, and what may be meant. `unconfigured`: no namer has the prefix."""

    why: str
    fix: str = ""
    unconfigured: bool = False


def owner(path: Path, namers: tuple[Namer, ...]) -> Namer | None:
    """The namer that a name below `/#/` goes to, the last one that fits, None when none is configured."""
    return next((one for one in reversed(namers) if path[1 : 1 + len(one.prefix)] == one.prefix), None)


def fault(path: Path, namers: tuple[Namer, ...], release: str, *, more: bool = False) -> Fault | None:
    """Why a name can be bound by nobody; None when somebody may. `more`: the name goes on in some way."""
    if path[:1] == (NAMERS,):
        return _below_namers(path, namers, more)
    if path[:1] == (SYSTEM,):
        return _system(path, release, more)
    why = f"{show_path(path)} is neither below /#/ nor below /$/: nothing binds it"
    return Fault(why, without_sign(path, namers).rpartition(": ")[2])


def _below_namers(path: Path, namers: tuple[Namer, ...], more: bool) -> Fault | None:
    namer = owner(path, namers)
    if namer is None:
        return None if more and len(path) == 1 else _unconfigured(path, namers)
    behind = len(path) - 1 - len(namer.prefix)
    if not more and behind < len(namer.needs):
        wanted = "/".join(word.upper() for word in namer.needs)
        have = show_path(path[1 + len(namer.prefix) :])
        fix = f"/#{show_path(namer.prefix)}/{wanted}"
        return Fault(f"{namer.kind} needs /{wanted} behind its prefix, and gets {have}", fix)
    return None


def _unconfigured(path: Path, namers: tuple[Namer, ...]) -> Fault:
    import difflib  # not needed for most files, and not quick to load

    name = show_path(path[1:2]) if len(path) > 1 else "/"
    word = name.strip("/")
    same = next((one for one in namers if one.kind == word), None)
    near = difflib.get_close_matches(word, [show_path(one.prefix).strip("/") for one in namers], n=1, cutoff=NEAR)
    if same is not None:
        fix = f"the prefix of that namer is {show_path(same.prefix)}: write /#{show_path(same.prefix)}"
    elif near:
        fix = f"did you mean /#/{near[0]}?"
    else:
        fix = f"namers: [{{kind: {word}}}]" if len(path) > 1 else "add the namer"
    return Fault(f"no such namer is configured: /#{name}", fix, unconfigured=True)


def _system(path: Path, release: str, more: bool) -> Fault | None:
    name = path[1].decode(errors="replace") if len(path) > 1 else ""
    if name == "inet":
        return None if _inet(path[2:]) or more else Fault(f"{show_path(path)} has no port", "/$/inet/HOST/PORT")
    if name == "io.buoyant.rinet":
        return (
            None
            if more or len(path) > 3
            else Fault(f"{show_path(path)} is not complete", "/$/io.buoyant.rinet/PORT/HOST")
        )
    since = (0, 8, 6) if name in ("io.buoyant.hostportPfx", "io.buoyant.porthostPfx") else (0,)
    if name in REWRITERS and number(release) < since:
        return Fault(f"linkerd {release} has no /$/{name}: it is there from 0.8.6", "")
    if name in (*BINDING, *REWRITERS) or (not name and more) or _foreign(name):
        return None
    return Fault(f"linkerd has no /$/{name}", _system_meant(name))


def _foreign(name: str) -> bool:
    """A class of finagle's or of a plugin's: which there are depends on the jars."""
    return "." in name and not name.startswith(("io.buoyant.", "io.l5d."))


def _inet(rest: Path) -> bool:
    """Host and port, or a port alone."""
    ports = rest[1:2] if len(rest) > 1 else rest[:1]
    return bool(ports) and _PORT.fullmatch(ports[0]) is not None and int(ports[0]) <= _LARGEST_PORT


def _system_meant(name: str) -> str:
    import difflib  # not needed for most files, and not quick to load

    if name.startswith("io.l5d."):
        return f"names of namers begin with /#/: /#/{name}"
    near = difflib.get_close_matches(name, (*BINDING, *REWRITERS), n=1, cutoff=NEAR)
    return f"did you mean /$/{near[0]}?" if near else f"there are: {', '.join(sorted((*BINDING, *REWRITERS)))}"


def without_sign(path: Path, namers: tuple[Namer, ...]) -> str:
    """What is meant by a name that lacks its `#` or `$`; empty when it does not look like one that does."""
    first = path[0].decode(errors="replace") if path else ""
    if first[:1] in ("#", "$") and len(first) > 1:
        return f"{show_path(path[:1])} lacks a slash behind its sign: /{first[0]}/{show_path(path)[2:]}"
    if any(path[: len(one.prefix)] == one.prefix for one in namers if one.prefix) or KNOWLEDGE.families["namer"].ever(
        first
    ):
        return f"{show_path(path[:1])} is no namer: names of namers begin with /#/: /#{show_path(path)}"
    if first in BINDING or first in REWRITERS:
        return f"{show_path(path[:1])} is none of linkerd's own names: they begin with /$/: /${show_path(path)}"
    return ""
