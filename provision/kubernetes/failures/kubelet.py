"""What is wrong with the kubelet, and the pods' network that it waits for."""

from __future__ import annotations

from provision.kubernetes.failures.model import AGAIN, LOGS, Failure

KUBELET: tuple[Failure, ...] = (
    Failure(
        "MK250",
        "kubelet-port",
        (r"port 10250 is in use|ERROR Port-10250|listen tcp \S*:10250: bind: address already in use",),
        "port 10250 is taken by an earlier kubelet",
        AGAIN,
        symptoms=("kubelet",),
        waiting="vain",
    ),
    Failure(
        "MK251",
        "port",
        (
            r"port (?P<what>(?!10250)\d+) is in use",
            r"ERROR Port-(?P<what>(?!10250)\d+)\]",
            r"listen tcp\d? \S*:(?P<what>(?!10250\b)\d+): bind: address already in use",
            r"address .*:(?P<what>\d+).? already in use",
        ),
        "port {what} is in use, mostly by an earlier cluster",
        "`ss -ltnp` on the node says by whom; when it is an earlier cluster: " + AGAIN,
        symptoms=("api",),
        waiting="vain",
    ),
    Failure(
        "MK252",
        "kubelet-flags",
        (
            r"unknown (shorthand )?flag|flag provided but not defined|failed to parse kubelet flag|unrecognized feature gate|cannot set feature gate",
        ),
        "an option is not one of this release's",
        "a drop-in or KUBELET_EXTRA_ARGS of another release is left on the node: `systemctl cat kubelet`",
        symptoms=("kubelet",),
        waiting="vain",
    ),
    Failure(
        "MK253",
        "kubelet-configuration",
        (
            r"failed to load kubelet config(?!.*no such file)|kubelet config.*(invalid|decod|no kind|unknown field|failed to validate)|KubeletConfiguration.*(no kind|decod)",
            r"failed to validate kubelet configuration",
        ),
        "the kubelet cannot read its configuration",
        "/var/lib/kubelet/config.yaml is of another release, or was edited: " + AGAIN,
        symptoms=("kubelet", "configuration"),
        waiting="vain",
    ),
    Failure(
        "MK254",
        "kubelet-version",
        (
            r"kubelet version .* (is lower than|is higher than)|the kubelet version is higher|ERROR KubeletVersion|couldn't get kubelet version",
            r"cannot execute 'kubelet --version'|unable to parse output from kubelet",
        ),
        "the kubelet is of another version than kubeadm or the control plane",
        "kubeadm, kubelet and the images must come from one bundle: `meshctl bundle show`",
    ),
    Failure(
        "MK255",
        "version",
        (
            r"Kubernetes version is greater than kubeadm|this version of kubeadm only supports|ERROR KubernetesVersion|couldn't parse kube(adm|rnetes) version",
            r"version .* (is not supported|unsupported) by this (version of )?kubeadm",
        ),
        "kubeadm and the Kubernetes asked for are of different versions",
        "they must come from one bundle: `meshctl bundle show`, and `kubernetes.version` of the inventory",
    ),
    Failure(
        "MK256",
        "version-label",
        (
            r"could not fetch a Kubernetes version|unable to (get|fetch) URL .*release|dl\.k8s\.io|kubernetes-release/release|unable to fetch (release|file)",
        ),
        "kubeadm asks the internet which version is the newest",
        "give an exact version, such as v1.20.2",
        symptoms=("dns", "unreachable"),
        waiting="usual",
    ),
    Failure(
        "MK257",
        "kubelet-service",
        (
            r"kubelet service does not exist|unit kubelet\.service (could )?not (be )?found|kubelet\.service.*not-found|ERROR Service-Kubelet",
        ),
        "the kubelet is not installed as a service",
        "provision again: meshctl writes its unit before kubeadm runs",
        symptoms=("kubelet",),
        waiting="usual",
    ),
    Failure(
        "MK258",
        "kubelet-enabled",
        (r"kubelet service is not enabled|WARNING Service-Kubelet",),
        "the kubelet does not start at boot",
        "`systemctl enable kubelet`",
        waiting="usual",
        harmless=True,
    ),
    Failure(
        "MK259",
        "pod-cgroups",
        (
            r"failed to initialize top level QOS containers|unit kubepods\S* (was not loaded|already exists)|cgroup-root .* doesn't exist",
        ),
        "cgroups of an earlier kubelet are in its way",
        "restart the guest, or " + AGAIN,
        symptoms=("kubelet",),
        waiting="vain",
    ),
    Failure(
        "MK260",
        "static-pods",
        (
            r"(static pod|mirror pod|manifest).*(couldn't parse|could not process|not yet|invalid)|can't process (manifest|config) file",
        ),
        "a manifest of the control plane cannot be read",
        "it is in /etc/kubernetes/manifests, and was edited or is of another release: " + AGAIN,
        symptoms=("api",),
        waiting="usual",
    ),
    Failure(
        "MK261",
        "kubelet",
        (
            r":10248\b|kubelet (isn't|is not) (running or )?healthy|kubelet healthz endpoint is unhealthy|^(?!\s*-).*\bkubelet is not running",
            r"failed to run kubelet|failed to create kubelet|kubelet\.service: (failed|main process exited)|^kubelet \(failed\)",
            r"kubelet service is not active|failed to start kubelet|ERROR kubelet-?check",
        ),
        "the kubelet does not run",
        "`journalctl -u kubelet` on the node says why; its last lines are above",
        symptoms=("api", "node", "unreachable"),
        waiting="usual",
    ),
    Failure(
        "MK262",
        "node",
        (
            r"error uploading crisocket|waiting for (at least )?(one|the first) node to register(?!.*ready after)|node \S+ (was )?not registered",
            r"unable to register node|timed out waiting for .*node",
        ),
        "the kubelet has not registered its node",
        "it does not run, does not reach the API server, or has no valid certificate: " + LOGS,
        symptoms=("nothing-runs",),
        vague=True,
        waiting="usual",
    ),
)
"""In the order in which they are said."""

