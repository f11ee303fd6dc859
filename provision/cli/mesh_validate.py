"""meshctl mesh validate: linkerd's configuration, checked for a release without linkerd and without a cluster."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from provision.cli.say import hand_over, say

if TYPE_CHECKING:
    from collections.abc import Iterable

    from provision.cli.rewrite import Original
    from provision.linkerd.check import Finding
    from provision.linkerd.knowledge.place import Place

DEFAULT_RELEASE = "0.8.5"
"""The release that the article installs, where neither the command nor the file names one."""

NOTHING_FOUND = 21
"""Exit code when a file holds nothing to check, and nothing else is refused."""

INVENTORY = re.compile(r"""^["']?apiVersion["']?\s*:\s*["']?meshctl/""", re.MULTILINE)
"""A text that is one."""


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
@click.option("--folder", type=click.Path(), help="Where linkerd is started: looks for the files that it opens.")
@click.option("--plugin", "plugins", multiple=True, metavar="KIND", help="A kind that a jar of yours brings.")
@click.option("--strict", is_flag=True, help="Exit with 1 for traps too.")
@click.option("--json", "as_json", is_flag=True, help="Findings as JSON on stdout.")
@click.option(
    "--fix", is_flag=True, help="Mend what is mechanical, keeping comments and order: shows a diff, and asks."
)
@click.option("--yes", is_flag=True, help="With --fix: do not ask.")
def validate(
    files: tuple[str, ...],
    release: str | None,
    kubernetes: str | None,
    host_network: bool | None,
    folder: str | None,
    plugins: tuple[str, ...],
    strict: bool,
    as_json: bool,
    fix: bool,
    yes: bool,
) -> None:
    """Check linkerd's configuration: all faults at once. Exit code 1 when linkerd would refuse it, 21 when there is none.

    FILE is a linkerd.yaml (or JSON, as linkerd takes it), a Kubernetes manifest that holds one, an inventory, or - for stdin.
    Manifests are judged too, and several of them together: a Service may stand in one and the DaemonSet in another.
    With --fix stdin is mended to stdout, and the findings that are left go to stderr.
    """
    from provision.linkerd.knowledge.place import Place

    if fix and as_json and "-" in files:
        raise click.UsageError("--fix - writes the mended text to stdout: it has no room for --json")
    place = Place(host_network, kubernetes, None, folder, plugins)
    known = None if release is None else known_release(release)
    mender = Mender(yes, quiet=as_json) if fix else None
    read = _Files(files)
    every = [pair for file in files for pair in _findings(file, read, known, place, mender)]
    if as_json:
        import json

        say(json.dumps([record(file, found) for file, found in every], indent=2))
    else:
        for file, found in every:
            say(found.shown(file), err=fix and file == "-")
    sys.exit(exit_code((found for _file, found in every), strict=strict))


def exit_code(findings: Iterable[Finding], *, strict: bool) -> int:
    """1 when linkerd would refuse the file; `strict`: for traps too; 21 when there is nothing else but that nothing was found."""
    every = list(findings)
    if any(strict or found.severity == "error" for found in every if found.id != "ML300"):
        return 1
    return NOTHING_FOUND if every and any(found.id == "ML300" for found in every) else 0


def record(file: str, found: Finding) -> dict[str, str | int]:
    """A finding for JSON."""
    from dataclasses import asdict

    return {"file": file, **asdict(found)}


@dataclass(frozen=True)
class Mender:
    """How `--fix` does its work: without asking, and with nothing but JSON on stdout."""

    yes: bool
    quiet: bool

    def mend(self, original: Original, subject: Subject) -> tuple[Finding, ...]:
        """Mends one file, or stdin to stdout; what is found then. Raises MeshError, click.UsageError."""
        from provision.cli.rewrite import rewrite
        from provision.linkerd.check import validate as check
        from provision.linkerd.mend import mend

        if subject.text != original.text:
            raise click.UsageError(f"{subject.file} is an inventory: its mesh section is mended by hand")
        mended = mend(subject.text, subject.release, subject.place)
        if subject.file == "-":
            hand_over(mended.text)
        elif not rewrite(original, mended.text, yes=self.yes, quiet=self.quiet):
            return check(subject.text, subject.release, subject.place)
        ids = ", ".join(found.id for found in mended.done)
        say(f"{subject.file}: mended {len(mended.done)}{f': {ids}' if ids else ''}", err=True)
        return mended.left


class _Files:
    """The files of one call, each read once: manifests among them are looked at together."""

    def __init__(self, files: tuple[str, ...]) -> None:
        from provision.cli.rewrite import read

        self.originals: dict[str, Original | OSError | UnicodeDecodeError] = {}
        for file in files:
            try:
                self.originals.setdefault(file, read(file))
            except (OSError, UnicodeDecodeError) as error:
                self.originals[file] = error

    def original(self, file: str) -> Original:
        """One of them. Raises OSError and UnicodeDecodeError as reading it did."""
        found = self.originals[file]
        if isinstance(found, Exception):
            raise found
        return found

    def beside(self, file: str) -> list[str]:
        """The texts of the others."""
        return [one.text for name, one in self.originals.items() if name != file and not isinstance(one, Exception)]


def _findings(
    file: str, files: _Files, release: str | None, place: Place, mender: Mender | None
) -> list[tuple[str, Finding]]:
    """The findings of one file, those that are left when it is mended, and where each is; says their number on stderr."""
    from provision.linkerd.check import found
    from provision.linkerd.check import validate as check
    from provision.linkerd.text import Spot

    try:
        original = files.original(file)
    except OSError:
        fragment, fix = f"config is not a file: {file}", "a linkerd.yaml, or - for stdin"
        return [(file, found("ML302", Spot(1, 1), (), "there is no such file", fragment, fix))]
    except UnicodeDecodeError as error:
        message = f"not UTF-8 text: byte 0x{error.object[error.start]:02x}"
        return [(file, found("ML303", Spot(1, 1), (), message, "", "save it as UTF-8"))]
    beside = files.beside(file)
    subject = _subject(file, original.text, release, place, beside)
    if mender is None:
        findings = check(subject.text, subject.release, subject.place, beside, asked=release is not None)
    else:
        findings = mender.mend(original, subject)
    errors = sum(one.severity == "error" for one in findings)
    say(f"{file}: {errors} errors and {len(findings) - errors} traps for linkerd {subject.release}", err=True)
    return [(subject.file, one) for one in findings]


def _subject(file: str, text: str, release: str | None, place: Place, beside: list[str]) -> Subject:
    """A file as it is judged; a manifest's release may be told by the image in another file."""
    from provision.linkerd.check import is_manifest, release_of

    if INVENTORY.search(text):
        return _inventory(file, text, release, place)
    named = release or release_of(text)
    if named is None and beside and is_manifest(text):
        named = next((known for other in beside if (known := release_of(other))), None)
    return Subject(file, text, named or DEFAULT_RELEASE, place)


