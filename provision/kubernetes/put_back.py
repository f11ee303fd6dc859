"""A control plane's state put back on a node, new or not, before any kubeadm: so that the cluster's other nodes find it again.

What is there is set aside, in `before-restore` beside it. Killed anywhere, the same again goes on: a marker on the node says of which
state it was begun, and no kubeadm is begun while it stands (`kubeadm.initialise`).
"""

from __future__ import annotations

import io
import tarfile

from provision.base.events import Changed, Emit
from provision.base.shell import Shell
from provision.kubernetes import state_volume
from provision.kubernetes.control_state import DIGEST_SIZE, ETCD, ControlState, authority_of
from provision.kubernetes.places import RESTORE, STATE
from provision.specs import Member

CONFIG = "/etc/kubernetes"
ASIDE = "before-restore"
INCOMING = "restore-incoming"

CARRY_S = 1800.0
"""As for the copy: a gibibyte over a slow line."""

SWITCH_S = 300.0

# stdin: a gzipped tar. $1: a folder beside what it will take the place of, so that a rename does. It is there whole or not at all.
_CARRY = """
set -eu
umask 077
rm -rf "$1" "$1.partial"
mkdir -p "$1.partial"
tar -xz -f - -C "$1.partial"
mv "$1.partial" "$1"
"""

# $1: which state. Containers whose data or certificates are replaced end first; kube-proxy too, which has seen a later state. A rename is
# of one thing, and what is in ASIDE already was set aside by this restore: then what lies in the way is of it, and goes.
_SWITCH = f"""
set -eu
umask 077
begun="$1 begun"
systemctl stop kubelet
docker ps -q --filter name=k8s_etcd --filter name=k8s_kube- | xargs -r docker rm -f > /dev/null
if [ "$(cat {STATE}/{RESTORE} 2>/dev/null)" != "$begun" ]; then
    rm -rf {ETCD}/{ASIDE} {CONFIG}/{ASIDE}
    echo "$begun" > {STATE}/{RESTORE}.new
    mv -f {STATE}/{RESTORE}.new {STATE}/{RESTORE}
fi
rm -f {state_volume.DONE}
aside() {{
    [ -e "$1/$2" ] || return 0
    mkdir -p "$1/{ASIDE}"
    if [ -e "$1/{ASIDE}/$2" ]; then rm -rf "$1/$2"; else mv "$1/$2" "$1/{ASIDE}/$2"; fi
}}
aside {ETCD} member
for name in pki manifests admin.conf kubelet.conf bootstrap-kubelet.conf controller-manager.conf scheduler.conf; do
    aside {CONFIG} "$name"
done
mv {ETCD}/{INCOMING}/member {ETCD}/member
mv {CONFIG}/{INCOMING}/etc/kubernetes/* {CONFIG}/
if [ -d {CONFIG}/{INCOMING}/var/lib/kubelet ]; then
    mkdir -p /var/lib/kubelet
    cp -a --remove-destination {CONFIG}/{INCOMING}/var/lib/kubelet/. /var/lib/kubelet/
fi
rm -f {STATE}/kubeadm.failed
date -u +%FT%TZ > {STATE}/kubeadm.started
echo 0 > {STATE}/kubeadm.done
sync
echo "$1 in place" > {STATE}/{RESTORE}.new
mv -f {STATE}/{RESTORE}.new {STATE}/{RESTORE}
rm -rf {ETCD}/{INCOMING} {CONFIG}/{INCOMING}
"""

# On another node: what asks the API server has seen a later state than there is now, and would wait for it to come again.
_AWAKEN = """
systemctl restart kubelet
docker ps -q --filter name=k8s_kube-proxy | xargs -r docker rm -f > /dev/null
"""


def put_back(shell: Shell, member: Member, state: ControlState, name: str, emit: Emit) -> None:
    """Puts a state, called `name`, on a prepared node and starts its kubelet; one that is in place already is left as it is."""
    if restored(shell) != f"{name} in place":
        _carry(shell, f"{ETCD}/{INCOMING}", _etcd_tar(state))
        _carry(shell, f"{CONFIG}/{INCOMING}", state.files)
        shell.run(["sh", "-c", _SWITCH, "switch", name], within_s=SWITCH_S)
        emit(Changed(member.name, "etcd's data and the cluster's keys", "put back"))
    state_volume.keep(shell, member)
    shell.run(["systemctl", "start", "kubelet"], within_s=SWITCH_S)


def restored(shell: Shell) -> str:
    """What the node's marker says: `NAME begun`, `NAME in place`, or nothing."""
    return shell.read(["cat", f"{STATE}/{RESTORE}"], check=False).stdout.strip()


def finish(shell: Shell) -> None:
    """Takes the marker away: what follows is a cluster like any other."""
    shell.run(["rm", "-rf", f"{ETCD}/{INCOMING}", f"{CONFIG}/{INCOMING}", f"{STATE}/{RESTORE}"])


def awaken(shell: Shell) -> None:
    """Has a node that was there all the time look at the cluster anew. Its pods run on."""
    shell.run(["sh", "-c", _AWAKEN, "awaken"], within_s=SWITCH_S)


def trusted_authority(shell: Shell) -> str:
    """sha256 of the authority that a node's kubelet trusts, empty for a node that is no member."""
    return authority_of(shell.read(["cat", f"{CONFIG}/kubelet.conf"], check=False).stdout)


def _carry(shell: Shell, folder: str, content: bytes) -> None:
    shell.run(["sh", "-c", _CARRY, "carry", folder], stdin=content, within_s=CARRY_S)


def _etcd_tar(state: ControlState) -> bytes:
    """The log with the database at its place, without the digest behind it."""
    content = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(state.log)) as log,
        tarfile.open(fileobj=content, mode="w:gz", compresslevel=1) as whole,
    ):
        for entry in log.getmembers():
            whole.addfile(entry, log.extractfile(entry) if entry.isfile() else None)
        if state.database:
            database = state.database[:-DIGEST_SIZE]
            entry = tarfile.TarInfo("member/snap/db")
            entry.size, entry.mode = len(database), 0o600
            whole.addfile(entry, io.BytesIO(database))
    return content.getvalue()
