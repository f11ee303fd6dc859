"""Things of an owner on hosts, and the doors to them: what a removal needs, with an inventory or without one."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from provision.base import interruption
from provision.base.calls import Calls
from provision.base.errors import StorageError
from provision.base.events import Emit, RunFinished, RunStarted
from provision.base.shell import Shell
from provision.hosts import Hypervisor, host_shell
from provision.inventory import Host
from provision.specs import Owner


class Estate(Protocol):
    """What `inventory.Cluster` has of whose things they are and where they lie."""

    @property
    def owner(self) -> Owner: ...  # noqa: D102
    @property
    def hosts(self) -> tuple[Host, ...]: ...  # noqa: D102


@dataclass(frozen=True)
class Found:
    """An estate that was found on hosts: nobody has its inventory at hand."""

    owner: Owner
    hosts: tuple[Host, ...]


@dataclass(frozen=True)
class Site:
    """An estate, and the doors to its hosts."""

    cluster: Estate
    emit: Emit
    calls: Calls
    hypervisors: Mapping[str, Hypervisor]

    def shell(self, host: str) -> Shell | None:
        """The shell of a host, None where its URI leads to none. Raises MeshctlError when its lab is not up."""
        known = next(one for one in self.cluster.hosts if one.name == host)
        return host_shell(known, self.hypervisors[host].calls)

    def reached(self, host: str) -> Shell:
        """The shell of a host that must have one. Raises StorageError where its URI leads to none."""
        found = self.shell(host)
        if found is None:
            raise StorageError(f"{host}: its URI leads to no shell", hint="a qemu+ssh:// URI does")
        return found


@contextmanager
def recorded(site: Site, command: str) -> Iterator[None]:
    """A run's begin and end as events; the end carries the calls counted at the doors. Interrupted, it ends at its next call."""
    site.emit(RunStarted(command, site.cluster.owner.cluster))
    started, outcome = time.monotonic(), "failed"
    mutations_before = site.calls.mutations
    try:
        with interruption.ordered():
            yield
        outcome = "done"
    except interruption.Interrupted:
        outcome = "interrupted"
        raise
    finally:
        seconds = time.monotonic() - started
        site.emit(RunFinished(outcome, seconds, site.calls.reads, site.calls.mutations - mutations_before))
