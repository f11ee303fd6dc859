"""What `doctor` says: one thing that is not as it should be on one host."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from provision.doctor.pages import BY_ID
from provision.placement import Pinning


@dataclass(frozen=True)
class Finding:
    """`where` is a host (or a node); `seen` has the numbers; `fix` is the exact command or setting."""

    id: str
    severity: str
    where: str
    seen: str
    why: str
    fix: str
    docs: str

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def found(id_: str, where: str, seen: str, /, **values: object) -> Finding:
    """A finding of an id of the registry; `values` fill in its fix, `host` is always known."""
    check = BY_ID[id_]
    fix = check.filled({"host": where, **values})
    return Finding(id_, check.severity, where, seen, check.matters, fix, check.anchor)


def dedicated_cpus(pinnings: tuple[Pinning, ...]) -> frozenset[int]:
    """CPUs that serve one vCPU each, for themselves."""
    return frozenset(cpu for pin in pinnings if pin.exclusive for cpu in pin.vcpu_pins)
