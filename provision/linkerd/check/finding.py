"""What the validator says: one fault or trap, where it stands, in linkerd's words and ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import yaml

from provision.base.visible import visible_line
from provision.linkerd.text import Location, Spot, spot, text_of

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
        where = f"{self.field}: " if self.field else ""
        lines = [f"{file}:{self.line}:{self.column}: {self.id} {self.severity}: {where}{self.message}"]
        lines += [f"    linkerd says: {self.linkerd}"] if self.linkerd else []
        lines += [f"    fix: {self.fix}"] if self.fix else []
        return "\n".join(map(visible_line, lines))


def found(
    id_: str, where: yaml.Node | Spot, at: Location, message: str, linkerd: str = "", fix: str = "", severity: str = ""
) -> Finding:
    """A finding as its page has it: the severity comes from there, and the fix where none is given."""
    from provision.linkerd.pages import BY_ID  # a file without findings needs no pages

    page, place = BY_ID[id_], where if isinstance(where, Spot) else spot(where)
    grave: Severity = "trap" if (severity or page.severity) == "trap" else "error"
    return Finding(place.line, place.column, id_, text_of(at), message, linkerd, fix or page.fix, grave)
