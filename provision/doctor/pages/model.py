"""The page of one thing that `doctor` can find: it carries the fix as a template, which findings fill in."""

from __future__ import annotations

from dataclasses import dataclass

from provision.base.pages import Advice, advice_texts


@dataclass(frozen=True)
class Check(Advice):
    """One id."""

    @property
    def anchor(self) -> str:
        """Where the page stands in the docs, as Git hosts make anchors of headings."""
        return f"docs/doctor.md#{self.fragment}"


def error(id_: str, title: str, **texts: str) -> Check:
    """What keeps guests from being made, or breaks them: `provision` stops."""
    return Check(id=id_, title=title, severity="error", **advice_texts(texts))


def warning(id_: str, title: str, **texts: str) -> Check:
    """What costs speed or will break later: `provision` says it and goes on."""
    return Check(id=id_, title=title, severity="warning", **advice_texts(texts))
