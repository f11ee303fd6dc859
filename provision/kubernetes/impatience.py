"""Where kubeadm gives up by its own clock, which no flag makes longer: the same begun again does what is left."""

from __future__ import annotations

import re

_REQUEST = "the API server did not answer kubeadm in its ten seconds"

_WHY = {
    # An emulated control plane that two nodes join at once was seen to need twenty.
    r"error execution phase .*Client\.Timeout exceeded": _REQUEST,
    r"FATAL post-upgrade error: .*Client\.Timeout exceeded": _REQUEST,
    # UpgradeManifestTimeout; the control plane is as before. A container that crashes ends that wait too, and each time.
    r"tried to recover everything into the earlier state.*timed out waiting for the condition": "kubeadm waited five minutes"
    " for a part of the control plane, which no flag makes longer, and took all back",
}


def impatience(said: str) -> str:
    """Why kubeadm gave up by its own clock, "" if it did not, by what it said. What it has done it finds done when it is begun again."""
    return next((why for pattern, why in _WHY.items() if re.search(pattern, said)), "")
