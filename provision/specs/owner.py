"""Whose a thing is: a cluster's name and its id, which tells two clusters of one name apart."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TypeGuard

from provision.specs.objects import object_uuid
from provision.specs.stamp import Stamp

OLD = "old-"
"""How the id of a cluster begins that was made before there were ids: its volumes and MAC addresses have the names of then."""


@dataclass(frozen=True)
class Owner:
    """A cluster as the owner of what carries its stamp. `id` is empty where nobody has drawn one (yet)."""

    cluster: str
    id: str = ""

    @property
    def old(self) -> bool:
        """Whether its things are named without the id."""
        return not self.id or self.id.startswith(OLD)

    @property
    def key(self) -> str:
        """What marks in names and MAC addresses are worked out from."""
        return self.cluster if self.old else f"{self.cluster}/{self.id}"

    def owns(self, stamp: Stamp | None) -> TypeGuard[Stamp]:
        """Whether there is a stamp and it is this owner's. One without id is, for a cluster from before there were ids."""
        return (
            stamp is not None
            and stamp.cluster == self.cluster
            and (stamp.owner == self.id or (self.old and not stamp.owner))
        )

    def why_not(self, stamp: Stamp | None, name: str, uuid: str) -> str:
        """Why a domain or network with this stamp is not ours though the stamp names our cluster; empty when it is ours.

        A clone carries its model's metadata, but neither its name nor its uuid.
        """
        if stamp is None or stamp.cluster != self.cluster:
            return ""
        if not self.owns(stamp):
            return f"it belongs to another cluster {self.cluster}, of owner {stamp.owner or 'without an id'}; ours is {self.id}"
        named, given = self._given(stamp, name)
        if name != named:
            return f"it is not called {named}: a clone?"
        return "" if uuid == given else f"its uuid {uuid} is not the one that we gave: a clone?"

    def _given(self, stamp: Stamp, name: str) -> tuple[str, str]:
        """Name and uuid of what we make with this stamp: a node's guest, or a network, which is called as the inventory says."""
        if stamp.node:
            return f"{self.cluster}-{stamp.node}", object_uuid(self.cluster, "guest", stamp.node)
        return name, object_uuid(self.cluster, "network", name)


def new_id() -> str:
    """A new owner's id: 16 hex digits from the system's random source."""
    return secrets.token_hex(8)
