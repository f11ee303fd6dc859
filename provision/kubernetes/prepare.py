"""Makes a node ready for kubeadm: programs and images from the bundle's disk, files, services. Resumable anywhere:
each step looks at what is there, and the stamp is written last.
"""

from __future__ import annotations

import io
import itertools
import posixpath
import tarfile
from collections.abc import Iterable

from provision.base.errors import KubernetesError
from provision.base.events import Changed, Emit, Progress
from provision.base.interruption import tidying
from provision.base.shell import Shell
from provision.guests import firewall
from provision.kubernetes.files import DOCKER_CONFIG, NETWORK_UNIT
from provision.kubernetes.node import DOCKER, DOCKER_PENDING, FIREWALL, KUBELET, KUBELET_PENDING, NodeState, observe
from provision.kubernetes.places import STATE
from provision.kubernetes.profile import Profile
from provision.kubernetes.spec import Archive, File, Program, Spec
from provision.kubernetes.state_volume import keep
from provision.kubernetes.virtual_address import PROGRAM as KEEPALIVED_PROGRAM
from provision.kubernetes.virtual_address import UNIT as KEEPALIVED
from provision.kubernetes.virtual_address import holds_address
from provision.kubernetes.way_in import require_way_in
from provision.specs import Member

MOUNT = "/run/meshctl/bundle"
LABEL = "meshbundle"

LOAD_S = 3600.0
"""Loading the control plane's archives takes 110 s under emulation (2.4 MB/s); a slow disk may take ten times that."""

# The disk may have been rewritten under a running guest: what the kernel remembers of it is dropped first.
_MOUNT = f"""
set -eu
mkdir -p {MOUNT}
if mountpoint -q {MOUNT}; then umount {MOUNT}; fi
device=$(blkid -L {LABEL}) || exit 3
blockdev --flushbufs "$device"
mount -o ro "$device" {MOUNT}
"""

# stdin: lines of sha256sum, with the places of programs on the node. Prints `PATH: OK` for each that is there as it should be.
_COMPARE = "sha256sum -c - 2>/dev/null; exit 0"

_VERIFY = f"cd {MOUNT} && sha256sum --quiet -c -"

# Arguments are pairs of source and target. Prints what it replaced. A running program is replaced by rename.
_INSTALL = f"""
set -eu
cd {MOUNT}
mkdir -p /usr/bin /opt/cni/bin
while [ $# -gt 0 ]; do
    if ! cmp -s "$1" "$2"; then
        cp "$1" "$2.meshctl"
        chmod 755 "$2.meshctl"
        mv -f "$2.meshctl" "$2"
        echo "$2"
    fi
    shift 2
done
"""

# Arguments are pairs of archive and digest. What is loaded is noted at once, so that a killed run loads only the rest.
_LOAD = f"""
set -eu
mkdir -p {STATE}
while [ $# -gt 0 ]; do
    docker load -i {MOUNT}/"$1" > /dev/null
    echo "$2" >> {STATE}/loaded
    echo "loaded $1"
    shift 2
done
"""

# What was written counts only when its service was started anew with it. A marker stands for that in between: whoever is ended there,
# or whose service does not start, leaves it to the next run. $1: whether stdin is a new configuration.
_DOCKER = f"""
set -eu
mkdir -p {STATE} {posixpath.dirname(DOCKER_CONFIG)}
echo 1 > {STATE}/{DOCKER_PENDING}
if [ -n "$1" ]; then
    cat > {DOCKER_CONFIG}.meshctl
    mv -f {DOCKER_CONFIG}.meshctl {DOCKER_CONFIG}
fi
systemctl restart {DOCKER}
rm -f {STATE}/{DOCKER_PENDING}
"""

