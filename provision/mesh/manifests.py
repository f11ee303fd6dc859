"""The mesh as Kubernetes objects: linkerd's DaemonSet with its kubectl-proxy side-car, and the echo app that proves it.

hostNetwork, because hostPort does nothing under CNI before Kubernetes 1.7. The side-car serves nothing but the
requests that linkerd's namer makes: with hostNetwork it listens on the node's own loopback with the pod's token.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping

from provision.base.units import MIB
from provision.linkerd.knowledge.versions import number
from provision.linkerd.render import HOST_NETWORK, SERVICE
from provision.linkerd.wanted import Mesh
from provision.mesh import ours
from provision.mesh.config import Configuration, port_names
from provision.mesh.objects import Manifest, Platform, daemonset, object_of, service
from provision.mesh.ours import POD_DIGEST
from provision.mesh.zipkin import Keeper, zipkin

ECHO_PORT = 8080
PROXY_PORT = 8001
CONFIG_FOLDER = "/io.buoyant/linkerd/config"
CONFIG_KEY = "config.yaml"
APP = {"app": "l5d"}
ECHO = {"app": "echo"}

ENDPOINTS_ONLY = "^/api/v1/namespaces/[^/]+/endpoints$"
"""kubectl proxy's --accept-paths: list and watch of a namespace's Endpoints (the watch is a query parameter)."""

ENDPOINTS_AND_SERVICES = "^/api/v1/namespaces/[^/]+/(endpoints|services)(/[^/]+)?$"
"""Later namers ask for one Service at a time, and since 1.0.1 for its ports too."""

LISTS_ONLY = (0, 9, 0)
"""Releases before it read lists of Endpoints and nothing else."""

GIVEN_NAMESPACES = ("default", "kube-system", "kube-public")
"""Namespaces that every cluster has and that are not ours to stamp."""

LOOPBACK = "127.0.0.1"
PAIRED = "linker-to-linker"

JVM_OPTIONS = "-XX:+PerfDisableSharedMem"
"""Without it the JVM writes its counters through a mapped file in /tmp, and stands still while a slow disk takes them."""

GRACE_S = 30
"""Above linkerd's own grace of 10 s, so that SIGTERM lets requests end."""


def manifests(
    cluster: str, mesh: Mesh, config: Configuration, platform: Platform, keeper: Keeper | None = None
) -> tuple[Manifest, ...]:
    """Every object, in the order in which they are to be applied; `keeper` is who keeps traces in the cluster, if anybody does."""
    marks = ours.marks(cluster)
    digest = hashlib.sha256(config.text.encode()).hexdigest()[:16]
    return (
        *(_namespace(mesh.namespace, marks) if mesh.namespace not in GIVEN_NAMESPACES else ()),
        *(_access(mesh, platform, marks) if platform.rbac_api else ()),
        object_of(
            "v1", "ConfigMap", _config_name(digest), mesh.namespace, {**APP, **marks}, data={CONFIG_KEY: config.text}
        ),
        _linkerd(mesh, config, platform, marks, digest),
        _front(mesh, config, marks),
        *(_echo(mesh, platform, marks, platform.echo_image) if platform.echo_image else ()),
        *(zipkin(keeper, mesh.namespace, marks, platform) if keeper is not None else ()),
    )


def _config_name(config_digest: str) -> str:
    """Each configuration has its own ConfigMap: a container that is started again meanwhile reads the one that its pod was made with."""
    return f"l5d-config-{config_digest}"


def _front(mesh: Mesh, config: Configuration, marks: Mapping[str, str]) -> Manifest:
    """The Service l5d. For the daemonset transformer only its endpoints count, so that it needs no address of its own."""
    open_admin = {"admin": mesh.admin_port} if mesh.admin_address != LOOPBACK else {}
    front = service(SERVICE, mesh.namespace, APP, marks, {**port_names(config.ports), **open_admin})
    return {**front, "spec": {**front["spec"], **({"clusterIP": "None"} if mesh.topology == PAIRED else {})}}


def _namespace(name: str, marks: Mapping[str, str]) -> tuple[Manifest, ...]:
    return ({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(marks)}},)


def pod_digests(manifests: Iterable[Manifest]) -> dict[str, str]:
    """By app, the value of POD_DIGEST that its pods are to have."""
    templates = (one["spec"]["template"]["metadata"] for one in manifests if one["kind"] == "DaemonSet")
    return {one["labels"]["app"]: one["annotations"][POD_DIGEST] for one in templates}


