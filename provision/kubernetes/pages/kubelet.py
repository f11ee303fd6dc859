"""What is told of failures of the kubelet: one line as it was printed, what it means, why it happens."""

from __future__ import annotations

from provision.kubernetes.pages.model import Told

KUBELET = {
    "kubelet-port": Told(
        seen="[ERROR Port-10250]: Port 10250 is in use",
        means="A kubelet is to be started and its port is taken.",
        why="Another kubelet runs on the machine, mostly an earlier cluster's.",
    ),
    "port": Told(
        seen="[ERROR Port-6443]: Port 6443 is in use",
        means="A program of the control plane cannot listen, since another has its port.",
        why="An earlier cluster's container still runs, or somebody else's service is on the node.",
    ),
    "kubelet-flags": Told(
        seen="E0101 kubelet: unknown flag: --network-plugin",
        means="A program was started with an option that it does not know, and ends at once.",
        why="The unit's drop-in or a manifest is of another release than the program.",
    ),
    "kubelet-configuration": Told(
        seen='failed to load kubelet config file /var/lib/kubelet/config.yaml: strict decoding error: unknown field "foo"',
        means="The kubelet ends since it cannot read its configuration.",
        why="kubeadm of another release wrote the file, or it was edited.",
    ),
    "kubelet-version": Told(
        seen="[ERROR KubeletVersion]: the kubelet version is higher than the control plane version. This is not a supported version "
        'skew and may lead to a malfunctional cluster. Kubelet version: "1.21.0" Control plane version: "1.20.2"',
        means="Kubelet, kubeadm and the API server are further apart than they may be.",
        why="A program on the node was replaced beside the bundle.",
    ),
    "version": Told(
        seen="this version of kubeadm only supports deploying clusters with the control plane version >= 1.19.0. Current version: v1.15.0",
        means="kubeadm cannot make a cluster of the release that it is asked for.",
        why="`kubernetes.version` and the bundle do not belong together.",
    ),
    "version-label": Told(
        seen='could not fetch a Kubernetes version from the internet: unable to get URL "https://dl.k8s.io/release/stable-1.txt": Get '
        '"https://dl.k8s.io/release/stable-1.txt": dial tcp: lookup dl.k8s.io on 10.0.0.1:53: no such host',
        means="kubeadm looks for the newest release on the internet, which a guest does not reach, and then takes another one.",
        why="It was started by hand, without a version.",
    ),
    "kubelet-service": Told(
        seen="[WARNING Service-Kubelet]: kubelet service does not exist",
        means="systemd knows no kubelet.",
        why="kubeadm ran before the node was prepared, or the unit was removed.",
    ),
    "kubelet-enabled": Told(
        seen="[WARNING Service-Kubelet]: kubelet service is not enabled, please run 'systemctl enable kubelet.service'",
        means="The kubelet runs, and will not after a restart of the guest.",
        why="The unit was disabled by hand.",
    ),
    "pod-cgroups": Told(
        seen="Failed to start ContainerManager failed to initialize top level QOS containers: root container [kubepods] doesn't exist",
        means="The kubelet finds cgroups that it did not make as it wants them.",
        why="An earlier kubelet with another cgroup driver left them; they live until a restart.",
    ),
    "static-pods": Told(
        seen="Can't process manifest file \"/etc/kubernetes/manifests/etcd.yaml\": /etc/kubernetes/manifests/etcd.yaml: couldn't parse "
        "as pod",
        means="The kubelet does not run one of etcd, API server, controller-manager and scheduler, as it cannot read its manifest.",
        why="The file was edited, or is of another release.",
    ),
    "kubelet": Told(
        seen="[kubelet-check] The kubelet is not healthy after 4m0.000s",
        means="The kubelet ends or does not answer: nothing is started on this node.",
        why="It says why in its journal, mostly in the last line before it ends.",
    ),
    "node": Told(
        seen="error execution phase kubelet-start: error uploading crisocket: timed out waiting for the condition",
        means="The kubelet runs, and the API server knows no node of its name.",
        why="The kubelet does not reach the API server, or is not believed by it.",
    ),
}
"""By the failure's name."""
