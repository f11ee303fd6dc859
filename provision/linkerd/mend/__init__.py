"""Findings that have one answer, mended in the text.

To live here a line changes a configuration so that one finding goes and nothing else changes.
"""

from provision.linkerd.mend.mend import mend
from provision.linkerd.mend.moves import flattened, moved, protocol, renamed_kind, spread, target, unflattened
from provision.linkerd.mend.task import Task
from provision.linkerd.mend.within import Inner, configurations, rewritten

__all__ = [
    "Inner",
    "Task",
    "configurations",
    "flattened",
    "mend",
    "moved",
    "protocol",
    "renamed_kind",
    "rewritten",
    "spread",
    "target",
    "unflattened",
]
