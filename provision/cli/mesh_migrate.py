"""meshctl mesh migrate: a linkerd.yaml for another release, each change with its reason."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from provision.cli.mesh_validate import INVENTORY, exit_code, known_release, record
from provision.cli.say import hand_over, say

if TYPE_CHECKING:
    from provision.cli.rewrite import Original
    from provision.linkerd.knowledge.changes import Behaviour
    from provision.linkerd.migrate import Change, Migrated


@click.command()
@click.argument("file", metavar="FILE|-")
@click.option("--from", "source", required=True, metavar="RELEASE", help="The release that the file is for.")
@click.option("--to", "target", required=True, metavar="RELEASE", help="The release that it is to be for.")
@click.option("--kubernetes", help="The version of Kubernetes, such as 1.5.")
@click.option("--host-network/--no-host-network", default=None, help="Whether linkerd's pod has the node's network.")
@click.option("--strict", is_flag=True, help="Exit with 1 for traps too.")
@click.option("--json", "as_json", is_flag=True, help="What was changed, left and found as JSON on stdout.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def migrate(
    file: str,
    source: str,
    target: str,
    kubernetes: str | None,
    host_network: bool | None,
    strict: bool,
    as_json: bool,
    yes: bool,
) -> None:
    """Rewrite a linkerd.yaml for another release, later or earlier: shows a diff with the reasons, and asks.

    FILE is a linkerd.yaml (or JSON), a Kubernetes manifest that holds one, or - for stdin, which is migrated to stdout. Exit code 1
    when something is left that the other release refuses, or that could not be kept as it was.
    """
    from provision.cli.rewrite import rewrite
    from provision.linkerd.check import validate
    from provision.linkerd.knowledge.place import Place
    from provision.linkerd.migrate import migrate as migrated

    if as_json and file == "-":
        raise click.UsageError("- writes the migrated text to stdout: it has no room for --json")
    releases = known_release(source, "--from"), known_release(target, "--to")
    original, place = _read(file), Place(host_network, kubernetes)
    done = migrated(original.text, *releases, place)
    if file == "-":
        hand_over(done.text)
    _report(file, done, releases, as_json=as_json)
    if file != "-" and not rewrite(original, done.text, yes=yes, quiet=as_json):
        findings = validate(original.text, releases[1], place)
        say(f"{file}: nothing was changed", err=True)
        sys.exit(exit_code(findings, strict=strict))
    sys.exit(max(exit_code(done.findings, strict=strict), int(bool(done.left))))


def _read(file: str) -> Original:
    from provision.base.errors import MeshError
    from provision.cli.rewrite import read

    try:
        original = read(file)
    except OSError as error:
        raise MeshError(f"config is not a file: {file}", hint="a linkerd.yaml, or - for stdin") from error
    except UnicodeDecodeError as error:
        raise MeshError(f"{file}: is not UTF-8 text", hint="save it as UTF-8") from error
    if INVENTORY.search(original.text):
        raise click.UsageError(f"{file} is an inventory: set mesh.version, and the rest is rendered for it")
    return original


def _report(file: str, done: Migrated, releases: tuple[str, str], *, as_json: bool) -> None:
    if as_json:
        import json

        say(json.dumps(_records(file, done), indent=2))
        return
    from provision.linkerd.check import release_of

    to_stderr = file == "-"
    for part in _sections(file, done, releases):
        say(part, err=to_stderr)
    errors = sum(one.severity == "error" for one in done.findings)
    said = f"{len(done.changes)} changes, {len(done.left)} left; for linkerd {releases[1]}: {errors} errors and"
    say(f"{file}: {said} {len(done.findings) - errors} traps", err=True)
    image = release_of(done.text)
    if image not in (None, releases[1]):
        say(f"{file}: the image's tag still says {image}: linkerd {releases[1]} has to read the new text", err=True)


def _sections(file: str, done: Migrated, releases: tuple[str, str]) -> list[str]:
    """What was done and what is left to do, for people."""
    parts = [
        ("What is changed, and why (lines of the old text):", [_change(file, one) for one in done.changes]),
        ("What cannot be migrated, and stays:", [_change(file, one) for one in done.left]),
        ("What behaves otherwise though no key does:", [_behaviour(one, releases) for one in done.behaviours]),
        (f"What linkerd {releases[1]} finds then:", [one.shown(file) for one in done.findings]),
    ]
    return [line for title, lines in parts if lines for line in (title, *lines)]


def _change(file: str, one: Change) -> str:
    return f"{file}:{one.line}: {one.release}: {one.field or 'the file'} {one.what}: {one.why}"


def _behaviour(one: Behaviour, releases: tuple[str, str]) -> str:
    from provision.linkerd.knowledge.versions import number

    back = number(releases[0]) > number(releases[1])
    act = f" ({one.act})" if one.act and not back else ""
    return f"{one.release}: {'no longer: ' if back else ''}{one.what}{act}"


def _records(file: str, done: Migrated) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "file": file,
        "changes": [asdict(one) for one in done.changes],
        "left": [asdict(one) for one in done.left],
        "behaviours": [{"release": one.release, "what": one.what, "act": one.act} for one in done.behaviours],
        "findings": [record(file, one) for one in done.findings],
    }
