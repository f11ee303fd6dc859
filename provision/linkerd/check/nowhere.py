"""The traps of names that all end in nothing: no dtab, a destination that no entry begins with, one that nothing binds, a circle."""

from __future__ import annotations

import os.path
from collections.abc import Iterator

import yaml

from provision.linkerd.check.finding import Finding, found
from provision.linkerd.routing import (
    NAMERS,
    SYSTEM,
    TOO_DEEP,
    Config,
    DtabError,
    Entry,
    Fault,
    Leaf,
    Path,
    Pattern,
    Reached,
    Routing,
    delegate,
    example,
    fault,
    leaves,
    parse,
    parse_path,
    patterns,
    reached,
    show_path,
    show_prefix,
    show_tree,
    symbols,
    without_sign,
)
from provision.linkerd.text import Location, get, items, scalar, text

NO_HOSTS = "No hosts are available for"
UNKNOWN_NAMER = "Unknown namer"
NEAR = 0.6
"""How alike a destination and an entry's beginning are of which one may be meant by the other."""

MOST = 60
"""Names of which it is tried whether they run in a circle."""

MOST_TEXT = 1_000_000
"""Characters of a dtabFile that are read."""

MANY = 50
"""Routers without a dtab that are named."""

MOST_ENTRIES = 1500
"""Entries of a dtab that is looked at for circles."""

HOSTS = ("io.l5d.methodAndHost", "io.l5d.header.token", "io.l5d.headerToken")
"""Identifiers whose names hold hosts and methods, so never a port alone."""


def walk(config: Config, routing: Routing) -> Reached | None:
    """What becomes of the names that a router gives; None when they cannot be followed, or are too many."""
    if not routing.entries or routing.interpreter != "default":
        return None
    deep = max((1 + len(one.prefix) + len(one.needs) for one in config.bindable), default=1)
    return reached(routing.entries, patterns(routing.router), deep, config.bindable)


def findings(config: Config, routing: Routing, seen: Reached | None) -> Iterator[Finding]:
    """Every such trap of a router that has a dtab; `seen`: what becomes of its names."""
    if seen is not None and seen.lost:
        yield from _lost(config, routing, seen)
    if seen is not None and seen.bound:
        yield from _unbound(config, routing, seen)
    if routing.entries and routing.interpreter == "default":
        yield from _circles(config, routing)


def no_dtabs(config: Config) -> Iterator[Finding]:
    """Routers without any entry, the first ones of many."""
    bare = [one for one in config.routings if one.router.dtab_node is None or not one.entries]
    said = 0
    for routing in bare:
        for finding in _no_dtab(routing):
            said += 1
            yield finding
        if said == MANY:
            return


def _no_dtab(routing: Routing) -> Iterator[Finding]:
    """A router without any entry; names that its prefix makes bound ones need none."""
    router = routing.router
    if (
        routing.interpreter != "default"
        or routing.unreadable
        or any(one == "io.l5d.const" for one in routing.transformers)
    ):
        return
    every = list(patterns(router))
    if all(one.elements and one.elements[0] not in (NAMERS, SYSTEM) for one in every):
        message = f"the router has no dtab: every name, such as {example(every)}, ends in nothing"
        node = router.dtab_node or router.fields.get("label") or router.fields.get("protocol") or router.node
        fix = f"`{router.dtab_key}: …`, from {router.prefix} to a namer"
        yield found("ML362", node, router.dtab_at, message, NO_HOSTS, fix)


def _lost(config: Config, routing: Routing, walk: Reached) -> Iterator[Finding]:
    """Entries of which every destination meets no entry, and destinations that lack their `#` or `$`."""
    for entry in routing.entries:
        every = list(leaves(entry.tree))
        lost = [leaf for leaf in every if (entry.start, leaf) in walk.lost]
        whole = len(lost) == len(every) and not symbols(entry.tree)
        for leaf in lost:
            sign = without_sign(leaf, config.bindable)
            if whole or sign:
                yield _leads_nowhere(config, routing, entry, leaf, sign)


def _leads_nowhere(config: Config, routing: Routing, entry: Entry, leaf: Path, sign: str) -> Finding:
    begin = show_path(leaf[:1])
    message = (
        sign
        or f"{show_prefix(entry.prefix)} => {show_tree(entry.tree)} leads nowhere: no entry begins with {show_path(leaf)}"
    )
    fix = sign.rpartition(": ")[2] if sign else _meant(routing, entry, leaf, begin)
    return found("ML363", config.spot(routing.router, entry), routing.router.dtab_at, message, NO_HOSTS, fix)


def _meant(routing: Routing, entry: Entry, leaf: Path, begin: str) -> str:
    import difflib  # not needed for most files, and not quick to load

    others = {show_prefix(one.prefix): one.prefix for one in routing.entries if one is not entry}
    for near in difflib.get_close_matches(show_path(leaf), sorted(others), n=3, cutoff=NEAR):
        path = tuple(part or b"x" for part in others[near])
        mended = [Entry(entry.prefix, Leaf(path), one.start) if one is entry else one for one in routing.entries]
        if delegate(mended, tuple(part or b"x" for part in entry.prefix)).circle is None:
            return f"did you mean {near}?"
    return f"an entry `{begin} => …`, or a name below /#/ or /$/"


def _unbound(config: Config, routing: Routing, walk: Reached) -> Iterator[Finding]:
    """Names below /#/ with too few elements for their namer, and names below /$/ that linkerd has not."""
    hosts = all(one.get("kind") in HOSTS for one in routing.router.identifiers)
    for entry in routing.entries:
        for leaf in leaves(entry.tree):
            name = walk.bound.get((entry.start, leaf))
            wrong = None if name is None else _fault(config, name, hosts=hosts)
            if wrong is not None and not wrong.unconfigured:
                where, said = config.spot(routing.router, entry), UNKNOWN_NAMER if leaf[:1] == (SYSTEM,) else NO_HOSTS
                yield found("ML364", where, routing.router.dtab_at, wrong.why, said, wrong.fix)


