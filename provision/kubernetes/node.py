"""One read per node: what it is, against what it should be."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from provision.base.shell import Shell
from provision.guests import firewall
from provision.kubernetes import state_volume
from provision.kubernetes.files import (
    DOCKER_CONFIG,
    NETWORK_UNIT,
    ROUTE_PROTOCOL,
    docker_config,
    files_for,
    firewall_files,
    hosts_file,
    routes,
)
from provision.kubernetes.leading import CHAIN, read_led
from provision.kubernetes.places import RESTORE, STATE
from provision.kubernetes.profile import Profile, archives_for
from provision.kubernetes.spec import CONTROL_PLANE, WORKER, Archive, File, Program, Spec
from provision.kubernetes.virtual_address import PROGRAM, holds_address
from provision.kubernetes.virtual_address import UNIT as KEEPALIVED
from provision.specs import Member

UNIT = "meshctl-kubeadm.service"
"""The transient unit in which kubeadm runs."""

_OBSERVE_S = 120.0
"""It takes two to five seconds on an emulated guest, and many times that while images are loaded on it."""

DOCKER_PENDING, KUBELET_PENDING = "docker-to-restart", "kubelet-to-restart"
"""Markers on a node: what the service was to be started anew for is written, and it was not yet."""

DOCKER, KUBELET = "docker.service", "kubelet.service"
_WANTS = "/etc/systemd/system/multi-user.target.wants"
FIREWALL = firewall.UNIT_NAME
_UNITS = (DOCKER, KUBELET, NETWORK_UNIT, UNIT, KEEPALIVED, FIREWALL)

# Constant: paths come as arguments. Each line is `KIND<tab>VALUE`. A missing program or file is an absent line, and
# what follows from that is decided in Python. Units come before stamps: kubeadm's unit writes its stamp and then ends,
# so one that has ended has left a stamp to be read. Each process costs 0.1 to 1 s on an emulated guest, Docker's client
# 5 s: so what a file says is read from the file, the list of images too, unless a change of storage driver left two.
_OBSERVE = f"""
say() {{ printf '%s\\t%s\\n' "$1" "$2"; }}
each() {{ while IFS= read -r line || [ -n "$line" ]; do say "$1" "$line"; done; }}
systemctl is-active {" ".join(_UNITS)} 2>/dev/null | each active
cd {STATE} 2>/dev/null && for stamp in prepared loaded drained {RESTORE} {DOCKER_PENDING} {KUBELET_PENDING} \\
    kubeadm.started kubeadm.done kubeadm.failed; do
    [ -e "$stamp" ] && each "$stamp" < "$stamp"
done
for path in /etc/kubernetes/admin.conf /etc/kubernetes/kubelet.conf /etc/kubernetes/bootstrap-kubelet.conf \\
    /etc/kubernetes/manifests/* /etc/kubernetes/pki/* /var/lib/etcd/member; do
    [ -e "$path" ] && say kubeadm-file "$path"
done
for path in /etc/kubernetes/manifests/kube-apiserver.*; do
    [ -e "$path" ] && sed -n 's/.*--service-cluster-ip-range=\\([0-9./]*\\).*/\\1/p' "$path" | each service-cidr
done
[ -x {PROGRAM} ] && say has {PROGRAM}
if [ -x {firewall.PROGRAM} ]; then
    say has {firewall.PROGRAM}
    [ "$({firewall.LOOK})" = "$(cat {firewall.RECORD} 2>/dev/null)" ] && say firewall kept
fi
for unit in {KUBELET} {NETWORK_UNIT} {KEEPALIVED} {FIREWALL}; do
    [ -e "{_WANTS}/$unit" ] && say enabled "$unit"
