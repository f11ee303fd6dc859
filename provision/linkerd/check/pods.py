"""The traps of manifests: pods, Services and accounts around linkerd that Kubernetes takes, and with which nothing works.

Judged is what the files say themselves. What depends on Kubernetes' release is said where that is told, or where the API's
group tells it; what a Service or an account is, where the files hold any.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import yaml

from provision.linkerd.check.finding import Finding, found
from provision.linkerd.check.manifest import Container, Manifest
from provision.linkerd.check.names import minor
from provision.linkerd.routing import LOOPBACK, Config
from provision.linkerd.text import Location, find, get, items, scalar, spot, text

ADMIN_PORT = "9990"
PROXY_PORT = "8001"
HERE = ("localhost", LOOPBACK)

HOST_PORTS = (1, 7)
"""The first Kubernetes in which hostPort works under CNI, by the portmap plugin."""

HOST_NET_DNS = (1, 6)
"""The first Kubernetes with dnsPolicy ClusterFirstWithHostNet, and the first with RBAC by default."""

OLD_GROUPS = ("extensions/v1beta1", "apps/v1beta1")
"""Groups of DaemonSets and Deployments that clusters of that time have; apps/v1 is 1.9 and later."""

DEFAULT_HEAP_MIB = 1024
"""-Xmx of linkerd's start script when JVM_HEAP_MAX is not set."""

ROOM = 1.3
"""A JVM with its whole heap in use needs a third more: 384 MiB of heap were seen with 525 MB resident."""

_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "ki": 2**10, "mi": 2**20, "gi": 2**30}
_JVM_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}
_XMX = re.compile(r"-Xmx([0-9]+[kKmMgG]?)")


@dataclass(frozen=True)
class Pod:
    """A container that runs linkerd, the objects around it, and its configuration as far as that is in the files."""

    container: Container
    objects: Manifest
    config: Config | None
    kubernetes: str | None
    release: str
    asked: bool
    """Whether the release is the one that was asked for; otherwise an image's."""

    @property
    def host_network(self) -> bool:
        """Whether it has the node's network."""
        return (text(self.container.pod, "hostNetwork") or "").lower() == "true"

    def before(self, version: tuple[int, int]) -> bool | None:
        """Whether the cluster is older than that; None where neither the command nor the manifest tells it."""
        if self.kubernetes is not None:
            return minor(self.kubernetes) < version
        group = text(self.container.owner, "apiVersion") or ""
        return True if group in OLD_GROUPS else False if group == "apps/v1" else None

    @property
    def admin_port(self) -> str:
        """Linkerd's admin port."""
        return (text(self.config.root, "admin", "port") if self.config else None) or ADMIN_PORT

    @property
    def admin_ip(self) -> str | None:
        """Where admin listens; None when the configuration is not at hand."""
        if self.config is None:
            return None
        return text(self.config.root, "admin", "ip") or ("0.0.0.0" if self.config.version < (1, 2, 0) else LOOPBACK)

    def asks_kubernetes(self) -> bool:
        """Whether its configuration asks the API over the pod's own loopback."""
        return self.config is not None and any(_asks(node) for node in _clients(self.config))


def findings(pod: Pod) -> Iterator[Finding]:
    """Every trap of a pod."""
    yield from _host_ports(pod)
    yield from _proxy(pod)
    yield from _dns(pod)
    yield from _probes(pod)
    yield from _image(pod)
    yield from _services(pod)
    yield from _account(pod)
    yield from _memory(pod)
    yield from _published(pod)


def _clients(config: Config) -> Iterator[yaml.Node]:
    """Namers, transformers, interpreters and identifiers, of which some ask the API."""
    yield from items(get(config.root, "namers"))
    yield from (node for _at, node in config.transformers())
    for routing in config.routings:
        for key in ("interpreter", "identifier"):
            node = routing.router.fields.get(key)
            if node is not None:
                yield from items(node) or [node]


