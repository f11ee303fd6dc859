"""The pages of docs/linkerd, made from the data: what each release reads, and every finding with its examples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from provision.linkerd.knowledge.changes import BEHAVIOURS
from provision.linkerd.knowledge.core import KNOWLEDGE
from provision.linkerd.knowledge.defaults import DEFAULTS, Default
from provision.linkerd.knowledge.schema import Key, Kind, Object
from provision.linkerd.knowledge.versions import BOUNDARIES, FIRST, LAST, RELEASES
from provision.linkerd.pages import CHECKS
from provision.linkerd.pages.manifests import MANIFESTS

MADE = "<!-- Made by `make docs` from the data in provision/linkerd/knowledge; a test fails when it is stale. -->"

PROTOCOLS = tuple(kind.id for kind in KNOWLEDGE.families["router"].kinds)


def pages() -> dict[str, str]:
    """File names below docs/linkerd and their texts."""
    return {"findings.md": findings(), "manifests.md": manifests(), "versions.md": versions()}


def findings() -> str:
    """Every id with its example and its near miss."""
    rows = [f"| [{check.id}](#{check.fragment}) | {check.severity} | {check.title} |" for check in CHECKS]
    head = [
        "# What `meshctl mesh validate` finds",
        MADE,
        """Errors are what linkerd refuses when it starts: ML301 to ML332, of which ML329 came with 1.2.0, and ML360. Traps are
what it takes without a word, and what fails requests afterwards. `meshctl explain ML301` prints the same page.""",
        "\n".join(["| id | severity | |", "|---|---|---|", *rows]),
    ]
    return "\n\n".join([*head, *(check.text().rstrip() for check in CHECKS)]) + "\n"


def manifests() -> str:
    """What is looked at in Kubernetes manifests, and each trap in short."""
    rows = [
        f"| [{check.id}](findings.md#{check.fragment}) | {check.title} | {check.matters} | {check.fix} |"
        for check in MANIFESTS
    ]
    parts = [
        "# What `meshctl mesh validate` looks at in Kubernetes manifests",
        MADE,
        """A manifest is read for linkerd's configuration: the texts of ConfigMaps and of `stringData` of Secrets that have `routers:`,
or two of linkerd's other keys, or one of them in an object that is called like linkerd. namerd's file is known by `storage` and
`interfaces`, and judged as namerd's. What a container is given is found by its argument, its mounts and its volumes.""",
        """Then the objects around it are judged: the pods that run linkerd by its image's own command, their Services, their account.
Give all files in one call: a DaemonSet may stand in one, its ConfigMap, its Service and its bindings in others. The release is the
image's; the cluster's is what `--kubernetes` says, and otherwise what the API's group of the DaemonSet tells (`extensions/v1beta1`
is an old one, `apps/v1` is 1.9 or later). What neither tells is not judged.""",
        "\n".join(["| id | what | why it matters | what to do |", "|---|---|---|---|", *rows]),
        """The configuration inside is judged with what the pod tells: its network (ML349), its environment (ML322), its DNS: names of
the cluster are looked for wherever a host can stand, in namers, transformers, interpreters, identifiers, telemeters, tracers and
dtabs (ML354). The exit code is 1 for errors, 15 when no configuration was found and nothing else is refused
([exit codes](../exit-codes.md)).""",
    ]
    return "\n\n".join(parts) + "\n"


