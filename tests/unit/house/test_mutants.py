"""The mutants of `make mutants`: each line that one changes stands where it is looked for, once."""

from __future__ import annotations

import pytest

from tests.mutants.planted import MUTANTS, Mutant
from tests.unit.house.rooms import ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: str(mutant.name))
def test_its_line_is_there_to_be_changed(mutant: Mutant) -> None:
    assert (ROOT / mutant.path).read_text().count(mutant.line) == 1
    assert mutant.instead != mutant.line
    assert all((ROOT / path.partition("::")[0]).exists() for path in mutant.tests)
