"""A run: the world opened and read, the plan made, the stages run in order, the cluster looked at.

To live here a line joins doors and pure rooms in the order of a command; how a thing is done stands in the room of that thing.
"""

from provision.run.access import read_kubeconfig, ssh_argv
from provision.run.away import Away, answering
from provision.run.backup import Kept, back_up, default_path
from provision.run.baking import Baking, bake, plan_bake
from provision.run.checkup import admit, check_hosts
from provision.run.destruction import destroy, plan_removal
from provision.run.engine import Intent, World, drifted, intent, make_plan, opened, provision
from provision.run.identity import Identity
from provision.run.kubeconfig import kubectls_file, merge, save
from provision.run.lease import leases
from provision.run.node_logs import Part, console_argv, console_log, follow_log, read_log
from provision.run.nodes import (
    Standing,
    check_names,
    check_running,
    cordon_nodes,
    drain_nodes,
    restart_nodes,
    standing,
    to_evict,
    uncordon_nodes,
)
from provision.run.rebuild import Rebuild, in_words, plan_rebuild, rebuild
from provision.run.renew import Renewals, plan_renewal, renew
from provision.run.restore import Return, opened_backup, plan_restore, restore
from provision.run.status import cluster_status, table

__all__ = [
    "Away",
    "Baking",
    "Identity",
    "Intent",
    "Kept",
    "Part",
    "Rebuild",
    "Renewals",
    "Return",
    "Standing",
    "World",
    "admit",
    "answering",
    "back_up",
    "bake",
    "check_hosts",
    "check_names",
    "check_running",
    "cluster_status",
    "console_argv",
    "console_log",
    "cordon_nodes",
    "default_path",
    "destroy",
    "drain_nodes",
    "drifted",
    "follow_log",
    "in_words",
    "intent",
    "kubectls_file",
    "leases",
    "make_plan",
    "merge",
    "opened",
    "opened_backup",
    "plan_bake",
    "plan_rebuild",
    "plan_removal",
    "plan_renewal",
    "plan_restore",
    "provision",
    "read_kubeconfig",
    "read_log",
    "rebuild",
    "renew",
    "restart_nodes",
    "restore",
    "save",
    "ssh_argv",
    "standing",
    "table",
    "to_evict",
    "uncordon_nodes",
]
