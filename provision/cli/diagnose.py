"""meshctl diagnose: why requests are slow."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from provision.cli.clusters import span
from provision.cli.keep import keep
from provision.cli.named import NAME
from provision.cli.say import say

if TYPE_CHECKING:
    from provision.diagnose import Recording

FOR = "60s"
"""linkerd's percentiles are of whole minutes, and 1 % of loss wants a thousand probes."""

LONGEST_S = 3600


@click.command()
@click.argument("inventory", type=click.Path(), required=False)
@click.argument("service", required=False, default="")
@NAME
@click.option("--for", "for_s", callback=span, default=FOR, show_default=True, metavar="TIME", help="How long to look.")
@click.option("--json", "as_json", is_flag=True, help="The verdict as JSON on stdout.")
@click.option("--svg", type=click.Path(dir_okay=False), metavar="FILE", help="Draw ways and times into FILE.")
@click.option(
    "--record",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Keep what was seen: names and numbers, no secrets.",
)
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, dir_okay=False),
    metavar="FILE",
    help="Judge a recording; no inventory is needed.",
)
def diagnose(
    inventory: str | None,
    service: str,
    for_s: int,
    as_json: bool,
    svg: str | None,
    record: str | None,
    source: str | None,
) -> None:
    """Say where the time of slow requests goes: causes ranked by how much of p99 each explains, with numbers and the fix.

    Looks at all hosts and guests at once, changes nothing, and installs nothing. SERVICE: only requests to this one. Percentiles are of
    the last whole minute.
    """
    from provision.diagnose import as_text, draw, judge, written

    recording = _look(inventory, service, for_s, source)
    verdict = judge(recording)
    for path, text in ((record, written(recording)), (svg, draw(recording, verdict))):
        if path:
            keep(path, text)
    say(json.dumps(verdict.as_data(), indent=2) if as_json else as_text(verdict))


def _look(inventory: str | None, service: str, for_s: int, source: str | None) -> Recording:
    from provision.cli.session import seeing, session
    from provision.run.diagnosis import diagnose as look

    if source is not None:
        return _recorded(source, service or inventory or "")
    if inventory is None:
        raise click.UsageError("an INVENTORY is needed, or --from FILE")
    if for_s > LONGEST_S:
        raise click.BadParameter(f"{for_s} s is longer than an hour", param_hint="--for")
    with session(inventory) as whole:
        world, _ = seeing(whole, "it and its guests are not looked at")
        return look(world, service, float(for_s))


def _recorded(source: str, service: str) -> Recording:
    """A recording; of another service where one is named: the only argument there can be."""
    from provision.base.errors import InventoryError, cause
    from provision.diagnose import read_recording
    from provision.diagnose.facts import LARGEST_FILE

    try:
        with open(source, encoding="utf-8") as file:
            found = read_recording(file.read(LARGEST_FILE), source)
    except (OSError, UnicodeDecodeError) as error:
        raise InventoryError(f"{source}: cannot be read: {cause(error)}") from error
    return found.model_copy(update={"service": service}) if service else found
