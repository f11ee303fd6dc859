"""The JSON Schema of the inventory, for editors: it takes what a user writes (`8GiB`), not what meshctl makes of it."""

from __future__ import annotations

from typing import Any

from provision.base.scalars import SIZE_PATTERN
from provision.base.units import format_size
from provision.inventory.model import Cluster


def json_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12)."""
    schema: dict[str, Any] = Cluster.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_mended(schema), "title": "meshctl inventory"}


def _mended(value: Any) -> Any:
    """Sizes have numbers as defaults inside: here as they are written. Titles only repeat the names."""
    if isinstance(value, list):
        return [_mended(item) for item in value]
    if not isinstance(value, dict):
        return value
    mended = {key: _mended(item) for key, item in value.items() if not (key == "title" and isinstance(item, str))}
    if value.get("pattern") == SIZE_PATTERN and isinstance(value.get("default"), int):
        mended["default"] = format_size(value["default"])
    return mended
