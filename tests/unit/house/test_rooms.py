"""How the house is built: every module in a room, tests by rooms, and the picture of it as the imports are."""

from __future__ import annotations

import ast
import os
from pathlib import Path

from tests.unit.house.rooms import PACKAGE, ROOT, arrows, draw, rows

PICTURE = ROOT / "docs" / "architecture" / "rooms.svg"
ROOMS = {room for row in rows() for room in row}


def test_no_module_lies_loose_and_every_folder_is_a_room_of_the_contract() -> None:
    assert [path.name for path in PACKAGE.glob("*.py")] == ["__init__.py"]
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == ROOMS


def test_every_room_says_what_belongs_into_it() -> None:
    for folder in [*(PACKAGE / room for room in ROOMS), *_rooms_of_linkerd()]:
        says = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
        assert "To live here a line" in " ".join(says.split()) or folder.name in {"cli", "pages"}, folder


def _rooms_of_linkerd() -> list[Path]:
    return [path.parent for path in (PACKAGE / "linkerd").glob("*/__init__.py")]


def test_unit_tests_lie_in_the_rooms_that_they_are_about() -> None:
    here = ROOT / "tests" / "unit"
    assert {path.name for path in here.iterdir() if (path / "__init__.py").exists()} <= ROOMS | {"house"}
    assert not list(here.glob("test_*.py"))


def test_the_picture_is_what_the_imports_are() -> None:
    drawn = draw()
    if os.environ.get("MESHCTL_REGENERATE"):
        PICTURE.parent.mkdir(exist_ok=True)
        PICTURE.write_text(drawn)
    assert PICTURE.read_text() == drawn, "stale: make docs"


def test_arrows_point_down() -> None:
    height = {room: number for number, row in enumerate(rows()) for room in row}
    assert [(one, other) for one, other in arrows() if height[one] >= height[other]] == []
