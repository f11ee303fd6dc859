"""The base of every part of the inventory."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class FieldFault(ValueError):
    """A fault that a rule between fields finds: `field` is the one to look at, seen from the model whose rule it is."""

    def __init__(self, message: str, *field: str | int) -> None:
        super().__init__(message)
        self.field = field


class Strict(BaseModel):
    """Frozen data that takes no unknown field, no empty text, and nothing of another type than its own."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", str_min_length=1)
