"""What of a cluster's objects keeps data elsewhere than on its nodes, or leads elsewhere; and who may read all of it. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision.kubernetes.api import Kind
from provision.kubernetes.kubectl import Kubectl

RBAC = {"1.20": "rbac.authorization.k8s.io/v1"}
"""Generations whose kubeadm turns RBAC on, with the API that bindings are read by; 1.5 starts its API server with AlwaysAllow."""

ADMIN = "cluster-admin"

_SERVER = ("server", "monitors", "targetPortal", "hosts", "gateway", "registry", "endpoints")
"""Where the sources of a PersistentVolume have their servers (core/v1, PersistentVolumeSource)."""

_LOCAL = ("hostPath", "local")
_NOT_SOURCES = frozenset(
    (
        *("capacity", "accessModes", "claimRef", "persistentVolumeReclaimPolicy", "storageClassName", "mountOptions"),
        *("volumeMode", "nodeAffinity"),
    )
)


@dataclass(frozen=True)
class Kept:
    """A PersistentVolume: `kind` of its source, `servers` that have it (none: it is on a node), for whom, and what becomes of it."""

    name: str
    kind: str
    servers: tuple[str, ...]
    size: str
    claim: str
    after: str


@dataclass(frozen=True)
class Abroad:
    """What was found; `external` are names that Services of the type ExternalName lead to, by the Service. `admins`: None without RBAC."""

    volumes: tuple[Kept, ...]
    external: Mapping[str, str]
    admins: tuple[str, ...] | None


def abroad(kubectl: Kubectl, generation: str) -> Abroad:
    """Asks for volumes, Services and bindings. Raises ApiStarting or KubernetesError."""
    volumes = kubectl.everywhere(Kind("v1", "persistentvolumes"))
    services = kubectl.everywhere(Kind("v1", "services"))
    rbac = RBAC.get(generation)
    bindings = kubectl.everywhere(Kind(rbac, "clusterrolebindings")) if rbac else None
    return read(volumes, services, bindings)


def read(
    volumes: Sequence[Mapping[str, Any]],
    services: Sequence[Mapping[str, Any]],
    bindings: Sequence[Mapping[str, Any]] | None,
) -> Abroad:
    """Pure: what lists of objects say."""
    external = {
        f"{one['metadata']['namespace']}/{one['metadata']['name']}": str(one["spec"]["externalName"]).rstrip(".")
        for one in services
        if one.get("spec", {}).get("externalName")
    }
    admins = None if bindings is None else tuple(sorted(set(_admins(bindings))))
    return Abroad(tuple(map(_kept, volumes)), external, admins)


def _kept(item: Mapping[str, Any]) -> Kept:
    spec = item.get("spec", {})
    kind = next((name for name in spec if name not in _NOT_SOURCES), "unknown")
    claim = spec.get("claimRef") or {}
    return Kept(
        item["metadata"]["name"],
        kind,
        () if kind in _LOCAL else tuple(_servers(spec.get(kind) or {})),
        str(spec.get("capacity", {}).get("storage", "")),
        "/".join(filter(None, (claim.get("namespace"), claim.get("name")))),
        str(spec.get("persistentVolumeReclaimPolicy", "Retain")),
    )


def _servers(source: Mapping[str, Any]) -> Iterator[str]:
    """Hosts without their ports; what is said otherwise (a provider's disk, by its id) is a server called like it."""
    found = [value for name in _SERVER if (value := source.get(name))]
    every = [one for value in found for one in (value if isinstance(value, list) else [value])]
    for one in every or [str(next(iter(source.values()), "an unknown place"))]:
        yield _without_port(str(one))


def _without_port(text: str) -> str:
    host, _, port = text.rpartition(":")
    return host.strip("[]") if port.isdigit() and host and (":" not in host or host.startswith("[")) else text


def _admins(bindings: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for one in bindings:
        if one.get("roleRef", {}).get("name") == ADMIN:
            for subject in one.get("subjects") or ():
                where = f"{subject['namespace']}/" if subject.get("namespace") else ""
                yield f"{subject.get('kind', 'User')} {where}{subject.get('name', '')}"