def _inventory(file: str, text: str, release: str | None, place: Place) -> Subject:
    """What meshctl itself would install for an inventory: its own linkerd.yaml, or the one that is rendered."""
    from dataclasses import replace

    from provision.inventory import load
    from provision.linkerd.check import validate as check
    from provision.linkerd.render import ENVIRONMENT, HOST_NETWORK
    from provision.mesh import configuration

    mine = replace(place, host_network=HOST_NETWORK, environment=ENVIRONMENT)
    named = _named(file, text, release, mine)
    if named is not None and any(one.severity == "error" for one in check(named.text, named.release, named.place)):
        return named  # the inventory is refused for these faults, in fewer words
    cluster = load(file, text, anywhere=True)
    own, version = cluster.mesh.config_file, known_release(cluster.mesh.version)
    if own is None and release not in (None, version):
        raise click.UsageError(f"{file} is rendered for linkerd {version}: mesh.version says another, not --linkerd")
    mine = replace(mine, kubernetes=place.kubernetes or cluster.kubernetes.version.removeprefix("v"))
    return Subject(own or f"{file}:linkerd.yaml", configuration(cluster.traced_mesh).text, release or version, mine)


def _named(file: str, text: str, release: str | None, place: Place) -> Subject | None:
    """The linkerd.yaml that an inventory names, as far as both can be read; for what else is wrong, the inventory is loaded."""
    import os.path
    from dataclasses import replace

    from provision.cli.rewrite import read
    from provision.linkerd.knowledge.versions import RELEASES
    from provision.linkerd.text import document

    try:
        root = document.compose(text)
        name = document.text(root, "mesh", "config_file")
        version = release or document.text(root, "mesh", "version") or DEFAULT_RELEASE
        if not name or name == "-" or version not in RELEASES:
            return None
        path = os.path.join(os.path.dirname(os.path.abspath(file)), name)
        kubernetes = place.kubernetes or (document.text(root, "kubernetes", "version") or "").removeprefix("v")
        return Subject(path, read(path).text, version, replace(place, kubernetes=kubernetes or None))
    except (document.Unreadable, OSError, ValueError):
        return None


def known_release(release: str, option: str = "--linkerd") -> str:
    """The release itself; refuses one that never was, with the nearest."""
    from provision.linkerd.knowledge.versions import UnknownRelease, known

    try:
        return known(release)
    except UnknownRelease as error:
        raise click.BadParameter(str(error), param_hint=option) from error
