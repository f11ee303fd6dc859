"""What an id of a finding stands for: its page, as `meshctl explain` prints it and the docs show it. Each family of ids brings a tuple
of these; nothing here knows who says them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """One id. Texts are plain sentences in Markdown; `severity` is what findings of this id carry."""

    id: str
    title: str
    severity: str
    happens: str
    matters: str
    fix: str
    near_miss: str
    """What looks much the same and is fine, in words or as a file."""

    def text(self) -> str:
        """The page in Markdown, its heading one of the second level."""
        parts = [
            f"## {self.id}: {self.title}",
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


def fenced(text: str, language: str = "yaml") -> str:
    """A text as a block of code."""
    return f"```{language}\n{text.rstrip()}\n```"
