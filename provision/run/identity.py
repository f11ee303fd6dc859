"""Which owner a cluster is: by the inventory, by what this machine keeps, or by the one whose guests are on the hosts.

Two inventories may call their clusters alike. The id of the owner, drawn at the first provision, tells them apart: it is in every
stamp, in the marks of volumes, and in a file that the next run reads. Where there is no such file (another laptop) the hosts are asked.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from provision.base import data
from provision.base.bounded import bounded
from provision.base.errors import ConflictError, MeshctlError, cause
from provision.base.events import Emit, Warned
from provision.base.interruption import Overdue
from provision.base.parallel import for_each
from provision.guests import identity, seed_digest
from provision.hosts import Hypervisor
from provision.inventory import Cluster
from provision.libvirt_xml import DomainSeen, NetworkSeen
from provision.plan import members
from provision.specs import OLD, Owner, Stamp, new_id

Thing = DomainSeen | NetworkSeen
NONE: Mapping[str, tuple[NetworkSeen, ...]] = MappingProxyType({})

ANSWER_S = 5.0
"""As for `doctor`: a host that says nothing for so long is passed over. If it has a cluster of our name, plan refuses that later."""


class Identity:
    """The owner's id of one inventory, and where it is kept.

    `adopt`: what is found on the hosts is taken over though nothing but the name says that it is this cluster.
    `careful`: without that word it is not; commands that only look are not careful.
    `drawn`: the id that a saved plan drew for a cluster that has none yet.
    """

    def __init__(
        self, cluster: Cluster, source: str = "", *, adopt: bool = False, careful: bool = True, drawn: str = ""
    ) -> None:
        self._cluster, self._adopt, self._careful, self._drawn = cluster, adopt, careful, drawn
        self._file = Path(cluster.id_file) if cluster.id_file else _kept_at(cluster.cluster, source)
        self.note = ""
        """What a plan should say about how the id was found; empty when there is nothing to say."""

    def known(self) -> str:
        """The id that the inventory or the file says, empty when neither does. Raises ConflictError for a file that holds no id."""
        if self._cluster.id:
            return self._cluster.id
        try:
            text = self._file.read_text().strip() if self._file else ""
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise ConflictError(
                f"{self._file} cannot be read: {cause(error)}", hint="it holds the id of the owner"
            ) from error
        if text and not _looks_like_an_id(text):
            raise ConflictError(f"{self._file} holds no id of an owner", hint="take it away: the hosts are asked then")
        return text

    def settled(self) -> bool:
        """Whether the id is known without a look at the hosts."""
        return bool(self._cluster.id) or (not self._adopt and bool(self.known()))

    def found(
        self, domains: Mapping[str, Iterable[DomainSeen]], networks: Mapping[str, Iterable[NetworkSeen]] = NONE
    ) -> str:
        """The id, from the domains of each host: the known one, the one that is there, or a new one. Without guests of the name its
        networks say it: a first run may have been ended before it had defined any.

        Raises ConflictError when it cannot be told whose they are.
        """
        if self.settled():
            return self.known()
        owners = self._owners(domains) or self._owners(networks)
        if not owners:
            return self.known() or self._former() or self._drawn or new_id()
        if len(owners) > 1:
            raise self._several(owners)
        ((owner, guests),) = owners.items()
        self._check_claim(owner, guests)
        self.note = f"cluster {self._cluster.cluster} is on the hosts already ({_names(guests)}) and goes on as it is"
        return owner or (self._drawn if self._drawn.startswith(OLD) else OLD + new_id())

    def keep(self, id_: str, emit: Emit) -> None:
        """Writes the id into its file, for the next run. That it cannot is a warning: the hosts have it too."""
        if self._cluster.id or self._file is None or self._read_back() == id_:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            beside = self._file.with_name(f"{self._file.name}.{os.getpid()}")
            beside.write_text(f"{id_}\n")
            beside.replace(self._file)
        except OSError as error:
            emit(Warned(f"the id of the cluster's owner was not kept in {self._file}: {cause(error)}", f"id: {id_}"))

    def _former(self) -> str:
        """The id that this very inventory had under another name of the cluster, "" for none: the plan says what to do then."""
        if self._file is None or self._cluster.id_file:
            return ""
        ending = self._file.name.removeprefix(self._cluster.cluster)
        found = {path.read_text().strip() for path in self._file.parent.glob(f"*{ending}") if path != self._file}
        return found.pop() if len(found) == 1 and all(map(_looks_like_an_id, found)) else ""

    def _read_back(self) -> str:
        try:
            return self.known()
        except MeshctlError:
            return ""

    def _owners(self, things: Mapping[str, Iterable[Thing]]) -> dict[str, list[Thing]]:
        """By id, what is called as ours and is no clone. What is without id is an old cluster's, if it is there."""
        found: dict[str, list[Thing]] = defaultdict(list)
        for thing in (thing for of_host in things.values() for thing in of_host):
            stamp = _stamp(thing)
            if stamp is None or stamp.cluster != self._cluster.cluster:
                continue
            if not Owner(stamp.cluster, stamp.owner).why_not(stamp, thing.name, thing.uuid):
                found[stamp.owner].append(thing)
        old = [owner for owner in found if owner.startswith(OLD)]
        if "" in found and len(old) == 1:
            found[old[0]] += found.pop("")
        return dict(found)

    def _several(self, owners: Mapping[str, Sequence[Thing]]) -> ConflictError:
        lines = "\n".join(
            f"  owner {owner or 'without an id'}: {_names(guests)}" for owner, guests in sorted(owners.items())
        )
        return ConflictError(
            f"there are {len(owners)} clusters called {self._cluster.cluster} on these hosts:\n{lines}",
            hint="say which one this inventory is: `id:` with its owner's id",
        )

    def _check_claim(self, owner: str, guests: Sequence[Thing]) -> None:
        if self._adopt or not self._careful or self._made_alike(owner, guests):
            return
        raise ConflictError(
            f"a cluster called {self._cluster.cluster} is on these hosts already ({_names(guests)}),"
            " and nothing shows that this inventory made it",
            hint="another name for a cluster of your own; --adopt if it is this one; "
            + (
                f"`id: {owner}` in the inventory settles it for everybody"
                if owner
                else "it is from before there were ids"
            ),
        )

    def _made_alike(self, owner: str, guests: Sequence[Thing]) -> bool:
        """Whether one of these guests was given the very seed that this inventory would give it: key, user, address and all."""
        stamps = {stamp.node: stamp for guest in guests if (stamp := _stamp(guest))}
        cluster = self._cluster.model_copy(update={"id": owner or None})
        remembered = {node: stamp.address for node, stamp in stamps.items()}
        key = identity(cluster).public
        return any(
            stamps[member.name].seed.split(".")[2:3] == [f"seed-{seed_digest(cluster, member, key)[:12]}"]
            for member in members(cluster, remembered, {})
            if member.name in stamps
        )


