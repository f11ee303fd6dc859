"""What is told of failures of the control plane: one line as it was printed, what it means, why it happens."""

from __future__ import annotations

from provision.kubernetes.pages.model import Told

CONTROL_PLANE = {
    "earlier": Told(
        seen="/etc/kubernetes/manifests is not empty",
        means="kubeadm refuses to write over what is there.",
        why="The guest was a node before and was not reset, or a reset was cut short.",
    ),
    "etcd-member": Told(
        seen="member 8e9e05c52164694d has already been bootstrapped",
        means="etcd's data say that it belongs to another cluster than its command line does.",
        why="/var/lib/etcd is an earlier cluster's.",
    ),
    "etcd-data": Told(
        seen="etcdserver: mvcc: database space exceeded",
        means="etcd cannot read its data, or takes no more of them.",
        why="The guest was ended without warning on a disk that lies about what is written; or the database has reached 2 GiB.",
    ),
    "etcd-slow": Told(
        seen="wal: sync duration of 3.2s, expected less than 1s",
        means="etcd waits for its disk: the API server answers late or not at all. A control plane that starts under emulation says so, "
        "too.",
        why="Each change is synced to the disk before it counts; other guests write to the same one.",
    ),
    "etcd-version": Told(
        seen="[ERROR ExternalEtcdVersion]: this version of kubeadm only supports external etcd version >= 3.2.18. Current version: 3.0.14",
        means="kubeadm does not take this external etcd.",
        why="It is older or younger than the release wants.",
    ),
    "address": Told(
        seen='cannot use "fe80::1" as the bind address for the API Server',
        means="The API server or etcd is to listen on an address that the machine does not have.",
        why="The guest has another address than the inventory says: its network was changed inside, or by hand in the seed.",
    ),
    "configuration": Told(
        seen='your configuration file uses an old API spec: "kubeadm.k8s.io/v1beta1". Please use kubeadm v1.21 instead and run '
        "'kubeadm config migrate --old-config old.yaml --new-config new.yaml'",
        means="kubeadm cannot read the configuration that it is given.",
        why="kubeadm on the node is not the bundle's, so that meshctl wrote for another release.",
    ),
    "subnet": Told(
        seen='podSubnet: Invalid value: "10.0.0.0/8": the pod subnet overlaps with the service subnet',
        means="The ranges of pods and Services are not ones that Kubernetes can use.",
        why="They overlap each other or the nodes' network, or are too small.",
    ),
    "certificate-name": Told(
        seen="x509: certificate is valid for 10.96.0.1, 10.0.0.2, not 10.0.0.3",
        means="Whoever asks the API server under this address does not believe it.",
        why="The control plane's address or name changed after `kubeadm init`.",
    ),
    "authority": Told(
        seen='Unable to connect to the server: x509: certificate signed by unknown authority (possibly because of "crypto/rsa: '
        'verification error" while trying to verify candidate authority certificate "kubernetes")',
        means="Certificates of two authorities meet: nobody believes the other.",
        why="Files of an earlier cluster are left on a node, or the control plane was made anew and the node was not.",
    ),
    "pki": Told(
        seen="error execution phase certs/ca: failure loading ca certificate authority: failed to load certificate: couldn't load the "
        "certificate file /etc/kubernetes/pki/ca.crt",
        means="A certificate or a key is missing, damaged or cannot be read.",
        why="/etc/kubernetes/pki was copied or edited by hand, or `kubeadm init` was cut short.",
    ),
    "etcd": Told(
        seen="Get http://127.0.0.1:2379/health: dial tcp 127.0.0.1:2379: connect: connection refused",
        means="The API server finds no etcd. A control plane that starts says so, too: both are started together.",
        why="etcd's container does not run, or etcd is reading its data.",
    ),
    "allowed": Told(
        seen='nodes is forbidden: User "system:anonymous" cannot list resource "nodes"',
        means="The API server knows who asks, and does not allow it. While it starts it says so, too: its roles are written last.",
        why="The certificate or token is another cluster's, or roles were removed.",
    ),
    "api-other": Told(
        seen="http: server gave HTTP response to HTTPS client",
        means="Something listens there that is not the API server.",
        why="Another service has port 6443, or the request went to 8080 or through a proxy.",
    ),
    "api-busy": Told(
        seen="Unable to perform initial IP allocation check: unable to refresh the service IP block: Get "
        '"https://[::1]:6443/api/v1/services": net/http: TLS handshake timeout',
        means="Its own controllers did not get an answer within ten seconds. Some of them end the whole process then.",
        why="Who waits for it comes anew every ten seconds, and each time costs it a signature: with too little CPU it does nothing else.",
    ),
    "api": Told(
        seen="dial tcp 10.0.0.2:6443: connect: connection refused",
        means="Nothing answers at the API server's address. A control plane that starts says so, too.",
        why="Its container does not run: it waits for etcd, ends again and again, or was not started since its image or manifest is wrong.",
    ),
}
"""By the failure's name."""
