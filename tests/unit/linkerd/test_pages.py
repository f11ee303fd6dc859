"""Each start-up check and each trap, by the registry: one configuration that has it and one near miss that has not."""

from __future__ import annotations

import pytest

from provision.linkerd.check.validate import validate
from provision.linkerd.pages import CHECKS
from provision.linkerd.pages.model import Check

EACH = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)


@EACH
def test_the_example_has_it(check: Check) -> None:
    found = validate(check.example, check.release, check.place)
    assert check.id in [finding.id for finding in found]
    assert {finding.severity for finding in found if finding.id == check.id} == {check.severity}
    if check.severity == "error":
        assert {finding.id for finding in found if finding.severity == "error"} == {check.id}
    else:
        assert not [finding for finding in found if finding.severity == "error"]


@EACH
def test_the_near_miss_has_it_not_and_starts(check: Check) -> None:
    found = validate(check.near_miss, check.release, check.near_place or check.place)
    assert check.id not in [finding.id for finding in found]
    assert not [finding for finding in found if finding.severity == "error"]
