"""meshctl image: what its commands take."""

from __future__ import annotations

import click
from click.testing import CliRunner

from provision.cli import meshctl
from provision.cli.image import STAGES, image
from provision.run.stages.baking import STAGES as REAL


def test_the_stages_that_are_written_out_are_those_of_a_bake() -> None:
    assert tuple(stage.name for stage in REAL) == STAGES


def test_what_takes_an_inventory_takes_a_name() -> None:
    with_inventory = [one for one in image.commands.values() if any(word.name == "inventory" for word in one.params)]
    assert [one.name for one in with_inventory] == ["bake"]
    assert all("--name" in [word for param in one.params for word in param.opts] for one in with_inventory)
    assert all(isinstance(one, click.Command) for one in with_inventory)


def test_a_host_that_the_inventory_does_not_have_is_refused() -> None:
    from provision.base.data import folder

    done = CliRunner().invoke(meshctl, ["image", "bake", str(folder("inventories") / "lab.yaml"), "--host", "hv9"])
    assert "there is no host hv9" in str(done.exception)
