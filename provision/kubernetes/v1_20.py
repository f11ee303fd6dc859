"""Kubernetes 1.20: kubeadm with a v1beta2 configuration file."""

from __future__ import annotations

import base64
import datetime
from typing import Any

import yaml

from provision.base.secret import Secret
from provision.kubernetes.api import Certificates
from provision.kubernetes.certificate import ca_cert_hash
from provision.kubernetes.kubectl import Kubectl
from provision.kubernetes.kubelet import RESOLV_CONF, drop_in, kubelet_unit
from provision.kubernetes.profile import CONFIG, Authority, Holder, Needs, Renewal, Workloads
from provision.kubernetes.spec import CONTROL_PLANE, Credentials, File, Spec
from provision.kubernetes.token import new_token
from provision.kubernetes.virtual_address import address_files
from provision.specs import Member

API = "kubeadm.k8s.io/v1beta2"
TOKEN_TTL = datetime.timedelta(hours=1)
"""A token lives as long as one run's joins may take; the token cleaner removes it afterwards."""

ETCD_ARGUMENTS = {"heartbeat-interval": "500", "election-timeout": "5000"}
"""Milliseconds, 5 times the defaults. A single etcd elects nobody, but it gives up a request after 5 s plus two
election timeouts (etcd's `ReqTimeout`), and while guests start on one disk its fsync takes longer than the usual 7 s."""

ETCD_EMULATED = {"heartbeat-interval": "1000", "election-timeout": "10000"}
"""Of several members, where a guest is emulated: one whose disk is busy stands still for seconds, and each election that this costs keeps
the API from being written to. Under KVM, ETCD_ARGUMENTS, as a leader that is lost is missed for as long as the timeout."""

ALONE = {"leader-elect": "false"}
"""For controller-manager and scheduler. There is one of each, so nobody to elect: the election writes to etcd every two
seconds, and ends the process when a renewal takes longer than ten. On busy emulated guests each was restarted three times
within a quarter of an hour; that the election did it was not read from a log."""

ELECTED = {
    "leader-elect": "true",
    "leader-elect-lease-duration": "60s",
    "leader-elect-renew-deadline": "40s",
    "leader-elect-retry-period": "8s",
}
"""The same where there may be several: four times the defaults (15, 10 and 2 s), for the reason above. Who is lost is replaced after a
minute; until then nothing is scheduled anew, and everything goes on."""

GATES = {"PublicKeysECDSA": True}
"""kubeadm's own gates (alpha from 1.19 on: which kind of keys it makes, and no more). P-256 instead of RSA: emulated, kubeadm
took 52 s for its pairs of RSA, 8 to 10 for these, and each TLS handshake costs both ends a signature (ADR 0011). RFC 8446 §9.1
has every TLS 1.3 implementation know P-256."""

PATCHES = "/etc/meshctl/kubeadm-patches"
"""Where kubeadm looks for changes to its static pods; a file's name says which pod, and how its text is merged."""

# kubeadm has the API server's readiness asked every second, each time with a new TLS handshake: a sixth of an emulated
# core, and nobody asks for the answer of a server that stands behind no Service.
# And it has the API server and etcd killed when they have not answered for 80 s. Killing does not mend a lack of CPU or disk, it adds a
# start to it, under which the next kill follows: 300 s are left to them.
_API_SERVER = """\
apiVersion: v1
kind: Pod
metadata: {name: kube-apiserver, namespace: kube-system}
spec:
  containers:
  - name: kube-apiserver
    livenessProbe: {failureThreshold: 30}
    readinessProbe: {periodSeconds: 10}
"""
_ETCD = """\
apiVersion: v1
kind: Pod
metadata: {name: etcd, namespace: kube-system}
spec:
  containers:
  - name: etcd
    livenessProbe: {failureThreshold: 30}
"""

# The control plane is upgraded by `apply`, every other node by `node`. Two of its checks are no errors here. ImagePull: that the images
# are there was seen to already, and it would ask a DNS server for CoreDNS, which bundles need not hold. CreateJob: it gives a pod of the
# pause image 15 s to be scheduled, to print its version and to end, which emulated guests need longer for and a bundle's pause need not do.
# Two more are about the CoreDNS that is there, and refuse a cluster that has none (kubeadm 1.20.2, upgrade.RunCoreDNSMigrationCheck:
# "start version '' not supported"); where somebody has it, they are right.
_APPLY = f"""\
ignored=ImagePull,CreateJob
if ! kubectl --kubeconfig /etc/kubernetes/admin.conf --namespace kube-system get configmap coredns > /dev/null 2>&1; then
    ignored=$ignored,CoreDNSUnsupportedPlugins,CoreDNSMigration
fi
exec timeout -s INT -k 30 1740 kubeadm upgrade apply "$1" --yes --experimental-patches {PATCHES} \\
    "--ignore-preflight-errors=$ignored"
"""
_NODE = """\
exec timeout -s INT -k 30 600 kubeadm upgrade node
"""
_NODE_OF_SEVERAL = f"""\
exec timeout -s INT -k 30 1740 kubeadm upgrade node --experimental-patches {PATCHES} --ignore-preflight-errors=ImagePull
"""

