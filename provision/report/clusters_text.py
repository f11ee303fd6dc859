"""Clusters on hosts, and what `gc` takes away, as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from provision.base.moments import epoch_s, span_text
from provision.plan.clusters import ClusterSeen
from provision.run.collection import Garbage
from provision.run.status import ABSENT, table

HEAD = ("CLUSTER", "OWNER", "HOSTS", "NODES", "VCPUS", "MEMORY", "DISK", "AGE", "EXPIRES")


def as_text(clusters: Sequence[ClusterSeen], now_s: float) -> str:
    """A table, one cluster a line; ages and expiries as spans from `now_s`, in seconds of the epoch."""
    if not clusters:
        return "No cluster of meshctl is there."
    return "\n".join(table([HEAD, *(_row(one, now_s) for one in clusters)]))


def _row(one: ClusterSeen, now_s: float) -> tuple[str, ...]:
    return (
        one.owner.cluster,
        one.owner.id or ABSENT,
        ",".join(one.parts),
        str(len(one.nodes)),
        str(one.vcpus),
        f"{one.memory_mib} MiB",
        f"{one.disk_mib} MiB",
        span_text(now_s - epoch_s(one.created)) if one.created else ABSENT,
        expiry(one, now_s) or ABSENT,
    )


def expiry(one: ClusterSeen, now_s: float) -> str:
    """How long a cluster is needed, empty when nobody said."""
    if not one.expires:
        return ""
    left = epoch_s(one.expires) - now_s
    return f"in {span_text(left)}" if left > 0 else f"{span_text(-left)} ago"


def garbage_text(found: Garbage, now_s: float) -> Iterator[str]:
    """What goes, cluster by cluster, and what is left though its time is over."""
    for one in found.doomed:
        yield f"cluster {one.cluster.owner.cluster} of owner {one.cluster.owner.id}, expired {expiry(one.cluster, now_s)}:"
        for removal in one.removals:
            yield f"  - {removal.host}: {removal.kind} {removal.name}"
    if found.artifacts:
        yield "used by nobody:"
    for removal in found.artifacts:
        yield f"  - {removal.host}: {removal.kind} {removal.name}, {removal.detail}"
    for cluster, why in found.left:
        name = cluster.owner.cluster
        yield f"left: cluster {name}, expired {expiry(cluster, now_s)}: {why}; `meshctl destroy INVENTORY --name {name}` takes it away"