def identified(
    cluster: Cluster, hypervisors: Mapping[str, Hypervisor], identity: Identity
) -> tuple[Cluster, frozenset[str]]:
    """The cluster with its owner's id, and which hosts said nothing for ANSWER_S. Hosts are asked only where the id is not known."""
    names = [] if identity.settled() else list(hypervisors)
    answers = dict(zip(names, for_each(names, lambda name: things_on(hypervisors[name])), strict=True))
    there = {name: things for name, things in answers.items() if things}
    domains = {name: found for name, (found, _) in there.items()}
    found = identity.found(domains, {name: networks for name, (_, networks) in there.items()})
    silent = frozenset(name for name, things in answers.items() if things is None)
    return cluster.model_copy(update={"id": found}), silent


def things_on(hypervisor: Hypervisor) -> tuple[tuple[DomainSeen, ...], tuple[NetworkSeen, ...]] | None:
    """Domains and networks. None where nobody answers; one that answers with an error is met again by whoever needs the host."""

    def look() -> tuple[tuple[DomainSeen, ...], tuple[NetworkSeen, ...]]:
        return hypervisor.domains(), hypervisor.networks()

    try:
        return bounded(look, f"{hypervisor.host}: list domains", within_s=ANSWER_S, changes=False)
    except Overdue:
        return None
    except MeshctlError:
        return (), ()


def _stamp(thing: Thing) -> Stamp | None:
    return (thing.definition.stamp if isinstance(thing, DomainSeen) else None) or thing.stamp


def _kept_at(cluster: str, source: str) -> Path | None:
    """The file in the state folder for the inventory at `source`; None for one that has no place."""
    if not source or source == "-":
        return None
    where = hashlib.sha256(str(Path(source).resolve()).encode()).hexdigest()[:8]
    return data.state("owners", f"{cluster}-{where}.id")


def _looks_like_an_id(text: str) -> bool:
    digits = text.removeprefix(OLD)
    return len(digits) == 16 and set(digits) <= set("0123456789abcdef")


def _names(guests: Iterable[Thing]) -> str:
    return ", ".join(sorted(guest.name for guest in guests))
