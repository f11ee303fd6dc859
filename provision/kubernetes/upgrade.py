"""A member moved to another patch version, by the rules of its generation: images, then what kubeadm made, then the programs.

What moves kubeadm's part runs in a unit of its own and leaves its result in a file, as kubeadm itself does (see `kubeadm`). The node's
stamp, which says which version it has, is written last: whoever is killed before that has the next run begin here, where each step sees
what is done already.
"""

from __future__ import annotations

from typing import Any

from provision.base.errors import KubernetesError, StageTimeout
from provision.base.events import Changed, Emit, Warned
from provision.base.shell import Shell
from provision.base.waiting import NotYet, Ready, wait_until
from provision.kubernetes.api import ApiStarting
from provision.kubernetes.diagnose import diagnose
from provision.kubernetes.failures import UNKNOWN, hint_for
from provision.kubernetes.follow import Detached, follow, in_words
from provision.kubernetes.impatience import impatience
from provision.kubernetes.kubectl import Kubectl
from provision.kubernetes.node import observe
from provision.kubernetes.places import STATE
from provision.kubernetes.prepare import from_bundle, prepare
from provision.kubernetes.profile import Profile
from provision.kubernetes.serving import await_serving
from provision.kubernetes.spec import Spec
from provision.specs import Member

UNIT = "meshctl-upgrade.service"
_FILES = Detached(UNIT, "upgrade")

UPGRADE_S = 1800.0
"""kubeadm gives each of four static pods five minutes to come up anew (`UpgradeManifestTimeout`), and its images one more."""

TRIES = 3
"""How often kubeadm may take an upgrade back by its own clock. Each time is the same again, on a machine that is as busy or less."""

PROXY_S = 600.0
"""As for any pod of a DaemonSet that is replaced; under emulation it takes about half a minute."""

PROXY = {"component": "kube-proxy"}
"""kubeadm 1.5's label of kube-proxy's pods."""

# {work} is the profile's; it may use "$1", the version. A folder of root's holds it, as the log may show names of a cluster.
_SCRIPT = """\
#!/bin/sh
# Written by meshctl. Moves what kubeadm made on this node to version $1 and leaves the result in {state}.
cd {state} || exit 1
(umask 077 && : > upgrade.log)
(
set -eu
{work}
) >> upgrade.log 2>&1 < /dev/null
status=$?
result=failed
[ "$status" = 0 ] && result=done
echo "$status" > upgrade.new && sync && mv -f upgrade.new "upgrade.$result"
exit "$status"
"""

# What an earlier run began for this version ($1): running, done, or nothing.
_BEGUN = f"""
cd {STATE} || exit 0
if systemctl is-active --quiet {UNIT}; then echo running
elif [ -e upgrade.done ] && [ "$(cat upgrade.version 2>/dev/null)" = "$1" ]; then echo done
fi
"""

# stdin: the script. $1: the version.
_START = f"""
set -eu
cd {STATE}
rm -f upgrade.log upgrade.done upgrade.failed
cat > upgrade.sh
chmod 700 upgrade.sh
echo "$1" > upgrade.version
systemctl reset-failed {UNIT} 2>/dev/null || true
exec systemd-run --unit={UNIT} "--description=meshctl: upgrade to $1" {STATE}/upgrade.sh "$1"
"""


def load_images(shell: Shell, profile: Profile, spec: Spec, member: Member, emit: Emit) -> None:
    """Loads a node's missing images, and nothing else: new pods may come to it before its own turn."""
    state = observe(shell, profile, spec, member)
    if state.missing_archives:
        from_bundle(shell, state, (), emit)


def upgrade(
    shell: Shell, profile: Profile, spec: Spec, member: Member, emit: Emit, *, within_s: float = UPGRADE_S
) -> None:
    """Moves a member to the version that the spec wants. Raises KubernetesError with the last lines when that fails.

    Order of kubeadm's own guide: its new kubeadm first, with it the control plane or the node's settings, then the kubelet.
    """
    state = observe(shell, profile, spec, member)
    kubeadm = tuple(program for program in state.missing_programs if program.path == "bin/kubeadm")
    if kubeadm or state.missing_archives:
        from_bundle(shell, state, kubeadm, emit)
    work = profile.upgrade_work(member.role, first=member == spec.control_plane)
    if work:
        _move(shell, work, spec, member, within_s, emit)
    prepare(shell, profile, spec, member, emit)
    emit(Changed(member.name, f"Kubernetes {spec.version}", "upgrade"))


