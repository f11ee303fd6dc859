"""What an id of a finding stands for: its page, as `meshctl explain` prints it and the docs show it. Each family of ids brings a tuple
of these; nothing here knows who says them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """What every page has. `severity` is what findings of this id carry."""

    id: str
    title: str
    severity: str

    @property
    def heading(self) -> str:
        """The first line of the page."""
        return f"{self.id}: {self.title}"

    @property
    def fragment(self) -> str:
        """Where the page stands in its file, as Git hosts make anchors of headings."""
        return "".join(char for char in self.heading.lower().replace(" ", "-") if char.isalnum() or char in "-_")

    def text(self) -> str:
        """The page in Markdown, its heading one of the second level."""
        raise NotImplementedError


@dataclass(frozen=True)
class Page(Entry):
    """One id of a check. Texts are plain sentences in Markdown."""

    happens: str
    matters: str
    fix: str
    near_miss: str
    """What looks much the same and is fine, in words or as a file."""

    def text(self) -> str:
        """The page in Markdown, its heading one of the second level."""
        parts = [
            f"## {self.heading}",
            f"Severity: {self.severity}.",
            self.happens,
            f"**Why it matters.** {self.matters}",
            f"**Fix.** {self.fix}",
            *self.shown(),
        ]
        return "\n\n".join(parts) + "\n"

    def shown(self) -> list[str]:
        """The paragraphs about the near miss; families that have more to show say it here."""
        return [f"**Near miss.** {self.near_miss}"]


@dataclass(frozen=True)
class Advice(Page):
    """A page whose fix is a template with `{places}` that findings fill in; the page shows them in capitals, or all `fixes` where a finding
    has one of several.
    """

    template: str = ""
    source: str = ""
    """Where the advice comes from."""

    def shown(self) -> list[str]:
        """Near miss and source."""
        return [*super().shown(), *([f"**Source.** {self.source}"] if self.source else [])]

    def filled(self, values: Mapping[str, object]) -> str:
        """The fix for one case. Raises KeyError when a place has no value."""
        return self.template.format_map(values)


class _Capitals(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return key.upper()


def advice_texts(texts: Mapping[str, str]) -> dict[str, str]:
    """The texts of an `Advice` as they are written down, as its fields: torn lines joined, `fix` with its places filled in for the page."""
    tidy = {name: " ".join(text.split()) for name, text in texts.items()}
    template = tidy.pop("fix")
    fix = tidy.pop("fixes", template).format_map(_Capitals())
    return {**tidy, "fix": fix, "template": template}


def fenced(text: str, language: str = "yaml") -> str:
    """A text as a block of code."""
    return f"```{language}\n{text.rstrip()}\n```"
