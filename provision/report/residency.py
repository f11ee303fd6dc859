"""The record that a data protection officer asks for, in the terms of GDPR art. 30 (1), as data: `residency_text` shows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from provision import __version__
from provision.base.units import MIB, approximate_size
from provision.inventory import Cluster, parse_uri, volume_of
from provision.inventory.countries import name_of
from provision.inventory.residency import Verdict
from provision.report.logs import KEPT
from provision.run.residency import Disk, Whereabouts

UNSAID = "not said"

HOLDS = {
    "root": "the node's system, container images, logs of pods and node, and what pods write to their own disk (emptyDir)",
    "state": "etcd: every object of Kubernetes, its Secrets too; and the keys of the cluster's authority",
    "data": "what applications write to the volume",
    "seed": "the node's private SSH host key and its first settings",
    "console": "what the node's console has said: its kernel and its boot, nothing of applications",
}
"""What a volume of a kind holds."""

LASTS = {
    "root": "until the node is rebuilt or removed, or the cluster destroyed",
    "state": "until the cluster is destroyed; what is deleted in Kubernetes is gone with etcd's next compaction",
    "data": "until applications delete it, or the node is removed or the cluster destroyed",
    "seed": "as long as the node",
    "console": "as long as the node; where virtlogd writes it, 2 MiB and three older ones (its defaults)",
}
"""How long."""


@dataclass(frozen=True)
class Stored:
    """One place where something is stored: what, where, in which country (code and name), how long, and who can reach it."""

    what: str
    where: str
    country: str
    kept: str
    reach: str


@dataclass(frozen=True)
class Recipient:
    """Somebody who gets data, or a place that the inventory names. `allowed`: None where there is no policy."""

    what: str
    who: str
    country: str
    allowed: bool | None
    reason: str
    said: str


@dataclass(frozen=True)
class Record:
    """The record. `blind`: what could not be looked at, so that the record is not whole."""

    cluster: str
    taken: str
    release: str
    controller: str
    purpose: str
    policy: str
    stored: tuple[Stored, ...]
    recipients: tuple[Recipient, ...]
    access: tuple[str, ...]
    measures: tuple[str, ...]
    blind: tuple[str, ...]

    @property
    def refused(self) -> tuple[Recipient, ...]:
        """What the policy does not allow."""
        return tuple(one for one in self.recipients if one.allowed is False)

    def as_data(self) -> dict[str, Any]:
        """For --json."""
        return asdict(self)


def record(cluster: Cluster, seen: Whereabouts, now: datetime) -> Record:
    """What was seen, as the record of that moment."""
    policy = cluster.policy
    return Record(
        cluster.cluster,
        f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        __version__,
        policy.controller or UNSAID,
        policy.purpose or UNSAID,
        " and ".join(policy.residency) if policy.residency is not None else UNSAID,
        tuple(_stored(cluster, seen)),
        tuple(_recipient(one, policy.residency is not None) for one in seen.verdicts),
        tuple(_access(cluster, seen)),
        tuple(_measures(cluster)),
        seen.blind,
    )


def _stored(cluster: Cluster, seen: Whereabouts) -> Iterator[Stored]:
    for disk in seen.disks:
        yield _disk(cluster, disk)
    for node, inside in seen.inside.items():
        limits = [inside.containers or "containers' logs without a limit", inside.journal or "the journal's own limit"]
        kept = f"by size, not by time: {'; '.join(limits)}"
        where = f"node {node}, /var/log and /var/lib/docker/containers, {inside.used_mib} MiB now"
        what = "logs: what applications, linkerd and the system write; with mesh.tracer.kind tracelog also URIs of requests"
        yield Stored(
            what, where, _country(_of_node(cluster, seen, node)), kept, "who may log in to the node or read pods' logs"
        )
    if seen.objects is not None:
        for volume in seen.objects.volumes:
            where = f"{volume.kind} of {', '.join(volume.servers) or 'its node'}, {volume.size}"
            kept = "until somebody deletes it" if volume.after == "Retain" else f"as long as its claim ({volume.after})"
            yield Stored(
                f"what {volume.claim or 'applications'} keeps on the volume {volume.name}",
                where,
                _of_servers(seen, volume.servers),
                kept,
                "the pods that mount it, and who reaches that server",
            )
    yield from _traces(cluster, seen)
    yield Stored(
        "backups (every object of Kubernetes, Secrets, the authority's keys), run logs, the kubeconfig",
        "the machines that meshctl is run on: backup --to FILE, ~/.local/state/meshctl",
        _country(cluster.policy.operator),
        f"backups until somebody deletes the file; of runs the last {KEPT} ($MESHCTL_KEEP_RUNS)",
        f"who runs meshctl; backups {_encrypted(cluster)}",
    )  # fmt: skip


def _traces(cluster: Cluster, seen: Whereabouts) -> Iterator[Stored]:
    """What a Zipkin in the cluster keeps; one elsewhere is a recipient."""
    tracing, home = cluster.tracing, cluster.traces_home
    volume = volume_of(tracing, home) if tracing is not None and home is not None else None
    if tracing is None or home is None or volume is None:
        return
    share = f"of {tracing.sample_rate:g} of all requests"
    yield Stored(
        f"traces {share}: their URIs with query strings, hosts and times",
        f"node {home.name}, {volume.mount}/zipkin",
        _country(_of_node(cluster, seen, home.name)),
        f"{tracing.max_age_h} h, and {approximate_size(tracing.room(volume.size))} at the most: then the older half goes",
        "every pod and node of the cluster: Zipkin asks nobody who he is; root of the node",
    )


def _disk(cluster: Cluster, disk: Disk) -> Stored:
    size = f", {approximate_size(disk.size_mib * MIB)}" if disk.size_mib else ""
    host = cluster.host(disk.host)
    what = HOLDS.get(disk.kind, HOLDS["data"])
    mounts = ", ".join(cluster.node(disk.node).mounts) if disk.node in {node.name for node in cluster.nodes} else ""
    if disk.kind == "data" and mounts:
        what = f"what applications write to {mounts}"
    left = "" if disk.used or disk.kind == "console" else " (no guest has it)"
    lasts = LASTS.get(disk.kind, LASTS["data"])
    return Stored(
        what,
        f"host {disk.host}, {disk.path}{size}: {disk.kind} of {disk.node}{left}",
        _country(host.jurisdiction),
        lasts,
        f"root of {disk.host}, who may use its libvirt, and root of {disk.node}",
    )


def _country(code: str | None) -> str:
    return f"{code} ({name_of(code)})" if code else UNSAID


def _of_node(cluster: Cluster, seen: Whereabouts, node: str) -> str | None:
    host = next((disk.host for disk in seen.disks if disk.node == node and disk.used), None)
    return None if host is None else cluster.host(host).jurisdiction


def _of_servers(seen: Whereabouts, servers: tuple[str, ...]) -> str:
    if not servers:
        return "as its node"
    return ", ".join(sorted({_country(one.country) for one in seen.verdicts if one.place.address in servers})) or UNSAID


def _encrypted(cluster: Cluster) -> str:
    count = len(cluster.backup.recipients)
    return f"are encrypted for {count} key(s) of age" if count else "are not encrypted unless --recipient is said"


def _recipient(verdict: Verdict, judged: bool) -> Recipient:
    place = verdict.place
    said = f"{place.spot.file}:{place.spot.line} {place.spot.field}" if place.spot is not None else _field(place.field)
    allowed = verdict.allowed if judged else None
    return Recipient(place.what, place.where, _country(verdict.country), allowed, verdict.reason, said)


def _field(field: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in field).lstrip(".")


def _access(cluster: Cluster, seen: Whereabouts) -> Iterator[str]:
    for host in cluster.hosts:
        uri = parse_uri(host.uri)
        way = f"{uri.transport or 'its socket'} at {uri.host or 'this machine'}"
        yield f"host {host.name}: root there, and who may use libvirt by {way}"
    for node, inside in seen.inside.items():
        for key in inside.keys:
            yield f"node {node}: {key}"
    admins = seen.objects.admins if seen.objects is not None else ()
    if admins is None:
        yield "Kubernetes: everybody whom its API server knows (1.5 has no RBAC there), with all rights"
    for admin in admins or ():
        yield f"Kubernetes, all of it: {admin} (cluster-admin)"
    yield "Kubernetes: who has /etc/kubernetes/admin.conf of a control plane, or a kubeconfig made of it"


def _measures(cluster: Cluster) -> Iterator[str]:
    yield "nodes let in SSH keys only, and each node's host key is known before the first connection"
    yield f"backups {_encrypted(cluster)}, and are for their owner only (mode 0600)"
    yield "requests between services are not encrypted by the mesh, unless mesh.config_file says so"
    if cluster.firewall:
        yield f"ports of nodes are closed to all but nodes, pods and {', '.join(cluster.network.admins)} (docs/security.md)"
    yield "disks are as safe as the hosts' devices: meshctl encrypts none"
    if not cluster.firewall:
        yield "ports of nodes are open to whoever reaches them (firewall: false; docs/security.md)"