def _asks(node: yaml.Node) -> bool:
    kind = text(node, "kind") or ""
    if kind in ("io.l5d.k8s", "io.l5d.k8s.external", "io.l5d.k8s.ns", "io.l5d.k8s.configMap", "io.l5d.ingress"):
        host = text(node, "host")
    elif kind == "io.l5d.k8s.daemonset":
        host = text(node, "k8sHost")
    else:
        return False
    return host is None or host in HERE


def _host_ports(pod: Pod) -> Iterator[Finding]:
    if pod.host_network or not pod.before(HOST_PORTS):
        return
    for index, port in enumerate(items(get(pod.container.node, "ports"))):
        host_port = get(port, "hostPort")
        if host_port is not None:
            message = f"under CNI before Kubernetes 1.7 nothing listens on the node's port {scalar(host_port)}"
            yield found("ML381", host_port, ("ports", index, "hostPort"), message, "", "hostNetwork: true")


def _proxy(pod: Pod) -> Iterator[Finding]:
    if not pod.asks_kubernetes() or any(_is_proxy(one) for one in items(get(pod.container.pod, "containers"))):
        return
    message = "linkerd asks Kubernetes at localhost:8001, and no container of the pod is a `kubectl proxy`"
    yield found(
        "ML382", pod.container.node, ("containers",), message, "", 'a container with `args: [proxy, -p, "8001"]`'
    )


def _is_proxy(container: yaml.Node) -> bool:
    words = [scalar(one) or "" for key in ("command", "args") for one in items(get(container, key))]
    return any("proxy" in word for word in words) or "kubectl" in (text(container, "image") or "")


def _dns(pod: Pod) -> Iterator[Finding]:
    policy = get(pod.container.pod, "dnsPolicy")
    paired = policy is not None and scalar(policy) == "ClusterFirstWithHostNet"
    old = pod.before(HOST_NET_DNS) if pod.kubernetes is not None else False
    if paired and old and policy is not None:
        message = f"Kubernetes {pod.kubernetes} has no ClusterFirstWithHostNet (1.6 and later): it refuses the object"
        yield found("ML383", policy, ("dnsPolicy",), message, "", "take it out, and name hosts by address")
    elif paired and not pod.host_network and policy is not None:
        message = "ClusterFirstWithHostNet is for pods with hostNetwork, which this one has not"
        yield found("ML383", policy, ("dnsPolicy",), message, "", "hostNetwork: true, or no dnsPolicy")
    elif pod.host_network and not paired and not old:
        node = policy or get(pod.container.pod, "hostNetwork") or pod.container.node
        message = "with hostNetwork the pod asks the node's DNS: it knows no name of the cluster"
        yield found("ML383", node, ("dnsPolicy",), message, "", "dnsPolicy: ClusterFirstWithHostNet")


def _probes(pod: Pod) -> Iterator[Finding]:
    if pod.admin_ip not in (LOOPBACK, "localhost"):
        return
    names = {
        text(one, "name")
        for one in items(get(pod.container.node, "ports"))
        if text(one, "containerPort") == pod.admin_port
    }
    for key in ("livenessProbe", "readinessProbe", "startupProbe"):
        for how in ("httpGet", "tcpSocket"):
            probe = find(pod.container.node, key, how)
            port = text(probe, "port")
            if probe is None or port is None or (port != pod.admin_port and port not in names):
                continue
            if text(probe, "host") in HERE and pod.host_network:
                continue
            where = "the node's own loopback" if text(probe, "host") in HERE else "the pod's address"
            whose = "node" if pod.host_network else "pod"
            message = (
                f"it asks {where}, and admin listens on the {whose}'s loopback alone: linkerd is killed, or never ready"
            )
            fix = "host: 127.0.0.1" if pod.host_network else "admin: {ip: 0.0.0.0}, or a probe of a router's port"
            yield found("ML384", probe, (key, how), message, "", fix)


