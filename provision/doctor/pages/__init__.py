"""Every id that `doctor` can say: the one registry of its judges, `meshctl explain` and docs/doctor.md."""

from __future__ import annotations

from provision.doctor.pages.cpu import CPU
from provision.doctor.pages.host import HOST
from provision.doctor.pages.memory import MEMORY
from provision.doctor.pages.model import Check
from provision.doctor.pages.network import NETWORK
from provision.doctor.pages.storage import STORAGE

CHECKS: tuple[Check, ...] = tuple(sorted((*HOST, *CPU, *MEMORY, *STORAGE, *NETWORK), key=lambda check: check.id))
"""In the order of their ids."""

BY_ID = {check.id: check for check in CHECKS}
