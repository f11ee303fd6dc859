"""Whether KVM carries a guest, by a throw-away one without disks: it must live, and its firmware must come to rest. Pure.

A device node that opens proves nothing, and neither does a guest that lives: a KVM that cannot let the CPU run a guest's code
interprets it (Linux's kvm_pvm does so with every guest that is not written for it), many times slower than emulation.
"""

from __future__ import annotations

from dataclasses import dataclass

LIVES_S = 2.0
"""A guest that KVM cannot run ends within the first instructions of its BIOS; one that is there after this, lives."""

CRAWLS_CPU_S = 1.0
"""SeaBIOS finds nothing to boot after 0.1 s of CPU time, QEMU's own start included, by emulation too; kvm_pvm needs 2 s (measured)."""

RESTS_S = 0.5
RESTS_CPU_S = 0.05
"""A firmware without work takes a hundredth of this much CPU time in so many seconds."""

GIVEN_UP_S = 20.0
"""Where other guests take the CPUs, rest comes late."""

ENDED = "a throw-away guest ended within two seconds"
CRAWLS = "KVM is there, and interprets a guest's code instead of letting the CPU run it"


@dataclass
class Pulse:
    """What is known of a throw-away guest: its CPU time, each time it was felt. Times in seconds since its start."""

    lives_s: float = LIVES_S
    _since_s: float = 0.0
    _cpu_s: float = 0.0

    def judge(self, at_s: float, cpu_s: float | None) -> str | None:
        """What its CPU time says, None where it ended: "" for KVM that runs guests, a fault, or None when nothing can be said yet."""
        if cpu_s is None:
            return ENDED
        if cpu_s > CRAWLS_CPU_S or at_s > GIVEN_UP_S:
            return CRAWLS
        if cpu_s - self._cpu_s > RESTS_CPU_S:
            self._since_s, self._cpu_s = at_s, cpu_s
        return "" if at_s >= self.lives_s and at_s - self._since_s >= min(RESTS_S, self.lives_s) else None
