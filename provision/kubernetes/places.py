"""Where meshctl keeps files of its own on a node."""

from __future__ import annotations

STATE = "/var/lib/meshctl"
"""What outlives a restart: what was prepared, kubeadm's logs and results."""
