"""meshctl init: an inventory to begin with."""

from __future__ import annotations

import click

from provision.cli.say import hand_over


@click.command()
@click.option(
    "--from",
    "source",
    metavar="FILE",
    type=click.Path(),
    help="Another tool's inventory: kubespray, k0sctl, kcli, kubeadm, RKE.",
)
def init(source: str | None) -> None:
    """Print an inventory to begin with, or the one that is nearest to another tool's FILE. Writes to stdout."""
    from provision.base.data import folder
    from provision.base.errors import InventoryError
    from provision.base.visible import visible_line
    from provision.inventory import draft, read, recognise

    if source is None:
        hand_over((folder("inventories") / "single-host.yaml").read_text())
        return
    found = recognise(read(source))
    if found is None:
        hint = "kubespray (YAML and ini), k0sctl, kcli, kubeadm and RKE are known; `meshctl init` alone prints one to fill in"
        raise InventoryError(f"{visible_line(source)}: whose file is this?", hint=hint)
    if not found.machines:
        hint = "`meshctl init` alone prints an inventory to fill in"
        raise InventoryError(f"{visible_line(source)}: {found.tool} says nothing of nodes", hint=hint)
    hand_over(draft(found))
