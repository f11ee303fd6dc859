"""How objects of ours are written for a generation of Kubernetes: what all of them have in common."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from provision.mesh.ours import POD_DIGEST

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Platform:
    """What the cluster and the bundle say: API groups, images, and how pods come onto the control plane."""

    daemonset_api: str
    rbac_api: str | None
    dns_policy: str
    mesh_image: str
    standin: bool
    kubectl_image: str
    echo_image: str | None
    annotations: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    server_rolls: bool = False
    """Whether the server would replace pods when a template changes. It is told not to: that is meshctl's, node by node (ADR 0037)."""


def object_of(api: str, kind: str, name: str, namespace: str, labels: Mapping[str, str], **more: Any) -> Manifest:
    """An object with its labels; `more` are its parts beside the metadata."""
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        **more,
    }


def service(
    name: str, namespace: str, app: Mapping[str, str], marks: Mapping[str, str], ports: Mapping[str, int]
) -> Manifest:
    """A Service for an app's pods; `ports` by name."""
    listed = [{"name": port, "port": number, "targetPort": number} for port, number in ports.items()]
    return object_of("v1", "Service", name, namespace, {**app, **marks}, spec={"selector": dict(app), "ports": listed})


def daemonset(
    platform: Platform,
    name: str,
    namespace: str,
    labels: Mapping[str, str],
    app: Mapping[str, str],
    pod: Manifest,
    annotations: Mapping[str, str],
) -> Manifest:
    """A DaemonSet whose pods carry the digest of their whole template; `app` are the labels that it selects by."""
    # The pods' digest counts among their annotations, over what they are without it.
    metadata = {"labels": dict(labels), "annotations": {**platform.annotations, **annotations}}
    tolerations = {"tolerations": [dict(one) for one in platform.tolerations]} if platform.tolerations else {}
    template: Manifest = {"metadata": metadata, "spec": {**pod, **tolerations}}
    text = json.dumps(template, sort_keys=True)
    metadata["annotations"][POD_DIGEST] = hashlib.sha256(text.encode()).hexdigest()[:16]
    strategy = {"updateStrategy": {"type": "OnDelete"}} if platform.server_rolls else {}
    spec = {"selector": {"matchLabels": dict(app)}, **strategy, "template": template}
    return object_of(platform.daemonset_api, "DaemonSet", name, namespace, labels, spec=spec)
