"""Bundles: Kubernetes and the mesh without the internet. Built or laid out by hand, sealed, verified, made into a disk.

To live here a line is about what nodes are given without a network. Nothing here knows a cluster.
"""

from provision.bundle.disk import make_disk
from provision.bundle.extended import build as build_with_tracing
from provision.bundle.find import find
from provision.bundle.model import Bundle, MeshImage, load, verify
from provision.bundle.seal import seal
from provision.bundle.source import build

__all__ = ["Bundle", "MeshImage", "build", "build_with_tracing", "find", "load", "make_disk", "seal", "verify"]
