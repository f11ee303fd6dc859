"""The mesh: Linkerd's configuration and manifests as data, and what its answers mean."""

from provision.mesh.manifests import APP, ECHO, ECHO_PORT, Manifest, Platform, manifests
from provision.mesh.probe import Answer, Routed, judge_metrics, judge_ping, judge_route

__all__ = [
    "APP",
    "ECHO",
    "ECHO_PORT",
    "Answer",
    "Manifest",
    "Platform",
    "Routed",
    "judge_metrics",
    "judge_ping",
    "judge_route",
    "manifests",
]
