"""What a known failure is made of: patterns on real output, the cause they tell of, what to do, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

AGAIN = "`kubeadm reset` on the node, then provision again"
LOGS = "see the kubelet's and the containers' lines above"


@dataclass(frozen=True)
class Failure:
    """One cause and how output tells of it.

    `id` is what `meshctl explain` and docs/kubernetes-failures.md know it by; it is never given to another (after MK299: MK2100).
    `patterns` are searched in each line, without regard to case; a group `what` is filled into `cause`. `symptoms` names the
    failures that follow from this one and are not said beside it. A `vague` one is said only when nothing else is known.
    `advice_of` holds other advice for some generations of Kubernetes, such as ``1.5``.
    """

    id: str
    name: str
    patterns: tuple[str, ...]
    cause: str
    advice: str
    symptoms: tuple[str, ...] = ()
    vague: bool = False
    advice_of: Mapping[str, str] = field(default_factory=dict)
    waiting: Literal["vain", "doubtful", "usual"] = "doubtful"
    """Of waiting while this is seen: `vain` is what no waiting mends and no healthy start prints, `usual` what a healthy start prints."""
    harmless: bool = False
    """Whether it is advice only, and nothing fails for it."""
