"""Where meshctl keeps files of its own on a node."""

from __future__ import annotations

STATE = "/var/lib/meshctl"
"""What outlives a restart: what was prepared, kubeadm's logs and results."""

RESTORE = "restore"
"""There, on a control plane that a backup is being put on: which, and how far (see `put_back`)."""
