r"""Text of others, safe to show: what steers a terminal, or makes text look like another, is written out (`\x1b`).

Inventories, files, hosts and guests say what they like; `ESC [ 2 J` in it clears the screen, a line break forges a line of ours.
"""

from __future__ import annotations

_KEPT = "\n\t"


def visible(text: str) -> str:
    """The text with every character written out that shows nothing itself (`str.isprintable`), but line breaks and tabs."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() or one in _KEPT else _escape(one) for one in text)


def visible_line(text: str) -> str:
    """The same as one line: line breaks and tabs are written out too."""
    return text if text.isprintable() else "".join(one if one.isprintable() else _escape(one) for one in text)


def visible_block(text: str) -> str:
    """The same with every line but the first indented, so that none passes for a line of ours such as `hint: …`."""
    first, *rest = visible(text).split("\n")
    return "\n".join([first, *(line if line.startswith(" ") or not line else f"    {line}" for line in rest)])


def _escape(one: str) -> str:
    return repr(one)[1:-1]
