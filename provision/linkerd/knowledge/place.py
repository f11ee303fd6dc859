"""What is known of the place where a configuration will run. Nothing is assumed of what is not told."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """What the pod and the cluster are like."""

    host_network: bool | None = None
    """Whether the pod uses the node's network; None: not known."""
    kubernetes: str | None = None
    """Kubernetes' version, such as 1.5."""
    environment: frozenset[str] | None = None
    """Names of the container's environment variables; None: not known."""
    folder: str | None = None
    """Where linkerd is started, so where relative file names begin; None: the files are elsewhere and are not looked at."""
    plugins: tuple[str, ...] = ()
    """Kinds that jars in $L5D_HOME/plugins bring."""
    dns_policy: str | None = None
    """The pod's dnsPolicy, `ClusterFirst` where a manifest says none; None: not known."""


ANYWHERE = Place()
"""Nothing is known."""
