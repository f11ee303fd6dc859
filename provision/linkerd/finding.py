"""What the validator says: one fault or trap, where it stands, in linkerd's words and ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "trap"]


@dataclass(frozen=True, order=True)
class Finding:
    """One finding. Line and column count from 1; `linkerd` is the fragment of linkerd's own message, empty where it says nothing."""

    line: int
    column: int
    id: str
    field: str
    message: str
    linkerd: str = ""
    fix: str = ""
    severity: Severity = "error"

    def shown(self, file: str) -> str:
        """As lines for people."""
        lines = [f"{file}:{self.line}:{self.column}: {self.id} {self.severity}: {self.field}: {self.message}"]
        lines += [f"    linkerd says: {self.linkerd}"] if self.linkerd else []
        lines += [f"    fix: {self.fix}"] if self.fix else []
        return "\n".join(lines)
