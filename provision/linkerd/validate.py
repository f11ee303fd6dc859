"""All that is wrong with a linkerd.yaml for one release: errors that it refuses, and traps that it takes and does not do."""

from __future__ import annotations

from provision.linkerd import rules, shape
from provision.linkerd.document import Unreadable, compose
from provision.linkerd.finding import Finding


def validate(text: str, version: str) -> tuple[Finding, ...]:
    """Every finding, in the order of the file. Never raises for what the text holds."""
    try:
        root = compose(text)
    except Unreadable as error:
        return (Finding(error.line, error.column, "ML303", "", f"not YAML: {error.message}", "", "see the position"),)
    if root is None:
        fix = "it begins with routers:"
        return (Finding(1, 1, "ML303", "", "the file is empty", "No content to map due to end-of-input", fix),)
    found = {*shape.findings(root, version, text), *rules.findings(root, version)}
    return tuple(sorted(found))
