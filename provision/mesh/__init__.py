"""The mesh: Linkerd's configuration and manifests as data, and what its answers mean.

To live here a line is about linkerd on Kubernetes; linkerd's own rules are `linkerd`.
"""

from provision.mesh.config import Configuration, configuration
from provision.mesh.manifests import (
    APP,
    ECHO,
    ECHO_PORT,
    PROXY_PORT,
    Manifest,
    Platform,
    manifests,
    pod_digests,
)
from provision.mesh.ours import POD_DIGEST, apps, digest_of, former_pods, in_words, marks, node_of, stale_pods
from provision.mesh.probe import Routed, judge_metrics, judge_ping, judge_route, probe_argv, route_argv
from provision.mesh.vitals import Scrape, Vitals, config_drift, judge_vitals, read_scrape, vitals_argv

__all__ = [
    "APP",
    "ECHO",
    "ECHO_PORT",
    "POD_DIGEST",
    "PROXY_PORT",
    "Configuration",
    "Manifest",
    "Platform",
    "Routed",
    "Scrape",
    "Vitals",
    "apps",
    "config_drift",
    "configuration",
    "digest_of",
    "former_pods",
    "in_words",
    "judge_metrics",
    "judge_ping",
    "judge_route",
    "judge_vitals",
    "manifests",
    "marks",
    "node_of",
    "pod_digests",
    "probe_argv",
    "read_scrape",
    "route_argv",
    "stale_pods",
    "vitals_argv",
]
