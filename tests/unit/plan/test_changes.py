"""The table of what becomes of a change: no field of the inventory is without a row, no row without a field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from provision.inventory.loader.schema import json_schema
from provision.plan.changes import MEANS, TABLE, Becomes, rows_for

SCHEMA = json_schema()
LISTS = frozenset(("hosts", "nodes", "nodes[].volumes"))
"""Whose entries come and go one by one."""


def fields(node: dict[str, Any], path: str = "") -> Iterator[str]:
    """Every leaf of a schema: `nodes[].volumes[].size`."""
    if "$ref" in node:
        node = SCHEMA["$defs"][node["$ref"].rpartition("/")[2]]
    for choice in node.get("anyOf", ()):
        if "$ref" in choice or choice.get("type") in ("array", "object"):
            yield from fields(choice, path)
    if "$ref" in node.get("items", {}):
        yield from fields(node["items"], f"{path}[]")
    for name, inner in node.get("properties", {}).items():
        below = f"{path}.{name}" if path else name
        yield from list(fields(inner, below)) or [below]


LEAVES = tuple(fields(SCHEMA))


def test_the_walk_finds_what_is_known_to_be_there() -> None:
    assert {
        "sysctl",
        "hosts[].pool.path",
        "nodes[].volumes[].size",
        "mesh.retries.budget.ttl_s",
        "mesh.tracer.host",
    } <= set(LEAVES)
    assert len(LEAVES) > 100


def test_every_field_has_one_row_or_one_for_each_direction() -> None:
    for field in (*LEAVES, *LISTS):
        rows = list(rows_for(field))
        assert rows, f"{field}: what becomes of a change of it? provision/plan/changes.py"
        assert len({row.change for row in rows}) == len(rows), f"{field} has rows that say the same change"
        assert len(rows) == 1 or all(row.change for row in rows), f"{field} has a row for each change, and others"


def test_every_row_is_about_fields_that_are_there() -> None:
    for row in (row for rows in TABLE.values() for row in rows):
        for field in row.fields:
            inside = field.removesuffix("*")
            assert any(leaf == field or (inside != field and leaf.startswith(inside)) for leaf in (*LEAVES, *LISTS)), (
                field
            )
        assert row.text


def test_every_word_is_explained_and_used() -> None:
    assert set(MEANS) == set(Becomes) == {row.becomes for rows in TABLE.values() for row in rows}
