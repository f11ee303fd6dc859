"""meshctl bundle build, seal, verify, show."""

from __future__ import annotations

from pathlib import Path

import click

from provision.cli.say import say

VERBOSE = click.option("--verbose", "-v", is_flag=True, help="Also show what the programs at work say.")
FOLDER = click.argument("folder", metavar="DIR")


@click.group()
def bundle() -> None:
    """Build, seal, verify and show offline Kubernetes bundles."""


@bundle.command()
@click.option(
    "--from", type=click.Choice(["debian-source"]), required=True, expose_value=False, help="What to build from."
)
@click.option(
    "--with",
    "parts",
    type=click.Choice(["tracing"]),
    multiple=True,
    help="What else to put in; tracing: Zipkin from Maven Central, and Debian's MariaDB.",
)
@click.option(
    "--zipkin",
    "archive",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With tracing, where Maven Central cannot be reached: Zipkin's image, as `docker save` writes it.",
)
@VERBOSE
def build(parts: tuple[str, ...], archive: Path | None, verbose: bool) -> None:
    """Build a bundle of Kubernetes 1.20.2 from Debian's source package, unless it is in the cache."""
    from provision.bundle import build as run
    from provision.bundle import build_with_tracing
    from provision.cli.screen import watched

    if archive is not None and not parts:
        raise click.UsageError("--zipkin is for --with tracing")
    with watched(verbose=verbose) as emit:
        path = build_with_tracing(emit, archive) if parts else run(emit)
    say(str(path))


@bundle.command()
@FOLDER
@click.option("--kubernetes", "version", required=True, help="The version that lies there, for example v1.5.8.")
def seal(folder: str, version: str) -> None:
    """Write bundle.yaml from what lies in DIR (bin/, cni/, images/*.tar), or name all that is missing."""
    from provision.bundle import seal as run
    from provision.cli.screen import watched

    with watched() as emit:
        sealed = run(Path(folder), version, emit)
    say(
        f"{folder}: Kubernetes {sealed.kubernetes}, {len(sealed.images)} images, {len(sealed.files)} files, digest {sealed.digest[:12]}"
    )


@bundle.command()
@FOLDER
def verify(folder: str) -> None:
    """Hash everything in a bundle again (DIR, debian-source, or debian-source+tracing)."""
    from provision.bundle import find
    from provision.bundle import verify as run
    from provision.cli.screen import watched

    with watched() as emit:
        sealed = run(find(folder), emit)
    say(f"{folder}: {len(sealed.files)} files are what was sealed, digest {sealed.digest[:12]}")


@bundle.command()
@FOLDER
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(folder: str, as_json: bool) -> None:
    """Show what a bundle holds (DIR, debian-source, or debian-source+tracing)."""
    import json
    from dataclasses import asdict

    from provision.base.units import approximate_size
    from provision.bundle import find, load

    sealed = load(find(folder))
    if as_json:
        say(json.dumps(asdict(sealed), indent=2))
        return
    mesh = (
        "none"
        if sealed.mesh is None
        else sealed.mesh.image + (" (a STAND-IN for linkerd)" if sealed.mesh.standin else "")
    )
    say(
        f"Kubernetes {sealed.kubernetes} for {sealed.architecture}, {approximate_size(sealed.size)}, digest {sealed.digest[:12]}"
    )
    say(f"mesh: {mesh}")
    if sealed.tracing is not None:
        say(f"tracing: {sealed.tracing.zipkin}, {sealed.tracing.database}")
    for image in sealed.images:
        say(f"  {image.reference}  {image.archive}")
