"""What is told of failures of what says only that something is wrong: one line as it was printed, what it means, why it happens."""

from __future__ import annotations

from provision.kubernetes.pages.model import Told

NOTHING = {
    "container": Told(
        seen="Failed to create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox container",
        means="The runtime did not start a container, and its words do not say more.",
        why="Whatever keeps the runtime from it; its journal has more.",
    ),
    "crash": Told(
        seen="pod kube-apiserver-cp1: CrashLoopBackOff",
        means="A container or a service ends soon after each start, so the pauses between starts grow, up to five minutes.",
        why="It says why itself, in its last words.",
    ),
    "nothing-runs": Told(
        seen="This error is likely caused by:",
        means="kubeadm waited for the kubelet and the control plane, in vain.",
        why="Any of the other causes; this is said only when none of them is seen.",
    ),
    "kubelet-unconfigured": Told(
        seen="invalid kubeconfig: stat /etc/kubernetes/kubelet.conf: no such file or directory",
        means="The kubelet starts again and again, since kubeadm has not configured it yet. That is as it should be before `kubeadm "
        "init` or `join`.",
        why="kubeadm ended earlier, or was not run.",
    ),
}
"""By the failure's name."""
