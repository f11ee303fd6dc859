"""--name: the inventory as the template of another cluster, the same way in every command that looks at hosts."""

from __future__ import annotations

import click

_KEPT = "provision.cli.name"


def _keep(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    if value == "":  # of an unset variable: the command would be about the inventory's own cluster
        raise click.BadParameter("it is empty")
    ctx.meta[_KEPT] = value or ""


NAME = click.option(
    "--name",
    envvar="MESHCTL_NAME",
    metavar="CLUSTER",
    expose_value=False,
    callback=_keep,
    help="Not the inventory's own cluster but one of this name, with a network of its own: docs/ci.md. Or $MESHCTL_NAME.",
)
"""For commands with INVENTORY; `session` asks `said_name` for what was said."""


def said_name() -> str:
    """The name that the command at hand was given, empty for none."""
    ctx = click.get_current_context(silent=True)
    return str(ctx.meta.get(_KEPT, "")) if ctx else ""
