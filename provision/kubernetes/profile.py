"""What differs between generations of Kubernetes, behind one interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from provision.base.secret import Secret
from provision.kubernetes.api import Certificates
from provision.kubernetes.kubectl import Kubectl
from provision.kubernetes.spec import CONTROL_PLANE, Archive, Credentials, File, Spec
from provision.specs import Member

CONFIG = "/var/lib/meshctl/kubeadm.yaml"
"""Where the configuration with the token lies (0600) while kubeadm runs."""


@dataclass(frozen=True)
class Workloads:
    """How manifests are written for this generation; plain data, so that other rooms need not know this one.

    `rbac_api` is None where the API server authorizes everybody. `annotations` and `tolerations` let a DaemonSet's
    pods onto the control plane. `rolls_daemonsets`: whether the server replaces pods when a template changes.
    """

    daemonset_api: str
    deployment_api: str
    rbac_api: str | None
    host_network_dns_policy: str
    rolls_daemonsets: bool
    annotations: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class Needs:
    """What kubeadm or the kubelet want of a node; the checks are ours where kubeadm's own must be skipped."""

    ports: tuple[int, ...]
    programs: tuple[str, ...]
    cgroup_v1: bool
    no_swap: bool


@dataclass(frozen=True)
class Holder:
    """A file with certificates: a kubeconfig (`.conf`), or PEM with its key in `key`, which may be the file itself."""

    path: str
    key: str = ""


@dataclass(frozen=True)
class Authority:
    """The cluster's authority on the control plane: files of its certificate and its key."""

    certificate: str
    key: str


@dataclass(frozen=True)
class Renewal:
    """How certificates are renewed. `argv` is kubeadm's own command on the control plane, empty where it has none; what it leaves out, and
    all without it, the authority signs anew: `control_plane` and `worker` are the files. `rotating` are those that kubelets renew by
    themselves, while they have not expired: with one that has they end. `pods` are the control plane's static pods that work with renewed
    files, in the order in which they are started anew.
    """

    authority: Authority
    pods: tuple[str, ...]
    argv: tuple[str, ...] = ()
    control_plane: tuple[Holder, ...] = ()
    worker: tuple[Holder, ...] = ()
    rotating: tuple[str, ...] = ()


class Profile(Protocol):
    """One generation's kubeadm."""

    generation: str
    workloads: Workloads
    certificates: Certificates | None
    """Files of the control plane that let root read the API as an administrator; None where there are none."""
    etcd: Certificates | None
    """Files of the control plane by which root asks etcd; None where it asks nobody who he is (plain HTTP on loopback)."""
    only_control_plane: frozenset[str]
    renewal: Renewal

    def node_files(self, spec: Spec, member: Member) -> tuple[File, ...]:
        """The kubelet's unit and drop-ins, and what else kubeadm or the kubelet read from files."""
        ...

    def needs(self, role: str) -> Needs:
        """What must hold before init or join."""
        ...

    def init_config(self, spec: Spec, member: Member, token: Secret) -> Secret:
        """The file that `init_argv` names."""
        ...

    def init_argv(self) -> tuple[str, ...]:
        """The command that `init_config` belongs to."""
        ...

    def join_config(self, spec: Spec, member: Member, credentials: Credentials) -> Secret:
        """The file that `join_argv` names."""
        ...

    def join_argv(self, role: str) -> tuple[str, ...]:
        """The command that `join_config` belongs to."""
        ...

    def reset_argv(self, role: str) -> tuple[str, ...]:
        """The command that undoes either, asking nothing."""
        ...

    def upgrade_work(self, role: str, *, first: bool) -> str:
        """Shell text that moves what kubeadm has made on a node of this role to the version "$1", over again if need be; empty where
        only programs change. It ends by itself. `first`: it is the control plane that moves what the whole cluster has.
        """
        ...

    def credentials(self, kubectl: Kubectl) -> Credentials:
        """A token that is valid now, and the CA's hash where join can check it."""
        ...


def archives_for(profile: Profile, spec: Spec, member: Member) -> tuple[Archive, ...]:
    """The archives a node loads: a worker leaves out what only the control plane runs, and each what is for others alone."""
    archives = tuple(one for one in spec.archives if one.nodes is None or member.name in one.nodes)
    if member.role == CONTROL_PLANE:
        return archives
    return tuple(a for a in archives if any(_short(r) not in profile.only_control_plane for r in a.references))


def _short(reference: str) -> str:
    """`kube-apiserver` of gcr.io/google_containers/kube-apiserver-amd64:v1.5.8."""
    return reference.rpartition("/")[2].partition(":")[0].removesuffix("-amd64")