done
iptables -w -S FORWARD 2>/dev/null | each forward
iptables -w -t nat -S {CHAIN} 2>/dev/null | each led
ip -4 route show proto {ROUTE_PROTOCOL} 2>/dev/null | each route
lists=0
for path in /var/lib/docker/image/*/repositories.json; do [ -e "$path" ] && list=$path && lists=$((lists + 1)); done
if [ "$lists" = 1 ]; then each repositories < "$list"
else docker images --format '{{{{.Repository}}}}:{{{{.Tag}}}}' 2>/dev/null | each image
fi
sha256sum -- "$@" 2>/dev/null | each file
each hosts < /etc/hosts
[ -e {DOCKER_CONFIG} ] && each docker < {DOCKER_CONFIG}
exit 0
"""


class Phase(StrEnum):
    """How far kubeadm has come on a node. HALF: we started it and it did not end well; FOREIGN: we did not start it."""

    FRESH = "fresh"
    RUNNING = "running"
    HALF = "half done"
    MEMBER = "member"
    FOREIGN = "foreign"


@dataclass(frozen=True)
class NodeState:
    """A node as seen in one read. `said` maps each kind of line to its values."""

    member: Member
    said: Mapping[str, tuple[str, ...]] = field(repr=False)
    unprepared: tuple[str, ...] = ()
    stale_files: tuple[File, ...] = ()
    missing_programs: tuple[Program, ...] = ()
    missing_archives: tuple[Archive, ...] = ()
    hosts: str | None = None
    docker: str | None = None

    @property
    def bundle_wanted(self) -> bool:
        """Whether something of the bundle is to be installed or loaded."""
        return bool(self.missing_programs or self.missing_archives)

    @property
    def version(self) -> str:
        """The version of Kubernetes that it was prepared for last (``v1.20.2``), empty when it never was."""
        return self.first("prepared").partition(" ")[0]

    @property
    def phase(self) -> Phase:
        """How far kubeadm has come."""
        return _phase(self.member, self.said)

    @property
    def joined(self) -> bool:
        """Whether kubeadm has made the node a member of the cluster."""
        return self.phase is Phase.MEMBER

    @property
    def role(self) -> str:
        """What kubeadm has made of the node, "" for nothing yet."""
        if "kubeadm.done" not in self.said:
            return ""
        return CONTROL_PLANE if "/etc/kubernetes/admin.conf" in self.said.get("kubeadm-file", ()) else WORKER

    def strays(self, spec: Spec) -> tuple[str, ...]:
        """Addresses of other nodes that it has routes to and that no member has."""
        known = {member.address for member in spec.reached}
        ways = [line.split() for line in self.said.get("route", ())]
        return tuple(words[2] for words in ways if len(words) > 2 and words[2] not in known)

    @property
    def led(self) -> str:
        """The address that the mesh's ports of the node are led to, "" for none."""
        return read_led("\n".join(self.said.get("led", ())))

    def has(self, program: str) -> bool:
        """Whether the base image brought a program that older ones did not (`/usr/sbin/nft`)."""
        return program in self.said.get("has", ())

    @property
    def drained(self) -> bool:
        """Whether a run of ours has emptied the node and has not taken that back."""
        return "drained" in self.said

    @property
    def keeps(self) -> bool:
        """Whether the node has a state volume."""
        return state_volume.OF in _digests(self.said)

    @property
    def has_state(self) -> bool:
        """Whether there is a cluster on a state volume of the node."""
        return state_volume.DONE in _digests(self.said)

    @property
    def restoring(self) -> bool:
        """Whether a backup is being put on the node: a kubeadm would make another cluster of it."""
        return RESTORE in self.said

    def pending(self, marker: str) -> bool:
        """Whether a service was not yet started anew with what was written for it."""
        return marker in self.said

    def active(self, unit: str) -> bool:
        """Whether a unit runs (docker.service, kubelet.service, meshctl's own)."""
        return _active(self.said, unit) == "active"

    def first(self, kind: str) -> str:
        """The first value of a kind of line, empty when there is none."""
        return next(iter(self.said.get(kind, ())), "")


def observe(shell: Shell, profile: Profile, spec: Spec, member: Member) -> NodeState:
    """Reads a node and says what differs from the wanted state (`unprepared`, empty when nothing does)."""
    paths = (file.path for file in (*files_for(profile, spec, member), *firewall_files(spec)))
    kept = state_volume.SEEN if member.role == CONTROL_PLANE else ()
    completed = shell.read(["sh", "-c", _OBSERVE, "observe", *paths, *kept], within_s=_OBSERVE_S)
    return compare(profile, spec, member, parse(completed.stdout))


def is_member(shell: Shell) -> bool:
    """Whether kubeadm has ended well on a node, in one quick look."""
    return shell.read(["test", "-e", f"{STATE}/kubeadm.done"], check=False).status == 0


def prepared_version(shell: Shell) -> str:
    """The version of Kubernetes that a node was prepared for last (``v1.20.2``), empty when it never was."""
    said = shell.read(["cat", f"{STATE}/prepared"], check=False).stdout.split()
    return said[0] if said else ""


def parse(text: str) -> dict[str, tuple[str, ...]]:
    """The script's lines by kind."""
    said: dict[str, list[str]] = defaultdict(list)
    for line in text.splitlines():
        kind, tab, value = line.partition("\t")
        if tab:
            said[kind].append(value)
    return {kind: tuple(values) for kind, values in said.items()}


def compare(profile: Profile, spec: Spec, member: Member, said: Mapping[str, tuple[str, ...]]) -> NodeState:
    """Pure: what was said against what is wanted."""
    archives = archives_for(profile, spec, member)
    stamp = said.get("prepared", ())
    prepared = stamp in (spec.stamp, (spec.former_stamp(member, archives),))
    programs = () if prepared else tuple(program for program in spec.programs if program.line not in stamp)
    closes = firewall.PROGRAM in said.get("has", ())
    files = (*files_for(profile, spec, member), *(firewall_files(spec) if closes else ()))
    stale_files = _stale_files(files, said)
    missing = _missing_archives(archives, said)
    hosts_now, docker_now = _text(said, "hosts"), _text(said, "docker")
    hosts = hosts_file(hosts_now, spec)
    docker = docker_config(docker_now)
    reasons = (
        *([f"{len(programs)} program(s) of the bundle to install"] if programs else []),
        *(["its preparation did not end"] if not prepared and not programs else []),
        *([f"{len(missing)} image archive(s) to load"] if missing else []),
        *([f"{len(stale_files)} file(s) to write"] if stale_files else []),
        *(["/etc/hosts lacks nodes"] if hosts != hosts_now else []),
        *([f"{DOCKER_CONFIG} to change"] if docker is not None else []),
        *_services(spec, member, said),
        *(_firewall(said) if closes else ()),
        *_network(spec, member, said),
        *_state(member, said),
    )
    return NodeState(
        member,
        said,
        reasons,
        stale_files,
        programs,
        missing,
        hosts if hosts != hosts_now else None,
        docker,
    )


def _stale_files(wanted: tuple[File, ...], said: Mapping[str, tuple[str, ...]]) -> tuple[File, ...]:
    found = _digests(said)
    return tuple(file for file in wanted if found.get(file.path) != file.sha256)


def _digests(said: Mapping[str, tuple[str, ...]]) -> Mapping[str, str]:
    """By path, as sha256sum prints them: `DIGEST  PATH`."""
    return {line[66:]: line[:64] for line in said.get("file", ())}


def _state(member: Member, said: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    version = next(iter(said.get("prepared", ())), "").partition(" ")[0]
    if (
        _phase(member, said) is Phase.MEMBER
        and RESTORE not in said
        and state_volume.is_behind(member, version, _digests(said))
    ):
        yield "its state volume has an older copy of its settings"


def _missing_archives(archives: tuple[Archive, ...], said: Mapping[str, tuple[str, ...]]) -> tuple[Archive, ...]:
    loaded, images = set(said.get("loaded", ())), _images(said)
    silent = _active(said, DOCKER) != "active"  # it cannot say what it has: then our own record counts
    return tuple(a for a in archives if a.sha256 not in loaded or not (silent or images.issuperset(a.references)))


def _services(spec: Spec, member: Member, said: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    shared = [KEEPALIVED] if holds_address(spec, member) else []
    running = [DOCKER, NETWORK_UNIT, *shared]
    if _phase(member, said) is Phase.MEMBER:
        running.append(KUBELET)  # before that it cannot run, and crash-loops by design
    for unit in running:
        if _active(said, unit) != "active":
            yield f"{unit} is not running"
    for unit, marker in ((DOCKER, DOCKER_PENDING), (KUBELET, KUBELET_PENDING)):
        if marker in said:
            yield f"{unit} is to be started anew"
    for unit in (KUBELET, NETWORK_UNIT, *shared):
        if unit not in said.get("enabled", ()):
            yield f"{unit} is not enabled"


def _firewall(said: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    if _active(said, FIREWALL) != "active":
        yield f"{FIREWALL} is not running"
    elif "firewall" not in said:
        yield "the firewall's rules in the kernel are others"
    if FIREWALL not in said.get("enabled", ()):
        yield f"{FIREWALL} is not enabled"


def _network(spec: Spec, member: Member, said: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    if said.get("forward", ())[:1] != ("-P FORWARD ACCEPT",):
        yield "the firewall's FORWARD policy is not ACCEPT"
    if {" ".join(line.split()[:3]) for line in said.get("route", ())} != set(routes(spec, member)):
        yield "routes to the other nodes' pods differ"


def _active(said: Mapping[str, tuple[str, ...]], unit: str) -> str:
    return dict(zip(_UNITS, said.get("active", ()), strict=False)).get(unit, "unknown")


def _phase(member: Member, said: Mapping[str, tuple[str, ...]]) -> Phase:
    if _active(said, UNIT) in ("active", "activating", "deactivating"):
        return Phase.RUNNING
    files = said.get("kubeadm-file", ())
    end = "/etc/kubernetes/admin.conf" if member.role == CONTROL_PLANE else "/etc/kubernetes/kubelet.conf"
    if "kubeadm.done" in said and end in files:
        return Phase.MEMBER
    if not files:
        return Phase.FRESH
    return Phase.HALF if "kubeadm.started" in said else Phase.FOREIGN


def _images(said: Mapping[str, tuple[str, ...]]) -> set[str]:
    listed = set(said.get("image", ()))
    for line in said.get("repositories", ()):
        for references in json.loads(line).get("Repositories", {}).values():
            listed.update(references)
    return listed


def _text(said: Mapping[str, tuple[str, ...]], kind: str) -> str:
    return "".join(f"{line}\n" for line in said.get(kind, ()))
