"""meshctl mesh: linkerd's configuration, checked and explained without a cluster."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from provision.cli.mesh_validate import known_release, validate

if TYPE_CHECKING:
    from provision.linkerd.routing import Router

_RELEASE = click.option("--linkerd", "release", default="0.8.5", show_default=True, help="The release of linkerd.")


class _Group(click.Group):
    """Whose larger commands are imported when they are asked for: the validation runs before every commit."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the alphabet's order."""
        return sorted([*super().list_commands(ctx), "migrate"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command's module."""
        if cmd_name != "migrate":
            return super().get_command(ctx, cmd_name)
        from provision.cli.mesh_migrate import migrate

        return migrate


@click.group(cls=_Group)
def mesh() -> None:
    """Check linkerd's configuration, and see where a request goes."""


mesh.add_command(validate)


@mesh.command()
@click.argument("file", type=click.Path())
@_RELEASE
@click.option("--router", "label", help="The router's label; default: the first one.")
@click.option("--host", default="", help="The request's Host.")
@click.option("--method", default="GET", show_default=True, help="The request's method.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header of the request; repeat it.")
@click.option("--path", default="/", show_default=True, help="The request's path.")
@click.option("--http", "http", default="1.1", type=click.Choice(["1.0", "1.1"]), help="The version of HTTP.")
def route(
    file: str,
    release: str,
    label: str | None,
    host: str,
    method: str,
    headers: tuple[str, ...],
    path: str,
    http: str,
) -> None:
    """Show step by step what linkerd makes of a request, and where it ends. Exit code 1 when it ends in nothing.

    FILE is a linkerd.yaml (or JSON), a Kubernetes manifest that holds one, or - for stdin.
    """
    from provision.linkerd.routing import DtabError, Request, delegate, identify, show_path, show_tree
    from provision.linkerd.routing.dtab import parse

    router = _router(file, known_release(release), label)
    try:
        named = identify(router, Request(host, method, path, http, _headers(headers)))
        entries = parse(router.dtab)
    except DtabError as error:
        raise click.ClickException(f"router {router.label}: {error.message}") from error
    if named.path is None:
        raise click.ClickException(f"router {router.label} gives the request no name: {named.reason}")
    click.echo(f"{named.identifier} names it {show_path(named.path)}")
    found = delegate(entries, named.path)
    for step in found.steps:
        click.echo(f"{'  ' * (step.depth + 1)}{show_path(step.path)}  by {step.rule}  becomes {show_tree(step.became)}")
    if not found.leaves:
        why = "the dtab runs in circles" if found.endless else "no entry of the dtab leads on to a namer"
        raise click.ClickException(f"No hosts are available for {show_path(named.path)}: {why}")
    for number, leaf in enumerate(found.leaves):
        click.echo(f"{'ends in' if number == 0 else 'else in'} {show_path(leaf)}{_service(leaf)}")


def _headers(written: tuple[str, ...]) -> dict[str, str]:
    pairs = [one.partition(":") for one in written]
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _service(leaf: tuple[bytes, ...]) -> str:
    """Namespace, port name and service of a leaf of the namer io.l5d.k8s."""
    if leaf[:2] != (b"#", b"io.l5d.k8s"):
        return ""
    return "  (namespace / port / service: " + " / ".join(part.decode(errors="replace") for part in leaf[2:5]) + ")"


def _router(file: str, release: str, label: str | None) -> Router:
    from provision.linkerd.mend import configurations
    from provision.linkerd.routing import routers
    from provision.linkerd.text import Unreadable, compose

    try:
        inner = next(iter(configurations(_read(file))), "")
        root = compose(inner)
    except Unreadable as error:
        raise click.ClickException(f"{file}:{error.line}:{error.column}: {error.message}") from error
    every = [] if root is None else list(routers(root, release))
    chosen = next((router for router in every if label in (None, router.label)), None)
    if chosen is None:
        raise click.ClickException(f"there is no router {label or ''} in {file}; there are: {[r.label for r in every]}")
    return chosen


def _read(file: str) -> str:
    from provision.base.errors import MeshError

    try:
        if file == "-":
            return sys.stdin.read()
        with open(file, encoding="utf-8") as stream:
            return stream.read()
    except OSError as error:
        raise MeshError(f"config is not a file: {file}", hint="a linkerd.yaml, or - for stdin") from error
    except UnicodeDecodeError as error:
        raise MeshError(f"{file}: is not UTF-8 text") from error