# $1: the stamp, which comes last; $2: kubelet.service when it is to be restarted; $3: keepalived.service where it is to hold an address:
# a reload lets it keep that; $4: the unit of the firewall where there can be one. The rest are names of files, stdin is a tar of them
# under temporary names: each is complete when it gets its own. Every process counts on an emulated guest (0.1 s when it is busy), so
# this is one command for all. The kubelet looks for static pods on workers too, and writes a line into the journal twice a second where
# it finds no folder for them.
_SETTLE = f"""
set -eu
stamp=$1 restart=$2 shared=$3 firewall=$4
shift 4
mkdir -p /etc/kubernetes/manifests {STATE}
if [ -n "$restart" ]; then echo 1 > {STATE}/{KUBELET_PENDING}; fi
if [ $# -gt 0 ]; then
    tar -x -m -f - -C / --no-same-owner
    for path; do mv -f "$path.meshctl" "$path"; done
fi
systemctl daemon-reload
systemctl enable {KUBELET} {NETWORK_UNIT} $firewall
systemctl restart {NETWORK_UNIT} $firewall
if [ -n "$shared" ]; then systemctl enable "$shared" && systemctl reload-or-restart "$shared"; fi
if [ -n "$restart" ]; then systemctl restart "$restart"; fi
rm -f {STATE}/{KUBELET_PENDING}
echo "$stamp" > {STATE}/prepared.new
mv -f {STATE}/prepared.new {STATE}/prepared
"""


def prepare(shell: Shell, profile: Profile, spec: Spec, member: Member, emit: Emit) -> NodeState:
    """Does what `observe` finds undone, and looks again. Raises KubernetesError when that did not help."""
    state = observe(shell, profile, spec, member)
    if not state.unprepared:
        return state
    shared = holds_address(spec, member)
    if shared and not state.has(KEEPALIVED_PROGRAM):
        raise _no_keepalived(member, spec)
    if _docker(shell, state, emit):
        state = observe(shell, profile, spec, member)  # only now can it say which images it has
    if spec.firewall is not None and state.has(firewall.PROGRAM):
        require_way_in(shell, spec.firewall)
    if state.bundle_wanted:
        from_bundle(shell, state, state.missing_programs, emit)
    _settle(shell, state, spec.stamp, KEEPALIVED if shared else "", emit)
    after = observe(shell, profile, spec, member)
    if after.unprepared:
        raise KubernetesError(
            f"{member.name}: preparation did not hold: {'; '.join(after.unprepared)}",
            hint=f"`meshctl ssh … {member.name}` and look at `journalctl -b`",
        )
    return after


def _no_keepalived(member: Member, spec: Spec) -> KubernetesError:
    return KubernetesError(
        f"{member.name}: this base image has no keepalived, which holds kubernetes.control_plane_endpoint {spec.endpoint}",
        hint=f"`meshctl image build debian-12`, and then `meshctl rebuild INVENTORY {member.name}`, or destroy what was begun",
    )


def load(shell: Shell, profile: Profile, spec: Spec, member: Member, emit: Emit) -> None:
    """Gives a guest all programs and container images of the bundle, and nothing else that makes a node of it.

    Raises KubernetesError when they are not there afterwards.
    """
    state = observe(shell, profile, spec, member)
    if _docker(shell, state, emit):
        state = observe(shell, profile, spec, member)  # only now can it say which images it has
    from_bundle(shell, state, spec.programs, emit)
    missing = observe(shell, profile, spec, member).missing_archives
    lacking = [*(one.path for one in absent(shell, spec.programs)), *(one.path for one in missing)]
    if lacking:
        raise KubernetesError(
            f"{member.name}: not there after it was loaded: {', '.join(lacking)}", hint="run the command again"
        )


def _docker(shell: Shell, state: NodeState, emit: Emit) -> bool:
    """Gives whether Docker was started."""
    if state.docker is None and state.active(DOCKER) and not state.pending(DOCKER_PENDING):
        return False
    config = (state.docker or "").encode()
    shell.run(["sh", "-c", _DOCKER, "docker", "new" if config else ""], stdin=config, within_s=300)
    if config:
        emit(Changed(state.member.name, DOCKER_CONFIG, "change"))
    return True


def from_bundle(shell: Shell, state: NodeState, programs: tuple[Program, ...], emit: Emit) -> None:
    """Installs programs and loads the missing archives from the bundle's disk, verified. What is there already, by its content, is left.

    Raises KubernetesError when there is no such disk, or it holds something else than bundle.yaml says.
    """
    wanted = absent(shell, programs)
    if not wanted and not state.missing_archives:
        return
    mount(shell)
    try:
        _verify(shell, wanted, state.missing_archives)
        pairs = [word for program in wanted for word in (program.path, program.target)]
        replaced = shell.run(["sh", "-c", _INSTALL, "install", *pairs], within_s=600).stdout.split()
        if replaced:
            emit(Changed(state.member.name, f"{len(replaced)} programs", "install"))
        _load(shell, state, emit)
    finally:
        with tidying():
            shell.run(["umount", MOUNT], check=False)


