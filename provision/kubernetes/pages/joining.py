"""What is told of failures of what keeps a worker from the control plane: one line as it was printed, what it means, why it happens."""

from __future__ import annotations

from provision.kubernetes.pages.model import Told

JOINING = {
    "token-signature": Told(
        seen="failed to verify JWS signature of received cluster info object, can't trust this API Server",
        means="What the control plane publishes was not signed with this token.",
        why="The second half of the token is wrong, or another cluster has a token with the same first half.",
    ),
    "token": Told(
        seen="failed to parse response as JWS object [square/go-jose: compact JWS format must have three parts]",
        means="The API server does not know who is joining.",
        why="Tokens of kubeadm live 24 hours; meshctl makes one for each join.",
    ),
    "token-form": Told(
        seen='the bootstrap token "abc" was not of the form "\\\\A([a-z0-9]{6})\\\\.([a-z0-9]{16})\\\\z"',
        means="The text that is given as a token cannot be one.",
        why="It was cut off when it was copied.",
    ),
    "authority-hash": Told(
        seen='[discovery] Failed to connect to API Server "10.0.0.2:6443": cluster CA found in cluster-info configmap is invalid: '
        "public key sha256:abc not pinned",
        means="The cluster that answers is not the one that the node was to join.",
        why="The control plane was made anew, or another machine has its address.",
    ),
    "cluster-info": Told(
        seen="there is no kubeconfig key in the cluster-info ConfigMap. This API Server isn't set up for token bootstrapping, can't "
        "connect",
        means="The control plane does not publish what a node joins by.",
        why="`kubeadm init` ended before its last phases, or somebody removed the ConfigMap.",
    ),
    "cluster-configuration": Told(
        seen='configmaps "kubelet-config-1.21" is forbidden: User "system:bootstrap:abcdef" cannot get resource "configmaps" in API '
        'group "" in the namespace "kube-system"',
        means="kubeadm on the node looks for settings under names that the control plane's kubeadm does not use.",
        why="The two are of different releases.",
    ),
    "node-name": Told(
        seen='Node with name ["w1"] already exists.',
        means="The cluster has a node of this name, and kubeadm does not take its place.",
        why="A guest was made anew while its Node stayed; meshctl removes it when it knows of it. Or two machines have one name.",
    ),
    "node-certificate": Told(
        seen="cannot create certificate signing request: certificatesigningrequests.certificates.k8s.io is unavailable",
        means="The node asked for a certificate and got none.",
        why="The controller-manager signs them; it is not running, or the request was denied.",
    ),
    "second-control-plane": Told(
        seen="unable to add a new control plane instance a cluster that doesn't have a stable controlPlaneEndpoint address",
        means="The cluster was not made for a second control plane: that needs `kubernetes.control_plane_endpoint` from its beginning.",
        why="kubeadm needs an address that belongs to no single node, given at init.",
    ),
    "dns": Told(
        seen="open /run/systemd/resolve/resolv.conf: no such file or directory",
        means="A name was to be resolved, and no server answered.",
        why="The guest has no resolver, or asks for a name that only the internet knows: something is looked for outside that the "
        "bundle should hold.",
    ),
    "unreachable": Told(
        seen="Unable to connect to the server: net/http: TLS handshake timeout",
        means="Packets to the API server are lost, or its answers are.",
        why="A route or a firewall between the nodes, an MTU that is too large, a control plane that is too busy to answer.",
    ),
    "reset": Told(
        seen="[reset] failed to unmount /var/lib/kubelet/pods/x: device or resource busy",
        means="`kubeadm reset` left something mounted.",
        why="A process still uses it.",
    ),
}
"""By the failure's name."""
