"""What makes a control plane this one, copied while it serves: etcd's data, and the files by which the cluster knows it.

etcd's member says what its database holds at one moment (its API's `snapshot`); its log, copied after that, holds all that led there
and what came since. Together they are what a power cut would have left: the member starts from it as the one that it was, without any
tool to make it anew (ADR 0028). Everything comes over standard output: no copy lies on the node's disk.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass

from provision.base.errors import KubernetesError
from provision.base.shell import Shell
from provision.kubernetes.api import Certificates
from provision.kubernetes.places import STATE

ETCD = "/var/lib/etcd"
CLIENT_PORT = 2379

GATEWAYS = ("v3", "v3beta", "v3alpha")
"""How etcd's gateway from JSON to its API is called: from 3.4 on, in 3.3, and before (etcd's upgrade_3_4.md)."""

COPY_S = 1800.0
"""etcd keeps at most 8 GiB and usually less than 100 MiB; its log has six files of 64 MiB, mostly empty on a small cluster."""

TRIES = 5
"""How often the log is copied anew because etcd took a snapshot of its own meanwhile. It does every 10,000 writes."""

DIGEST_SIZE = 32
"""The member ends a snapshot with the sha256 of all before it."""

_HTTP_FAILED = 22
"""curl's status for an answer of 400 or more, with --fail."""

# tar's status goes to stderr, as the pipe has another's. 1: a file changed while it was read, as the log does; it is only added to.
_LOG = f"""
cd {ETCD} || exit 1
{{ tar -cz --exclude=member/snap/db --exclude='*.tmp' --exclude='*.broken' -f - member 2>&3; echo "status $?" >&3; }} 3>&2 | base64 -w 0
"""

_FILES = """
cd /
set --
for path in etc/kubernetes/*.conf etc/kubernetes/pki etc/kubernetes/manifests var/lib/kubelet/config.yaml \\
    var/lib/kubelet/kubeadm-flags.env var/lib/kubelet/pki; do
    [ -e "$path" ] && set -- "$@" "$path"
done
[ -e etc/kubernetes/admin.conf ] || exit 3
{ tar -cz -f - "$@" 2>&3; echo "status $?" >&3; } 3>&2 | base64 -w 0
"""

_AUTHORITY = re.compile(r"^ *certificate-authority-data: *(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class ControlState:
    """A control plane as data. `database` is a snapshot as `etcdctl snapshot save` writes it, empty where etcd's API has none (v2 alone);
    `log` and `files` are gzipped tars: of `member/`, and of paths below /.
    """

    kubernetes: str
    database: bytes
    log: bytes
    files: bytes

    @property
    def authority(self) -> str:
        """sha256 of the authority's certificate, as the kubelet's kubeconfig has it; empty where it has none."""
        with tarfile.open(fileobj=io.BytesIO(self.files)) as packed:
            conf = packed.extractfile("etc/kubernetes/kubelet.conf")
            return authority_of(conf.read().decode(errors="replace")) if conf else ""


def authority_of(kubeconfig: str) -> str:
    """sha256 of the certificate of the authority that a kubeconfig trusts; empty for one that names none."""
    found = _AUTHORITY.search(kubeconfig)
    return hashlib.sha256(base64.b64decode(found[1])).hexdigest() if found else ""


def copied(shell: Shell, etcd: Certificates | None) -> ControlState:
    """The state of the control plane behind `shell`, whose etcd is asked with these certificates. Raises KubernetesError."""
    database, log = _etcd(shell, etcd)
    return ControlState(_version(shell), database, log, _files(shell))


def _version(shell: Shell) -> str:
    said = shell.read(["cat", f"{STATE}/prepared"], check=False).stdout.split()
    if not said:
        raise KubernetesError(
            f"{shell.where}: it says no version of Kubernetes", hint="`meshctl provision` makes the cluster"
        )
    return said[0]


def _etcd(shell: Shell, etcd: Certificates | None) -> tuple[bytes, bytes]:
    """Database, then log. One that begins after the database's moment would leave a gap, so etcd's own snapshots must be the same
    before and after.
    """
    for _ in range(TRIES):
        before = _snapshots(shell.read(["ls", f"{ETCD}/member/snap"], check=False).stdout.split())
        database = _database(shell, etcd)
        log = _packed(shell, _LOG, "etcd's log")
        if _snapshots(_names(log)) == before:
            return database, log
    raise KubernetesError(
        f"{shell.where}: etcd took a snapshot of its own each of {TRIES} times that its log was copied",
        hint="it is written to very much: try again when there is less of that",
    )


def _snapshots(names: Iterable[str]) -> list[str]:
    return sorted(name.rpartition("/")[2] for name in names if name.endswith(".snap"))


def _names(log: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(log)) as packed:
        return packed.getnames()


def _database(shell: Shell, etcd: Certificates | None) -> bytes:
    for version in GATEWAYS:
        asked = shell.read(_snapshot_argv(version, etcd), within_s=COPY_S, check=False)
        if asked.status == 0:
            return checked_snapshot(shell.where, asked.stdout)
        if asked.status != _HTTP_FAILED:
            said = "; ".join(asked.last_lines) or f"curl's status {asked.status}"
            raise KubernetesError(f"{shell.where}: etcd gives no snapshot: {said}", hint="does it run? `docker ps -a`")
    if etcd is not None:
        raise KubernetesError(
            f"{shell.where}: etcd has no gateway to its API, so it gives no snapshot",
            hint="it was started with --enable-grpc-gateway=false, or by a configuration file: `etcdctl snapshot save` there",
        )
    return b""  # 1.5: all is in the log and etcd's own snapshots


def _snapshot_argv(version: str, etcd: Certificates | None) -> list[str]:
    means = ("--cacert", etcd.authority, "--cert", etcd.certificate, "--key", etcd.key) if etcd else ()
    scheme = "https" if etcd else "http"
    url = f"{scheme}://127.0.0.1:{CLIENT_PORT}/{version}/maintenance/snapshot"
    return ["curl", "--silent", "--show-error", "--fail", "--noproxy", "*", *means, "--data", "{}", url]


def checked_snapshot(where: str, said: str) -> bytes:
    """The snapshot in a gateway's answer: an object a line. Raises KubernetesError when it is not whole."""
    try:
        blobs = (json.loads(line)["result"].get("blob", "") for line in said.splitlines() if line)
        snapshot = b"".join(map(base64.b64decode, blobs))
    except (ValueError, KeyError, TypeError) as error:
        raise KubernetesError(f"{where}: etcd's snapshot was cut short: {said[-200:]}") from error
    content, digest = snapshot[:-DIGEST_SIZE], snapshot[-DIGEST_SIZE:]
    if not content or hashlib.sha256(content).digest() != digest:
        raise KubernetesError(f"{where}: etcd's snapshot is not whole: {len(snapshot)} bytes", hint="try again")
    return snapshot


def _files(shell: Shell) -> bytes:
    return _packed(shell, _FILES, "the control plane's files")


def _packed(shell: Shell, script: str, what: str) -> bytes:
    done = shell.read(["sh", "-c", script, "copy"], within_s=COPY_S, check=False)
    lines = done.stderr.splitlines()
    if done.status == 0 and lines[-1:] in (["status 0"], ["status 1"]):
        try:
            return base64.b64decode(done.stdout, validate=True)
        except binascii.Error:
            lines = ["it came incomplete"]
    said = "; ".join(line for line in lines if not line.startswith("status ")) or f"status {done.status}"
    raise KubernetesError(
        f"{done.where}: {what} could not be copied: {said}",
        hint="a backup is taken of a control plane that kubeadm has made: `meshctl status`",
    )
