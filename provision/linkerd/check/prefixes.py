"""The trap of configs by prefix that no name begins with: what they say, TLS above all, is never used.

A client's names are bound ones: `/#/namer/…` or `/$/inet/…`, behind the prefix of each transformer (`/%/…`). A service's are the
router's own, such as `/svc/HOST`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import yaml

from provision.linkerd.check.finding import Finding, found
from provision.linkerd.routing import (
    ANY,
    NAMERS,
    SYSTEM,
    Config,
    DtabError,
    Element,
    Pattern,
    Routing,
    owner,
    parse_path,
    patterns,
    show_path,
)
from provision.linkerd.text import Location, get, items, scalar, text

TRANSFORMED = b"%"
"""The first element of names that a transformer has changed."""

REPLACING = ("io.l5d.const", "io.l5d.replace")
"""Transformers that put another name in the place of the bound one."""

_VARIABLE = re.compile(r"\{.*\}")
"""A whole element; `web-{name}` stands for itself, and for no name."""

PLAIN = "; what it says of TLS is not done either: that traffic goes out in plain text"


def findings(config: Config, routing: Routing) -> Iterator[Finding]:
    """Each such prefix of a router."""
    router = routing.router
    clients: list[tuple[Location, yaml.Node]] = [
        ((*router.at, "client", "configs", index), node)
        for index, node in enumerate(items(get(router.fields.get("client"), "configs")))
    ]
    tls = get(router.fields.get("client"), "tls")
    if text(tls, "kind") == "io.l5d.boundPath":
        clients += [
            ((*router.at, "client", "tls", "names", index), one) for index, one in enumerate(items(get(tls, "names")))
        ]
    services = [
        ((*router.at, "service", "configs", index), node)
        for index, node in enumerate(items(get(router.fields.get("service"), "configs")))
    ]
    if clients:
        yield from _unmet(clients, _bound(config, routing), routing, client=True)
    if services:
        yield from _unmet(services, list(patterns(router)), routing, client=False)


def _unmet(
    configs: list[tuple[Location, yaml.Node]], names: list[Pattern], routing: Routing, *, client: bool
) -> Iterator[Finding]:
    for at, node in configs:
        prefix = get(node, "prefix")
        wanted = None if prefix is None else _elements(scalar(prefix) or "")
        if prefix is None or wanted is None or any(_meets(wanted, name) for name in names):
            continue
        whose = "client" if client else "service"
        message = f"no {whose} has a name that begins with {scalar(prefix)}: names of {whose}s are like {_like(names)}"
        hidden = PLAIN if client and (get(node, "tls") is not None or at[-2] == "names") else ""
        yield found(
            "ML368", prefix, (*at, "prefix"), message + hidden, "", _meant(wanted, names, routing, client=client)
        )


def _elements(prefix: str) -> tuple[Element, ...] | None:
    """A prefix as linkerd matches it: `*` is any element, and so is `{name}`. None when it is no path."""
    if not prefix.startswith("/"):
        return None
    parts = [part for part in prefix.split("/")[1:] if part]
    return tuple(ANY if part == "*" or _VARIABLE.fullmatch(part) else part.encode() for part in parts)


def _meets(wanted: tuple[Element, ...], name: Pattern) -> bool:
    if len(wanted) > len(name.elements) and not name.open:
        return False
    pairs = zip(wanted, name.elements, strict=False)
    return all(one is ANY or other is ANY or one == other for one, other in pairs)


def _bound(config: Config, routing: Routing) -> list[Pattern]:
    """What bound names of a router begin with."""
    around = list(items(get(routing.router.fields.get("interpreter"), "transformers")))
    if any(text(one, "kind") in REPLACING for one in around):
        return [Pattern((), open=True)]
    before = _transformed(around)
    if routing.interpreter != "default" or any(kind == "io.l5d.rewrite" for kind, _prefix in config.namers):
        inside = [Pattern((first,), open=True) for first in (NAMERS, SYSTEM, TRANSFORMED)]
    else:
        inside = list(dict.fromkeys(_leaves(config, routing))) or [Pattern((), open=True)]
    return [Pattern((*before, *name.elements), open=True) for name in inside]


def _leaves(config: Config, routing: Routing) -> Iterator[Pattern]:
    """The names that the dtab leads to, each behind the prefixes of its namer's transformers."""
    own = [Pattern(tuple(part for part in one.elements), one.open) for one in patterns(routing.router)]
    yield from (one for one in own if not one.elements or one.elements[0] in (NAMERS, SYSTEM))
    transformers = {
        text(node, "prefix") or f"/{text(node, 'kind')}": items(get(node, "transformers"))
        for node in items(get(config.root, "namers"))
    }
    for _entry, leaf in routing.leaves:
        if leaf[:1] == (SYSTEM,):
            yield Pattern((SYSTEM,), open=True)
        elif leaf[:1] == (NAMERS,):
            namer = owner(leaf, config.bindable)
            listed = transformers.get(show_path(namer.prefix), []) if namer is not None else []
            if any(text(one, "kind") in REPLACING for one in listed):
                yield Pattern((), open=True)
            yield Pattern((*_transformed(listed), *leaf), open=True)


def _transformed(transformers: list[yaml.Node]) -> tuple[Element, ...]:
    """What transformers put before a name; the last one stands first."""
    before: tuple[Element, ...] = ()
    for node in transformers:
        before = (*_prefix(node), *before)
    return before


def _prefix(node: yaml.Node) -> tuple[Element, ...]:
    kind, written = text(node, "kind") or "", text(node, "prefix")
    if written:
        try:
            return (TRANSFORMED, *parse_path(written))
        except DtabError:
            return (TRANSFORMED,)
    match kind:
        case "io.l5d.k8s.daemonset":
            own = [text(node, key) for key in ("namespace", "port", "service")]
        case "io.l5d.port":
            own = [text(node, "port")]
        case "io.l5d.k8s.localnode" | "io.l5d.specificHost":
            own = [None]
        case _:
            own = []
    return (TRANSFORMED, kind.encode(), *(ANY if part is None else part.encode() for part in own))


def _shown(elements: tuple[Element, ...]) -> str:
    return "/" + "/".join("*" if not isinstance(part, bytes) else part.decode(errors="replace") for part in elements)


def _like(names: list[Pattern]) -> str:
    return _shown(names[0].elements) + ("/…" if names[0].open else "")


def _meant(wanted: tuple[Element, ...], names: list[Pattern], routing: Routing, *, client: bool) -> str:
    """The prefix that is meant: the same behind the transformers' one; else where such a name belongs, and what to write."""
    any_begin = (ANY,) if not client and wanted[:1] not in ((NAMERS,), (SYSTEM,), (TRANSFORMED,)) else ()
    for name in names:
        for skip in range(1, len(name.elements)):
            if (
                wanted
                and name.elements[skip] in (wanted[0], *any_begin)
                and _meets(wanted, Pattern(name.elements[skip:], name.open))
            ):
                return f"prefix: {_shown((*name.elements[:skip], *wanted))}"
    if client and any(_meets(wanted, one) for one in patterns(routing.router)):
        return f"such a name is a service's: put it under service.configs, or write prefix: {_shown(names[0].elements)}"
    if not client and wanted[:1] in ((NAMERS,), (SYSTEM,), (TRANSFORMED,)):
        service = f"{_shown(names[-1].elements[:-1]) if names[-1].elements else ''}/{_shown(wanted[-1:])[1:]}"
        return f"such a name is a client's: put it under client.configs, or write prefix: {service}"
    return f"prefix: {_shown(names[0].elements)}"
