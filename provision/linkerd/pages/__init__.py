"""Every id that the validation of linkerd's configuration can say: the one registry of validator, `meshctl explain` and docs.

ML301 to ML328 are what linkerd 0.8.5 checks when it starts, ML329 is a later check; from ML341 on it says nothing.
"""

from __future__ import annotations

from provision.linkerd.pages.manifests import MANIFESTS
from provision.linkerd.pages.model import Check
from provision.linkerd.pages.nowhere import NOWHERE
from provision.linkerd.pages.refused import REFUSED
from provision.linkerd.pages.shapes import SHAPES
from provision.linkerd.pages.silent import SILENT
from provision.linkerd.pages.unrouted import UNROUTED

CHECKS: tuple[Check, ...] = tuple(
    sorted((*SHAPES, *REFUSED, *UNROUTED, *SILENT, *NOWHERE, *MANIFESTS), key=lambda check: check.id)
)
"""In the order of their ids."""

BY_ID = {check.id: check for check in CHECKS}
