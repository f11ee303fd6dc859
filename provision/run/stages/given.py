"""What somebody has given a node in Kubernetes outlives its rebuild: its guest's stamp has it until the node has joined again."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from operator import attrgetter

from provision.kubernetes import Given, Kubectl, give_back
from provision.plan import GIVEN, Plan
from provision.run.stages.doors import Doors, Shells
from provision.run.stages.rebuild import domain_of, rewrite
from provision.run.stages.steps import each_node
from provision.specs import Stamp


def give_all_back(
    stage: str, nodes: Collection[str], plan: Plan, shells: Shells, kubectl: Kubectl, doors: Doors
) -> None:
    """Gives those of these nodes that were made anew their labels and taints, before any is waited for: one that is not Ready gets no
    pods yet that they would keep away.
    """
    hosts = {member.name: member.host for member in plan.desired.members}
    stamps = [domain.stamp for domain in shells.domains if domain.stamp is not None]
    owed = [stamp for stamp in stamps if stamp.given and stamp.node in nodes]

    def work(stamp: Stamp) -> None:
        _give_back(stamp, hosts[stamp.node], kubectl, doors)

    each_node(doors, stage, GIVEN, owed, work, attrgetter("node"))


def _give_back(stamp: Stamp, host: str, kubectl: Kubectl, doors: Doors) -> None:
    give_back(kubectl, stamp.node, Given.noted(stamp.labels, stamp.taints), doors.emit)
    found = domain_of(stamp.node, host, doors)
    if found is not None:
        rewrite(found, host, doors, lambda its: replace(its, labels="", taints=""))
