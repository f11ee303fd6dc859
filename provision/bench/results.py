"""What a bench measured, as data that can be kept and compared: `Result`, in JSON and back. docs/latency.md has the schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from provision.base.errors import InventoryError
from provision.base.units import MIB
from provision.bench.cells import Cell
from provision.bench.histograms import at, encoded, merged, total

VERSION = 1
"""Of the format. Raised when another meshctl could take a result for something else than was measured."""

LARGEST_FILE = 64 * MIB


class Fact(BaseModel):
    """The base of all here: frozen, and neither taken from nor written as anything else than what it says."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Measured(Fact):
    """One cell in one run. `histogram` is of the answers, and of what waited in vain; `failed` are counts by reason, `nodes` counts of
    answers by the node that gave them. `lag_p99_us` is how late requests were sent, for want of CPU on the asking guest.

    `fault` says why nothing, or not all, was measured.
    """

    histogram: str
    asked: int = 0
    failed: Mapping[str, int] = Field(default_factory=dict)
    nodes: Mapping[str, int] = Field(default_factory=dict)
    again: int = 0
    lag_p99_us: int = 0
    lag_max_us: int = 0
    fault: str = ""

    @field_validator("histogram")
    @classmethod
    def _readable(cls, text: str) -> str:
        merged([text])
        return text

    @cached_property
    def p99_us(self) -> float | None:
        """None where too few were answered to say."""
        return None if self.fault else at(merged([self.histogram]), 0.99)


class Row(Fact):
    """A cell with its runs, in the order of time."""

    way: str
    pins: str
    neighbour: str
    sysctl: str = ""
    runs: tuple[Measured, ...] = ()

    @property
    def cell(self) -> Cell:
        """What was measured."""
        return Cell(self.way, self.pins, self.neighbour, self.sysctl)

    @cached_property
    def histogram(self) -> Any:
        """Of all runs without a fault."""
        return merged(one.histogram for one in self.runs if not one.fault)

    @property
    def failed(self) -> int:
        """Requests that got no good answer."""
        return sum(sum(one.failed.values()) for one in self.runs)

    @property
    def p99s_us(self) -> tuple[float | None, ...]:
        """Of each run."""
        return tuple(one.p99_us for one in self.runs)


class Result(Fact):
    """A bench. `start` asks, `end` answers; `grounds` say which CPUs it was about, `left_out` what was not measured and why.

    `emulated`: the guests had no KVM.
    """

    version: int = VERSION
    cluster: str
    at: str
    start: str
    end: str
    per_s: float
    for_s: float
    emulated: bool
    grounds: tuple[str, ...] = ()
    left_out: Mapping[str, str] = Field(default_factory=dict)
    rows: tuple[Row, ...] = ()

    def row(self, cell: Cell) -> Row | None:
        """That of a cell, None where it was not measured."""
        return next((one for one in self.rows if one.cell == cell), None)

    @property
    def runs(self) -> int:
        """The most that a cell has."""
        return max((len(one.runs) for one in self.rows), default=0)


NOTHING = encoded(())
"""A histogram without a request."""


def read_measured(said: Mapping[str, Any]) -> Measured:
    """What the script printed."""
    return Measured(
        histogram=encoded((us, count) for us, count in said["us"]),
        asked=said["asked"],
        failed=dict(said["failed"]),
        nodes={name: count for name, count in said["nodes"].items() if name},
        again=said["again"],
        lag_p99_us=said["lag_p99_us"],
        lag_max_us=said["lag_max_us"],
        fault="" if said["whole"] else "it was ended early",
    )


def not_measured(why: str) -> Measured:
    """A run of a cell that came to nothing."""
    return Measured(histogram=NOTHING, fault=why)


def written(result: Result, summary: Mapping[str, Any]) -> str:
    """As JSON, with what follows from it for those who do not reckon themselves."""
    return json.dumps({**result.model_dump(mode="json"), "summary": summary}, indent=1)


def read_result(text: str, source: str) -> Result:
    """A result from a file's text; its summary is reckoned anew. Raises InventoryError for what is none, or of another version."""
    hint = "`meshctl bench latency INVENTORY --json > FILE` makes one"
    try:
        said = json.loads(text)
        found = Result.model_validate_json(json.dumps({key: value for key, value in said.items() if key != "summary"}))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InventoryError(f"{source}: no result of this meshctl: {where}: {first['msg']}", hint=hint) from error
    except (ValueError, AttributeError) as error:
        raise InventoryError(f"{source}: no result of this meshctl: {error}", hint=hint) from error
    if found.version != VERSION:
        raise InventoryError(f"{source}: a result of format {found.version}, not {VERSION}", hint=hint)
    return found


def requests(row: Row) -> int:
    """How many its histogram has."""
    return total(row.histogram)
