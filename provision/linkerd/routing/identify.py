"""The name that linkerd gives to a request, by the identifiers of its router."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from provision.linkerd.routing.dtab import DtabError, Path, parse_path
from provision.linkerd.routing.routers import Router


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
    """The name of a request, or why there is none."""

    path: Path | None
    identifier: str
    reason: str = ""


def identify(router: Router, request: Request) -> Identified:
    """The name by the first identifier that gives one. Those that ask a cluster (ingress, istio) give none here."""
    prefix = parse_path(router.prefix)
    reasons = []
    for identifier in router.identifiers:
        kind = identifier.get("kind", "")
        found = _suffix(kind, identifier, request)
        if not isinstance(found, str):
            return Identified(prefix + found, kind)
        reasons.append(found)
    return Identified(None, router.identifiers[0].get("kind", ""), "; ".join(reasons))


def _suffix(kind: str, config: Mapping[str, str], request: Request) -> Path | str:
    match kind:
        case "io.l5d.methodAndHost":
            return _method_and_host(config, request)
        case "io.l5d.header.token" | "io.l5d.headerToken":
            value = _header(config.get("header", "Host"), request)
            return (value.encode(),) if value else f"{config.get('header', 'Host')} header is absent"
        case "io.l5d.header" | "io.l5d.header.path" | "io.l5d.headerPath":
            return _header_path(config.get("header", "l5d-name"), request)
        case "io.l5d.path":
            return _segments(config, request)
        case "io.l5d.static":
            return _parsed(config.get("path", ""))
        case _:
            return f"{kind} asks a cluster: its names cannot be computed here"


def _method_and_host(config: Mapping[str, str], request: Request) -> Path | str:
    uri = tuple(part.encode() for part in _path(request).split("/") if part)
    rest = uri if config.get("httpUriInDst") == "true" else ()
    if request.version == "1.0":
        return (b"1.0", request.method.encode(), *rest)
    if not request.host:
        return "HTTP/1.1 request missing hostname"
    return (b"1.1", request.method.encode(), request.host.lower().encode(), *rest)


def _header(name: str, request: Request) -> str:
    if name.lower() in ("host", ":authority"):
        return request.host
    return request.headers.get(name.lower(), "")


def _header_path(name: str, request: Request) -> Path | str:
    value = _header(name, request)
    return _parsed(value) if value else f"{name} header is absent"


def _parsed(text: str) -> Path | str:
    try:
        return parse_path(text)
    except DtabError as error:
        return error.message


def _segments(config: Mapping[str, str], request: Request) -> Path | str:
    wanted = int(config["segments"]) if config.get("segments", "").isdecimal() else 1
    parts = _path(request).split("/")[1:]
    if len(parts) < wanted:
        return f"not enough segments in path {_path(request)}"
    return tuple(part.encode() for part in parts[:wanted])


def _path(request: Request) -> str:
    return request.path.partition("?")[0]
