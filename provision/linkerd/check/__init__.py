"""What is wrong with a configuration: errors that linkerd refuses, traps that it takes and does not do.

To live here a line says a finding with a page in `pages`, or finds the configuration inside a manifest.
"""

from provision.linkerd.check.finding import Finding, found
from provision.linkerd.check.manifest import Embedded, Manifest, embedded, manifest
from provision.linkerd.check.names import cluster_name
from provision.linkerd.check.placeholders import placeholder
from provision.linkerd.check.shape import nearest
from provision.linkerd.check.validate import config_map, is_manifest, release_of, validate

__all__ = [
    "Embedded",
    "Finding",
    "Manifest",
    "cluster_name",
    "config_map",
    "embedded",
    "found",
    "is_manifest",
    "manifest",
    "nearest",
    "placeholder",
    "release_of",
    "validate",
]