def versions() -> str:
    """What changed when: defaults, behaviour, keys and kinds."""
    parts = [
        f"# linkerd {FIRST} … {LAST}: what changed when",
        MADE,
        f"""This is the knowledge that validator, renderer and migration share. Configurations may look different from these
releases on: {", ".join(BOUNDARIES)}.""",
        "## Defaults",
        "What stands for a key that is left out.",
        _defaults(),
        "## Behaviour that changes though no key does",
        "\n".join(
            [
                "| from | what | what to do |",
                "|---|---|---|",
                *(_row(one.release, one.what, one.act) for one in BEHAVIOURS),
            ]
        ),
        "## Keys and kinds",
        "A release that is not listed reads what the one before it reads.",
        *_releases(),
    ]
    return "\n\n".join(parts) + "\n"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _defaults() -> str:
    by_key: dict[str, list[Default]] = {}
    for one in DEFAULTS:
        only = f" ({', '.join(one.protocols)})" if one.protocols else ""
        by_key.setdefault(f"`{one.key}`{only}", []).append(one)
    rows = [_row(key, "; ".join(f"{one.since}: {one.value}" for one in every)) for key, every in by_key.items()]
    return "\n".join(["| key | from which release on |", "|---|---|", *rows])


@dataclass(frozen=True)
class _Event:
    """Something came or went with a release."""

    release: str
    order: int
    change: str
    name: str
    hint: str = ""


def _releases() -> Iterator[str]:
    events = _grouped([*_of_keys(), *_of_kinds()])
    for release in RELEASES:
        rows = [_row(event.change, f"`{event.name}`", where, event.hint) for event, where in events.get(release, ())]
        if rows:
            yield f"### {release}"
            yield "\n".join(["| | | where | instead |", "|---|---|---|---|", *rows])


def _grouped(events: list[tuple[_Event, str]]) -> dict[str, list[tuple[_Event, str]]]:
    """By release, each event once with all the places where it happens."""
    places: dict[_Event, list[str]] = {}
    for event, where in events:
        if where not in places.setdefault(event, []):
            places[event].append(where)
    found: dict[str, list[tuple[_Event, str]]] = {}
    for event in sorted(places, key=lambda one: (one.order, one.name)):
        found.setdefault(event.release, []).append((event, _together(places[event])))
    return found


def _together(places: list[str]) -> str:
    """`http client, h2 client, …` as `client of every protocol`, where it is every one."""
    said = []
    for part in ("router", "client", "service", "server"):
        mine = [place for place in places if place in {f"{protocol} {part}" for protocol in PROTOCOLS}]
        said += [f"{part} of every protocol"] if len(mine) == len(PROTOCOLS) else mine
    return ", ".join([*said, *(place for place in places if place.partition(" ")[0] not in PROTOCOLS)])


def _of_keys() -> Iterator[tuple[_Event, str]]:
    for thing in KNOWLEDGE.objects.values():
        if thing.keys and not thing.name.endswith((".static", ".prefix")):
            for key in thing.keys:
                yield from ((event, _where(thing)) for event in _key_events(key, thing))


def _key_events(key: Key, thing: Object) -> list[_Event]:
    """A key that goes and comes with one release has another form from then on."""
    others = thing.ever(key.name)
    again = any(other.until == key.since for other in others)
    gone = key.until is not None and all(other.since != key.until for other in others)
    mine = [one for one in _events(key, key.name, "key") if one.order == 0 or gone]
    return [replace(one, change="key of another form") if again and one.order == 0 else one for one in mine]


def _of_kinds() -> Iterator[tuple[_Event, str]]:
    for family in KNOWLEDGE.families.values():
        if family.name.partition(".")[0] in PROTOCOLS:
            continue  # io.l5d.global and io.l5d.static: the key `kind` says it
        for kind in family.kinds:
            yield from ((event, family.name) for event in _events(kind, kind.id, "kind"))
            until = kind.experimental[1] if kind.experimental else None
            if until:
                yield _Event(until, 2, "no longer experimental", kind.id), family.name


def _events(one: Key | Kind, name: str, what: str) -> Iterator[_Event]:
    if one.since != FIRST:
        yield _Event(one.since, 0, f"new {what}", name)
    if one.until:
        yield _Event(one.until, 1, f"{what} gone", name, one.instead)


def _where(thing: Object) -> str:
    """`http client` of http.client.global, `the file's top` of linker."""
    parts = thing.name.split(".")
    if parts[0] in PROTOCOLS:
        return f"{parts[0]} {parts[1]}"
    return {"linker": "top of the file"}.get(thing.name, " ".join(parts))
