"""`meshctl backup`, `restore` and `renew` as click sees them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from provision.base.errors import ImageError, InventoryError
from provision.cli import renew
from provision.cli.backup import restore
from provision.inventory import load
from provision.run.renew import LEFT_DAYS

KEY = "age1deqm9tmq4lemlqhxwm0ng69uzsnvyn3rng0c732ej5x224r3jcesfd7fss"
INVENTORY = (Path(__file__).parents[3] / "inventories" / "single-host.yaml").read_text()


def test_what_is_usual_is_said_once() -> None:
    assert renew.LEFT_DAYS == LEFT_DAYS == 365 * 30 // 100 + 1


def test_a_file_that_is_no_backup_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    file = tmp_path / "b"
    file.write_bytes(b"something else")
    result = CliRunner().invoke(restore, [str(tmp_path / "no.yaml"), str(file)])
    assert isinstance(result.exception, ImageError)


def test_recipients_are_keys_of_age() -> None:
    assert load("x.yaml", f"{INVENTORY}backup: {{recipients: [{KEY}]}}\n").backup.recipients == (KEY,)
    for wrong in ("age1abc", "AGE-SECRET-KEY-1ABC", f"{KEY[:-1]}b1"):
        with pytest.raises(InventoryError) as failure:
            load("x.yaml", f"{INVENTORY}backup: {{recipients: [{wrong}]}}\n")
        assert "recipients" in str(failure.value.problems[0])
