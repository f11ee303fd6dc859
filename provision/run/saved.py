"""A plan as a file: made and looked at here, carried out there, and only if it still says what would be done."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from provision import __version__
from provision.base import data
from provision.base.errors import ConflictError, InventoryError, cause
from provision.base.units import MIB
from provision.base.visible import visible_line
from provision.inventory import Cluster
from provision.plan import Agreement, Plan

FORMAT = 1
"""Of the file. Raised when another meshctl could take it for something else than was meant."""

LARGEST_FILE = 64 * MIB
"""Bytes: a plan for 1,000 nodes has about 2 MiB. A device such as /dev/zero has no end."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Options(_Part):
    """What a plan was asked for, as for `make_plan`."""

    wipe: bool = False
    restart: bool = False
    remove: tuple[str, ...] = ()
    limit: tuple[str, ...] = ()


class Deed(_Part):
    """What is done to what; `basis` as for `Action`."""

    stage: str
    verb: str
    where: str
    kind: str
    name: str
    basis: str


class SavedPlan(_Part):
    """The file's content. `owner` is the owner's id, `inventory` and `things` are digests; nothing in it is secret."""

    format: int
    made_by: str
    cluster: str
    owner: str
    inventory: str
    options: Options
    deeds: tuple[Deed, ...]
    things: dict[str, str]

    @property
    def agreement(self) -> Agreement:
        """What was agreed to with it."""
        return Agreement(frozenset(tuple(deed.model_dump().values()) for deed in self.deeds), self.things)


@dataclass(frozen=True)
class PlanFile:
    """A saved plan, and where it was read."""

    path: str
    plan: SavedPlan

    def check(self, cluster: Cluster, found: Plan) -> None:
        """Raises ConflictError, saying what differs, when it is no longer what `found` would do."""
        self.check_cluster(cluster)
        lines = [f"  {line}" for line in found.agreement.departures(self.plan.agreement)]
        if inventory_digest(cluster) != self.plan.inventory:
            lines.insert(0, "  the inventory was changed")
        if lines:
            raise ConflictError(
                f"{visible_line(self.path)}: it is no longer what would be done:\n" + "\n".join(lines),
                hint="look at it again: `meshctl plan INVENTORY --out FILE` makes another",
            )

    def check_cluster(self, cluster: Cluster) -> None:
        """Raises ConflictError when it is another cluster's, or that of another owner."""
        of = (self.plan.cluster, self.plan.owner)
        if of != (cluster.cluster, cluster.owner.id):
            raise ConflictError(
                f"{visible_line(self.path)}: it is for cluster {of[0]} of owner {of[1]}, the inventory's is"
                f" {cluster.cluster} of owner {cluster.owner.id}",
                hint="give the inventory that it was made from",
            )


def save(path: str, cluster: Cluster, plan: Plan, options: Options) -> None:
    """Writes a plan into a file that only this user can read, as a whole or not at all. Raises InventoryError when it cannot."""
    fields = ("stage", "verb", "where", "kind", "name", "basis")
    deeds = [Deed(**dict(zip(fields, map(str, deed), strict=True))) for deed in sorted(plan.agreement.deeds)]
    saved = SavedPlan(
        format=FORMAT,
        made_by=f"meshctl {__version__}",
        cluster=plan.cluster,
        owner=plan.desired.owner_id,
        inventory=inventory_digest(cluster),
        options=options,
        deeds=tuple(deeds),
        things=dict(plan.agreement.things),
    )
    beside = Path(f"{path}.{os.getpid()}.partial")
    try:
        with data.private_file(beside) as file:
            file.write(saved.model_dump_json(indent=1) + "\n")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise InventoryError(f"{visible_line(path)}: cannot be written: {cause(error)}") from error


def read(path: str) -> PlanFile:
    """A plan from its file. Raises InventoryError for what is none, is damaged, or is of another format."""
    try:
        with Path(path).open("rb") as file:
            text = file.read(LARGEST_FILE)
        said = json.loads(text)
    except OSError as error:
        raise InventoryError(f"{visible_line(path)}: cannot be read: {cause(error)}") from error
    except ValueError as error:
        raise _no_plan(path, f"it is damaged, or something else: {cause(error)}") from error
    found = said.get("format") if isinstance(said, dict) else None
    if isinstance(said, dict) and isinstance(found, int) and found != FORMAT:
        maker = said.get("made_by", "another meshctl")
        raise _no_plan(path, f"{maker} made it in format {found}, meshctl {__version__} reads {FORMAT}")
    try:
        return PlanFile(path, SavedPlan.model_validate_json(text))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole"
        raise _no_plan(path, f"it is damaged, or something else: {where}: {first['msg']}") from error


def _no_plan(path: str, why: str) -> InventoryError:
    return InventoryError(
        visible_line(f"{path}: no plan of this meshctl: {why}"), hint="`meshctl plan INVENTORY --out FILE` makes one"
    )


def inventory_digest(cluster: Cluster) -> str:
    """The sha256 of what an inventory says, with linkerd's own configuration; not of its layout, nor of where its files lie on this
    machine: what those hold is in the plan. Raises InventoryError when `mesh.config_file` cannot be read.
    """
    places = {"id": True, "id_file": True, "ssh": {"key_file"}, "kubernetes": {"bundle"}, "mesh": {"config_file"}}
    text = cluster.model_dump_json(exclude=places)  # type: ignore[arg-type] # pydantic takes nested ones
    own = cluster.mesh.config_file
    try:
        linkerd = Path(own).read_bytes() if own else b""
    except OSError as error:
        raise InventoryError(f"{own}: cannot be read: {cause(error)}", hint="mesh.config_file names it") from error
    return hashlib.sha256(text.encode() + b"\0" + linkerd).hexdigest()
