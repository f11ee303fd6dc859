"""What several control planes of Kubernetes 1.20 need of others, strictly: kubeadm's join and reset, and curl at etcd and the API server.

Each is a program of one file, put into nodes of namespaces (`sandbox`); the etcd that they share is a file of the lab's folder.
"""

from __future__ import annotations

from pathlib import Path

PROGRAMS = ("kubeadm", "curl")


def text(program: str) -> str:
    """A double's text."""
    return (Path(__file__).parent / f"{program}.py").read_text()
