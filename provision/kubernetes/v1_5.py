"""Kubernetes 1.5: kubeadm of 13 December 2016 (1.6.0-alpha.0-2074-a092d8e), the one that 1.5's users were given.

Its configuration file replaces every flag (the file is decoded over them), so all settings stand in the file. It
waits for ever when something does not come up, cannot be run twice, and refuses kernels after 4.x and every Docker
since 17.03 in its pre-flight checks: these are skipped, and the useful ones done by `preflight`.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import yaml

from provision.base.errors import KubernetesError
from provision.base.secret import Secret
from provision.kubernetes.api import Certificates
from provision.kubernetes.kubectl import Kubectl
from provision.kubernetes.kubelet import RESOLV_CONF, drop_in, kubelet_unit
from provision.kubernetes.profile import CONFIG, Authority, Holder, Needs, Renewal, Workloads
from provision.kubernetes.spec import CONTROL_PLANE, Credentials, File, Spec
from provision.specs import Member

API = "kubeadm.k8s.io/v1alpha1"
API_PORT, DISCOVERY_PORT = 6443, 9898
"""kubeadm's defaults. Another discovery port does not work: the container listens on 9898 whatever is said."""

TOLERATION = [{"key": "dedicated", "value": "master", "effect": "NoSchedule"}]

# The drop-in of the 1.5 kubeadm package, word for word: ours, behind it, changes what must differ.
_KUBEADM_DROP_IN = """\
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--kubeconfig=/etc/kubernetes/kubelet.conf --require-kubeconfig=true"
Environment="KUBELET_SYSTEM_PODS_ARGS=--pod-manifest-path=/etc/kubernetes/manifests --allow-privileged=true"
Environment="KUBELET_NETWORK_ARGS=--network-plugin=cni --cni-conf-dir=/etc/cni/net.d --cni-bin-dir=/opt/cni/bin"
Environment="KUBELET_DNS_ARGS=--cluster-dns=10.96.0.10 --cluster-domain=cluster.local"
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_SYSTEM_PODS_ARGS $KUBELET_NETWORK_ARGS $KUBELET_DNS_ARGS $KUBELET_EXTRA_ARGS
"""

DOORS = "/usr/local/lib/meshctl/kubelet-doors"
AUTHORITY = "/var/lib/meshctl/kubelet-ca.pem"

_DOORS = f"""\
#!/bin/sh
# Written by meshctl. Before each start of the kubelet: whom it believes, and how the API server shows it who it is.
set -eu
umask 077
conf=/etc/kubernetes/kubelet.conf
manifest=/etc/kubernetes/manifests/kube-apiserver.json
pki=/etc/kubernetes/pki
[ -e "$conf" ] || exit 0
held() {{
    sed -n "s/^ *$1: *//p" "$conf" | head -n 1 | base64 -d > "$2.new"
    [ -s "$2.new" ] || {{ echo "$conf has no $1" >&2; exit 1; }}
    mv -f "$2.new" "$2"
}}
held certificate-authority-data {AUTHORITY}
[ -e "$manifest" ] || exit 0
held client-certificate-data "$pki/kubelet-client.pem"
held client-key-data "$pki/kubelet-client-key.pem"
if ! grep -q -e --kubelet-client-certificate "$manifest"; then
    flags="\\"--kubelet-client-certificate=$pki/kubelet-client.pem\\", \\"--kubelet-client-key=$pki/kubelet-client-key.pem\\""
    sed "s|\\"--allow-privileged\\"|$flags, &|" "$manifest" > /etc/kubernetes/kube-apiserver.json.new
    mv -f /etc/kubernetes/kube-apiserver.json.new "$manifest"
fi
"""
# kubeadm 1.5 gives the API server no certificate for kubelets and workers no file with the authority: both lie in
# kubelet.conf, in base64. Done before the kubelet starts, so before the API server does. The manifest is replaced as a whole:
# the kubelet reads whatever lies in its folder.