def absent(shell: Shell, programs: tuple[Program, ...]) -> tuple[Program, ...]:
    """Those of these programs that are not on a node with the very content that the bundle says."""
    lines = "".join(f"{program.sha256}  {program.target}\n" for program in programs)
    said = shell.read(["sh", "-c", _COMPARE], stdin=lines.encode(), within_s=1800).stdout.splitlines()
    there = {line.removesuffix(": OK") for line in said if line.endswith(": OK")}
    return tuple(program for program in programs if program.target not in there)


def mount(shell: Shell) -> None:
    """Mounts the bundle's disk, read-only. Raises KubernetesError when there is none."""
    completed = shell.run(["sh", "-c", _MOUNT, "mount"], check=False, within_s=120)
    if completed.status == 3:
        raise KubernetesError(
            f"{completed.where}: no disk with the label {LABEL}",
            hint="`meshctl provision` attaches it when it makes the guest: is the bundle's volume still in the pool?",
        )
    completed.checked()


def _verify(shell: Shell, programs: tuple[Program, ...], archives: tuple[Archive, ...]) -> None:
    used = [(one.sha256, one.path) for one in programs] + [(one.sha256, one.path) for one in archives]
    lines = "".join(f"{digest}  {path}\n" for digest, path in used)
    completed = shell.read(["sh", "-c", _VERIFY, "verify"], stdin=lines.encode(), within_s=1800, check=False)
    if completed.status != 0:
        what = "; ".join(completed.stdout.splitlines() or completed.last_lines)
        raise KubernetesError(
            f"{completed.where}: the bundle's disk is not what bundle.yaml says: {what}",
            hint="run the command again: a disk of an older bundle is exchanged then; if it is not, `meshctl bundle verify`",
        )


def _load(shell: Shell, state: NodeState, emit: Emit) -> None:
    where, archives = state.member.name, state.missing_archives
    if not archives:
        return
    done = itertools.count(1)

    def tell(line: str) -> None:
        if line.startswith("loaded "):
            emit(Progress(f"{where}: images", next(done), len(archives), "archives"))

    pairs = [word for archive in archives for word in (archive.path, archive.sha256)]
    shell.run(["sh", "-c", _LOAD, "load", *pairs], within_s=LOAD_S, on_line=tell)
    emit(Changed(where, f"{_count(archives)} images", "load"))


def _count(archives: tuple[Archive, ...]) -> int:
    return len({reference for archive in archives for reference in archive.references})


def _tar(files: Iterable[File]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for file in files:
            entry = tarfile.TarInfo(file.path.lstrip("/") + ".meshctl")
            content = file.content.encode()
            entry.size, entry.mode = len(content), file.mode
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def _settle(shell: Shell, state: NodeState, stamp: tuple[str, ...], shared: str, emit: Emit) -> None:
    """Writes files, and starts anew what works with them; `shared` is the unit that holds a virtual address, empty for none."""
    hosts = () if state.hosts is None else (File("/etc/hosts", state.hosts),)
    files = (*state.stale_files, *hosts)
    # A program counts as missing until the stamp says that its service was started anew with it.
    paths = [program.path for program in state.missing_programs] + [file.path for file in state.stale_files]
    kubelet = any("kubelet" in path for path in paths)
    stale = kubelet or state.pending(KUBELET_PENDING) or not state.active(KUBELET)
    restart = KUBELET if state.joined and stale else ""
    closes = FIREWALL if state.has(firewall.PROGRAM) else ""
    argv = ["sh", "-c", _SETTLE, "settle", "\n".join(stamp), restart, shared, closes, *(file.path for file in files)]
    shell.run(argv, stdin=_tar(files) if files else b"", within_s=600)
    if files:
        emit(Changed(state.member.name, f"{len(files)} files", "write"))
    if state.joined and state.keeps and not state.restoring:
        keep(shell, state.member)
