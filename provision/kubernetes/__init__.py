"""Kubernetes by kubeadm over a root shell: one profile per generation behind one interface.

profile = profile_for(spec.generation)
state = observe(shell, profile, spec, member)     # one read; state.unprepared says why it is not as wanted
prepare(shell, profile, spec, member, emit)       # programs, images, files, services
initialise(shell, profile, spec, member, emit)    # on the control plane
join(shell, profile, spec, member, credentials(control_plane_shell, profile, emit), emit)
wait_until(lambda: nodes_ready(kubectl_for(spec.generation, control_plane_shell), names), …)
reach(shell, pod, other_pods, port=8080)          # the pod network, proven

To live here a line knows kubeadm, kubectl or the API's objects; which guest is which node it is told.
"""

from provision.kubernetes.api import ApiStarting
from provision.kubernetes.cloning import forget_docker
from provision.kubernetes.control_state import ControlState, copied
from provision.kubernetes.diagnose import diagnose
from provision.kubernetes.drain import DRAIN_S, cordon, cordoned, disown, drain, set_aside, take_back, uncordon
from provision.kubernetes.etcd_members import require_quorum_without, take_away_member
from provision.kubernetes.evictions import Eviction, evictions
from provision.kubernetes.expiry import WARN_DAYS, Expiry, expiries
from provision.kubernetes.forget import forget_node
from provision.kubernetes.given import Given, give_back, given_to
from provision.kubernetes.kubeadm import credentials, initialise, join
from provision.kubernetes.kubectl import (
    Kubectl,
    Outdated,
    address_of,
    admin_conf,
    logs_argv,
    nodes_ready,
    patiently,
    ready_nodes,
)
from provision.kubernetes.lookout import Watched, wait_on
from provision.kubernetes.node import NodeState, Phase, is_member, observe, prepared_version
from provision.kubernetes.pods import Pod, all_ready, judge_pods, listens_on, pods_on, reach
from provision.kubernetes.prepare import load, prepare
from provision.kubernetes.profile import Profile, Workloads
from provision.kubernetes.profiles import kubectl_for, profile_for
from provision.kubernetes.put_back import awaken, finish, put_back, trusted_authority
from provision.kubernetes.renewal import heard
from provision.kubernetes.serving import await_serving, first_serving
from provision.kubernetes.spec import CONTROL_PLANE, Archive, Credentials, Program, Spec
from provision.kubernetes.state_volume import take_up
from provision.kubernetes.upgrade import load_images, renew_proxy, runs_version, upgrade
from provision.kubernetes.virtual_address import UNIT as KEEPALIVED

__all__ = [
    "CONTROL_PLANE",
    "DRAIN_S",
    "KEEPALIVED",
    "WARN_DAYS",
    "ApiStarting",
    "Archive",
    "ControlState",
    "Credentials",
    "Eviction",
    "Expiry",
    "Given",
    "Kubectl",
    "NodeState",
    "Outdated",
    "Phase",
    "Pod",
    "Profile",
    "Program",
    "Spec",
    "Watched",
    "Workloads",
    "address_of",
    "admin_conf",
    "all_ready",
    "await_serving",
    "awaken",
    "copied",
    "cordon",
    "cordoned",
    "credentials",
    "diagnose",
    "disown",
    "drain",
    "evictions",
    "expiries",
    "finish",
    "first_serving",
    "forget_docker",
    "forget_node",
    "give_back",
    "given_to",
    "heard",
    "initialise",
    "is_member",
    "join",
    "judge_pods",
    "kubectl_for",
    "listens_on",
    "load",
    "load_images",
    "logs_argv",
    "nodes_ready",
    "observe",
    "patiently",
    "pods_on",
    "prepare",
    "prepared_version",
    "profile_for",
    "put_back",
    "reach",
    "ready_nodes",
    "renew_proxy",
    "require_quorum_without",
    "runs_version",
    "set_aside",
    "take_away_member",
    "take_back",
    "take_up",
    "trusted_authority",
    "uncordon",
    "upgrade",
    "wait_on",
]
