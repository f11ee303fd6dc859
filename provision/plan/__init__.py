"""What is to be done: desired against observed, as actions with reasons; drift, repair and removal. Pure.

To live here a line compares what should be with what was seen. It changes nothing and asks nobody.
"""

from provision.plan.compare import Action, Plan, Verb, basis_of, effective, guest_digest, plan
from provision.plan.desired import desired, members, wishes
from provision.plan.drift import MEANS, Drift, Live, host_drifts, sysctl_drift, trespasses
from provision.plan.observed import HostSeen, NodeSeen, Observed
from provision.plan.removal import Removal, removals
from provision.plan.repair import AUTOSTART, PINS, RESTART, repaired, restarts

__all__ = [
    "AUTOSTART",
    "MEANS",
    "PINS",
    "RESTART",
    "Action",
    "Drift",
    "HostSeen",
    "Live",
    "NodeSeen",
    "Observed",
    "Plan",
    "Removal",
    "Verb",
    "basis_of",
    "desired",
    "effective",
    "guest_digest",
    "host_drifts",
    "members",
    "plan",
    "removals",
    "repaired",
    "restarts",
    "sysctl_drift",
    "trespasses",
    "wishes",
]
