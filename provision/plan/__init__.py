"""What is to be done: desired against observed, as actions with reasons; drift, repair and removal. Pure.

To live here a line compares what should be with what was seen. It changes nothing and asks nobody.
"""

from provision.plan import departure, limits, rebuilding
from provision.plan.action import Action, Verb
from provision.plan.agreement import Agreement
from provision.plan.artifacts import UPLOAD
from provision.plan.compare import GIVEN, INIT, JOIN, LOGIN, UNCORDON, Plan, basis_of, effective, guest_digest, plan
from provision.plan.desired import desired, members, wishes
from provision.plan.drift import MEANS, Drift, Live, cluster_drift, host_drifts, sysctl_drift, trespasses
from provision.plan.growth import SIZE
from provision.plan.lifetime import EXPIRY, NETWORK_EXPIRY, lasting, stamp_of
from provision.plan.losses import losses
from provision.plan.observed import HostSeen, NodeSeen, Observed
from provision.plan.refusals import check_name
from provision.plan.removal import CACHED, Removal, hindrances, holders, removals, staying
from provision.plan.repair import AUTOSTART, PINS, RESTART, repaired, restarts
from provision.plan.states import as_made, is_on_its_volume, kept_state, state_volume, without_state, without_yet
from provision.plan.upgrades import BUNDLE_DISK, UPGRADE

__all__ = [
    "AUTOSTART",
    "BUNDLE_DISK",
    "CACHED",
    "EXPIRY",
    "GIVEN",
    "INIT",
    "JOIN",
    "LOGIN",
    "MEANS",
    "NETWORK_EXPIRY",
    "PINS",
    "RESTART",
    "SIZE",
    "UNCORDON",
    "UPGRADE",
    "UPLOAD",
    "Action",
    "Agreement",
    "Drift",
    "HostSeen",
    "Live",
    "NodeSeen",
    "Observed",
    "Plan",
    "Removal",
    "Verb",
    "as_made",
    "basis_of",
    "check_name",
    "cluster_drift",
    "departure",
    "desired",
    "effective",
    "guest_digest",
    "hindrances",
    "holders",
    "host_drifts",
    "is_on_its_volume",
    "kept_state",
    "lasting",
    "limits",
    "losses",
    "members",
    "plan",
    "rebuilding",
    "removals",
    "repaired",
    "restarts",
    "stamp_of",
    "state_volume",
    "staying",
    "sysctl_drift",
    "trespasses",
    "wishes",
    "without_state",
    "without_yet",
]