POD_NETWORK: tuple[Failure, ...] = (
    Failure(
        "MK290",
        "cni-plugin",
        (
            r"failed to find plugin .{0,2}\"(?P<what>[\w-]+)",
            r"/opt/cni/bin/?(?P<what>[\w-]*).*(no such file|not found|permission denied)",
        ),
        "a CNI plugin is missing ({what})",
        "it belongs into /opt/cni/bin: it must be in the bundle (`meshctl bundle show`)",
        symptoms=("cni", "container"),
    ),
    Failure(
        "MK291",
        "cni-version",
        (
            r"unsupported CNI result version|incompatible CNI versions|(config|CNI) version .* (is )?not supported|error loading CNI config",
        ),
        "the CNI configuration is of a version that a plugin does not know",
        "see `cniVersion` of the first file in /etc/cni/net.d; files of another network may lie there",
        symptoms=("cni", "container"),
    ),
    Failure(
        "MK292",
        "cni-addresses",
        (
            r"no IP addresses available in|already has an IP address different from|Kubenet does not have netConfig|lack of PodCIDR",
            r"(pod ?CIDR|podCIDR).*(not set|not assigned|not available|overlap|exhaust)|CIDRNotAvailable|failed to (allocate|set bridge addr)",
        ),
        "addresses of an earlier cluster's pods are in the way, or the node has no range of its own",
        "`ip link delete cni0` and `rm -r /var/lib/cni` on the node; its range is in /etc/cni/net.d and in the Node's podCIDR",
        symptoms=("cni", "container"),
    ),
    Failure(
        "MK293",
        "cni",
        (
            r"cni config uninitiali[sz]ed|cni config unintialized|cni plugin not initiali[sz]ed|no networks found in /etc/cni|NetworkPluginNotReady",
            r"network is not ready|network plugin is not ready|no valid networks found in|/etc/cni/net\.d.*(no such|empty|not found)",
        ),
        "there is no CNI configuration",
        "meshctl writes /etc/cni/net.d before kubeadm runs, and `kubeadm reset` of 1.5 empties it: provision again",
        symptoms=("node", "container"),
        waiting="usual",
    ),
)
"""What pods wait for, and the control plane does not: said last."""
