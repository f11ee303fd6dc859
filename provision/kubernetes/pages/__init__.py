"""The page of every known failure of Kubernetes: what `meshctl explain MK2xx` prints and docs/kubernetes-failures.md shows."""

from __future__ import annotations

from provision.kubernetes.failures import FAILURES
from provision.kubernetes.pages.control_plane import CONTROL_PLANE
from provision.kubernetes.pages.joining import JOINING
from provision.kubernetes.pages.kubelet import KUBELET
from provision.kubernetes.pages.machine import MACHINE
from provision.kubernetes.pages.model import FailurePage, Told, page
from provision.kubernetes.pages.nothing import NOTHING
from provision.kubernetes.pages.pod_network import POD_NETWORK
from provision.kubernetes.pages.runtime import RUNTIME

TOLD: dict[str, Told] = {**MACHINE, **RUNTIME, **KUBELET, **CONTROL_PLANE, **JOINING, **POD_NETWORK, **NOTHING}
"""By the failure's name."""

PAGES: tuple[FailurePage, ...] = tuple(
    page(failure, TOLD[failure.name]) for failure in sorted(FAILURES, key=lambda failure: failure.id)
)
"""In the order of their ids."""
