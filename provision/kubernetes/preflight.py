"""The checks before kubeadm: all at once, so that one run names every fault. 1.5's own must be skipped, as they
refuse every kernel after 4.x; 1.20's come late and in kubeadm's words.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

from provision.base.errors import KubernetesError
from provision.base.shell import Shell
from provision.kubernetes.node import parse
from provision.kubernetes.profile import Needs, Profile
from provision.specs import Member
from provision.storage import BOUND, STATE_UNITS

CLOCK_S = 120
"""Certificates of a control plane are not valid on a node whose clock is behind; skew beyond this is refused."""

CONTROLLERS = frozenset({"cpu", "cpuacct", "cpuset", "devices", "freezer", "memory"})
"""The cgroup v1 controllers that kubeadm 1.5 requires (its test/e2e_node/system)."""

# A guest that should have a state volume, and has not, would make its cluster where it is lost.
_STATE = f"""
if [ -e {STATE_UNITS[0]} ]; then
    for path in {" ".join(BOUND.values())}; do mountpoint -q "$path" || say unmounted "$path"; done
fi
"""

# Arguments: the programs to look for.
_PREFLIGHT = """
say() { printf '%s\\t%s\\n' "$1" "$2"; }
each() { while IFS= read -r line || [ -n "$line" ]; do say "$1" "$line"; done; }
say uid "$(id -u)"
say hostname "$(hostname)"
say clock "$(date +%s)"
say docker "$(systemctl is-active docker.service 2>/dev/null)"
say cgroups "$(stat -f -c %T /sys/fs/cgroup 2>/dev/null)"
awk '!/^#/ && $4 == 1 { print $1 }' /proc/cgroups | each controller
awk 'NR > 1 { print $1 }' /proc/swaps | each swap
ss -Hltn 2>/dev/null | awk '{ sub(".*:", "", $4); print $4 }' | each port
for program in "$@"; do command -v "$program" >/dev/null || say missing "$program"; done
if [ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ]; then
    command -v apparmor_parser >/dev/null || say missing apparmor_parser
fi
"""


def preflight(shell: Shell, profile: Profile, member: Member) -> None:
    """Raises KubernetesError naming everything that would make kubeadm or the kubelet fail."""
    needs = profile.needs(member.role)
    argv = ["sh", "-c", f"{_PREFLIGHT}{_STATE}exit 0", "preflight", "kubeadm", "kubelet", "kubectl", *needs.programs]
    faults = tuple(judge(needs, member, parse(shell.read(argv).stdout), time.time()))
    if faults:
        raise KubernetesError(
            f"{member.name} is not fit for kubeadm: {'; '.join(faults)}",
            hint="mend these in the base image's recipe or in the guest",
        )


def judge(needs: Needs, member: Member, said: Mapping[str, tuple[str, ...]], now: float) -> Iterator[str]:
    """Every fault, in words. `now` is our own clock."""
    hostname = next(iter(said.get("hostname", ())), "")
    if said.get("uid") != ("0",):
        yield "not root"
    if hostname != member.name:
        yield f"the host name is {hostname!r}"
    if said.get("docker") != ("active",):
        yield "docker.service is not running"
    yield from (f"{program} is not installed" for program in said.get("missing", ()))
    busy = sorted({port for port in said.get("port", ()) if port.isdigit() and int(port) in needs.ports}, key=int)
    yield from (f"port {port} is in use" for port in busy)
    yield from (
        f"nothing is mounted at {path}: its state volume has no disk or no filesystem"
        for path in said.get("unmounted", ())
    )
    if needs.no_swap:
        yield from (f"swap is on ({device})" for device in said.get("swap", ()))
    if needs.cgroup_v1:
        yield from _cgroups(said)
    skew = float(next(iter(said.get("clock", ())), "0")) - now
    if abs(skew) > CLOCK_S:
        yield f"its clock is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours"


def _cgroups(said: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    if said.get("cgroups") == ("cgroup2fs",):
        yield "it runs cgroup v2, kubelet 1.5 needs v1 (systemd.unified_cgroup_hierarchy=0)"
    missing = CONTROLLERS - set(said.get("controller", ()))
    if missing:
        yield f"the kernel lacks cgroup controllers: {', '.join(sorted(missing))}"
