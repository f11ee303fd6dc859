"""The page of one of linkerd's start-up checks or traps: it carries files that have it and that have it not, which tests try."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from provision.base.pages import Page, fenced
from provision.linkerd.knowledge.place import ANYWHERE, Place
from provision.linkerd.pages.mendable import MENDABLE


@dataclass(frozen=True)
class Check(Page):
    """One check. `example` has it, `near_miss` has not, both as a whole file for `release` at `place`."""

    example: str = ""
    release: str = "0.8.5"
    linkerd: str = ""
    """The fragment of linkerd's own message, `…` for what varies; empty where it says nothing."""
    options: str = ""
    """What `meshctl mesh validate` has to be told to see it."""
    place: Place = ANYWHERE
    near_place: Place | None = None
    """Where the near miss stands when that is what makes it one."""

    def shown(self) -> list[str]:
        """What linkerd says, and both files."""
        said = [f"**linkerd says.** `{self.linkerd}`" if self.linkerd else "**linkerd says** nothing."]
        told = [f"**Seen with** `meshctl mesh validate {self.options} FILE`."] if self.options else []
        told += ["**`--fix`** mends it where what is meant is certain."] if self.id in MENDABLE else []
        have = f"**A file that has it**, for linkerd {self.release}:"
        return [*said, *told, have, _file(self.example), "**A near miss** that has it not:", _file(self.near_miss)]


def _file(text: str) -> str:
    return fenced(text) if text.strip() else "An empty file."


def refused(id_: str, title: str, **texts: str | Place) -> Check:
    """A check that keeps linkerd from starting."""
    return _check(id_, title, "error", texts)


def trap(id_: str, title: str, **texts: str | Place) -> Check:
    """What linkerd takes, and what then does not work or works against its owner."""
    return _check(id_, title, "trap", texts)


def _check(id_: str, title: str, severity: str, texts: dict[str, str | Place]) -> Check:
    tidy = {
        name: text if isinstance(text, Place) else _tidy(text, lines=name in ("example", "near_miss"))
        for name, text in texts.items()
    }
    return Check(id=id_, title=title, severity=severity, **tidy)  # type: ignore[arg-type]


def _tidy(text: str, *, lines: bool) -> str:
    return textwrap.dedent(text).lstrip("\n") if lines else " ".join(text.split())
