"""Long commands on a device: one at a time, whoever began them."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from provision.base.errors import CommandFailed
from provision.base.shell import Local
from provision.hosts.host_disks import _alone


def test_waits_for_the_command_that_an_earlier_run_left(tmp_path: Path) -> None:
    device, order = tmp_path / "device", tmp_path / "order"
    device.touch()
    script = 'echo begun >> "$1"; sleep 1; echo ended >> "$1"'
    earlier = subprocess.Popen(_alone(str(device), "sh", "-c", script, "sh", str(order)))
    while not order.exists():
        assert earlier.poll() is None
    started = time.monotonic()
    Local().run(_alone(str(device), "sh", "-c", 'echo next >> "$1"', "sh", str(order)), within_s=20)
    assert order.read_text().split() == ["begun", "ended", "next"]
    assert time.monotonic() - started < 10
    assert earlier.wait() == 0


def test_a_device_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed):
        Local().run(_alone(str(tmp_path / "none"), "true"))
    assert list(tmp_path.iterdir()) == []
