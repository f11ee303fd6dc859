"""What one control plane hands to another that joins: the cluster's authorities and the key of its service accounts, over our own SSH.

kubeadm can hand them over by a Secret of the cluster, encrypted by a key that the joining node is told (`upload-certs`). Here they take
the way that backups take: read as root, kept in memory as a Secret, written from standard input into files of mode 0600 (ADR 0036).
"""

from __future__ import annotations

from provision.base.errors import KubernetesError
from provision.base.secret import Secret
from provision.base.shell import Shell
from provision.kubernetes.places import STATE

PKI = "/etc/kubernetes/pki"
NAMES = (
    *("ca.crt", "ca.key", "sa.pub", "sa.key", "front-proxy-ca.crt", "front-proxy-ca.key"),
    *("etcd/ca.crt", "etcd/ca.key"),
)
"""kubeadm's own list of what control planes share ("Manual certificate distribution" in its guide to high availability)."""

_READ = f"cd {PKI} && tar -cz -f - {' '.join(NAMES)} | base64 -w 0"

# The mark that kubeadm was begun comes first: whoever is ended behind it has the next run reset the node, and these files go with that.
_WRITE = f"""
set -eu
umask 077
mkdir -p {STATE}
date -u +%FT%TZ > {STATE}/kubeadm.started
mkdir -p -m 755 {PKI} {PKI}/etcd
base64 -d | tar -xz -f - -C {PKI} --no-same-owner --no-same-permissions
chmod 644 {PKI}/ca.crt {PKI}/front-proxy-ca.crt {PKI}/etcd/ca.crt {PKI}/sa.pub
"""


def read_keys(shell: Shell) -> Secret:
    """The shared files of a control plane, packed. Raises KubernetesError when one is not there."""
    done = shell.read(["sh", "-c", _READ, "read"], check=False)
    if done.status != 0 or not done.stdout or done.stderr.strip():
        said = "; ".join(done.last_lines) or f"status {done.status}"
        raise KubernetesError(
            f"{done.where}: what control planes share could not be read: {said}",
            hint=f"an authority whose key was taken away from {PKI} cannot be handed on: put it back for the time of the join",
        )
    return Secret(done.stdout)


def write_keys(shell: Shell, keys: Secret) -> None:
    """Puts them on a node that is about to join as a control plane."""
    shell.run(["sh", "-c", _WRITE, "write"], stdin=keys.reveal().encode(), within_s=120)
