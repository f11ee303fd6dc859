"""Every id that the validation of linkerd's configuration can say: the one registry of validator, `meshctl explain` and docs.

ML301 to ML332 are what linkerd checks when it starts (ML329 from 1.2.0 on); from ML341 on it says nothing, but for ML360.
"""

from __future__ import annotations

from provision.linkerd.pages.bound import BOUND
from provision.linkerd.pages.failing import FAILING
from provision.linkerd.pages.manifests import MANIFESTS
from provision.linkerd.pages.model import Check
from provision.linkerd.pages.nowhere import NOWHERE
from provision.linkerd.pages.personal import PERSONAL
from provision.linkerd.pages.refused import REFUSED
from provision.linkerd.pages.shapes import SHAPES
from provision.linkerd.pages.silent import SILENT
from provision.linkerd.pages.unrouted import UNROUTED

CHECKS: tuple[Check, ...] = tuple(
    sorted(
        (*SHAPES, *REFUSED, *BOUND, *UNROUTED, *SILENT, *FAILING, *NOWHERE, *PERSONAL, *MANIFESTS),
        key=lambda check: check.id,
    )
)
"""In the order of their ids."""

BY_ID = {check.id: check for check in CHECKS}
