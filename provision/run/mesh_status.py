"""How the mesh is now, node by node: each linkerd asked twice through its node. Reads only."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from provision.base.curl import answers
from provision.base.errors import InventoryError, ShellError
from provision.base.interruption import pause
from provision.base.parallel import for_each
from provision.base.shell import Shell
from provision.kubernetes.leading import led_to
from provision.libvirt_xml import DomainSeen
from provision.mesh import Configuration, Scrape, Vitals, configuration, judge_vitals, read_scrape, vitals_argv
from provision.run.access import node_target
from provision.run.engine import World
from provision.run.status import ABSENT, table

SCRAPE_S = 90.0
"""Three requests of 20 s each, on a guest that has no CPU left."""


@dataclass(frozen=True)
class RouterStatus:
    """A node's linkerd, or why it could not be asked."""

    node: str
    fault: str = ""
    led: str = ""
    """The address that its requests are led to, "" for itself."""
    vitals: Vitals | None = None

    def as_data(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


def mesh_status(world: World, apart_s: float) -> tuple[RouterStatus, ...]:
    """Every node's linkerd, looked at twice, `apart_s` seconds between the looks."""
    world.sessions.ask_now()
    domains, config = world.domains(), configuration(world.cluster.traced_mesh)
    shells = [partial(_shell, world, node.name, domains) for node in world.cluster.nodes]
    first = for_each(shells, partial(_look, world.cluster.mesh.admin_port))
    pause(apart_s)
    last = for_each(shells, partial(_look, world.cluster.mesh.admin_port))
    names = (node.name for node in world.cluster.nodes)
    rows = zip(names, first, last, strict=True)
    return tuple(_judge(name, before, after, config) for name, before, after in rows)


def _shell(world: World, node: str, domains: Sequence[DomainSeen]) -> Shell:
    return world.sessions.to(node_target(world, node, domains))


def _look(admin_port: int, shell: Callable[[], Shell]) -> tuple[Scrape | str, str]:
    """What a node's linkerd says, or why it does not, and where the node's requests are led."""
    try:
        door = shell()
        said = door.read(vitals_argv(admin_port), within_s=SCRAPE_S, check=False)
        return read_scrape(time.monotonic(), answers(said.stdout)), led_to(door)
    except (ShellError, InventoryError) as error:
        return error.message, ""


def _judge(
    node: str, first: tuple[Scrape | str, str], last: tuple[Scrape | str, str], config: Configuration
) -> RouterStatus:
    (before, _), (after, led) = first, last
    if isinstance(after, str):
        return RouterStatus(node, after, led)
    if isinstance(before, str):
        return RouterStatus(node, f"it has only just begun to answer: {before}", led)
    return RouterStatus(node, "", led, judge_vitals(before, after, config.label, config.text))


def as_text(found: Sequence[RouterStatus]) -> str:
    """A table, one node a line; then what is wrong."""
    head = (
        "NODE",
        "RELEASE",
        "UP",
        "HEAP",
        "GC",
        "REQ/S",
        "SUCCESS",
        "P50",
        "P95",
        "P99",
        "EJECTED",
        "FILES",
        "CONFIG",
    )
    lines = table([head, *(_row(one) for one in found)])
    faults = [f"{one.node}: {one.fault}" for one in found if one.fault]
    led = [f"{one.node}: its requests are led to {one.led}" for one in found if one.led]
    drift = [f"{one.node}: {text}" for one in found if one.vitals for text in one.vitals.drift or ()]
    return "\n".join([*lines, *faults, *led, *drift])


def _row(one: RouterStatus) -> tuple[str, ...]:
    if one.vitals is None:
        return (one.node, *[ABSENT] * 12)
    found = one.vitals
    config = ABSENT if found.drift is None else "differs" if found.drift else "as wanted"
    return (
        one.node,
        found.release or ABSENT,
        _said(found.uptime_s, lambda s: f"{s / 3600:.1f} h" if s >= 3600 else f"{s:.0f} s"),
        _of(found.heap_mib, found.heap_max_mib, "MiB"),
        _said(found.gc_share, lambda share: f"{share:.1%}"),
        f"{found.requests_per_s:.1f}",
        _said(found.success_rate, lambda share: f"{share:.2%}"),
        *(_said(value, lambda ms: f"{ms:.0f} ms") for value in (found.p50_ms, found.p95_ms, found.p99_ms)),
        str(found.ejected),
        _of(found.open_files, found.max_open_files, ""),
        config,
    )


def _said(value: float | None, words: Callable[[float], str]) -> str:
    return ABSENT if value is None else words(value)


def _of(value: float | None, most: float | None, unit: str) -> str:
    if value is None:
        return ABSENT
    return " ".join(filter(None, (f"{value:.0f}" + (f"/{most:.0f}" if most is not None else ""), unit)))
