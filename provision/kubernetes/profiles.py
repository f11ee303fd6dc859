"""The profiles there are."""

from __future__ import annotations

from provision.base.errors import KubernetesError
from provision.base.shell import Shell
from provision.kubernetes.kubectl import Kubectl
from provision.kubernetes.profile import Profile
from provision.kubernetes.v1_5 import Profile15
from provision.kubernetes.v1_20 import Profile120


def profile_for(generation: str) -> Profile:
    """The profile of ``1.5`` or ``1.20``. Raises KubernetesError for any other."""
    profiles: dict[str, Profile] = {"1.5": Profile15(), "1.20": Profile120()}
    if generation not in profiles:
        raise KubernetesError(f"there is no profile for Kubernetes {generation}", hint=f"known: {', '.join(profiles)}")
    return profiles[generation]


def kubectl_for(generation: str, shell: Shell) -> Kubectl:
    """Kubectl on a control plane of a generation. Raises as `profile_for` does."""
    return Kubectl(shell, profile_for(generation).certificates, generation)
