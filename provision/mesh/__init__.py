"""The mesh: Linkerd's configuration and manifests as data, and what its answers mean.

To live here a line is about linkerd on Kubernetes; linkerd's own rules are `linkerd`.
"""

from provision.mesh.config import Configuration, configuration
from provision.mesh.manifests import (
    APP,
    ECHO,
    ECHO_PORT,
    PROXY_PORT,
    manifests,
    pod_digests,
)
from provision.mesh.objects import Manifest, Platform
from provision.mesh.ours import (
    POD_DIGEST,
    apps,
    digest_of,
    former_pods,
    in_words,
    marks,
    node_of,
    places,
    stale_pods,
)
from provision.mesh.probe import Routed, judge_metrics, judge_ping, judge_route, probe_argv, route_argv
from provision.mesh.traces import Hop, Trace, read_traces, traces_argv
from provision.mesh.vitals import Scrape, Vitals, config_drift, judge_vitals, read_scrape, vitals_argv
from provision.mesh.zipkin import API_PORT, PASSWORD, SECRET, ZIPKIN, Keeper

__all__ = [
    "API_PORT",
    "APP",
    "ECHO",
    "ECHO_PORT",
    "PASSWORD",
    "POD_DIGEST",
    "PROXY_PORT",
    "SECRET",
    "ZIPKIN",
    "Configuration",
    "Hop",
    "Keeper",
    "Manifest",
    "Platform",
    "Routed",
    "Scrape",
    "Trace",
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
    "places",
    "pod_digests",
    "probe_argv",
    "read_scrape",
    "read_traces",
    "route_argv",
    "stale_pods",
    "traces_argv",
    "vitals_argv",
]
