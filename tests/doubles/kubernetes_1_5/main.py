"""Chooses the program by the name it was called by."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from . import kubeadm, kubectl, kubelet


def main() -> None:
    """Runs kubeadm, kubelet or kubectl."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # as a program in Go ends: without a word
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    programs = {"kubeadm": kubeadm.main, "kubelet": kubelet.main, "kubectl": kubectl.main}
    programs[Path(sys.argv[0]).name](sys.argv[1:])
