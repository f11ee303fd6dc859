"""Ways for a person into the cluster: an ssh command line with the known host key, and the kubeconfig."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Sequence

from provision.base import data
from provision.base.errors import CommandFailed, InventoryError, KubernetesError
from provision.guests import Target, proxy, target
from provision.run.engine import World


def node_target(world: World, node: str) -> Target:
    """How to reach a node. Raises InventoryError for a name that is not in the inventory."""
    names = [known.name for known in world.cluster.nodes]
    if node not in names:
        raise InventoryError(f"there is no node {node}", hint=f"the nodes are {', '.join(names)}")
    return target(world.cluster, node, world.domains())


def ssh_argv(world: World, node: str, command: Sequence[str]) -> tuple[str, ...]:
    """Argv of OpenSSH's client for a node, with a known-hosts file that holds just this guest's key."""
    found = node_target(world, node)
    options = {
        "UserKnownHostsFile": _known_hosts(world.cluster.cluster, found),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "HostKeyAlias": f"{world.cluster.cluster}-{node}",
        "HostKeyAlgorithms": found.host_key.split()[0],
        "LogLevel": "ERROR",
    }
    if found.key_file:
        options |= {"IdentityFile": found.key_file, "IdentitiesOnly": "yes"}
    if way := proxy(world.cluster, found.address):
        options["ProxyCommand"] = shlex.join(way).replace("%", "%%")
    flags = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    return ("ssh", *flags, f"{found.user}@{found.address}", *((shlex.join(command),) if command else ()))


def _known_hosts(cluster: str, found: Target) -> str:
    line = f"{cluster}-{found.name} {' '.join(found.host_key.split()[:2])}\n"
    path = data.state("known_hosts", f"{cluster}-{found.name}-{hashlib.sha256(line.encode()).hexdigest()[:12]}")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(line)
    return str(path)


def read_kubeconfig(world: World) -> str:
    """/etc/kubernetes/admin.conf of the control plane; its server is the control plane's address in the guests' network."""
    shell = world.sessions.to(node_target(world, world.cluster.control_plane.name))
    try:
        return shell.read(["cat", "/etc/kubernetes/admin.conf"]).stdout
    except CommandFailed as error:
        raise KubernetesError(
            f"{shell.where}: there is no kubeconfig yet", hint="`meshctl provision` makes the cluster"
        ) from error
