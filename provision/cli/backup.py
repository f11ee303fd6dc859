"""meshctl backup, restore."""

from __future__ import annotations

from pathlib import Path

import click

from provision.cli.named import NAME
from provision.cli.provision import ADOPT, LOCK_TIMEOUT
from provision.cli.say import say


@click.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.option(
    "--to", "target", metavar="FILE", help="The file to write; default: CLUSTER-TIME.meshctl-backup in this folder."
)
@click.option(
    "--recipient",
    "recipients",
    multiple=True,
    metavar="age1…",
    help="Encrypt for this key of age's too, beside backup.recipients. Can be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
def backup(inventory: str, target: str | None, recipients: tuple[str, ...], as_json: bool) -> None:
    """Copy etcd's data and the cluster's keys into a file here, while the cluster serves. Changes nothing.

    The file is for you alone (0600) and holds what makes an administrator: encrypt it (age) when it goes elsewhere. None is written over.
    """
    from datetime import UTC, datetime

    from provision.base.units import approximate_size
    from provision.cli.access import UNSEEN
    from provision.cli.session import seeing, session
    from provision.run import back_up, default_path

    with session(inventory, as_json=as_json, resident=True) as whole:
        world, _ = seeing(whole, UNSEEN)
        path = Path(target) if target else default_path(world.cluster.cluster, datetime.now(UTC))
        named = tuple(dict.fromkeys((*world.cluster.backup.recipients, *recipients)))
        kept = back_up(world, path, named)
    encrypted = f", encrypted for {kept.recipients}" if kept.recipients else ""
    say(f"{kept.path}: {approximate_size(kept.size)}{encrypted}; meshctl restore {inventory} {kept.path}", err=True)


@click.command()
@click.argument("inventory", type=click.Path())
@NAME
@click.argument("file", type=click.Path())
@click.option("--yes", is_flag=True, help="Do not ask for the cluster's name.")
@click.option("--identity", metavar="FILE", help="The age identity that opens an encrypted backup.")
@ADOPT
@LOCK_TIMEOUT
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on stdout.")
@click.option("--verbose", "-v", is_flag=True, help="Also show what others say.")
def restore(
    inventory: str,
    file: str,
    yes: bool,
    identity: str | None,
    adopt: bool,
    lock_timeout: float,
    as_json: bool,
    verbose: bool,
) -> None:
    """Put a backup back, on a control plane that lives or whose disk is gone: then its guest is made anew first.

    Workers run on and find their cluster again. All that was written since the backup is lost. Killed anywhere, the same command goes on.
    """
    from datetime import UTC, datetime

    from provision.cli.session import confirm_by_name, session
    from provision.report.plan_text import as_text
    from provision.run import admit, opened_backup, plan_restore
    from provision.run import restore as run

    found = opened_backup(Path(file), identity)
    with session(
        inventory, as_json=as_json, verbose=verbose, logged=True, adopt=adopt, careful=True, resident=True
    ) as world:
        admit(world)
        agreed = plan_restore(world, found)
        if agreed.guests.changes:
            say(as_text(agreed.guests), err=True)
        say(agreed.as_text(datetime.now(UTC)), err=True)
        if not yes:
            confirm_by_name(world.emit, "Restore? Type the cluster's name", world.cluster.cluster)
        run(world, agreed, patience_s=lock_timeout)
    say(
        f"{found.manifest.cluster} is as it was at {found.manifest.taken}; what it was before lies in before-restore/ "
        f"of /var/lib/etcd and /etc/kubernetes on {found.manifest.node}",
        err=True,
    )