def _image(pod: Pod) -> Iterator[Finding]:
    release = pod.container.release()
    if release is not None and release != pod.release:
        what = "what was asked for" if pod.asked else "the release of another image"
        message = f"the image is linkerd {release}, and the files were checked for {pod.release}, {what}"
        node = get(pod.container.node, "image") or pod.container.node
        yield found("ML386", node, ("image",), message, "", f"--linkerd {release}, or the other image")


def _services(pod: Pod) -> Iterator[Finding]:
    for _at, node in pod.config.transformers() if pod.config is not None else ():
        if text(node, "kind") == "io.l5d.k8s.daemonset":
            wrong = _service_fault(
                pod, text(node, "namespace") or "", text(node, "service") or "", text(node, "port") or ""
            )
            if wrong:
                yield found("ML387", pod.container.node, ("transformers",), wrong, "No hosts are available for")


def _service_fault(pod: Pod, namespace: str, name: str, port: str) -> str:
    """Why a daemonset transformer finds no endpoint; empty when it does, as far as the files tell."""
    if port.isdigit() and pod.config is not None and pod.config.version < (0, 9, 1):
        return f"the daemonset transformer asks for port {port}: before 0.9.1 that is the name of a Service's port, never a number"
    services = [one for one in pod.objects.every("Service") if text(one, "metadata", "name") == name]
    if not services:
        return f"the daemonset transformer asks for Service {name} in {namespace}, and the files hold none of that name"
    here = [one for one in services if (text(one, "metadata", "namespace") or "default") == namespace]
    if not here:
        others = ", ".join(sorted({text(one, "metadata", "namespace") or "default" for one in services}))
        return f"the daemonset transformer asks for Service {name} in {namespace}, and it is in {others}"
    ports = [one for service in here for one in items(find(service, "spec", "ports"))]
    names = [text(one, "name") or "" for one in ports]
    if not port.isdigit() and port not in names:
        have = ", ".join(one for one in names if one) or "none with a name"
        return f"the daemonset transformer asks for port {port} of Service {name}; its ports are {have}"
    return ""


def _account(pod: Pod) -> Iterator[Finding]:
    if not pod.asks_kubernetes() or pod.before(HOST_NET_DNS) is not False:
        return
    account = text(pod.container.pod, "serviceAccountName") or text(pod.container.pod, "serviceAccount") or "default"
    namespace = text(pod.container.owner, "metadata", "namespace") or "default"
    bindings = [*pod.objects.every("ClusterRoleBinding"), *pod.objects.every("RoleBinding")]
    subjects = [one for binding in bindings for one in items(get(binding, "subjects"))]
    if any(_is_subject(one, account, namespace) for one in subjects):
        return
    if bindings or account == "default":
        lacks = "no binding of these files names it" if bindings else "it may list nothing under RBAC"
        message = f"the pod's account is {account} in {namespace}: {lacks}, so the API answers 403"
        node = get(pod.container.pod, "serviceAccountName") or pod.container.node
        fix = (
            "serviceAccountName of an account that a ClusterRoleBinding lets get, list and watch endpoints and services"
        )
        yield found("ML389", node, ("serviceAccountName",), message, "", fix)


def _is_subject(subject: yaml.Node, account: str, namespace: str) -> bool:
    kind, name = text(subject, "kind"), text(subject, "name") or ""
    if kind == "Group":
        return name.startswith("system:serviceaccounts") or name == "system:authenticated"
    return kind == "ServiceAccount" and name == account and (text(subject, "namespace") or namespace) == namespace


def _memory(pod: Pod) -> Iterator[Finding]:
    heap = _heap(pod.container.node)
    limit = find(pod.container.node, "resources", "limits", "memory")
    if limit is None:
        message = f"no limit of memory: a heap of {heap // 2**20} MiB and what a JVM needs beside it are taken from the node's other pods"
        yield found("ML390", pod.container.node, ("resources",), message, "", _wanted(heap))
        return
    size = _bytes(scalar(limit) or "", _UNITS)
    if size is not None and size < heap * ROOM:
        message = f"{scalar(limit)} is too little for a heap of {heap // 2**20} MiB and what a JVM needs beside it: the kernel ends linkerd"
        yield found("ML390", limit, ("resources", "limits", "memory"), message, "", _wanted(heap))


