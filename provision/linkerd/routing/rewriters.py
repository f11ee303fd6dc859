"""The system namers (`/$/…`) that only rewrite a name: they ask nobody, so what they make of it can be computed.

`/$/io.buoyant.http.domainToPathPfx/svc/web.example.org` becomes `/svc/org/example/web`. All others (`/$/inet/…`,
`/$/io.buoyant.fs/…`) bind, and are leaves.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from provision.linkerd.routing.dtab import SYSTEM, Path

_HOST = re.compile(rb"[A-Za-z0-9.:_-]+")
_METHOD = re.compile(rb"[A-Z]+")
_PORT = re.compile(rb"[a-z0-9][-a-z0-9]*")
_LONGEST_PORT = 63
"""A port is a number or a name of DNS's length."""


def rewriter(path: Path) -> str | None:
    """The name of the rewriting namer that a path goes to, None when it goes to none."""
    if len(path) < 2 or path[0] != SYSTEM:
        return None
    name = path[1].decode(errors="replace")
    return name if name in REWRITERS else None


def rewrite(path: Path) -> Path | None:
    """What the path's rewriting namer makes of it, None where it refuses the name."""
    return REWRITERS[path[1].decode()](path[2:])


def _any_method(path: Path) -> Path | None:
    return path[1:] if path and _METHOD.fullmatch(path[0]) else None


def _any_host(path: Path) -> Path | None:
    return path[1:] if path and _HOST.fullmatch(path[0]) else None


def _domain_to_path(path: Path) -> Path | None:
    if not path or not _HOST.fullmatch(path[0]):
        return None
    # Java's split drops empty parts at the end: a host of `web.` is `web`.
    return (*reversed(path[0].rstrip(b".").split(b".")), *path[1:])


def _subdomain(domain: bytes, host: bytes) -> bytes | None:
    bare, ending = host.split(b":")[0] or host, b"." + domain
    if not (_HOST.fullmatch(domain) and _HOST.fullmatch(host)) or not bare.endswith(ending):
        return None
    return bare[: -len(ending)] or None


def _subdomain_of(path: Path) -> Path | None:
    sub = _subdomain(path[0], path[1]) if len(path) > 1 else None
    return None if sub is None else (sub, *path[2:])


def _subdomain_of_prefixed(path: Path) -> Path | None:
    sub = _subdomain(path[0], path[2]) if len(path) > 2 else None
    return None if sub is None else (path[1], sub, *path[3:])


def _host_and_port(path: Path) -> tuple[bytes, bytes] | None:
    parts = path[1].split(b":") if len(path) > 1 else []
    if len(parts) != 2 or not _PORT.fullmatch(parts[1]) or len(parts[1]) > _LONGEST_PORT:
        return None
    return parts[0], parts[1]


def _host_port(path: Path) -> Path | None:
    found = _host_and_port(path)
    return None if found is None else (path[0], found[0], found[1], *path[2:])


def _port_host(path: Path) -> Path | None:
    found = _host_and_port(path)
    return None if found is None else (path[0], found[1], found[0], *path[2:])


def _below_prefix(inner: Callable[[Path], Path | None]) -> Callable[[Path], Path | None]:
    """The form that keeps its first element: /pfx/x becomes /pfx/inner(x)."""

    def prefixed(path: Path) -> Path | None:
        found = inner(path[1:])
        return None if found is None else (*path[:1], *found)

    return prefixed


REWRITERS: dict[str, Callable[[Path], Path | None]] = {
    "io.buoyant.http.anyMethod": _any_method,
    "io.buoyant.http.anyMethodPfx": _below_prefix(_any_method),
    "io.buoyant.http.anyHost": _any_host,
    "io.buoyant.http.anyHostPfx": _below_prefix(_any_host),
    "io.buoyant.http.subdomainOf": _subdomain_of,
    "io.buoyant.http.subdomainOfPfx": _subdomain_of_prefixed,
    "io.buoyant.http.domainToPath": _domain_to_path,
    "io.buoyant.http.domainToPathPfx": _below_prefix(_domain_to_path),
    "io.buoyant.hostportPfx": _host_port,
    "io.buoyant.porthostPfx": _port_host,
}
"""By name. The two of hostport are 0.8.6's; before it linkerd says "Unknown namer"."""
