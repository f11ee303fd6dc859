"""The page of one cause of latency: besides the fix it says how its milliseconds are reckoned, and which other ids it brings about."""

from __future__ import annotations

from dataclasses import dataclass

from provision.base.pages import Advice, advice_texts


@dataclass(frozen=True)
class Reason(Advice):
    """One id. `symptoms` are ids that follow from it where it is: they are not told beside it."""

    reckoned: str = ""
    symptoms: tuple[str, ...] = ()

    @property
    def anchor(self) -> str:
        """Where the page stands in the docs, as Git hosts make anchors of headings."""
        return f"docs/diagnose.md#{self.fragment}"

    def shown(self) -> list[str]:
        """How the milliseconds come about, near miss, what follows, source."""
        follows = [f"**Brings about.** {', '.join(self.symptoms)}: not told beside it."] if self.symptoms else []
        return [f"**Its milliseconds.** {self.reckoned}", *super().shown(), *follows]


def reason(id_: str, title: str, symptoms: tuple[str, ...] = (), **texts: str) -> Reason:
    """A page; `slows` says why requests become slow."""
    matters = texts.pop("slows")
    return Reason(
        id=id_, title=title, severity="warning", symptoms=symptoms, **advice_texts({**texts, "matters": matters})
    )
