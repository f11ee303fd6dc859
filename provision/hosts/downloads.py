"""Volumes out of pools, verified: what arrives is what lies on the host."""

from __future__ import annotations

from pathlib import Path

from provision.base.content import content_sha256
from provision.base.errors import HypervisorError
from provision.base.shell import Shell
from provision.hosts.hypervisor import Hypervisor, OnBytes
from provision.hosts.uploads import content_of
from provision.specs import PoolSpec


def fetch(
    hypervisor: Hypervisor, shell: Shell | None, pool: PoolSpec, volume: str, target: Path, on_bytes: OnBytes
) -> None:
    """Reads a volume that nobody writes to into a new file. Raises HypervisorError when what arrived is not what is there, by the
    host's own sha256 where it has a shell, else by reading it twice.
    """
    with target.open("xb") as content:
        hypervisor.download(pool.name, volume, content, on_bytes)
    found, there = content_sha256(target), content_of(hypervisor, shell, pool, volume)
    if there not in (None, found):
        raise HypervisorError(
            f"{pool.host}: {volume} arrived damaged: sha256 {found} instead of {there}",
            hint="run the command again; when it stays so, look at the host's disk and memory",
        )