# The drop-in that Kubernetes' own packages ship for 1.20, word for word.
_KUBEADM_DROP_IN = """\
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
"""  # noqa: E501


class Profile120:
    """kubeadm 1.20."""

    generation = "1.20"
    workloads = Workloads(
        daemonset_api="apps/v1",
        deployment_api="apps/v1",
        rbac_api="rbac.authorization.k8s.io/v1",
        host_network_dns_policy="ClusterFirstWithHostNet",
        rolls_daemonsets=True,
        tolerations=({"operator": "Exists"},),
    )
    certificates: Certificates | None = Certificates(
        # The API server's own towards kubelets. kubeadm issues it to system:masters, as it does admin.conf's.
        "/etc/kubernetes/pki/ca.crt",
        "/etc/kubernetes/pki/apiserver-kubelet-client.crt",
        "/etc/kubernetes/pki/apiserver-kubelet-client.key",
    )
    etcd: Certificates | None = Certificates(
        "/etc/kubernetes/pki/etcd/ca.crt",
        "/etc/kubernetes/pki/etcd/healthcheck-client.crt",
        "/etc/kubernetes/pki/etcd/healthcheck-client.key",
    )
    only_control_plane = frozenset({"kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"})
    # Kubelets renew their own when a tenth to three tenths of its life is left.
    renewal = Renewal(
        Authority("/etc/kubernetes/pki/ca.crt", "/etc/kubernetes/pki/ca.key"),
        pods=("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
        argv=("kubeadm", "certs", "renew", "all"),
        control_plane=(Holder("/etc/kubernetes/kubelet.conf"),),  # where one is in it, kubeadm leaves it out
        rotating=("/var/lib/kubelet/pki/kubelet-client-current.pem",),
    )

    def node_files(self, spec: Spec, member: Member) -> tuple[File, ...]:
        """See `Profile.node_files`."""
        pods = {"kube-apiserver": _API_SERVER, "etcd": _ETCD}
        patches = tuple(File(f"{PATCHES}/{pod}+strategic.yaml", text) for pod, text in pods.items())
        return (
            *(patches if member.role == CONTROL_PLANE else ()),
            *address_files(spec, member),
            kubelet_unit(),
            drop_in("10-kubeadm", _KUBEADM_DROP_IN),
            drop_in("20-meshctl", f'[Service]\nEnvironment="KUBELET_EXTRA_ARGS=--node-ip={member.address}"\n'),
        )

    def needs(self, role: str) -> Needs:
        """See `Profile.needs`."""
        control_plane = (6443, 2379, 2380, 10250, 10257, 10259)
        return Needs(
            ports=control_plane if role == CONTROL_PLANE else (10250,),
            programs=("conntrack", "ip", "iptables", "mount", "nsenter"),
            cgroup_v1=False,
            no_swap=True,
        )

    def init_config(self, spec: Spec, member: Member, token: Secret) -> Secret:
        """See `Profile.init_config`. podSubnet is left out: it would make the controller-manager hand out pod
        subnets of its own choice, and ours follow from the addresses.
        """
        ttl = f"{int(TOKEN_TTL.total_seconds())}s"
        elects = ELECTED if spec.endpoint else ALONE
        documents = (
            {
                "apiVersion": API,
                "kind": "InitConfiguration",
                "bootstrapTokens": [{"token": token.reveal(), "ttl": ttl}],
                "localAPIEndpoint": _here(member),
                "nodeRegistration": self._registration(spec, member),
            },
            {
                "apiVersion": API,
                "kind": "ClusterConfiguration",
                "kubernetesVersion": spec.version,
                "featureGates": GATES,
                "networking": {"serviceSubnet": spec.service_cidr, "dnsDomain": "cluster.local"},
                "etcd": {"local": {"extraArgs": {**_etcd_arguments(spec)}}},
                "controllerManager": {"extraArgs": {**elects}},
                "scheduler": {"extraArgs": {**elects}},
                # kubeadm gives up after 4 minutes by default; emulated guests need 90 s when all goes well.
                "apiServer": {"timeoutForControlPlane": "10m0s", **_names(spec)},
                **({"controlPlaneEndpoint": f"{spec.endpoint}:6443"} if spec.endpoint else {}),
            },
            {
                "apiVersion": "kubelet.config.k8s.io/v1beta1",
                "kind": "KubeletConfiguration",
                "cgroupDriver": "cgroupfs",
                "hairpinMode": "hairpin-veth",
                "resolvConf": RESOLV_CONF,
            },
            {
                "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                "kind": "KubeProxyConfiguration",
                "mode": "iptables",
                # What is from outside the pods is masqueraded towards Services: kubeadm takes this from podSubnet.
                "clusterCIDR": spec.pod_cidr,
            },
        )
        return _dump(*documents)

    def init_argv(self) -> tuple[str, ...]:
        """See `Profile.init_argv`. Without a working CoreDNS image its add-on would only crash."""
        more = ("--experimental-patches", PATCHES, "--skip-phases=addon/coredns", "--skip-token-print")
        return ("kubeadm", "init", "--config", CONFIG, *more)

    def join_config(self, spec: Spec, member: Member, credentials: Credentials) -> Secret:
        """See `Profile.join_config`."""
        discovery = {
            "apiServerEndpoint": f"{spec.api_address}:6443",
            "token": credentials.token.reveal(),
            "caCertHashes": [credentials.ca_cert_hash],
        }
        return _dump(
            {
                "apiVersion": API,
                "kind": "JoinConfiguration",
                "discovery": {"bootstrapToken": discovery},
                "nodeRegistration": self._registration(spec, member),
                # Without a certificateKey: what control planes share is there already (`shared_keys`).
                **({"controlPlane": {"localAPIEndpoint": _here(member)}} if member.role == CONTROL_PLANE else {}),
            }
        )

    def join_argv(self, role: str) -> tuple[str, ...]:
        """See `Profile.join_argv`."""
        patches = ("--experimental-patches", PATCHES) if role == CONTROL_PLANE else ()
        return ("kubeadm", "join", "--config", CONFIG, *patches)

    def reset_argv(self, role: str) -> tuple[str, ...]:  # noqa: ARG002 (the interface)
        """See `Profile.reset_argv`."""
        return ("kubeadm", "reset", "--force")

    def upgrade_work(self, role: str, *, first: bool) -> str:
        """See `Profile.upgrade_work`. kubeadm leaves the DNS add-on out by itself where it finds none."""
        if role != CONTROL_PLANE:
            return _NODE
        return _APPLY if first else _NODE_OF_SEVERAL

    def credentials(self, kubectl: Kubectl) -> Credentials:
        """See `Profile.credentials`: makes a token as `kubeadm token create` does, but over stdin."""
        token = new_token()
        kubectl.create_secret(_token_secret(token, kubectl.now() + TOKEN_TTL), "a join token")
        return Credentials(token, ca_cert_hash(kubectl.file("/etc/kubernetes/pki/ca.crt")), kubectl)

    def _registration(self, spec: Spec, member: Member) -> dict[str, Any]:
        coredns = any("/coredns" in reference for archive in spec.archives for reference in archive.references)
        # Skipping the add-on does not skip the check that its image can be pulled, which asks a DNS server.
        ignored: dict[str, Any] = (
            {} if coredns or member.role != CONTROL_PLANE else {"ignorePreflightErrors": ["ImagePull"]}
        )
        return {"name": member.name, **ignored}


def _here(member: Member) -> dict[str, Any]:
    """Where a control plane's own API server is."""
    return {"advertiseAddress": member.address, "bindPort": 6443}


def _etcd_arguments(spec: Spec) -> dict[str, str]:
    return ETCD_EMULATED if spec.endpoint and spec.emulated else ETCD_ARGUMENTS


def _names(spec: Spec) -> dict[str, Any]:
    """What the API servers' certificates hold beside what kubeadm writes into each: its own name and address, and the endpoint."""
    if not spec.endpoint:
        return {}
    said = [spec.endpoint, *(word for one in spec.control_planes for word in (one.name, one.address))]
    return {"certSANs": said}


def _token_secret(token: Secret, expires: datetime.datetime) -> dict[str, Any]:
    token_id, _, token_secret = token.reveal().partition(".")
    data = {
        "token-id": token_id,
        "token-secret": token_secret,
        "expiration": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": f"bootstrap-token-{token_id}", "namespace": "kube-system"},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def _dump(*documents: dict[str, Any]) -> Secret:
    return Secret(yaml.safe_dump_all(documents, sort_keys=False))
