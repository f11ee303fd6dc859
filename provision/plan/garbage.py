"""What on hosts nobody needs any longer: clusters whose time is over, base images and bundles without a user. Pure.

What is not known to be garbage is none: a cluster without a moment in its stamps, a file that somebody lies on or sends, or whose
age libvirt does not say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from provision.base.moments import span_text
from provision.base.units import MIB
from provision.libvirt_xml import VolumeSeen
from provision.plan.clusters import ClusterSeen, Machine, Part
from provision.plan.removal import CACHED, Removal, holders
from provision.specs import incomplete_copies, is_artifact

WHAT = {"logical": "logical volumes", "block": "devices"}
"""Volumes that only an inventory can name."""

LAST = {"guest": 4, "network": 5}
"""Guests and networks go after the volumes: by their stamps the next run knows what is left, when this one is ended in between."""


def hindrance(cluster: ClusterSeen, silent: Collection[str]) -> str:
    """Why an expired cluster cannot be taken away without its inventory, empty when it can; `silent` are hosts without an answer."""
    for host, part in cluster.parts.items():
        said = {(stamp.upkeep.pool, stamp.upkeep.store) for stamp in part.stamps if stamp.upkeep.pool}
        if not said:
            return f"no stamp on {host} says where its volumes lie"
        if what := next((WHAT[store] for _, store in sorted(said) if store in WHAT), ""):
            return f"its volumes on {host} are {what}, which its inventory alone names"
        pools = {pool for pool, _ in said} | {pool for pool, files in part.files.items() if files}
        if len(pools) > 1:
            return f"its volumes on {host} lie in several pools: {', '.join(sorted(pools))}"
        if part.upkeep.pool not in part.files:
            return f"pool {part.upkeep.pool} on {host} is not active"
    if silent and not all(map(_under_nat, cluster.parts.values())):
        return f"it may have a part on {', '.join(sorted(silent))}, from which there is no answer"
    return ""


def _under_nat(part: Part) -> bool:
    """Whether it is on one host only: nodes under nat cannot reach those of another."""
    return bool(part.networks) and all(one.settings.get("mode") == "nat" for one in part.networks)


def resumable(removal: Removal) -> int:
    """The order in which an expired cluster goes."""
    return LAST.get(removal.kind, removal.order)


def unused(
    host: str,
    machine: Machine,
    going: Iterable[ClusterSeen],
    abandoned: Mapping[str, frozenset[str]],
    now_s: float,
    keep_s: float,
) -> Iterator[Removal]:
    """Base images and bundles of a host's pools that nobody needs but the clusters that go, and that were written `keep_s` ago or earlier.

    `abandoned` are, by pool, uploads that nobody goes on with.
    """
    parts = [cluster.parts[host] for cluster in going if host in cluster.parts]
    names = {domain.name for part in parts for domain in part.domains}
    paths = {volume.path for part in parts for files in part.files.values() for volume in files}
    among = [one for one in machine.holders if one.name not in (names if one.what == "domain" else paths)]
    for pool, volumes in sorted(machine.volumes.items()):
        busy = set(incomplete_copies(one.name for one in volumes)) - abandoned.get(pool, frozenset())
        for one in sorted(volumes, key=lambda volume: volume.name):
            if is_artifact(one.name) and one.name not in busy and not holders(one.name, among):
                yield from _old(host, pool, one, now_s, keep_s)


def _old(host: str, pool: str, volume: VolumeSeen, now_s: float, keep_s: float) -> Iterator[Removal]:
    if volume.modified is not None and now_s - volume.modified >= keep_s:
        age = span_text(now_s - volume.modified)
        yield Removal(6, host, CACHED, volume.name, pool, detail=f"{volume.physical // MIB} MiB, {age} old")
