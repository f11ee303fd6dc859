"""What of a cluster's objects is ours, by our label, and which of it is no longer wanted. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

POD_DIGEST = "meshctl/pod-digest"
"""The annotation of pods that says which template they were made from: whether a pod is the wanted one, or still an older."""

HOSTNAME = "kubernetes.io/hostname"
"""The label of nodes that says their name; each kubelet since 1.3 sets it."""

Apps = Collection[tuple[str, str]]
"""Namespaces, and the apps whose pods are wanted in them."""


def marks(cluster: str) -> dict[str, str]:
    """The label that everything of ours carries."""
    return {"meshctl/cluster": cluster}


def apps(wanted: Iterable[Mapping[str, Any]]) -> Apps:
    """Of the DaemonSets among objects."""
    sets = [one for one in wanted if one["kind"] == "DaemonSet"]
    return {(one["metadata"]["namespace"], one["spec"]["template"]["metadata"]["labels"]["app"]) for one in sets}


def places(wanted: Iterable[Mapping[str, Any]]) -> Mapping[str, str]:
    """By app, the only node that its pods belong on, of the DaemonSets that are for one."""
    templates = (one["spec"]["template"] for one in wanted if one["kind"] == "DaemonSet")
    return {
        one["metadata"]["labels"]["app"]: one["spec"]["nodeSelector"][HOSTNAME]
        for one in templates
        if HOSTNAME in one["spec"].get("nodeSelector", {})
    }


def former_pods(pods: Iterable[Mapping[str, Any]], wanted: Apps) -> list[Mapping[str, Any]]:
    """Pods of ours that none of the wanted DaemonSets makes, by node; those on their way out are none."""
    staying = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    former = [
        pod for pod in staying if (pod["metadata"]["namespace"], pod["metadata"]["labels"].get("app")) not in wanted
    ]
    return sorted(former, key=node_of)


def stale_pods(pods: Iterable[Mapping[str, Any]], digests: Mapping[str, str]) -> list[Mapping[str, Any]]:
    """Pods of our apps that were made from another template than the wanted one, whose digests these are by app; those on their way out
    are none.
    """
    staying = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    ours = [pod for pod in staying if pod["metadata"].get("labels", {}).get("app") in digests]
    return sorted((pod for pod in ours if digest_of(pod) != digests[pod["metadata"]["labels"]["app"]]), key=node_of)


def digest_of(pod: Mapping[str, Any]) -> str:
    """The digest of the template that a pod was made from, "" for none of ours."""
    return str(pod["metadata"].get("annotations", {}).get(POD_DIGEST, ""))


def node_of(pod: Mapping[str, Any]) -> str:
    """Where a pod is, `?` while it has no place."""
    return str(pod["spec"].get("nodeName", "?"))


def in_words(one: Mapping[str, Any]) -> str:
    """`DaemonSet l5d in mesh`."""
    metadata = one["metadata"]
    namespace = metadata.get("namespace", "")
    return f"{one['kind']} {metadata['name']}" + (f" in {namespace}" if namespace else "")
