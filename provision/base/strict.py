"""The base of every part of the inventory."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """Frozen data that takes no unknown field, no empty text, and nothing of another type than its own."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", str_min_length=1)
