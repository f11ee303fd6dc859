"""A control plane whose state lies on a volume of its own: copies there of what lies elsewhere, and a new guest that goes on with it.

What kubeadm writes below /var/lib/kubelet is copied, and that it ended well: an init that was cut short leaves no such word, so that
nobody goes on with half a cluster. The copies say of which node, address and version they are.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Mapping

from provision.base.errors import KubernetesError
from provision.base.events import Changed, Emit
from provision.base.shell import Shell
from provision.kubernetes.places import RESTORE, STATE
from provision.specs import Member
from provision.storage import BOUND, KEPT, STATE_MOUNT

FOLDER = f"{STATE_MOUNT}/{KEPT}"
OF, DONE = f"{FOLDER}/of", f"{FOLDER}/kubeadm.done"
"""Of what node, address and version the copies are: empty on a volume of nobody yet, as its first start makes it. And that the cluster is
whole."""

SETTINGS = ("/var/lib/kubelet/config.yaml", "/var/lib/kubelet/kubeadm-flags.env")
"""What kubeadm 1.20 writes for the kubelet beside /etc/kubernetes; 1.5 nothing."""

COPIES = {path: f"{FOLDER}/{posixpath.basename(path)}" for path in (*SETTINGS, f"{STATE}/kubeadm.done")}
"""What is kept, and where; what says that the cluster is whole comes last."""

SEEN = (OF, *COPIES, *COPIES.values())
"""Files whose digests tell whether there is a volume, and whether what it keeps is what is there."""

KEEP_S = 120.0

# $1, $2: node and address; then pairs of a file and its copy. Nothing where there is no volume. What is written is on the disk before
# it is said to be there.
_KEEP = f"""
set -eu
[ -d {FOLDER} ] || exit 0
read -r version _ < {STATE}/prepared
echo "$1 $2 $version" > {OF}.new
mv -f {OF}.new {OF}
shift 2
while [ $# -gt 0 ]; do
    if [ -e "$1" ]; then cp -p "$1" "$2.new"; sync -f "$2.new"; mv -f "$2.new" "$2"; else rm -f "$2"; fi
    shift 2
done
sync -f {FOLDER}
"""

# $1, $2: node and address; then pairs of a file and its copy. What says that the node is a member comes last; the kubelet that is started
# then finds its settings. It is started anew each time, as it tells the API server of itself at once then, and otherwise minutes later.
_TAKE_UP = f"""
set -eu
read -r node address version < {OF} || exit 3
[ -e {DONE} ] && [ -e {BOUND["kubernetes"]}/admin.conf ] && [ -d {BOUND["etcd"]}/member ] || exit 3
[ ! -e {STATE}/{RESTORE} ] || exit 4
read -r prepared _ < {STATE}/prepared
if [ "$node $address $version" != "$1 $2 $prepared" ]; then echo "$node $address $version"; exit 5; fi
shift 2
while [ $# -gt 0 ]; do
    if [ -e "$2" ] && [ ! -e "$1" ]; then
        mkdir -p "${{1%/*}}"
        cp -p "$2" "$1.new"
        mv -f "$1.new" "$1"
    fi
    shift 2
done
sync
systemctl restart kubelet
"""

_PAIRS = tuple(word for pair in COPIES.items() for word in pair)


def keep(shell: Shell, member: Member) -> None:
    """Copies onto a control plane's state volume what of it lies elsewhere; nothing where it has none."""
    shell.run(["sh", "-c", _KEEP, "keep", member.name, member.address, *_PAIRS], within_s=KEEP_S)


def is_behind(member: Member, version: str, digests: Mapping[str, str]) -> bool:
    """Whether a state volume keeps something else than a member has, by the digests of SEEN; not where there is none. Pure."""
    of = hashlib.sha256(f"{member.name} {member.address} {version}\n".encode()).hexdigest()
    return OF in digests and (
        digests[OF] != of or any(digests.get(path) != digests.get(copy) for path, copy in COPIES.items())
    )


def take_up(shell: Shell, member: Member, emit: Emit) -> None:
    """Makes a prepared new guest the control plane that its state volume is of. Never makes a cluster; again, it changes nothing.

    Raises KubernetesError when the volume has no whole cluster, or one of another node, address or version.
    """
    argv = ["sh", "-c", _TAKE_UP, "take-up", member.name, member.address, *_PAIRS]
    done = shell.run(argv, within_s=KEEP_S, check=False)
    if done.status == 3:
        raise KubernetesError(
            f"{member.name}: there is no whole cluster on its state volume, so that there is none to go on with",
            hint="`meshctl restore INVENTORY FILE` puts one back from a backup; without one, `meshctl destroy` and provision",
        )
    if done.status == 4:
        raise KubernetesError(
            f"{member.name}: a backup is being put on it, and that has not ended",
            hint="run that `meshctl restore` again: it goes on from there",
        )
    if done.status == 5:
        raise _of_another(member, done.stdout.split())
    done.checked()
    emit(Changed(member.name, "cluster of its state volume", "take up"))


def _of_another(member: Member, found: list[str]) -> KubernetesError:
    node, address, version = found
    return KubernetesError(
        f"{member.name}: its state volume has the cluster of {node} at {address} with Kubernetes {version}, the inventory now says "
        f"{member.name} at {member.address}, or its bundle another version",
        hint=f"name the node {node} with `address: {address}`, and `kubernetes.version: {version}`; then run the command again",
    )
