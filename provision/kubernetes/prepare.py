"""Makes a node ready for kubeadm: programs and images from the bundle's disk, files, services. Resumable anywhere:
each step looks at what is there, and the stamp is written last.
"""

from __future__ import annotations

from provision.desired import Member
from provision.errors import KubernetesError
from provision.events import Changed, Emit, Progress
from provision.kubernetes.files import DOCKER_CONFIG, NETWORK_UNIT, STATE
from provision.kubernetes.node import DOCKER, KUBELET, NodeState, observe
from provision.kubernetes.profile import Profile, archives_for
from provision.kubernetes.spec import Archive, Spec
from provision.shell import Shell

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

_VERIFY = f"cd {MOUNT} && sha256sum --quiet -c -"

# Arguments are pairs of source and target. Prints what it replaced. A running program is replaced by rename.
_INSTALL = f"""
set -eu
cd {MOUNT}
while [ $# -gt 0 ]; do
    if ! cmp -s "$1" "$2"; then
        mkdir -p "$(dirname "$2")"
        cp "$1" "$2.meshctl"
        chmod 755 "$2.meshctl"
        mv -f "$2.meshctl" "$2"
        echo "$2"
    fi
    shift 2
done
"""

_LOADED = f"""
set -eu
docker load -i {MOUNT}/"$1" >&2
mkdir -p {STATE}
cp {STATE}/loaded {STATE}/loaded.new 2>/dev/null || : > {STATE}/loaded.new
echo "$2" >> {STATE}/loaded.new
mv -f {STATE}/loaded.new {STATE}/loaded
"""


def prepare(shell: Shell, profile: Profile, spec: Spec, member: Member, emit: Emit) -> NodeState:
    """Does what `observe` finds undone, and looks again. Raises KubernetesError when that did not help."""
    state = observe(shell, profile, spec, member)
    if not state.unprepared:
        return state
    _refuse_upgrade(state, spec)
    if _docker(shell, state, emit):
        state = observe(shell, profile, spec, member)  # only now can it say which images it has
    replaced = _from_bundle(shell, spec, state, emit) if state.bundle_wanted else ()
    _write(shell, state, emit)
    _services(shell, state, replaced)
    shell.put(f"{STATE}/prepared", f"{spec.digest(member, archives_for(profile, spec, member.role))}\n".encode())
    after = observe(shell, profile, spec, member)
    if after.unprepared:
        raise KubernetesError(
            f"{member.name}: preparation did not hold: {'; '.join(after.unprepared)}",
            hint=f"`meshctl ssh … {member.name}` and look at `journalctl -b`",
        )
    return after


def _refuse_upgrade(state: NodeState, spec: Spec) -> None:
    installed = state.first("prepared").partition(" ")[0]
    if state.joined and installed and installed != spec.version:
        raise KubernetesError(
            f"{state.member.name} runs Kubernetes {installed}, the inventory wants {spec.version}",
            hint="a cluster is not upgraded in place: destroy and provision it, or keep its version",
        )


def _docker(shell: Shell, state: NodeState, emit: Emit) -> bool:
    """Gives whether Docker was started."""
    if state.docker is not None:
        shell.put(DOCKER_CONFIG, state.docker.encode())
        shell.run(["systemctl", "restart", DOCKER], within_s=300)
        emit(Changed(state.member.name, DOCKER_CONFIG, "change"))
        return True
    if state.active(DOCKER):
        return False
    shell.run(["systemctl", "start", DOCKER], within_s=300)
    return True


def _from_bundle(shell: Shell, spec: Spec, state: NodeState, emit: Emit) -> tuple[str, ...]:
    """Gives the paths of the programs that were replaced."""
    mount(shell)
    try:
        _verify(shell, spec, state)
        pairs = [word for program in spec.programs for word in (program.path, program.target)]
        replaced = tuple(shell.run(["sh", "-c", _INSTALL, "install", *pairs], within_s=600).stdout.split())
        if replaced:
            emit(Changed(state.member.name, f"{len(replaced)} programs", "install"))
        _load(shell, state, emit)
    finally:
        shell.run(["umount", MOUNT], check=False)
    return replaced


def mount(shell: Shell) -> None:
    """Mounts the bundle's disk, read-only. Raises KubernetesError when there is none."""
    completed = shell.run(["sh", "-c", _MOUNT, "mount"], check=False, within_s=120)
    if completed.status == 3:
        raise KubernetesError(
            f"{completed.where}: no disk with the label {LABEL}",
            hint="`meshctl provision` attaches it when it makes the guest: is the bundle's volume still in the pool?",
        )
    completed.checked()


def _verify(shell: Shell, spec: Spec, state: NodeState) -> None:
    used = [(p.sha256, p.path) for p in spec.programs] + [(a.sha256, a.path) for a in state.missing_archives]
    lines = "".join(f"{digest}  {path}\n" for digest, path in used)
    completed = shell.read(["sh", "-c", _VERIFY, "verify"], stdin=lines.encode(), within_s=1800, check=False)
    if completed.status != 0:
        what = "; ".join(completed.stdout.splitlines() or completed.last_lines)
        raise KubernetesError(
            f"{completed.where}: the bundle's disk is not what bundle.yaml says: {what}",
            hint="`meshctl bundle verify`, then provision again",
        )


def _load(shell: Shell, state: NodeState, emit: Emit) -> None:
    where, archives = state.member.name, state.missing_archives
    for done, archive in enumerate(archives):
        emit(Progress(f"{where}: images", done, len(archives), "archives"))
        shell.run(["sh", "-c", _LOADED, "load", archive.path, archive.sha256], within_s=LOAD_S)
    if archives:
        emit(Changed(where, f"{_count(archives)} images", "load"))


def _count(archives: tuple[Archive, ...]) -> int:
    return len({reference for archive in archives for reference in archive.references})


def _write(shell: Shell, state: NodeState, emit: Emit) -> None:
    for file in state.stale_files:
        shell.put(file.path, file.content.encode(), mode=file.mode)
    if state.hosts is not None:
        shell.put("/etc/hosts", state.hosts.encode())
    if state.stale_files or state.hosts is not None:
        emit(Changed(state.member.name, f"{len(state.stale_files) + (state.hosts is not None)} files", "write"))


def _services(shell: Shell, state: NodeState, replaced: tuple[str, ...]) -> None:
    shell.run(["systemctl", "daemon-reload"], within_s=120)
    shell.run(["systemctl", "enable", KUBELET, NETWORK_UNIT], within_s=120)
    shell.run(["systemctl", "restart", NETWORK_UNIT], within_s=300)
    kubelet = any("kubelet" in path for path in (*replaced, *(file.path for file in state.stale_files)))
    if state.joined and (kubelet or not state.active(KUBELET)):
        shell.run(["systemctl", "restart", KUBELET], within_s=300)