_CLOSED = (
    "--anonymous-auth=false",
    f"--client-ca-file={AUTHORITY}",
    "--authorization-mode=Webhook",
    "--read-only-port=0",
    "--cadvisor-port=0",
)
"""The kubelet's defaults in 1.5: everybody may run commands in every container (10250), read all pods (10255) and all
containers' metrics (4194). Webhook asks the API server, which 1.5's kubeadm has allow all that the authority signed."""

_OWN_DROP_IN = """\
[Service]
Environment="KUBELET_DNS_ARGS=--cluster-dns={dns} --cluster-domain=cluster.local"
Environment="KUBELET_EXTRA_ARGS=--node-ip={address} --resolv-conf={resolv_conf} {closed}"
ExecStartPre={doors}
"""


# The manifests of static pods, and the DaemonSet of kube-proxy, whose pods are replaced with their nodes. etcd and the add-ons have
# versions of their own. A manifest is replaced as a whole: the kubelet reads whatever lies in its folder.
_UPGRADE = """\
version=$1
api() { env HOME=/run/meshctl kubectl --kubeconfig /etc/kubernetes/admin.conf "$@"; }
of_version() { sed "s|/$1-amd64:v1\\.5\\.[0-9]*|/$1-amd64:$version|"; }
move() {
    manifest=/etc/kubernetes/manifests/$1.json
    cp -p "$manifest" "/etc/kubernetes/$1.json.new"
    of_version "$1" < "$manifest" > "/etc/kubernetes/$1.json.new"
    if cmp -s "/etc/kubernetes/$1.json.new" "$manifest"; then rm -f "/etc/kubernetes/$1.json.new"
    else mv -f "/etc/kubernetes/$1.json.new" "$manifest" && echo "$1 to $version"
    fi
}
move kube-apiserver
left=300
until api version 2>/dev/null | grep -q "^Server Version:.*GitVersion:\\"$version\\""; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || { echo "the API server does not say that it is $version"; exit 1; }
    sleep 2
done
move kube-controller-manager
move kube-scheduler
api get daemonset kube-proxy --namespace kube-system -o json > kube-proxy.json
of_version kube-proxy < kube-proxy.json > kube-proxy.new
cmp -s kube-proxy.json kube-proxy.new || api replace --namespace kube-system -f kube-proxy.new
rm -f kube-proxy.json kube-proxy.new
"""


