"""kubeadm init and join: once, apart from our SSH session, under our own deadline, with an end that can be told.

kubeadm runs in a transient systemd unit and leaves its result in a file, so a run of ours that is killed meanwhile
changes nothing: the next one finds it running and waits, finds it done and goes on, or finds it half done, resets
and begins anew. It is never started over something that is there: 1.5 would make a new CA over a living cluster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from provision.base.errors import KubernetesError, StageTimeout
from provision.base.events import Changed, Emit, Warned
from provision.base.secret import Secret
from provision.base.shell import Shell
from provision.kubernetes.diagnose import diagnose
from provision.kubernetes.etcd_members import take_away_member
from provision.kubernetes.files import DETACHED_SCRIPT
from provision.kubernetes.follow import Detached, follow, in_words
from provision.kubernetes.impatience import impatience
from provision.kubernetes.kubectl import Kubectl, patiently
from provision.kubernetes.node import UNIT, NodeState, Phase, observe
from provision.kubernetes.places import STATE
from provision.kubernetes.preflight import preflight
from provision.kubernetes.prepare import prepare
from provision.kubernetes.profile import Profile
from provision.kubernetes.shared_keys import read_keys, write_keys
from provision.kubernetes.spec import CONTROL_PLANE, Credentials, Spec
from provision.kubernetes.state_volume import DONE, OF, keep
from provision.kubernetes.token import new_token
from provision.specs import Member
from provision.storage import BOUND, STATE_MOUNT, STATE_UNITS

INIT_S, JOIN_S = 1200.0, 600.0
"""Deadlines. Under emulation init takes 67 s (1.5) to 145 s (1.20) and join 8 to 31 s when nothing else runs."""

API_S = 300.0
"""How long the API server may be too busy to answer: its etcd waits for a disk that other guests write to."""

_FILES = Detached(UNIT, "kubeadm")

# stdin: the configuration with the token. Arguments: the task's name, seconds, kubeadm's command. A transient unit that
# failed keeps its name until it is reset; systemd before 236 has no --collect.
_START = f"""
set -eu
cd {STATE}
rm -f kubeadm.log kubeadm.done kubeadm.failed
(umask 077 && cat > kubeadm.yaml)
systemctl reset-failed {UNIT} 2>/dev/null || true
name=$1
shift
exec systemd-run --unit={UNIT} "--description=meshctl: $name" {DETACHED_SCRIPT} "$@"
"""

# What `kubeadm reset` leaves and a new init or join stumbles over: exited containers, the bridge with its addresses,
# leases of pod addresses, files of an init that was cut short. And it unmounts what is mounted below /var/lib/kubelet: a folder of a
# state volume is one of these.
_CLEAN = f"""
docker ps -aq --filter name=k8s_ | xargs -r docker rm -f >/dev/null
ip link delete cni0 2>/dev/null
rm -rf /etc/kubernetes/manifests/* /etc/kubernetes/pki/* /etc/kubernetes/*.conf /var/lib/etcd/* /var/lib/cni
rm -f {STATE}/kubeadm.*
rm -rf {DONE} {STATE_MOUNT}/kubelet-pki/*
[ -e {OF} ] && : > {OF}
if [ -e {STATE_UNITS[0]} ]; then
    for path in {" ".join(BOUND.values())}; do mkdir -p "$path"; mountpoint -q "$path" || mount "$path"; done
fi
exit 0
"""


def initialise(
    shell: Shell, profile: Profile, spec: Spec, member: Member, emit: Emit, *, within_s: float = INIT_S
) -> None:
    """Makes the control plane, if there is none yet. Raises KubernetesError with kubeadm's last lines, the kubelet's
    and the containers' state when it fails or `within_s` seconds have passed.
    """

    def config() -> Secret:
        return profile.init_config(spec, member, new_token())

    _bring(
        shell,
        profile,
        spec,
        member,
        _Task("kubeadm init", profile.generation, profile.init_argv(), config, lambda: None, lambda: None),
        within_s,
        emit,
    )


def join(
    shell: Shell,
    profile: Profile,
    spec: Spec,
    member: Member,
    credentials: Credentials,
    emit: Emit,
    *,
    within_s: float | None = None,
) -> None:
    """Makes a node a member, if it is none yet. Raises as `initialise` does.

    A Node of its name that a former guest left is removed first: 1.5 refuses to join beside it, 1.20 while it is Ready. A control plane's
    former member of etcd goes too: one that was added and never started counts for the majority, and another cannot be added beside it.
    """

    def config() -> Secret:
        return profile.join_config(spec, member, credentials)

    def clear_way() -> None:
        api = credentials.api
        if api is not None and patiently(api, lambda: _forget(api, member.name), within_s=API_S, emit=emit):
            emit(Changed(member.name, "Node object of a former guest", "remove"))
        if credentials.keys is not None:
            leave()
            write_keys(shell, credentials.keys)

    limit = within_s or (INIT_S if member.role == CONTROL_PLANE else JOIN_S)

    def leave() -> None:
        if credentials.api is not None and profile.etcd is not None and member.role == CONTROL_PLANE:
            take_away_member(credentials.api.shell, profile.etcd, member.name, member.address, emit)

    task = _Task("kubeadm join", profile.generation, profile.join_argv(member.role), config, clear_way, leave)
    try:
        _bring(shell, profile, spec, member, task, limit, emit)
    except KubernetesError as error:
        why = impatience(error.message)
        if not why:
            raise
        emit(Warned(f"{member.name}: {why}: joined once more", ""))
        _bring(shell, profile, spec, member, task, limit, emit)


def _forget(api: Kubectl, name: str) -> bool:
    there = name in {node["metadata"]["name"] for node in api.items("nodes")}
    if there:
        api.delete("node", name)
    return there


def credentials(
    shell: Shell, profile: Profile, emit: Emit, *, within_s: float = API_S, keys: bool = False
) -> Credentials:
    """What nodes join with, from a control plane; waits while the API server starts. 1.20: makes a new token. `keys`: with what another
    control plane needs.
    """
    kubectl = Kubectl(shell, profile.certificates, profile.generation)
    found = patiently(kubectl, lambda: profile.credentials(kubectl), within_s=within_s, emit=emit)
    return replace(found, keys=read_keys(shell)) if keys else found


@dataclass(frozen=True)
class _Task:
    name: str
    generation: str
    argv: tuple[str, ...]
    config: Callable[[], Secret]
    clear_way: Callable[[], None]
    leave: Callable[[], None]
    """Before what began is reset: as long as its own member of etcd answers, the others are a majority that can let it go."""


def _bring(
    shell: Shell, profile: Profile, spec: Spec, member: Member, task: _Task, within_s: float, emit: Emit
) -> None:
    state = observe(shell, profile, spec, member)
    if state.phase is Phase.MEMBER:
        return
    if state.restoring:
        raise KubernetesError(
            f"{member.name}: a backup is being put on it, and that has not ended",
            hint="run that `meshctl restore` again: it goes on from there",
        )
    if state.phase is Phase.FOREIGN:
        raise _foreign(state, spec)
    if state.phase is Phase.HALF:
        task.leave()
        _reset(shell, profile, spec, member, emit)
    if state.phase is not Phase.RUNNING:
        preflight(shell, profile, member)
        task.clear_way()
        _start(shell, task, within_s)
        emit(Changed(member.name, task.name, "start"))
    _finish(shell, member, task, within_s, emit)
    if state.keeps:
        keep(shell, member)
    emit(Changed(member.name, task.name, "done"))


def _foreign(state: NodeState, spec: Spec) -> KubernetesError:
    if state.has_state and len(spec.control_planes) > 1:
        return KubernetesError(
            f"{state.member.name}: its state volume has what a former guest was of a cluster, and none is begun or joined over it",
            hint=f"`meshctl rebuild INVENTORY {state.member.name}` makes the node anew without it, and it joins the other control planes",
        )
    if state.has_state:
        return KubernetesError(
            f"{state.member.name}: there is a cluster on its state volume, and no other is made over it",
            hint=f"`meshctl rebuild INVENTORY {state.member.name}` goes on with it; if it is not wanted: `meshctl destroy`",
        )
    files = state.said["kubeadm-file"]
    return KubernetesError(
        f"{state.member.name}: {len(files)} files of a kubeadm that meshctl did not start, {files[0]} for one",
        hint="if the cluster on it is not wanted: `kubeadm reset` there, then provision again",
    )


def _reset(shell: Shell, profile: Profile, spec: Spec, member: Member, emit: Emit) -> None:
    emit(Warned(f"{member.name}: an earlier kubeadm did not finish", hint="it is reset and begun anew"))
    # Nearly all its failures are only printed; what matters is done once more behind it.
    shell.run(profile.reset_argv(member.role), within_s=300, check=False)
    shell.run(["sh", "-c", _CLEAN, "clean"], within_s=300)
    emit(Changed(member.name, "kubeadm reset", "done"))
    prepare(shell, profile, spec, member, emit)  # reset of 1.5 empties /etc/cni/net.d


def _start(shell: Shell, task: _Task, within_s: float) -> None:
    argv = ["sh", "-c", _START, "start", task.name, f"{within_s:.0f}", *task.argv]
    shell.run(argv, stdin=task.config().reveal().encode(), within_s=120)


def _finish(shell: Shell, member: Member, task: _Task, within_s: float, emit: Emit) -> None:
    try:
        outcome = follow(shell, member.name, task.name, _FILES, within_s, emit, task.generation)
    except StageTimeout as error:
        raise _failed(shell, member, task, f"not within {within_s:.0f} s") from error
    if outcome != "done":
        raise _failed(shell, member, task, in_words(outcome, within_s))


def _failed(shell: Shell, member: Member, task: _Task, why: str) -> KubernetesError:
    found = diagnose(shell, task.generation)
    text = "\n".join(f"    {line}" for line in found.shown)
    return KubernetesError(f"{member.name}: {task.name}: {why}\n{text}", hint=found.hint)