def _access(mesh: Mesh, platform: Platform, marks: Mapping[str, str]) -> Iterator[Manifest]:
    """Where the API server authorizes: read what the namer reads in the namespaces that are routed to, nothing else."""
    api, labels = str(platform.rbac_api), {**APP, **marks}
    kinds = ["endpoints"] if _lists_only(mesh) else ["endpoints", "services"]
    rules = [{"apiGroups": [""], "resources": kinds, "verbs": ["get", "list", "watch"]}]
    subject = {"kind": "ServiceAccount", "name": "l5d", "namespace": mesh.namespace}
    role = {"apiGroup": api.partition("/")[0], "kind": "Role", "name": "l5d"}
    yield object_of("v1", "ServiceAccount", "l5d", mesh.namespace, labels)
    for namespace in dict.fromkeys((mesh.namespace, *mesh.namespaces)):
        yield object_of(api, "Role", "l5d", namespace, labels, rules=rules)
        yield object_of(api, "RoleBinding", "l5d", namespace, labels, roleRef=role, subjects=[subject])


def _lists_only(mesh: Mesh) -> bool:
    return number(mesh.version) < LISTS_ONLY


def _linkerd(
    mesh: Mesh, config: Configuration, platform: Platform, marks: Mapping[str, str], config_digest: str
) -> Manifest:
    labels = {**APP, **marks, **({"meshctl/stand-in": "true"} if platform.standin else {})}
    pod = {
        "hostNetwork": HOST_NETWORK,
        "dnsPolicy": platform.dns_policy,
        "terminationGracePeriodSeconds": GRACE_S,
        "volumes": [{"name": "l5d-config", "configMap": {"name": _config_name(config_digest)}}],
        "containers": [_proxy_container(mesh, config, platform), _side_car(mesh, platform)],
        **({"serviceAccountName": "l5d"} if platform.rbac_api else {}),
    }
    annotations = {"meshctl/config-digest": config_digest}
    if platform.standin:
        annotations["meshctl/stand-in"] = f"{platform.mesh_image} stands in for linkerd {mesh.version}"
    return daemonset(platform, "l5d", mesh.namespace, labels, APP, pod, annotations)


def _proxy_container(mesh: Mesh, config: Configuration, platform: Platform) -> Manifest:
    heap_mib = mesh.heap // MIB
    return {
        "name": "l5d",
        "image": platform.mesh_image,
        "imagePullPolicy": "IfNotPresent",
        "args": [f"{CONFIG_FOLDER}/{CONFIG_KEY}"],
        "env": [
            {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
            {"name": "JVM_HEAP_MIN", "value": f"{heap_mib}M"},
            {"name": "JVM_HEAP_MAX", "value": f"{heap_mib}M"},
            {"name": "LOCAL_JVM_OPTIONS", "value": JVM_OPTIONS},
        ],
        "ports": [
            {"name": name, "containerPort": port}
            for name, port in {**port_names(config.ports), "admin": mesh.admin_port}.items()
        ],
        # The JVM takes half as much again beside its heap: threads, code, direct buffers.
        "resources": {
            "requests": {"cpu": "100m", "memory": f"{heap_mib}Mi"},
            "limits": {"memory": f"{heap_mib * 3 // 2}Mi"},
        },
        # The admin server starts before the routers bind: ping proves life, the port proves readiness.
        "livenessProbe": {
            "httpGet": {"host": LOOPBACK, "path": "/admin/ping", "port": mesh.admin_port},
            "initialDelaySeconds": 60,
            "periodSeconds": 20,
            "timeoutSeconds": 10,
            "failureThreshold": 6,
        },
        "readinessProbe": {
            "tcpSocket": {"port": mesh.port},
            "initialDelaySeconds": 5,
            "periodSeconds": 10,
            "timeoutSeconds": 5,
        },
        "volumeMounts": [{"name": "l5d-config", "mountPath": CONFIG_FOLDER, "readOnly": True}],
    }


def _side_car(mesh: Mesh, platform: Platform) -> Manifest:
    paths = ENDPOINTS_ONLY if _lists_only(mesh) else ENDPOINTS_AND_SERVICES
    return {
        "name": "kubectl",
        "image": platform.kubectl_image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["proxy", f"--port={PROXY_PORT}", "--address=127.0.0.1", f"--accept-paths={paths}"],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
    }


def _echo(mesh: Mesh, platform: Platform, marks: Mapping[str, str], image: str) -> tuple[Manifest, ...]:
    fields = {"POD_NAME": "metadata.name", "NODE_NAME": "spec.nodeName"}
    container = {
        "name": "echo",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()],
        "ports": [{"name": "http", "containerPort": ECHO_PORT}],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        "readinessProbe": {
            "httpGet": {"path": "/healthz", "port": ECHO_PORT},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
        },
    }
    echo = daemonset(platform, "echo", mesh.namespace, {**ECHO, **marks}, ECHO, {"containers": [container]}, {})
    return echo, service("echo", mesh.namespace, ECHO, marks, {"http": ECHO_PORT})