def _wanted(heap: int) -> str:
    return f"JVM_HEAP_MAX in env, and limits: {{memory: {int(heap * 1.5) // 2**20}Mi}}, half more than the heap"


def _heap(container: yaml.Node) -> int:
    """The largest heap, in bytes."""
    env = {text(one, "name"): text(one, "value") or "" for one in items(get(container, "env"))}
    for name in ("JVM_OPTIONS", "LOCAL_JVM_OPTIONS"):
        written = _XMX.search(env.get(name, ""))
        if written is not None:
            return _bytes(written[1], _JVM_UNITS) or DEFAULT_HEAP_MIB * 2**20
    return _bytes(env.get("JVM_HEAP_MAX", ""), _JVM_UNITS) or DEFAULT_HEAP_MIB * 2**20


def _bytes(written: str, units: dict[str, int]) -> int | None:
    match = _SIZE.fullmatch(written.strip())
    unit = units.get(match[2].lower()) if match is not None else None
    return None if match is None or unit is None or len(match[1]) > 20 else int(float(match[1]) * unit)


def _published(pod: Pod) -> Iterator[Finding]:
    """The admin port on the node, or behind a Service that the world reaches."""
    for index, port in enumerate(items(get(pod.container.node, "ports"))):
        host_port = get(port, "hostPort")
        if host_port is not None and text(port, "containerPort") == pod.admin_port and pod.admin_ip not in (LOOPBACK,):
            message = (
                "the admin port is on every node's address: who reaches the node ends linkerd by POST /admin/shutdown"
            )
            yield found("ML391", host_port, ("ports", index, "hostPort"), message)
    names = {
        text(one, "name")
        for one in items(get(pod.container.node, "ports"))
        if text(one, "containerPort") == pod.admin_port
    }
    labels = _labels(find(pod.container.owner, "spec", "template", "metadata", "labels"))
    for service in pod.objects.every("Service"):
        kind = text(service, "spec", "type") or "ClusterIP"
        selector = _labels(find(service, "spec", "selector"))
        if kind not in ("LoadBalancer", "NodePort") or not selector or not selector.items() <= labels.items():
            continue
        for index, port in enumerate(items(find(service, "spec", "ports"))):
            target = text(port, "targetPort") or text(port, "port")
            if (target == pod.admin_port or target in names) and pod.objects.own(service):
                name = text(service, "metadata", "name")
                message = f"Service {name} is a {kind} and publishes linkerd's admin port, which asks nobody who he is"
                yield found("ML391", port, ("spec", "ports", index), message)


def _labels(node: yaml.Node | None) -> dict[str, str]:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return {scalar(key) or "": scalar(value) or "" for key, value in pairs}


def port_names(objects: Manifest) -> Iterator[Finding]:
    """Names of ports that are numbers: Kubernetes wants a letter in each, and linkerd takes a number for the port itself."""
    for one in objects.objects:
        at: Location = ("spec", "ports")
        listed = items(find(one, "spec", "ports")) if text(one, "kind") == "Service" else []
        for container in objects.containers():
            if container.owner is one:
                at, listed = ("ports",), items(get(container.node, "ports"))
        for index, port in enumerate(listed):
            name = get(port, "name")
            if name is not None and (scalar(name) or "").isdigit():
                message = f"{scalar(name)} is no name of a port: Kubernetes wants a letter in it, and linkerd reads the port itself"
                yield found("ML388", name, (*at, index, "name"), message, "", "name: http")


def within(finding: Finding, node: yaml.Node) -> Finding:
    """A finding at a node of the manifest."""
    place = spot(node)
    return replace(finding, line=place.line, column=place.column)
