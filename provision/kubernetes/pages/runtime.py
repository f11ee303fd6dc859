"""What is told of failures of Docker, containerd and what runs by them: one line as it was printed, what it means, why it happens."""

from __future__ import annotations

from provision.kubernetes.pages.model import Told

RUNTIME = {
    "cgroup-drivers": Told(
        seen='failed to run Kubelet: misconfiguration: kubelet cgroup driver: "cgroupfs" is different from docker cgroup driver: "systemd"',
        means="Docker and the kubelet would each keep an own tree of cgroups, so the kubelet does not start.",
        why="/etc/docker/daemon.json or the kubelet's configuration was changed by hand, or a package brought another default.",
    ),
    "cgroup-recommended": Told(
        seen='[WARNING IsDockerSystemdCheck]: detected "cgroupfs" as the Docker cgroup driver. The recommended driver is "systemd".',
        means="kubeadm would rather have systemd keep Docker's cgroups. This is advice, and nothing fails for it.",
        why="meshctl sets cgroupfs for both, which is what all generations that it knows can do.",
    ),
    "ipc": Told(
        seen="Error: can't join IPC of container 5d: non-shareable IPC",
        means="Containers of a pod cannot share memory: from 18.09 on Docker keeps it private, and old kubelets do not ask for it.",
        why="/etc/docker/daemon.json is not meshctl's, or Docker was not restarted since it was written.",
    ),
    "docker-version": Told(
        seen="unsupported docker version: 20.10.24+dfsg1",
        means="A check knows Docker's releases up to its own time and refuses this one.",
        why="An old Kubernetes meets a young Docker. They work together; only the check does not know that.",
    ),
    "docker-not-validated": Told(
        seen="[WARNING SystemVerification]: this Docker version is not on the list of validated versions: 20.10.24. Latest validated "
        "version: 19.03",
        means="kubeadm warns that nobody tried this Docker with this Kubernetes. This is advice, and nothing fails for it.",
        why="Debian's Docker is younger than the release.",
    ),
    "graph-driver": Told(
        seen="[ERROR SystemVerification]: unsupported graph driver: btrfs",
        means="Docker or containerd cannot use the storage driver that it is set to.",
        why="The file system below it, or the kernel, does not support it; or images lie there that another driver wrote.",
    ),
    "docker-configuration": Told(
        seen="unable to configure the Docker daemon with file /etc/docker/daemon.json: the following directives are specified both as "
        "a flag and in the configuration file: hosts",
        means="Docker does not start, since it does not understand its configuration.",
        why="A wrong word in the file, or the same option in the file and in the unit's command line.",
    ),
    "dockershim": Told(
        seen="failed to run Kubelet: unable to determine runtime API version: rpc error: code = Unavailable desc = connection error: "
        "dial unix /var/run/dockershim.sock: connect: no such file or directory",
        means="The kubelet asks for Docker by a part of itself that is not there.",
        why="From 1.24 on it is gone; before, the socket exists only while the kubelet runs.",
    ),
    "docker": Told(
        seen="[ERROR Service-Docker]: docker service is not active, please run 'systemctl start docker.service'",
        means="Docker is not running, and nothing that needs containers is either.",
        why="It was stopped, its configuration or its storage keeps it from starting, or it was ended for want of memory.",
    ),
    "cri-disabled": Told(
        seen='[ERROR CRI]: container runtime is not running: output: time="2023-01-01T00:00:00Z" level=fatal msg="getting status of '
        'runtime: rpc error: code = Unimplemented desc = unknown service runtime.v1alpha2.RuntimeService"',
        means="A runtime answers, and does not know the interface that the kubelet asks for.",
        why="Docker's packages of containerd switch the interface off; or kubelet and containerd are of different times.",
    ),
    "cri-many": Told(
        seen="Found multiple CRI endpoints on the host. Please define which one do you wish to use by setting the 'criSocket' field in "
        "the kubeadm configuration file: unix:///var/run/containerd/containerd.sock, unix:///var/run/cri-dockerd.sock",
        means="kubeadm finds two runtimes and does not choose.",
        why="containerd and cri-dockerd are both installed.",
    ),
    "cri": Told(
        seen="[ERROR CRI]: container runtime is not running: output: , error: exit status 1",
        means="The container runtime does not answer the kubelet.",
        why="It is not running, still starting, or its socket has another name.",
    ),
    "sandbox-image": Told(
        seen='error: failed to get sandbox image "registry.k8s.io/pause:3.6": failed to pull image: dial tcp 1.2.3.4:443: i/o timeout',
        means="No pod can start: the small image that holds a pod's network is not there.",
        why="The bundle has it under another name or version than the kubelet or containerd asks for.",
    ),
    "image": Told(
        seen='Failed to pull image "registry.k8s.io/pause:3.9": rpc error: code = NotFound desc = failed to resolve reference',
        means="A container's image is not on the node, and cannot be fetched either.",
        why="Images come from the bundle; one that it does not hold is looked for in a registry, which nodes need not reach. A "
        "manifest names an image or a tag that was not sealed.",
    ),
    "container-program": Told(
        seen='OCI runtime create failed: runc create failed: unable to start container process: exec: "kube-apiserver": executable '
        "file not found in $PATH: unknown",
        means="The image is there, and the program that is to run is not in it.",
        why="Another image carries the name: an archive of the bundle was replaced, or built from something else.",
    ),
    "container-name": Told(
        seen='failed to reserve container name "kube-apiserver_1": name "kube-apiserver_1" is reserved for "abc"',
        means="A container is to be made and one of the same name is left.",
        why="The node was reset or reinstalled while the runtime kept its containers.",
    ),
    "seccomp": Told(
        seen="error adding seccomp filter rule for syscall clone3: permission denied",
        means="The runtime's filter of system calls is not one that this kernel takes.",
        why="Runtime, libseccomp and kernel are of different times.",
    ),
}
"""By the failure's name."""
