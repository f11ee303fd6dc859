"""What is told of failures of the pods' network: one line as it was printed, what it means, why it happens."""

from __future__ import annotations

from provision.kubernetes.pages.model import Told

POD_NETWORK = {
    "cni-plugin": Told(
        seen='networkPlugin cni failed to set up pod "x" network: failed to find plugin "bridge" in path [/opt/cni/bin]',
        means="The pods' network needs a program that is not in /opt/cni/bin.",
        why="The bundle does not hold it, or another network's configuration lies in /etc/cni/net.d.",
    ),
    "cni-version": Told(
        seen="error loading CNI config list file /etc/cni/net.d/10-mesh.conflist: error parsing configuration list",
        means="The pods' network is described in words that its program does not know.",
        why="Configuration and programs are of different times.",
    ),
    "cni-addresses": Told(
        seen='failed to set bridge addr: "cni0" already has an IP address different from 10.244.1.1/24',
        means="The node's bridge or its list of addresses is of another range than the node has.",
        why="An earlier cluster left them, or the node's range changed.",
    ),
    "cni": Told(
        seen="container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns "
        "error: cni plugin not initialized",
        means="The kubelet waits for a description of the pods' network. Until kubeadm has run a node says so, too.",
        why="/etc/cni/net.d is empty: `kubeadm reset` of 1.5 empties it.",
    ),
}
"""By the failure's name."""
