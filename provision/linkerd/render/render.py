"""linkerd.yaml from the model of the inventory, for any release: each setting goes to the place that the release has for it.

The places stand in `settings`, newest first; which of them a release reads is the knowledge's business. So there is one
rendering, not one for each generation of linkerd, and what a release cannot be told comes out as a refusal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from provision.linkerd.knowledge.versions import RELEASES
from provision.linkerd.render.draft import Draft, Refused
from provision.linkerd.render.settings import Setting, settings
from provision.linkerd.text import Location
from provision.linkerd.wanted import Mesh


@dataclass(frozen=True)
class Inexpressible:
    """A field of `mesh:` that the release cannot be told, and what to do about it."""

    field: Location
    message: str
    hint: str


def render(mesh: Mesh) -> dict[str, Any]:
    """The configuration as data. What `inexpressible` names is not in it."""
    return _drafted(mesh, mesh.version)[0].finished()


def inexpressible(mesh: Mesh) -> tuple[Inexpressible, ...]:
    """Every field that the mesh's release cannot be told."""
    _draft, refused = _drafted(mesh, mesh.version)
    if not refused:
        return ()
    others = {release: _drafted(mesh, release)[1] for release in RELEASES}
    found = []
    for reason in dict.fromkeys(refused.values()):
        fields = [field for field, said in refused.items() if said == reason]
        able = [release for release in RELEASES if not others[release].keys() & set(fields)]
        found.append(Inexpressible(_common(fields), f"linkerd {mesh.version} {reason}", _hint(able)))
    return tuple(found)


def _common(fields: list[Location]) -> Location:
    """The deepest part of the inventory that holds all of the fields."""
    common = fields[0]
    while any(field[: len(common)] != common for field in fields):
        common = common[:-1]
    return common


def _drafted(mesh: Mesh, release: str) -> tuple[Draft, dict[Location, str]]:
    """The configuration for a release, and why fields are not in it."""
    draft, refused = Draft(release), dict[Location, str]()
    for setting in settings(mesh, release):
        reason = _written(draft, setting)
        if reason and setting.field:
            refused.setdefault(setting.field, reason)
    return draft, refused


def _written(draft: Draft, setting: Setting) -> str:
    """Writes a setting to the first place that takes it; otherwise says why not, in the most words: those of the place that nearly did."""
    reasons = []
    for path, value in setting.choices:
        try:
            draft.write(path, value)
            return ""
        except Refused as refusal:
            reasons.append(str(refusal))
    return max(reasons, key=len)


def _hint(able: list[str]) -> str:
    if not able:
        return "take it out: no release has it, or not with what stands beside it"
    span = able[0] if len(able) == 1 else f"{able[0]} to {able[-1]}"
    return f"take it out, or a version that can: {span}"
