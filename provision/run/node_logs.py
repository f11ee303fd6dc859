"""What a node says: the journal of its units, the log of its mesh, and its console as libvirt keeps it. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provision.base.errors import KubernetesError
from provision.base.shell import OnLine, Shell
from provision.kubernetes import kubectl_for, logs_argv
from provision.run.access import asked, node_target
from provision.run.engine import World
from provision.run.nodes import Standing

MESH, L5D = "linkerd", "l5d"
"""The word for the mesh's log, and its container's name, the stand-in's too."""

JOURNALS = {
    "kubelet": ("kubelet",),
    "docker": ("docker",),
    "cloud-init": ("cloud-init-local", "cloud-init", "cloud-config", "cloud-final"),
    "kernel": (),
}
"""The units whose journal a word stands for; none: the kernel's messages."""

READ_S = 180.0
"""A journal of days takes a busy emulated guest a minute to go through."""

LINE_BYTES = 512
"""More than a line of a console has, as a rule."""


@dataclass(frozen=True)
class Part:
    """Which part of a log: its last `tail` lines (None: all), no older than `since_s` seconds (None: from its beginning)."""

    tail: int | None = None
    since_s: int | None = None


def read_log(world: World, node: str, what: str, part: Part) -> str:
    """A part of a log. Raises InventoryError for an unknown node, KubernetesError where there is no mesh, ShellError."""
    shell, argv = _log(world, node, what, part, follow=False)
    return shell.read(argv, within_s=READ_S).stdout


def follow_log(world: World, node: str, what: str, part: Part, on_line: OnLine) -> None:
    """A part of a log, and what comes, until the process is asked to end. Raises as `read_log` does."""
    shell, argv = _log(world, node, what, part, follow=True)
    shell.follow(argv, on_line)


def _log(world: World, node: str, what: str, part: Part, *, follow: bool) -> tuple[Shell, Sequence[str]]:
    """Where a log is read, and by which command."""
    if what != MESH:
        return world.sessions.to(node_target(world, node)), journal_argv(JOURNALS[what], part, follow=follow)
    domains = world.domains()
    node_target(world, node, domains)
    shell = world.sessions.to(node_target(world, asked(world, domains), domains))
    namespace = world.cluster.mesh.namespace
    pods = kubectl_for(world.cluster.kubernetes.generation, shell).items(
        "pods", namespace=namespace, labels={"app": L5D}
    )
    for pod in pods:
        if pod["spec"].get("nodeName") == node:
            name = pod["metadata"]["name"]
            return shell, logs_argv(name, L5D, namespace, tail=part.tail, since_s=part.since_s, follow=follow)
    raise KubernetesError(
        f"{node} has no pod of linkerd", hint="`meshctl status` shows the mesh; `provision` installs it"
    )


def journal_argv(units: Sequence[str], part: Part, *, follow: bool) -> list[str]:
    """Argv of journalctl(1)."""
    argv = ["journalctl", "--no-pager", "--output=short-iso", *(f"--unit={unit}.service" for unit in units)]
    argv += [] if units else ["--dmesg"]
    argv += [f"--since=-{part.since_s}s"] if part.since_s is not None else []
    argv += [f"--lines={'all' if part.tail is None else part.tail}"]
    return [*argv, "--follow"] if follow else argv


def console_argv(world: World, guest: Standing) -> tuple[str, ...]:
    """Argv of virsh(1) at a guest's console."""
    return ("virsh", "--connect", world.cluster.host(guest.host).uri, "console", guest.domain)


def console_log(world: World, guest: Standing, tail: int) -> tuple[str, ...]:
    """The last lines of a guest's console log, none when there is no log (yet)."""
    volume = guest.console_path.rpartition("/")[2]
    wanted = max(16384, tail * LINE_BYTES)
    return tuple(world.hypervisors[guest.host].console(guest.pool, volume, wanted).splitlines()[-tail:])
