"""What is wrong with Docker, containerd and what runs by them: the kubelet and all containers follow from these."""

from __future__ import annotations

from provision.kubernetes.failures.model import AGAIN, Failure

RUNTIME: tuple[Failure, ...] = (
    Failure(
        "cgroup-drivers",
        (
            r"different from docker cgroup driver|cgroup driver: .* is different from|expected cgroupsPath to be of format",
            r"cgroup driver.*(mismatch|differ)",
        ),
        "cgroup drivers differ",
        "the container runtime and the kubelet must use the same: cgroupfs on cgroup v1, systemd on v2",
        symptoms=("kubelet", "container"),
        advice_of={
            "1.5": 'Docker and kubelet must both use cgroupfs: `"exec-opts": ["native.cgroupdriver=cgroupfs"]` in /etc/docker/daemon.json',
            "1.20": 'Docker and kubelet must both use cgroupfs: `"exec-opts": ["native.cgroupdriver=cgroupfs"]` in /etc/docker/daemon.json',
        },
    ),
    Failure(
        "cgroup-recommended",
        (r"IsDockerSystemdCheck|detected .?cgroupfs.? as the Docker cgroup driver",),
        "Docker's cgroup driver is cgroupfs, kubeadm recommends systemd",
        "nothing need be done while the kubelet's is cgroupfs too, as meshctl sets it",
    ),
    Failure(
        "ipc",
        (r"non-shareable IPC",),
        "Docker keeps containers' IPC private",
        'Docker needs `"default-ipc-mode": "shareable"` in /etc/docker/daemon.json and a restart',
        symptoms=("container",),
    ),
    Failure(
        "docker-version",
        (
            r"unsupported docker version|docker API version is older|client version .* is too (old|new)",
            r"client is newer than server",
        ),
        "Docker is of a version that this Kubernetes does not know",
        "take the Docker of the base image's recipe, or have the check SystemVerification ignored",
        symptoms=("kubelet",),
        advice_of={"1.5": "kubeadm 1.5's pre-flight checks know Docker up to 1.13 only: they must be skipped"},
    ),
    Failure(
        "docker-not-validated",
        (r"docker version is not on the list of validated",),
        "Docker is newer than what this Kubernetes was tried with",
        "nothing need be done: the base image's Docker works with it",
    ),
    Failure(
        "graph-driver",
        (
            r"unsupported graph driver|prior storage driver|graphdriver.*(not supported|failed)|error initializing graphdriver",
            r"overlay.*(no such device|not supported|invalid argument)|snapshotter .* (not found|was not found)",
        ),
        "the container runtime's storage driver does not work here",
        "overlay2 on ext4 works: set it in /etc/docker/daemon.json; kubeadm 1.5's check knows no overlay2 and must be skipped",
        symptoms=("docker", "cri"),
    ),
    Failure(
        "docker-configuration",
        (
            r"unable to configure the Docker daemon|daemon\.json.*(invalid|cannot unmarshal|conflict)|directives are specified both as a flag",
        ),
        "/etc/docker/daemon.json is wrong",
        "`dockerd --validate` names the line; a flag and the file must not say the same",
        symptoms=("docker",),
    ),
    Failure(
        "dockershim",
        (r"dockershim\.sock|dockershim.*(removed|no longer)",),
        "Docker is asked for by dockershim, which is not there",
        "from Kubernetes 1.24 on containerd is used: unix:///run/containerd/containerd.sock; before, the kubelet must run first",
        symptoms=("cri", "kubelet"),
    ),
    Failure(
        "docker",
        (
            r"cannot connect to the docker daemon|docker service is not active|is the docker daemon running|failed to get docker version",
            r"docker\.sock.*(no such file|connection refused|permission denied)|ERROR Service-Docker|docker service does not exist",
            r"docker\.service:? .*(failed|inactive|not found)|failed to start docker|failed executing .?.?docker info|docker is not running",
        ),
        "Docker does not run",
        "`systemctl status docker` and `journalctl -u docker` on the node say why; then `systemctl enable --now docker`",
        symptoms=("cri", "kubelet", "api"),
    ),
    Failure(
        "cri-disabled",
        (
            r"unknown service runtime\.v1(alpha2|beta1)?\.|CRI v1 (runtime|image) API is not implemented|cri.*plugin.*disabled",
            r"unknown method \w+ for service runtime\.v1",
        ),
        "the container runtime's CRI is disabled, or of another version than the kubelet's",
        'remove "cri" from `disabled_plugins` in /etc/containerd/config.toml and restart containerd; the kubelet wants CRI v1 from 1.26 on, '
        "v1alpha2 before 1.23",
        symptoms=("cri", "kubelet"),
    ),
    Failure(
        "cri-many",
        (r"found multiple CRI (sockets|endpoints)",),
        "two container runtimes are installed",
        "name one: `criSocket` in kubeadm's configuration, --cri-socket on its command line",
    ),
    Failure(
        "cri",
        (
            r"container runtime is (not running|down)|ERROR CRI\]|runtime not ready|ContainerRuntime(Unhealthy|NotReady)",
            r"(containerd|crio|cri-dockerd|cri)\.sock.*(no such file|connection refused|permission denied|timeout|deadline)",
            r"couldn't create the interface used for talking to the container runtime|validate service connection",
            r"(containerd|crio)\.service:? .*(failed|inactive|not found)|unable to determine runtime API version|PLEG is not healthy",
            r"(failed to )?connect(ion)? (to )?(endpoint|remote runtime|cri).*(refused|no such file|fail)|failed to (start|start service) containerd",
        ),
        "the container runtime does not run",
        "`systemctl status containerd docker` and its journal on the node say why",
        symptoms=("kubelet", "api"),
    ),
    Failure(
        "sandbox-image",
        (
            r"failed to (get|pull) sandbox image|(pause|sandbox)[\w./:-]*.*(not found|pull)|unable to pull sandbox image",
        ),
        "an image is missing: the pause image",
        "it must be in the bundle under the name that the kubelet or containerd's `sandbox_image` asks for: `meshctl bundle show`",
        symptoms=("container", "image", "api"),
    ),
    Failure(
        "image",
        (
            r"ErrImage(Pull|NeverPull)|ImagePullBackOff|failed to pull (and unpack )?image|ERROR ImagePull|back-off pulling image|InvalidImageName",
            r"manifest unknown|manifest for .* not found|pull access denied|toomanyrequests|unable to find image|no such image",
            r"image .*(not present|does not exist|not found)|repository .* (not found|does not exist)|error pulling image|failed to resolve reference",
            r"Get .?\"?https://(registry|k8s\.gcr|gcr|quay|[\w.]*docker)\S*.*(timeout|refused|no route|deadline|no such host|canceled|unreachable)",
        ),
        "an image is missing",
        "an image is not in the bundle: `meshctl bundle show` lists what is; nodes need not reach a registry",
        symptoms=("api", "container", "dns", "unreachable"),
    ),
    Failure(
        "container-program",
        (r"(OCI|container process|shim).*(executable file not found|no such file or directory.*exec|exec: )",),
        "an image lacks the program that it is to run",
        "the image in the bundle is another than its name says: `meshctl bundle verify`, then seal it again",
        symptoms=("container", "api"),
    ),
    Failure(
        "container-name",
        (r"container name .* is already in use|name \S+ is reserved for|Conflict\. The container",),
        "files of an earlier cluster: its containers are still there",
        AGAIN,
        symptoms=("container",),
    ),
    Failure(
        "seccomp",
        (
            r"error adding seccomp|seccomp.*(not (enabled|supported)|unavailable|no such file)|operation not permitted.*(clone3|faccessat2)",
        ),
        "seccomp does not fit this kernel or runtime",
        "take the runtime and libseccomp of one distribution, as the base image's recipe does",
        symptoms=("container",),
    ),
)
"""In the order in which they are said."""
