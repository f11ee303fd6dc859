"""What kubectl 1.5 lets pass: its client-side validation, and what the API server of 1.5 refuses behind it."""

from __future__ import annotations

from typing import Any

META = {"name", "namespace", "labels", "annotations", "generateName"}
REGISTERED = {
    "v1": {"ConfigMap", "Service", "ServiceAccount", "Secret", "Pod", "Namespace", "Endpoints", "PersistentVolume"},
    "extensions/v1beta1": {"DaemonSet", "Deployment", "Ingress"},
    "apps/v1beta1": {"StatefulSet"},
    "rbac.authorization.k8s.io/v1alpha1": {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"},
}
TOP = {
    "DaemonSet": {"spec"},
    "Deployment": {"spec"},
    "Service": {"spec"},
    "PersistentVolume": {"spec"},
    "ConfigMap": {"data"},
    "Secret": {"data", "stringData", "type"},
    "ServiceAccount": {"secrets", "imagePullSecrets"},
    "Namespace": {"spec"},
    "Pod": {"spec"},
}
DAEMON_SET_SPEC = {"selector", "template"}
DEPLOYMENT_SPEC = {
    "replicas",
    "selector",
    "template",
    "strategy",
    "minReadySeconds",
    "revisionHistoryLimit",
    "paused",
    "rollbackTo",
    "progressDeadlineSeconds",
}
VOLUME_SPEC = {"capacity", "accessModes", "persistentVolumeReclaimPolicy", "claimRef", "nfs", "hostPath", "iscsi"}
SERVICE_SPEC = {
    "ports",
    "selector",
    "clusterIP",
    "type",
    "externalIPs",
    "deprecatedPublicIPs",
    "sessionAffinity",
    "loadBalancerIP",
    "loadBalancerSourceRanges",
    "externalName",
}
POD_SPEC = {
    "volumes", "containers", "restartPolicy", "terminationGracePeriodSeconds", "activeDeadlineSeconds", "dnsPolicy",
    "nodeSelector", "serviceAccountName", "serviceAccount", "nodeName", "hostNetwork", "hostPID", "hostIPC",
    "securityContext", "imagePullSecrets", "hostname", "subdomain",
}  # fmt: skip
CONTAINER = {
    "name", "image", "command", "args", "workingDir", "ports", "env", "resources", "volumeMounts", "livenessProbe",
    "readinessProbe", "lifecycle", "terminationMessagePath", "imagePullPolicy", "securityContext", "stdin",
    "stdinOnce", "tty",
}  # fmt: skip
ENV = {"name", "value", "valueFrom"}
FIELD_PATHS = {
    "metadata.name",
    "metadata.namespace",
    "metadata.labels",
    "metadata.annotations",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.podIP",
}
VOLUME_SOURCES = {"configMap", "emptyDir", "hostPath", "secret", "downwardAPI"}
DNS_POLICIES = {"ClusterFirst", "Default"}


def problem(item: dict[str, Any]) -> str:
    """The first fault in an object, empty when there is none."""
    api, kind = item.get("apiVersion", ""), item.get("kind", "")
    if kind not in REGISTERED.get(api, set()):
        return f'no kind "{kind}" is registered for version "{api}"'
    for key in set(item) - {"apiVersion", "kind", "metadata"} - TOP.get(kind, {"rules", "roleRef", "subjects"}):
        return f"found invalid field {key} for {_version(api)}.{kind}"
    for key in set(item.get("metadata", {})) - META:
        return f"found invalid field {key} for v1.ObjectMeta"
    match kind:
        case "DaemonSet":
            return _daemon_set(item)
        case "Deployment":
            return _deployment(item)
        case "Service":
            return _service(item)
        case "Pod":
            return _pod(item["spec"])
        case "PersistentVolume":
            return _fields(item["spec"], VOLUME_SPEC, "v1.PersistentVolumeSpec")
    return _strings(item)


def _daemon_set(item: dict[str, Any]) -> str:
    return _fields(item["spec"], DAEMON_SET_SPEC, "v1beta1.DaemonSetSpec") or _template(item["spec"]["template"])


def _deployment(item: dict[str, Any]) -> str:
    return _fields(item["spec"], DEPLOYMENT_SPEC, "v1beta1.DeploymentSpec") or _template(item["spec"]["template"])


def _service(item: dict[str, Any]) -> str:
    return _fields(item["spec"], SERVICE_SPEC, "v1.ServiceSpec")


def _template(template: dict[str, Any]) -> str:
    if not template.get("metadata", {}).get("labels"):
        return "spec.template.metadata.labels: Invalid value: `selector` does not match template `labels`"
    return _fields(template["metadata"], META, "v1.ObjectMeta") or _pod(template["spec"])


def _pod(spec: dict[str, Any]) -> str:
    found = _fields(spec, POD_SPEC, "v1.PodSpec")
    if found:
        return found
    if spec.get("dnsPolicy", "ClusterFirst") not in DNS_POLICIES:
        return f'spec.dnsPolicy: Unsupported value: "{spec["dnsPolicy"]}": supported values: ClusterFirst, Default'
    for volume in spec.get("volumes", []):
        if not set(volume) - {"name"} <= VOLUME_SOURCES:
            return f"found invalid field {sorted(set(volume) - VOLUME_SOURCES - {'name'})[0]} for v1.Volume"
    return next(filter(None, (_container(container, spec) for container in spec["containers"])), "")


def _container(container: dict[str, Any], spec: dict[str, Any]) -> str:
    found = _fields(container, CONTAINER, "v1.Container")
    for entry in container.get("env", []):
        found = found or _fields(entry, ENV, "v1.EnvVar")
        path = entry.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath", "metadata.name")
        if path not in FIELD_PATHS:
            found = (
                found
                or f'fieldRef.fieldPath: Invalid value: "{path}": error converting fieldPath: field label not supported'
            )
        if not isinstance(entry.get("value", ""), str):
            found = found or f"expected type string, for field env[0].value, got {type(entry['value']).__name__}"
    for port in container.get("ports", []):
        if spec.get("hostNetwork") and port.get("hostPort", port["containerPort"]) != port["containerPort"]:
            found = found or "hostPort: Invalid value: must match `containerPort` when `hostNetwork` is true"
        if "hostPort" in port and not spec.get("hostNetwork"):
            found = found or "DOUBLE: hostPort without hostNetwork does nothing on 1.5 with CNI"
    return found


def _strings(item: dict[str, Any]) -> str:
    for key, value in (item.get("data") or {}).items():
        if not isinstance(value, str):
            return f"expected type string, for field data.{key}, got {type(value).__name__}"
    return ""


def _fields(value: dict[str, Any], known: set[str], where: str) -> str:
    unknown = sorted(set(value) - known)
    return f"found invalid field {unknown[0]} for {where}" if unknown else ""


def _version(api: str) -> str:
    return api.rpartition("/")[2]
