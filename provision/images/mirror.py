"""apt sources for a recipe, from the mirror that this machine's own apt uses."""

from __future__ import annotations

from provision.images.debian import (
    DEFAULT,
    DEFAULT_SECURITY,
    KEYRING,
    choose,
    find,
    proxy,
)
from provision.images.recipes import Recipe

__all__ = ["DEFAULT", "DEFAULT_SECURITY", "KEYRING", "choose", "find", "proxy", "sources"]


def sources(recipe: Recipe, archive: str, security: str) -> str:
    """One-line apt sources of a recipe: the suite, its updates and its security updates."""
    components = " ".join(recipe.components)
    lines = (
        f"{archive} {recipe.suite} {components}",
        f"{archive} {recipe.suite}-updates {components}",
        f"{security} {recipe.suite}-security {components}",
    )
    return "".join(f"deb [signed-by={KEYRING}] {line}\n" for line in lines)
