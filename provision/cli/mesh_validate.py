"""meshctl mesh validate: linkerd's configuration, checked for a release without linkerd and without a cluster."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from provision.linkerd.context import Place
    from provision.linkerd.finding import Finding

DEFAULT_RELEASE = "0.8.5"
"""The release that the article installs, where neither the command nor the file names one."""

_INVENTORY = re.compile(r"""^["']?apiVersion["']?\s*:\s*["']?meshctl/""", re.MULTILINE)


@dataclass(frozen=True)
class Subject:
    """One file to check: its configuration, and what is known of the place where that will run."""

    file: str
    text: str
    release: str
    place: Place


@click.command()
@click.argument("files", metavar="FILE|INVENTORY|-...", nargs=-1, required=True)
@click.option("--linkerd", "release", help="The release of linkerd; default: the one that the file names, else 0.8.5.")
@click.option("--kubernetes", help="The version of Kubernetes, such as 1.5.")
@click.option("--host-network/--no-host-network", default=None, help="Whether linkerd's pod has the node's network.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Where linkerd is started: looks for the files that it opens."
)
@click.option("--plugin", "plugins", multiple=True, metavar="KIND", help="A kind that a jar of yours brings.")
@click.option("--strict", is_flag=True, help="Exit with 1 for traps too.")
@click.option("--json", "as_json", is_flag=True, help="Findings as JSON on stdout.")
def validate(
    files: tuple[str, ...],
    release: str | None,
    kubernetes: str | None,
    host_network: bool | None,
    folder: Path | None,
    plugins: tuple[str, ...],
    strict: bool,
    as_json: bool,
) -> None:
    """Check linkerd's configuration: all faults at once. Exit code 1 when linkerd would refuse it.

    FILE is a linkerd.yaml (or JSON, as linkerd takes it), a Kubernetes manifest that holds one, an inventory, or - for stdin.
    """
    from provision.linkerd.context import Place

    place = Place(host_network, kubernetes, None, folder, plugins)
    known = None if release is None else known_release(release)
    every = [(file, found) for file in files for found in _findings(file, known, place)]
    if as_json:
        click.echo(json.dumps([_record(file, found) for file, found in every], indent=2))
    else:
        for file, found in every:
            click.echo(found.shown(file))
    if any(strict or found.severity == "error" for _file, found in every):
        sys.exit(1)


def _record(file: str, found: Finding) -> dict[str, str | int]:
    from dataclasses import asdict

    return {"file": file, **asdict(found)}


def _findings(file: str, release: str | None, place: Place) -> tuple[Finding, ...]:
    """The findings of one file; says their number on stderr."""
    from provision.linkerd.document import Spot
    from provision.linkerd.finding import found
    from provision.linkerd.validate import validate as check

    try:
        subject = _subject(file, _read(file), release, place)
    except OSError:
        fragment = f"config is not a file: {file}"
        return (found("ML302", Spot(1, 1), (), "there is no such file", fragment, "a linkerd.yaml, or - for stdin"),)
    except UnicodeDecodeError as error:
        return (
            found(
                "ML303",
                Spot(1, 1),
                (),
                f"not UTF-8 text: byte 0x{error.object[error.start]:02x}",
                "",
                "save it as UTF-8",
            ),
        )
    findings = check(subject.text, subject.release, subject.place)
    errors = sum(one.severity == "error" for one in findings)
    click.echo(f"{file}: {errors} errors and {len(findings) - errors} traps for linkerd {subject.release}", err=True)
    return findings


def _subject(file: str, text: str, release: str | None, place: Place) -> Subject:
    from provision.linkerd.validate import release_of

    if _INVENTORY.search(text):
        return _inventory(file, text, release, place)
    return Subject(file, text, release or release_of(text) or DEFAULT_RELEASE, place)


def _inventory(file: str, text: str, release: str | None, place: Place) -> Subject:
    """What meshctl itself would install for an inventory."""
    from dataclasses import replace

    import yaml

    from provision.loader import load
    from provision.mesh.config import linkerd_config

    cluster = load(file, text)
    config = yaml.safe_dump(linkerd_config(cluster.mesh), sort_keys=False)
    mine = replace(place, host_network=True, environment=frozenset({"NODE_NAME", "POD_IP"}))
    kubernetes = place.kubernetes or cluster.kubernetes.version.removeprefix("v")
    return Subject(file, config, release or known_release(cluster.mesh.version), replace(mine, kubernetes=kubernetes))


def known_release(release: str) -> str:
    """The release itself; refuses one that never was, with the nearest."""
    from provision.linkerd.versions import UnknownRelease, known

    try:
        return known(release)
    except UnknownRelease as error:
        raise click.BadParameter(str(error), param_hint="--linkerd") from error


def _read(file: str) -> str:
    data = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    return data.decode("utf-8-sig")