def _fault(config: Config, name: Pattern, *, hosts: bool) -> Fault | None:
    known = all(isinstance(part, bytes) for part in name.elements)
    path = tuple(part if isinstance(part, bytes) else b"HOST" for part in name.elements)
    more = name.open or (not known and (len(path) < 3 or not isinstance(name.elements[1], bytes)))
    if path[:1] == (SYSTEM,) and not known and not hosts:
        more = True
    if path[:1] == (NAMERS,) and not known and any(len(one.prefix) > 1 for one in config.bindable):
        return None
    return fault(path, config.bindable, config.release, more=more)


def _circles(config: Config, routing: Routing) -> Iterator[Finding]:
    """Names that an entry leads back to itself, so that linkerd follows them until it fails."""
    if len(routing.entries) > MOST_ENTRIES:
        return
    through = [one for one in routing.entries if any(leaf[:1] != (NAMERS,) for leaf in leaves(one.tree))]
    known: set[str] = set()
    for entry in through[:MOST]:
        if show_prefix(entry.prefix) in known:
            continue
        name = tuple(b"x" if part is None else part for part in entry.prefix)
        circle = delegate(routing.entries, name, config.bindable)
        if circle.circle is not None and name[:1] not in ((NAMERS,), (SYSTEM,)):
            known |= {step.rule for step in circle.steps}
            message = f"{show_path(name)} runs in a circle, and comes back as {show_path(circle.circle)}: every such request fails"
            yield found("ML365", config.spot(routing.router, entry), routing.router.dtab_at, message, TOO_DEEP)


def dtab_files(config: Config) -> Iterator[Finding]:
    """What stands in the dtabFile of an interpreter, where the folder is told in which linkerd is started: said at its key."""
    for routing in config.routings if config.place.folder is not None else ():
        node = get(routing.router.fields.get("interpreter"), "dtabFile")
        if routing.interpreter == "io.l5d.fs" and node is not None:
            yield from _dtab_file(config, routing, node, (*routing.router.at, "interpreter", "dtabFile"))


def _dtab_file(config: Config, routing: Routing, node: yaml.Node, at: Location) -> Iterator[Finding]:
    name = scalar(node) or ""
    written = _read(os.path.join(config.place.folder or "", name)) if "\0" not in name else None
    if written is None:
        return
    try:
        entries = (*parse(written), *routing.entries)
    except DtabError as error:
        line = written.count("\n", 0, error.offset) + 1
        message = f"line {line} of {name}: linkerd cannot read it"
        yield found("ML316", node, at, message, error.message.partition(" at '")[0], "entries are parted by ;")
        return
    first = list(patterns(routing.router))
    seen = reached(entries, first)
    for entry in entries if seen is not None else ():
        if seen is not None and entry.prefix not in seen.met:
            like = example(first)
            message = (
                f"{name}: no request has a name that begins with {show_prefix(entry.prefix)}: names are like {like}"
            )
            yield found("ML342", node, at, message, NO_HOSTS, f"begin the entry as names do: {like}")
        for leaf in leaves(entry.tree):
            wrong = fault(leaf, config.bindable, config.release, more=True) if leaf[:1] == (NAMERS,) else None
            if wrong is not None:
                yield found("ML341", node, at, f"{name} leads on, but {wrong.why}", NO_HOSTS, wrong.fix)
            if seen is not None and (entry.start, leaf) in seen.lost:
                message = f"{name}: {show_prefix(entry.prefix)} => {show_path(leaf)} leads nowhere"
                yield found(
                    "ML363", node, at, message, NO_HOSTS, without_sign(leaf, config.bindable).rpartition(": ")[2]
                )


def _read(path: str) -> str | None:
    """The text of a file, None where there is none that can be read."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read(MOST_TEXT)
    except (OSError, UnicodeDecodeError):
        return None


def destinations(config: Config) -> Iterator[Finding]:
    """Paths beside dtabs that linkerd binds itself: where namerd is, and what marathon and New Relic are reached by."""
    for at, node, key in _destinations(config):
        path = get(node, key)
        written = scalar(path) if path is not None else None
        if path is None or not written:
            continue
        try:
            wrong = fault(parse_path(written), config.bindable, config.release)
        except DtabError:
            continue
        if wrong is not None:
            yield found("ML366", path, (*at, key), f"nothing binds it: {wrong.why}", NO_HOSTS, wrong.fix)


def _destinations(config: Config) -> Iterator[tuple[Location, yaml.Node, str]]:
    for routing in config.routings:
        if routing.interpreter in ("io.l5d.namerd", "io.l5d.namerd.http", "io.l5d.mesh"):
            yield (*routing.router.at, "interpreter"), routing.router.fields["interpreter"], "dst"
    for section, kind in (("namers", "io.l5d.marathon"), ("telemetry", "io.l5d.newrelic")):
        for index, node in enumerate(items(get(config.root, section))):
            if text(node, "kind") == kind:
                yield (section, index), node, "dst"


def namer_prefixes(config: Config) -> Iterator[Finding]:
    """Prefixes of namers that are written with the `/#/` that linkerd puts before them."""
    for index, node in enumerate(items(get(config.root, "namers"))):
        prefix = get(node, "prefix")
        written = scalar(prefix) if prefix is not None else None
        if prefix is not None and written and written.startswith(("/#/", "/$/")):
            message = f"{written} stands behind /#/: its names are /#{written}/…"
            yield found("ML367", prefix, ("namers", index, "prefix"), message, NO_HOSTS, f"prefix: {written[2:]}")
