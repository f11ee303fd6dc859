"""What is wrong with the control plane: what an earlier cluster left, etcd, certificates, the API server."""

from __future__ import annotations

from provision.kubernetes.failures.model import AGAIN, Failure

CONTROL_PLANE: tuple[Failure, ...] = (
    Failure(
        "MK263",
        "earlier",
        (
            r"(?P<what>/(etc|var|run)/\S+?)\\?\"? (already exists|is not empty)",
            r"\"(?P<what>/\S+?)\\?\", it already exists",
            r"(?P<what>/etc/kubernetes/\S+?)\\?\"? exists already",
            r"(ERROR|WARNING) (FileAvailable|DirAvailable)-(?P<what>[\w.-]+)\]: (?!/)",
            r"unable to check if (?P<what>/\S+) is empty",
        ),
        "files of an earlier cluster are in the way ({what})",
        AGAIN,
        symptoms=("authority",),
    ),
    Failure(
        "MK264",
        "etcd-member",
        (
            r"member \S+ has already been bootstrapped|cluster ID mismatch|member count is unequal|request sent was ignored \(cluster",
            r"etcdserver: (re-?configuration failed|unhealthy cluster|Peer URLs already exists)|removed member .* cannot",
        ),
        "files of an earlier cluster are in the way (etcd's data)",
        AGAIN,
        symptoms=("etcd", "api"),
        waiting="vain",
    ),
    Failure(
        "MK265",
        "etcd-data",
        (
            r"wal(pb)?: (crc mismatch|file not found)|mvcc: database space exceeded|panic: freepages|snap(shot)?.*(corrupt|file doesn't exist)",
            r"database file.*(does not match|corrupt)|invalid database|NOSPACE|found corrupted",
        ),
        "etcd's data is damaged, or has reached its quota",
        "restore a snapshot (`etcdctl snapshot restore`); for the quota: compact, defragment, `etcdctl alarm disarm`",
        symptoms=("etcd", "api"),
        waiting="vain",
    ),
    Failure(
        "MK266",
        "etcd-slow",
        (
            r"etcdserver: (request timed out|too many requests)|wal: sync duration|slow fdatasync|(apply|read-only range|range).*took too long",
            r"failed to send out heartbeat on time|server is likely overloaded|waiting for ReadIndex response took too long|apply entries took",
            r"etcdserver: (no leader|leader changed)|lost (the )?(TCP streaming|leader)",
        ),
        "etcd's disk is too slow",
        "other guests write to the same disk, or it is emulated: put `pool` on faster storage, or the control plane on a host of its own",
        symptoms=("etcd", "api"),
        waiting="usual",
    ),
    Failure(
        "MK267",
        "etcd-version",
        (r"external etcd (version|'s)|only supports external etcd",),
        "the external etcd is not one that this kubeadm takes",
        "meshctl uses the etcd that kubeadm starts: leave `etcd.external` out",
    ),
    Failure(
        "MK268",
        "address",
        (
            r"cannot assign requested address|as the bind address for|unable to select an IP|(advertise ?address|local API endpoint).*(invalid|not found|unable)",
            r"unable to find suitable network address|no default routes found|is not a local address|couldn't use .* as .apiserver-advertise-address",
        ),
        "the address to advertise is not one of the node's",
        "compare `address` in the inventory with `ip address` on the node, and its default route",
        symptoms=("api", "etcd"),
        waiting="vain",
    ),
    Failure(
        "MK269",
        "configuration",
        (
            r"your configuration file uses an old API|no kind .{1,80} (is )?registered|unknown API version|strict decoding error|unknown field",
            r"could not interpret GroupVersionKind|error (converting|unmarshaling|unmarshalling)|invalid configuration(?!.*(kubelet|no configuration))",
            r"can not mix .--config|unable to decode config|does not match .*apiVersion",
        ),
        "kubeadm's configuration is of another release than kubeadm",
        "kubeadm must be the bundle's: `meshctl bundle show`, and `kubernetes.version` of the inventory",
    ),
    Failure(
        "MK270",
        "subnet",
        (
            r"(service|pod) ?(subnet|network|CIDR)\S*.*(invalid|overlap|too (large|small)|out of range)|error parsing CIDR|couldn't get first IP",
        ),
        "a network range cannot be used",
        "see `kubernetes.pod_cidr` and `kubernetes.service_cidr` of the inventory",
        waiting="vain",
    ),
    Failure(
        "MK271",
        "certificate-name",
        (
            r"certificate is valid for .*, not |doesn't contain any IP SANs|cannot validate certificate for|relies on legacy Common Name",
        ),
        "the API server's certificate is not for this address",
        "the control plane's address was changed after it was made: " + AGAIN,
        symptoms=("authority",),
        waiting="vain",
    ),
    Failure(
        "MK272",
        "authority",
        (
            r"certificate signed by unknown authority|verification (error|failure)|not signed by (the )?(corresponding )?CA|unknown certificate authority",
            r"(private key|certificate).*(does not match|doesn't match)|tls: bad certificate|crypto/rsa|got the wrong (CA|API)",
        ),
        "certificates are of another cluster's authority",
        "what an earlier cluster left is used with a new authority: " + AGAIN,
        symptoms=("api",),
        waiting="vain",
    ),
    Failure(
        "MK273",
        "pki",
        (
            r"(failure|error|couldn't|failed).{0,20}load(ing)? .*(certificate|\bCA\b|key|pki)|couldn't create .*certificate|existed but it could not be loaded",
            r"error creating PKI assets|pki/\S+.*(no such file|permission denied)",
        ),
        "the cluster's certificates cannot be read or written",
        "see /etc/kubernetes/pki on the control plane; when they are an earlier cluster's: " + AGAIN,
        waiting="usual",
    ),
    Failure(
        "MK274",
        "etcd",
        (
            r":2379\b.*(refused|timeout|deadline|EOF|unavailable)|etcd cluster is (not healthy|unavailable)|etcd.*(is )?not healthy",
            r"error while dialing.*2379|etcd.*did not (start|answer)|etcdserver: server stopped",
        ),
        "etcd does not answer",
        "`docker logs` or `crictl logs` of its container on the control plane says why",
        symptoms=("api",),
        waiting="usual",
    ),
    Failure(
        "MK275",
        "allowed",
        (
            r"is forbidden: User|cannot (get|list|create|watch|patch|update|delete) resource|\bForbidden\b|unable to create RBAC",
        ),
        "the API server does not allow it",
        "the token or the certificate is of another cluster or version: " + AGAIN,
        waiting="usual",
    ),
    Failure(
        "MK276",
        "api-other",
        (
            r"server gave HTTP response to HTTPS client|malformed HTTP response|does not look like a TLS handshake|remote error: tls",
        ),
        "something else than the API server answers at its address",
        "`ss -ltnp` on the control plane says what listens on 6443; kubeadm 1.5's join takes the address without a port",
        waiting="usual",
    ),
    Failure(
        "MK2100",
        "api-busy",
        (
            r"\[::1\]:6443\b.*(TLS handshake timeout|Client\.Timeout|deadline exceeded|timed out)",
            r"initial IP allocation check.*(timeout|timed out|exceeded)|PostStartHook .* failed: .*timed out",
        ),
        "the API server has too little CPU to answer itself",
        "it is started again, and is quicker when fewer wait for it; more vCPUs for the control plane, or a host with KVM",
        symptoms=("unreachable", "api", "allowed"),
        waiting="usual",
    ),
    Failure(
        "MK277",
        "api",
        (
            r"^(?!.*(:10248|:2379|\.sock)).*connection refused",
            r"connection to the server \S+ was refused|(6443|API ?server|control plane).*(refused|unhealthy|not healthy|connection reset|EOF)",
            r"kube-apiserver check failed|apiserver is not (ready|healthy)|unable to connect to the server",
        ),
        "the API server does not answer",
        "see its container's and etcd's lines above; a control plane that just started takes minutes under emulation",
        waiting="usual",
    ),
)
"""In the order in which they are said."""

