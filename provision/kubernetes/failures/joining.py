"""What keeps a worker from the control plane: its token, the authority's hash, names and ways."""

from __future__ import annotations

from provision.kubernetes.failures.model import AGAIN, Failure

_MTU = "`ping`, `ip route` and a firewall between the two; `ping -M do -s 1472` for the MTU (`network.mtu`)"

JOINING: tuple[Failure, ...] = (
    Failure(
        "MK278",
        "token-signature",
        (r"failed to verify JWS",),
        "the token is not the cluster's",
        "another cluster may answer at this address; provision again joins with a new token",
        waiting="vain",
    ),
    Failure(
        "MK279",
        "token",
        (
            r"no JWS signed token|token.{0,40}(is )?(invalid for this cluster|expired|has expired)|could not find a JWS signature|invalid bearer token",
            r"failed to parse response as JWS|\bUnauthorized\b|must be logged in|unable to authenticate|token .*(not found|unknown)",
        ),
        "the token is unknown or has expired",
        "provision again joins with a new one; by hand: `kubeadm token create --print-join-command` on the control plane",
        symptoms=(
            "cluster-configuration",
            "allowed",
        ),
        advice_of={
            "1.5": "1.5's tokens do not expire: it must stand in /etc/kubernetes/pki/tokens.csv of the control plane"
        },
        waiting="usual",
    ),
    Failure(
        "MK280",
        "token-form",
        (
            r"token .*(not of the form|must (be|match)|malformed|was not of)|invalid (bootstrap )?token|expected token to (be|match)",
        ),
        "the token is not written as one",
        "it is six characters, a dot and sixteen, of a-z and 0-9: `kubeadm token generate`",
        waiting="vain",
    ),
    Failure(
        "MK281",
        "authority-hash",
        (
            r"cluster CA found in .* is invalid|public key .* not pinned|public keys? .*(is|are) pinned|(ca cert|discovery-token-ca-cert).?hash",
        ),
        "the authority's hash (CA) is not the cluster's",
        "another cluster answers at this address, or the control plane was made anew: provision again reads the hash",
        waiting="vain",
    ),
    Failure(
        "MK282",
        "cluster-info",
        (
            r"isn't set up for token bootstrapping|cluster-info.*(not found|forbidden)|no (kubeconfig )?key in .*ConfigMap|couldn't parse the kubeconfig file in",
        ),
        "the control plane publishes nothing to join by (cluster-info)",
        "`kubeadm init` did not end there: provision again",
        symptoms=("allowed",),
        waiting="usual",
    ),
    Failure(
        "MK283",
        "cluster-configuration",
        (
            r"(kubeadm-config|kubelet-config)\S*.*(not found|forbidden|failed to|could not)|failed to (get|fetch) (config map|the kubeadm-config)",
            r"unable to fetch the kubeadm-config",
        ),
        "kubeadm of the node and of the control plane are of different versions",
        "both must come from one bundle: `kubeadm version` on both",
        symptoms=("allowed", "configuration"),
        waiting="usual",
    ),
    Failure(
        "MK284",
        "node-name",
        (
            r"node with name .* already exists|nodes? \"?\S+\"? already exists|hostname .*already (in use|registered|taken)",
        ),
        "the node's name is taken",
        "an earlier node, or another machine, has it: `kubectl delete node NAME` when it is gone, then provision again",
        symptoms=("earlier", "node"),
        waiting="vain",
    ),
    Failure(
        "MK285",
        "node-certificate",
        (
            r"certificate signing request|cannot create .*csr|CSR .*(denied|not approved|pending)|bootstrap-?kubelet.*(unable|failed to run)",
        ),
        "the control plane has not signed the node's certificate",
        "`kubectl get csr` on the control plane; its controller-manager must run",
        waiting="usual",
    ),
    Failure(
        "MK286",
        "second-control-plane",
        (r"stable controlPlaneEndpoint|certificate-?key|kubeadm-certs.*not found",),
        "a second control plane cannot be joined like this",
        "meshctl makes one control plane: give the other nodes `role: worker`",
        waiting="vain",
    ),
    Failure(
        "MK287",
        "dns",
        (
            r"resolv\.conf.*no such file|no such host|server misbehaving|temporary failure in name resolution|could not resolve|lookup \S+ (on \S+)?.*(timeout|refused)",
            r"Loop \(.*\) detected|name or service not known|DNS (lookup|resolution) fail",
        ),
        "names are not resolved (DNS)",
        "`resolvectl status` or /etc/resolv.conf on the node; `network.nameservers` of the inventory",
        symptoms=("unreachable", "api"),
        waiting="usual",
    ),
    Failure(
        "MK288",
        "unreachable",
        (
            r"no route to host|network is (unreachable|down)|host is down|i/o timeout|Client\.Timeout|TLS handshake timeout|connection timed out",
            r"request canceled while waiting|net/http: timeout|(6443|cluster-info|API ?Server).*(context deadline exceeded|timed? ?out)",
            r"abort (reading|connecting to API) .*timeout",
        ),
        "the node does not reach the API server (route, firewall, MTU)",
        _MTU,
        symptoms=("api",),
        waiting="usual",
    ),
    Failure(
        "MK289",
        "reset",
        (r"failed to (unmount|remove) .*(kubelet|kubernetes)|device or resource busy",),
        "what an earlier cluster mounted is still in use",
        "restart the guest, then " + AGAIN,
    ),
)
"""In the order in which they are said."""