def _move(shell: Shell, work: str, spec: Spec, member: Member, within_s: float, emit: Emit) -> None:
    script = _SCRIPT.format(state=STATE, work=work)
    for left in reversed(range(TRIES)):
        try:
            _carried_out(shell, script, spec, member, within_s, emit)
            return
        except KubernetesError as error:
            why = impatience(error.message)
            if not left or not why:
                raise
        emit(Warned(f"{member.name}: {why}: begun once more", ""))
        await_serving(shell, spec.generation, emit, within_s=within_s)


def _carried_out(shell: Shell, script: str, spec: Spec, member: Member, within_s: float, emit: Emit) -> None:
    """Goes on with what an ended run has begun, else begins; what is done already is not done again."""
    what, begun = f"upgrade to {spec.version}", _begun(shell, spec)
    if begun == "done":
        return
    if begun != "running":
        shell.run(["sh", "-c", _START, "start", spec.version], stdin=script.encode(), within_s=120)
        emit(Changed(member.name, what, "start"))
    _ended(shell, member, what, spec.generation, within_s, emit)


def _begun(shell: Shell, spec: Spec) -> str:
    return shell.read(["sh", "-c", _BEGUN, "begun", spec.version]).stdout.strip()


def _ended(shell: Shell, member: Member, what: str, generation: str, within_s: float, emit: Emit) -> None:
    try:
        why = in_words(follow(shell, member.name, what, _FILES, within_s, emit, generation), within_s)
    except StageTimeout as error:
        raise _failed(shell, member, what, generation, f"not within {within_s:.0f} s") from error
    if why != "done":
        raise _failed(shell, member, what, generation, why)


def _failed(shell: Shell, member: Member, what: str, generation: str, why: str) -> KubernetesError:
    said = shell.read(["tail", "-n", "12", f"{STATE}/upgrade.log"], check=False).stdout.splitlines()
    found = diagnose(shell, generation)
    text = "\n".join(f"    {line}" for line in ("upgrade:", *said, *found.shown))
    return KubernetesError(f"{member.name}: {what}: {why}\n{text}", hint=advice(said, found.hint, generation))


def advice(said: list[str], otherwise: str, generation: str) -> str:
    """By what the upgrade itself said, where that is known or it was refused before it began: what ended on the node long ago, as its
    last restart had it, has nothing to do with that.
    """
    own = hint_for(said, generation)
    if own != UNKNOWN:
        return own
    refused = any("[preflight] Some fatal errors occurred" in line for line in said)
    return "kubeadm has changed nothing yet: mend what it names, then provision again" if refused else otherwise


def runs_version(kubectl: Kubectl, node: str, version: str) -> Ready[None] | NotYet:
    """Whether a node's kubelet says that it is of this version; for `wait_until`."""
    try:
        nodes = {item["metadata"]["name"]: item for item in kubectl.items("nodes")}
    except ApiStarting as error:
        return NotYet(error.message)
    found = str(nodes.get(node, {}).get("status", {}).get("nodeInfo", {}).get("kubeletVersion", "none"))
    return Ready(None) if found == version else NotYet(f"{node}: its kubelet says {found}")


def renew_proxy(kubectl: Kubectl, node: str, version: str, emit: Emit, *, within_s: float = PROXY_S) -> None:
    """Replaces a node's kube-proxy of another version, where no server does: DaemonSets of 1.5 do not roll."""
    for pod in _proxies(kubectl, node):
        if not _is_of(pod, version):
            kubectl.delete("pod", pod["metadata"]["name"], namespace="kube-system")
            emit(Changed(node, f"pod {pod['metadata']['name']}", "replace"))

    def look() -> Ready[None] | NotYet:
        try:
            found = _proxies(kubectl, node)
        except ApiStarting as error:
            return NotYet(error.message)
        ready = any(_is_of(pod, version) and pod["status"].get("phase") == "Running" for pod in found)
        return Ready(None) if ready else NotYet("no pod of it runs yet")

    wait_until(look, what=f"{node}: kube-proxy {version}", within_s=within_s, every_s=2.0, emit=emit)


def _proxies(kubectl: Kubectl, node: str) -> list[dict[str, Any]]:
    pods = kubectl.items("pods", namespace="kube-system", labels=PROXY)
    return [pod for pod in pods if pod["spec"].get("nodeName") == node]


def _is_of(pod: dict[str, Any], version: str) -> bool:
    return any(container["image"].endswith(f":{version}") for container in pod["spec"]["containers"])