NOTHING: tuple[Failure, ...] = (
    Failure(
        "MK294",
        "container",
        (
            r"OCI runtime create failed|runc create failed|failed to create (shim|containerd task)|failed to start container|error response from daemon",
            r"FailedCreatePodSandBox|failed to create pod sandbox|RunContainerError|CreateContainerError",
        ),
        "the container runtime cannot start a container",
        "its words are above; `journalctl -u docker -u containerd` on the node has more",
        vague=True,
        waiting="usual",
    ),
    Failure(
        "MK295",
        "crash",
        (
            r"CrashLoopBackOff|back-off .*restarting failed container|restarting failed|start request repeated too quickly",
        ),
        "a container or service ends again and again",
        "its own last words are above: `docker logs` or `crictl logs` on the node",
        vague=True,
        waiting="usual",
    ),
    Failure(
        "MK296",
        "nothing-runs",
        (
            r"timed out waiting for the condition|this error is likely caused by|couldn't initialize a Kubernetes cluster",
            r"wait-control-plane|waiting for (the control plane|it) to become ready|context deadline exceeded|the kubelet is (not running|unhealthy)",
        ),
        "the kubelet or the control plane's containers do not run",
        "`journalctl -u kubelet`, and `docker ps -a` or `crictl ps -a`, on the node say which; provision again resets it",
        vague=True,
        waiting="usual",
    ),
    Failure(
        "MK297",
        "kubelet-unconfigured",
        (r"(kubelet\.conf|kubelet/config\.yaml|bootstrap-kubelet\.conf).*no such file|waiting for kubelet\.conf",),
        "kubeadm did not come as far as the kubelet's configuration",
        "its own last lines above say why; the kubelet starts again and again until then, which is right",
        vague=True,
        waiting="usual",
    ),
)
"""What says only that something is wrong."""
