"""meshctl mesh: linkerd's configuration, checked and explained without a cluster, and how a cluster's linkerds are."""

from __future__ import annotations

import click

from provision.cli.mesh_validate import validate


class _Group(click.Group):
    """Whose larger commands are imported when they are asked for: the validation runs before every commit."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All commands, in the alphabet's order."""
        return sorted([*super().list_commands(ctx), "migrate", "route", "status", "traces"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command's module."""
        if cmd_name == "migrate":
            from provision.cli.mesh_migrate import migrate

            return migrate
        if cmd_name == "route":
            from provision.cli.mesh_route import route

            return route
        if cmd_name == "status":
            from provision.cli.mesh_status import status

            return status
        if cmd_name == "traces":
            from provision.cli.mesh_traces import traces

            return traces
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Group)
def mesh() -> None:
    """Check linkerd's configuration, see where a request goes, how the nodes' linkerds are, and what was slow."""


mesh.add_command(validate)
