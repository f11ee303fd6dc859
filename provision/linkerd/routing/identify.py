"""The name that linkerd gives to a request, by the identifiers of its router: one function for each kind, by the protocol.

From linkerd's own identifiers: what they call a missing header differs between HTTP/1.1 and h2, and so do their defaults.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.routing.dtab import DtabError, Path, parse_path
from provision.linkerd.routing.routers import FAMILIES, Router

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://([^/?#]*)([^#]*)")
"""A URI as a client of a proxy sends it."""


@dataclass(frozen=True)
class Request:
    """What identifiers look at. `headers` has lower-case names, beside Host."""

    host: str = ""
    method: str = "GET"
    path: str = "/"
    version: str = "1.1"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Identified:
    """The name of a request, or why there is none; and what each identifier said that was asked before."""

    path: Path | None
    identifier: str
    reason: str = ""
    before: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unnamed:
    """An identifier gives no name. `last`: it fails, and no other one is asked."""

    reason: str
    last: bool = False


Settings = Mapping[str, str]
Identifier = Callable[[Settings, Request], Path | Unnamed]


def identify(router: Router, request: Request) -> Identified:
    """The name by the first identifier that gives one. Of several that give none, linkerd says what the last one says."""
    prefix = parse_path(router.prefix)
    request = _proxied(request) if router.protocol == "http" else request
    before: list[str] = []
    for position, settings in enumerate(router.identifiers, start=1):
        kind = settings.get("kind", "")
        found = _suffix(router, kind, settings, request)
        if not isinstance(found, Unnamed):
            return Identified(prefix + found, kind, before=tuple(before))
        if found.last or position == len(router.identifiers):
            return Identified(None, kind, found.reason, tuple(before))
        before.append(f"{kind}: {found.reason}")
    return Identified(None, "", "it has no identifier", tuple(before))


def _proxied(request: Request) -> Request:
    """A request with an absolute URI: its authority is the Host, as linkerd's ProxyRewriteFilter has it."""
    found = _ABSOLUTE.match(request.path)
    return request if found is None else replace(request, host=found[1], path=found[2] or "/")


def _suffix(router: Router, kind: str, settings: Settings, request: Request) -> Path | Unnamed:
    rule = IDENTIFIERS.get(router.protocol, {}).get(kind)
    family = FAMILIES.get(router.protocol)
    if family is None:
        return Unnamed(f"the protocol {router.protocol} is not known here") if rule is None else rule(settings, request)
    if kind in KNOWLEDGE.families[family].at(router.release):
        return (
            Unnamed(f"{kind} asks a cluster: its names cannot be computed here")
            if rule is None
            else rule(settings, request)
        )
    if any(KNOWLEDGE.families[one].ever(kind) for one in FAMILIES.values()):
        return Unnamed(
            f"linkerd {router.release} has no identifier {kind} for {router.protocol}: it does not start", last=True
        )
    return Unnamed(f"{kind} is none of linkerd's identifiers: what a plugin makes of a request is not known here")


def _method_and_host(settings: Settings, request: Request) -> Path | Unnamed:
    rest = _read(_path(request)) if settings.get("httpUriInDst") == "true" else ()
    if isinstance(rest, Unnamed):
        return rest
    if request.version == "1.0":
        return (b"1.0", request.method.encode(), *rest)
    if not request.host:
        return Unnamed("HTTP/1.1 request missing hostname")
    return (b"1.1", request.method.encode(), request.host.lower().encode(), *rest)


def _header(name: str, request: Request) -> str:
    return request.host if name.lower() == "host" else request.headers.get(name.lower(), "")


def _token(settings: Settings, request: Request) -> Path | Unnamed:
    name = settings.get("header", "Host")
    value = _header(name, request)
    return (value.encode(),) if value else Unnamed(f"{name} header is absent")


def _header_path(settings: Settings, request: Request) -> Path | Unnamed:
    name = settings.get("header", "l5d-name")
    value = _header(name, request)
    return _read(value) if value else Unnamed(f"{name} header is absent")


def _segments(settings: Settings, request: Request) -> Path | Unnamed:
    written = settings.get("segments", "1")
    wanted = max(0, int(written)) if re.fullmatch(r"-?[0-9]{1,9}", written) else 1
    parts = _java_split(_path(request))[1:]
    if len(parts) < wanted:
        return Unnamed("not enough segments in path")
    taken = tuple(part.encode() for part in parts[:wanted])
    return taken if all(taken) else Unnamed("requirement failed: `//` in the path makes an empty label", last=True)


def _java_split(text: str) -> list[str]:
    """Java's split: empty parts at the end are dropped."""
    parts = text.split("/")
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return parts


def _static(settings: Settings, _request: Request) -> Path | Unnamed:
    return _read(settings.get("path", ""))


def _h2_header(name: str, request: Request) -> str:
    pseudo = {":authority": request.host, ":path": request.path, ":method": request.method, ":scheme": "http"}
    return request.headers.get(name, pseudo.get(name, ""))


def _h2_token(settings: Settings, request: Request) -> Path | Unnamed:
    name = settings.get("header", ":authority")
    value = _h2_header(name, request)
    return (value.encode(),) if value else Unnamed(f"missing header: '{name}'")


def _h2_path(settings: Settings, request: Request) -> Path | Unnamed:
    """The first `segments` elements of a header that holds a path, by default of `:path` itself; all of them without `segments`."""
    written = settings.get("segments")
    wanted = int(written) if written is not None and re.fullmatch(r"-?[0-9]{1,9}", written) else None
    if wanted is not None and wanted < 1:
        return Unnamed("`segments` must be >= 1: linkerd does not start", last=True)
    value = _h2_header(settings.get("header", ":path").lower(), request).partition("?")[0].removesuffix("/")
    found = _read(value) if value else ()
    if isinstance(found, Unnamed):
        return found
    if len(found) < (wanted or 1):
        return Unnamed(f"Path must have at least {wanted} segment(s)" if wanted else "Missing destination path")
    return found[:wanted]


def _thrift(settings: Settings, request: Request) -> Path | Unnamed:
    """The prefix alone, with the method where that is asked for: thrift has no header that could say more."""
    return _read(f"/{request.method}") if settings.get("thriftMethodInDst") == "true" else ()


def _mux(_settings: Settings, request: Request) -> Path | Unnamed:
    """The destination that a mux request carries itself."""
    return _read(_path(request))


def _read(text: str) -> Path | Unnamed:
    try:
        return parse_path(text)
    except DtabError as error:
        return Unnamed(error.message, last=True)


def _path(request: Request) -> str:
    return request.path.partition("?")[0]


_H2_BEFORE_1_0_0 = {"io.l5d.headerToken": _h2_token, "io.l5d.headerPath": _h2_path}

IDENTIFIERS: Mapping[str, Mapping[str, Identifier]] = {
    "http": {
        "io.l5d.methodAndHost": _method_and_host,
        "io.l5d.header.token": _token,
        "io.l5d.header": _header_path,
        "io.l5d.path": _segments,
        "io.l5d.static": _static,
    },
    "h2": {
        "io.l5d.header.token": _h2_token,
        "io.l5d.header.path": _h2_path,
        "io.l5d.path": _segments,
        **_H2_BEFORE_1_0_0,
    },
    "thrift": {"thrift": _thrift},
    "thriftmux": {"thriftmux": _thrift},
    "mux": {"mux": _mux},
}
"""By protocol and kind: what can be computed. All others of linkerd's (ingress, istio) ask a cluster."""
