"""--name: in every command that looks at the hosts of an inventory, and never by accident."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from provision.cli import COMMANDS, meshctl
from provision.cli.named import NAME, said_name

OFFLINE = {"validate", "place"}
"""Commands with an inventory that look at no host."""


def with_inventory() -> dict[str, click.Command]:
    with click.Context(meshctl) as ctx:
        found = {name: meshctl.get_command(ctx, name) for name in COMMANDS}
    return {
        name: command
        for name, command in found.items()
        if command and any(isinstance(one, click.Argument) and one.name == "inventory" for one in command.params)
    }


def test_every_command_with_an_inventory_takes_it() -> None:
    assert {"plan", "provision", "destroy", "status", "ssh", "kubeconfig", "doctor", "locks"} <= set(with_inventory())
    for name, command in with_inventory().items():
        options = [option for one in command.params for option in one.opts]
        assert ("--name" in options) == (name not in OFFLINE), name


@click.command()
@NAME
def command() -> None:
    click.echo(f"[{said_name()}]")


@pytest.mark.parametrize(
    ("argv", "env", "said"),
    [
        ([], {}, "[]\n"),
        (["--name", "pr-1"], {}, "[pr-1]\n"),
        ([], {"MESHCTL_NAME": "pr-2"}, "[pr-2]\n"),
        (["--name", "pr-1"], {"MESHCTL_NAME": "pr-2"}, "[pr-1]\n"),
        ([], {"MESHCTL_NAME": ""}, "[]\n"),
    ],
)
def test_the_option_goes_before_the_environment(argv: list[str], env: dict[str, str], said: str) -> None:
    assert CliRunner().invoke(command, argv, env=env).output == said


def test_an_empty_one_is_refused() -> None:
    """Of a variable that is not set: the command would be about the inventory's own cluster, and destroy that."""
    done = CliRunner().invoke(command, ["--name", ""])
    assert (done.exit_code, "it is empty" in done.output) == (2, True)


def test_outside_of_a_command_there_is_none() -> None:
    assert said_name() == ""


@pytest.mark.parametrize("ttl", ["2", "0s", "1y", "100d"])
def test_a_time_to_live_is_checked_before_anything_is_looked_at(ttl: str) -> None:
    done = CliRunner().invoke(meshctl, ["provision", "/nowhere.yaml", "--ttl", ttl])
    assert (done.exit_code, "--ttl" in done.output) == (2, True)


def test_lists_and_gc_want_hosts() -> None:
    for name in ("list", "gc"):
        assert "which hosts?" in CliRunner().invoke(meshctl, [name]).output
        wrong = CliRunner().invoke(meshctl, [name, "vbox:///session"])
        assert (wrong.exit_code, "is not a libvirt URI of QEMU" in wrong.output) == (2, True)
