"""kubeconfig files as data: ours, named after the cluster, and ours among others. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from provision.base.errors import ConflictError, KubernetesError

Config = dict[str, Any]

SECTIONS = {"clusters": "cluster", "contexts": "context", "users": "user"}
"""Lists of named entries, and what each entry holds (kubernetes.io/docs/reference/config-api/kubeconfig.v1)."""


class _Loader(yaml.SafeLoader):
    """Dates stay text: they are passed on, not understood."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if not tag.endswith(":timestamp")]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parsed(where: str, text: str) -> Config:
    """A kubeconfig from its text; an empty one is one. Raises ConflictError when it is something else."""
    try:
        found = yaml.load(text, Loader=_Loader) or {}  # noqa: S506 - a SafeLoader
    except yaml.YAMLError as error:
        raise _no_kubeconfig(where, str(error).splitlines()[0]) from error
    if not isinstance(found, dict) or found.get("kind", "Config") != "Config":
        raise _no_kubeconfig(where, "it has another kind")
    for section, inner in SECTIONS.items():
        for entry in found.get(section) or ():
            if not isinstance(entry, dict) or "name" not in entry or not isinstance(entry.get(inner), dict):
                raise _no_kubeconfig(where, f"{section} has an entry without name or {inner}")
    return found


def dumped(config: Config) -> str:
    """Its text."""
    return yaml.safe_dump(config, sort_keys=False, default_flow_style=False, width=2**20)


def user_name(cluster: str) -> str:
    """What our user is called: by it an entry of ours is known again."""
    return f"meshctl-{cluster}"


def of_cluster(cluster: str, admin_conf: str) -> Config:
    """Kubeadm's admin.conf with context and cluster called as the cluster is, so that it can lie among others.

    Only what the current context names: kubeadm 1.5 writes the kubelet's context beside it. Raises KubernetesError.
    """
    found = parsed("admin.conf", admin_conf)
    context = _entry(found, "contexts", str(found.get("current-context")))
    named = {"clusters": cluster, "contexts": cluster, "users": user_name(cluster)}
    held = {
        "clusters": _entry(found, "clusters", str(context.get("cluster"))),
        "contexts": {"cluster": cluster, "user": user_name(cluster)},
        "users": _entry(found, "users", str(context.get("user"))),
    }
    entries = {section: [{"name": named[section], inner: held[section]}] for section, inner in SECTIONS.items()}
    return {"apiVersion": "v1", "kind": "Config", **entries, "current-context": cluster}


def is_ours(config: Mapping[str, Any], cluster: str) -> bool:
    """Whether a kubeconfig has entries that meshctl wrote for a cluster of this name."""
    users = {entry["name"] for entry in config.get("users") or ()}
    return user_name(cluster) in users or any(
        entry["name"] == cluster and entry["context"].get("user") == user_name(cluster)
        for entry in config.get("contexts") or ()
    )


def merged(where: str, there: Config, ours: Config, cluster: str) -> Config:
    """`there` with our entries added, or put in the place of those that we wrote before; the current context stays.

    Raises ConflictError when an entry of such a name is somebody else's.
    """
    new = {"apiVersion": "v1", "kind": "Config", **there}
    for section in SECTIONS:
        entries = list(there.get(section) or ())
        (entry,) = ours[section]
        at = next((number for number, one in enumerate(entries) if one["name"] == entry["name"]), len(entries))
        if at < len(entries) and not is_ours(there, cluster):
            raise ConflictError(
                f"{where}: {section} has an entry {entry['name']} that meshctl did not write",
                hint=f"kubectl config rename-context {cluster} OTHER, or --output FILE for a file of its own",
            )
        entries[at : at + 1] = [entry]
        new[section] = entries
    new["current-context"] = there.get("current-context") or ours["current-context"]
    return new


def _entry(config: Config, section: str, name: str) -> dict[str, Any]:
    for entry in config.get(section) or ():
        if entry["name"] == name:
            return dict(entry[SECTIONS[section]])
    raise KubernetesError(
        f"admin.conf of the control plane: {section} has no entry {name!r}",
        hint="kubeadm init writes it; was it changed?",
    )


def _no_kubeconfig(where: str, why: str) -> ConflictError:
    return ConflictError(f"{where}: not a kubeconfig: {why}", hint="name another file with --output")
