"""Stage rebuild: nodes are thrown away, so that the stages behind it make them anew under the same name and address.

A worker is drained, and only then marked: a run that ends before has taken nothing away, and the next one lets it take pods again. From
the mark on every run goes on here. Then it is deleted from Kubernetes, stopped, and its volumes go; its domain stays until the stage
guests defines it anew, since address, subnet and CPUs are remembered by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter

from provision.base.errors import ConflictError, ShellError
from provision.base.events import Changed, Warned
from provision.kubernetes import Given, Kubectl, drain, forget_node, given_to, set_aside
from provision.libvirt_xml import DomainSeen, judged_domains
from provision.plan import Action, Plan, basis_of, rebuilding
from provision.run.stages.doors import Doors
from provision.run.stages.removal import (
    answers,
    belongings,
    leave_control,
    require_majority_without,
    take_away,
)
from provision.run.stages.steps import each_node
from provision.specs import GONE, Member, Stamp, domain_name, stamp_text

SYNC_S = 60.0
"""What was written since the last time, at the slow pace of a disk that is shared; who does not end in time is stopped anyway."""

NAME, TITLE = rebuilding.STAGE, "rebuild: nodes thrown away, to be made anew"


def run(plan: Plan, doors: Doors) -> None:
    """Throws away the nodes that the plan makes anew, at once."""
    each_node(
        doors, NAME, "thrown away", plan.of(NAME), lambda action: _throw_away(action, plan, doors), attrgetter("name")
    )


def _member(node: str, plan: Plan) -> Member:
    return next(member for member in plan.desired.members if member.name == node)


def _throw_away(action: Action, plan: Plan, doors: Doors) -> None:
    node, host = action.name, action.where
    door = doors.hypervisors[host]
    found = _as_planned(action, doors)
    doomed = belongings(host, node, doors, going=lambda there: rebuilding.doomed(there, node, action.kind))
    kubectl = None if [node] == [one.name for one in doors.cluster.control_planes] else doors.kubectl(but=node)
    member, stateless = _member(node, plan), action.kind in rebuilding.STATELESS
    if kubectl is not None and found is not None and not _marked(found):
        require_majority_without(member, kubectl)
        _empty(found, node, kubectl, doors)
    if kubectl is None and found is not None and found.active and not stateless:
        _write_out(node, doors)
    given = given_to(kubectl, node) if kubectl is not None else None
    mark(found, rebuilding.mark_of(action.kind), host, doors, stateless=stateless, given=given)
    if kubectl is not None:
        leave_control(member, kubectl, doors, runs=found is not None and found.active)
        forget_node(kubectl, node, doors.emit)
    if found is not None:
        door.stop_domain(found.name)
        door.forget_past(found.name)
        doors.emit(Changed(host, f"guest {node}", "stop"))
    for one in doomed:
        take_away(one, door, doors.host_shell, doors.emit)
    mark(found, GONE, host, doors, stateless=stateless, given=given)


def _write_out(node: str, doors: Doors) -> None:
    """Has a control plane write what it still holds in memory to its state volume, if it answers: etcd does so by itself with each
    write, kubeadm's files may be of this very minute.
    """
    try:
        doors.shells()[node].run(["sync"], within_s=SYNC_S)
    except ShellError as error:
        doors.emit(Warned(f"{node}: its disks are taken as they are: {error.message}"))


def _as_planned(action: Action, doors: Doors) -> DomainSeen | None:
    """The node's domain. Raises ConflictError when it is another than the plan was made for."""
    found = domain_of(action.name, action.where, doors)
    if basis_of(found) != action.basis:
        raise ConflictError(
            f"{action.where}: the domain of {action.name} was changed by somebody else since the plan was made",
            hint="look at the new plan: run the command again",
        )
    return found


def domain_of(node: str, host: str, doors: Doors) -> DomainSeen | None:
    """The domain of a node on a host, as it is now."""
    name = domain_name(doors.cluster.cluster, node)
    domains = judged_domains(doors.cluster.owner, doors.hypervisors[host].domains())
    return next((domain for domain in domains if domain.name == name), None)


def mark(
    found: DomainSeen | None,
    rebuild: str,
    host: str,
    doors: Doors,
    *,
    stateless: bool = False,
    given: Given | None = None,
) -> None:
    """Writes into a domain's stamp how far its rebuild has come, and, if it is `stateless`, that no state volume has its cluster; and
    what its node was `given`, beside what an ended run has written: Kubernetes may know it no more, or anew and bare.
    """
    stamp = found.definition.stamp if found is not None else None
    if found is None or stamp is None:
        return
    said = replace(stamp, rebuild=rebuild, state="" if stateless else stamp.state)
    if given is not None:
        whole = given.over(Given.noted(stamp.labels, stamp.taints))
        said = replace(said, labels=",".join(whole.labels), taints=",".join(whole.taints))
    doors.hypervisors[host].mark_domain(found.name, stamp_text(said))
    words = "thrown away" if rebuild == GONE else "to be thrown away"
    doors.emit(Changed(host, f"guest {stamp.node}", f"marked: {words}"))


def unmark(node: str, host: str, doors: Doors) -> None:
    """Says of a control plane that has its cluster again that nothing of its rebuild is left to do; nothing where there was none."""
    found = domain_of(node, host, doors)
    if found is None or found.stamp is None or not (found.stamp.rebuild or _marked(found)):
        return
    rewrite(found, host, doors, lambda stamp: replace(stamp, rebuild=""))
    doors.emit(Changed(host, f"guest {node}", "marked: rebuilt"))


def rewrite(found: DomainSeen, host: str, doors: Doors, change: Callable[[Stamp], Stamp]) -> None:
    """Changes the stamps of a guest that runs: its own, then that of its definition."""
    door, later = doors.hypervisors[host], found.definition.stamp
    if found.stamp is not None and later is not None:
        door.restamp(found.name, change(found.stamp))
        door.mark_domain(found.name, stamp_text(change(later)))


def _marked(found: DomainSeen) -> bool:
    stamp = found.definition.stamp
    return stamp is not None and bool(stamp.rebuild)


def _empty(found: DomainSeen, node: str, kubectl: Kubectl, doors: Doors) -> None:
    """Moves its pods elsewhere, as far as somebody is there to end them."""
    if not answers(node, kubectl, doors.emit, runs=found.active):
        return
    shell = doors.shells()[node]
    try:
        shell.read(["true"])
    except ShellError as error:
        doors.emit(Warned(f"{error.message}: it is drained, though it could not be written there by whom"))
        drain(kubectl, node, doors.emit)
    else:
        set_aside(shell, kubectl, node, doors.emit)
