"""Every id that `diagnose` can say: the one registry of its judges, `meshctl explain` and docs/diagnose.md."""

from __future__ import annotations

from provision.diagnose.pages.cpu import CPU
from provision.diagnose.pages.mesh import MESH
from provision.diagnose.pages.model import Reason
from provision.diagnose.pages.network import NETWORK
from provision.diagnose.pages.sockets import SOCKETS
from provision.diagnose.pages.storage import STORAGE

REASONS: tuple[Reason, ...] = tuple(sorted((*NETWORK, *SOCKETS, *CPU, *STORAGE, *MESH), key=lambda one: one.id))
"""In the order of their ids."""

BY_ID = {reason.id: reason for reason in REASONS}
