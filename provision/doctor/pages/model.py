"""The page of one thing that `doctor` can find: it carries the fix as a template, which findings fill in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from provision.base.pages import Page


@dataclass(frozen=True)
class Check(Page):
    """One id. `template` is the fix with `{places}`; the page shows them in capitals, or all `fixes` where a finding has one of several."""

    template: str = ""
    source: str = ""
    """Where the advice comes from."""

    @property
    def anchor(self) -> str:
        """Where the page stands in the docs, as Git hosts make anchors of headings."""
        return f"docs/doctor.md#{self.fragment}"

    def shown(self) -> list[str]:
        """Near miss and source."""
        return [*super().shown(), *([f"**Source.** {self.source}"] if self.source else [])]

    def filled(self, values: Mapping[str, object]) -> str:
        """The fix for one case. Raises KeyError when a place has no value."""
        return self.template.format_map(values)


class _Capitals(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return key.upper()


def error(id_: str, title: str, **texts: str) -> Check:
    """What keeps guests from being made, or breaks them: `provision` stops."""
    return _check(id_, title, "error", texts)


def warning(id_: str, title: str, **texts: str) -> Check:
    """What costs speed or will break later: `provision` says it and goes on."""
    return _check(id_, title, "warning", texts)


def _check(id_: str, title: str, severity: str, texts: Mapping[str, str]) -> Check:
    tidy = {name: " ".join(text.split()) for name, text in texts.items()}
    template = tidy.pop("fix")
    fix = tidy.pop("fixes", template).format_map(_Capitals())
    return Check(id=id_, title=title, severity=severity, fix=fix, template=template, **tidy)
