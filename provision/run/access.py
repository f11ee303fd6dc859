"""Ways for a person into the cluster: an ssh command line with the known host key, and the kubeconfig."""

from __future__ import annotations

import difflib
import hashlib
import shlex
from collections.abc import Iterable, Sequence

from provision.base import data
from provision.base.errors import CommandFailed, InventoryError, KubernetesError, Unreachable
from provision.base.secret import Secret
from provision.guests import Identity, Target, identity, proxy, target
from provision.inventory import Cluster
from provision.kubernetes import admin_conf, first_serving
from provision.kubernetes import kubeconfig as texts
from provision.libvirt_xml import DomainSeen
from provision.run.engine import World


def node_target(world: World, node: str, domains: Iterable[DomainSeen] | None = None) -> Target:
    """How to reach a node, by `domains` where they were read already. Raises InventoryError for a name that is not in the inventory, and
    Unreachable for one that no host has.
    """
    check_name(world.cluster, node)
    try:
        return target(world.cluster, node, world.domains() if domains is None else domains)
    except Unreachable as error:
        if not world.silent:
            raise
        hint = f"it may be on {' or '.join(sorted(world.silent))}, from which there is no answer"
        raise Unreachable(f"{node}: none of the hosts that answer has it", hint=hint) from error


def asked(world: World, domains: Iterable[DomainSeen] | None = None) -> str:
    """The control plane that is asked: of several the first that serves."""
    there = world.domains() if domains is None and len(world.cluster.control_planes) > 1 else domains
    names = [node.name for node in world.cluster.control_planes]
    return first_serving(names, lambda name: world.sessions.to(node_target(world, name, there)))


def check_name(cluster: Cluster, node: str) -> None:
    """Raises InventoryError, with the nearest name, for a node that the inventory does not have."""
    names = [known.name for known in cluster.nodes]
    if node not in names:
        near = difflib.get_close_matches(node, names, n=1)
        meant = f"did you mean {near[0]}? " if near else ""
        raise InventoryError(f"there is no node {node}", hint=f"{meant}the nodes are {', '.join(names)}")


def ssh_argv(world: World, node: str, command: Sequence[str]) -> tuple[str, ...]:
    """Argv of OpenSSH's client for a node, with a known-hosts file that holds just this guest's key.

    It offers the inventory's key and no other, from the agent when that holds it. A command of one word is read by the
    guest's shell, as ssh has it; the words of a longer one reach the program as they are.
    """
    found, key = node_target(world, node), identity(world.cluster)
    options = {
        "UserKnownHostsFile": _path(_known_hosts(world.cluster.cluster, found)),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "yes",
        "HostKeyAlias": f"{world.cluster.cluster}-{node}",
        "HostKeyAlgorithms": found.host_key.split()[0],
        "LogLevel": "ERROR",
    }
    # By its public half ssh(1) finds a key in the agent.
    options |= {"IdentityFile": _path(key.file or _public_key(world.cluster.cluster, key)), "IdentitiesOnly": "yes"}
    if way := proxy(world.cluster, found.address):
        options["ProxyCommand"] = shlex.join(way).replace("%", "%%")
    flags = [word for key, value in options.items() for word in ("-o", f"{key}={value}")]
    said = command[:1] if len(command) == 1 else (shlex.join(command),) if command else ()
    return ("ssh", *flags, "--", f"{found.user}@{found.address}", *said)


def _path(path: str) -> str:
    """A path as ssh_config(5) wants it: it splits values at blanks and replaces what follows a percent sign."""
    return '"' + path.replace("%", "%%") + '"'


def _known_hosts(cluster: str, found: Target) -> str:
    return _kept(
        "known_hosts", f"{cluster}-{found.name}", f"{cluster}-{found.name} {' '.join(found.host_key.split()[:2])}\n"
    )


def _public_key(cluster: str, key: Identity) -> str:
    return _kept("keys", f"{cluster}.pub", f"{key.public}\n")


def _kept(folder: str, name: str, content: str) -> str:
    """A file of this content in the state folder, for ssh(1) to read."""
    path = data.state(folder, f"{hashlib.sha256(content.encode()).hexdigest()[:12]}-{name}")
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(content)
    return str(path)


def read_kubeconfig(world: World) -> Secret:
    """The administrator's kubeconfig, its names made from the cluster's; its server is the control plane's address in the
    guests' network, of several the one that they share.
    """
    shell = world.sessions.to(node_target(world, asked(world)))
    try:
        name = world.cluster.cluster
        return Secret(texts.dumped(texts.of_cluster(name, admin_conf(shell).reveal())))
    except CommandFailed as error:
        raise KubernetesError(
            f"{shell.where}: there is no kubeconfig yet", hint="`meshctl provision` makes the cluster"
        ) from error