class Profile15:
    """kubeadm 1.5."""

    generation = "1.5"
    workloads = Workloads(
        daemonset_api="extensions/v1beta1",
        deployment_api="extensions/v1beta1",
        rbac_api=None,
        # ClusterFirstWithHostNet came with 1.6; ClusterFirst falls back to the host's DNS under hostNetwork.
        host_network_dns_policy="ClusterFirst",
        rolls_daemonsets=False,
        annotations={"scheduler.alpha.kubernetes.io/tolerations": json.dumps(TOLERATION, separators=(",", ":"))},
    )
    certificates: Certificates | None = None
    etcd: Certificates | None = None
    only_control_plane = frozenset(
        {"kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd", "kube-discovery"}
    )
    # kubeadm renews nothing. Its kubeconfigs hold the certificates of kubelet and administrator, on every node; the kubelet's start gives
    # the API server's for kubelets out of them (DOORS).
    renewal = Renewal(
        Authority("/etc/kubernetes/pki/ca.pem", "/etc/kubernetes/pki/ca-key.pem"),
        pods=("kube-apiserver",),
        control_plane=(
            Holder("/etc/kubernetes/pki/apiserver.pem", "/etc/kubernetes/pki/apiserver-key.pem"),
            Holder("/etc/kubernetes/admin.conf"),
            Holder("/etc/kubernetes/kubelet.conf"),
        ),
        worker=(Holder("/etc/kubernetes/kubelet.conf"),),
    )

    def node_files(self, spec: Spec, member: Member) -> tuple[File, ...]:
        """See `Profile.node_files`."""
        own = _OWN_DROP_IN.format(
            dns=spec.dns_address,
            address=member.address,
            resolv_conf=RESOLV_CONF,
            closed=" ".join(_CLOSED),
            doors=DOORS,
        )
        return (
            kubelet_unit(),
            drop_in("10-kubeadm", _KUBEADM_DROP_IN),
            drop_in("20-meshctl", own),
            File(DOORS, _DOORS, 0o755),
        )

    def needs(self, role: str) -> Needs:
        """See `Profile.needs`: kubeadm's own list of ports and programs, without kernel and Docker versions."""
        control_plane = (API_PORT, 8080, DISCOVERY_PORT, 10250, 10251, 10252, 2379)
        return Needs(
            ports=control_plane if role == CONTROL_PLANE else (10250,),
            programs=("ip", "iptables", "mount", "nsenter", "ebtables", "ethtool", "socat", "tc", "touch"),
            cgroup_v1=True,
            no_swap=False,
        )

    def init_config(self, spec: Spec, member: Member, token: Secret) -> Secret:
        """See `Profile.init_config`. podSubnet is left out: it only makes the controller-manager hand out pod subnets
        of its own choice (to Node.spec.podCIDR, which the bridge plugin does not read).
        """
        return _dump(
            {
                "apiVersion": API,
                "kind": "MasterConfiguration",
                "secrets": {"givenToken": token.reveal()},
                "api": {"advertiseAddresses": [member.address], "bindPort": API_PORT},
                "discovery": {"bindPort": DISCOVERY_PORT},
                "networking": {"serviceSubnet": spec.service_cidr, "dnsDomain": "cluster.local"},
                "kubernetesVersion": spec.version,
            }
        )

    def init_argv(self) -> tuple[str, ...]:
        """See `Profile.init_argv`."""
        return ("kubeadm", "init", "--config", CONFIG, "--skip-preflight-checks")

    def join_config(self, spec: Spec, member: Member, credentials: Credentials) -> Secret:  # noqa: ARG002 (interface)
        """See `Profile.join_config`. The address stands here only: as an argument it would be a second master."""
        return _dump(
            {
                "apiVersion": API,
                "kind": "NodeConfiguration",
                "masterAddresses": [spec.control_plane.address],
                "secrets": {"givenToken": credentials.token.reveal()},
                "apiPort": API_PORT,
                "discoveryPort": DISCOVERY_PORT,
            }
        )

    def join_argv(self, role: str) -> tuple[str, ...]:  # noqa: ARG002 (the interface)
        """See `Profile.join_argv`."""
        return ("kubeadm", "join", "--config", CONFIG, "--skip-preflight-checks")

    def reset_argv(self, role: str) -> tuple[str, ...]:
        """See `Profile.reset_argv`. A worker deletes its Node object, else it may not join under the same name again;
        a control plane's goes with its etcd.
        """
        remove = "true" if role != CONTROL_PLANE else "false"
        return ("kubeadm", "reset", "--skip-preflight-checks", f"--remove-node={remove}")

    def upgrade_work(self, role: str, *, first: bool) -> str:  # noqa: ARG002 (the interface)
        """See `Profile.upgrade_work`. kubeadm 1.5 has no upgrade: what it wrote is given the other images, the API server's first."""
        return _UPGRADE if role == CONTROL_PLANE else ""

    def credentials(self, kubectl: Kubectl) -> Credentials:
        """See `Profile.credentials`: the token that init was given. It does not expire, and join pins no CA."""
        secret = kubectl.get("secret", "clusterinfo", namespace="kube-system")
        tokens = json.loads(base64.b64decode(secret["data"]["token-map.json"]))
        if not tokens:
            raise KubernetesError(
                "the cluster's Secret kube-system/clusterinfo holds no token",
                hint="`kubeadm reset` on the control plane and provision again",
            )
        token_id, token = next(iter(tokens.items()))
        return Credentials(Secret(token if "." in token else f"{token_id}.{token}"), api=kubectl)


def _dump(document: dict[str, Any]) -> Secret:
    return Secret(yaml.safe_dump(document, sort_keys=False))
