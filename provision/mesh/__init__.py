"""The mesh: Linkerd's configuration and manifests as data, and what its answers mean.

To live here a line is about linkerd on Kubernetes; linkerd's own rules are `linkerd`.
"""

from provision.mesh.config import Configuration, configuration
from provision.mesh.manifests import (
    APP,
    ECHO,
    ECHO_PORT,
    POD_DIGEST,
    Manifest,
    Platform,
    manifests,
    pod_digests,
)
from provision.mesh.probe import Routed, judge_metrics, judge_ping, judge_route, probe_argv

__all__ = [
    "APP",
    "ECHO",
    "ECHO_PORT",
    "POD_DIGEST",
    "Configuration",
    "Manifest",
    "Platform",
    "Routed",
    "configuration",
    "judge_metrics",
    "judge_ping",
    "judge_route",
    "manifests",
    "pod_digests",
    "probe_argv",
]
