"""A lab of the tests' own, beside a user's: real libvirtd, real QEMU guests, real sshd, real kubeadm."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.base.data import folder
from provision.base.events import nowhere
from provision.base.shell import Completed, Local
from provision.lab import Lab, connect_argv, down, up

FAILED = pytest.StashKey[str]()

MESHCTL = Path(sys.executable).with_name("meshctl")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Notes the first failure of a file whose tests build on each other: what follows can only wait for what never comes."""
    report = yield
    if report.failed and item.get_closest_marker("in_turn") and item.parent is not None:
        item.parent.stash.setdefault(FAILED, item.name)
    return report


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.parent is not None and (before := item.parent.stash.get(FAILED, None)):
        pytest.fail(f"not tried: {before} failed, on which it builds", pytrace=False)


@dataclass(frozen=True)
class Place:
    """The lab, and an inventory for it."""

    lab: Lab
    inventory: Path

    def meshctl(self, *words: str, within_s: float = 2400) -> Completed:
        """Runs the real program; what it says is shown as it comes, so that a stall shows where it stands."""
        print(f"$ meshctl {' '.join(words)}", flush=True)
        argv = [str(MESHCTL), *words]
        return Local().run(argv, within_s=within_s, check=False, on_line=lambda line: print(line[:400], flush=True))

    def virsh(self, *words: str) -> str:
        """The lab's libvirt, by its own tool."""
        done = subprocess.run(["virsh", "--connect", self.lab.uri, *words], capture_output=True, text=True, check=True)
        return done.stdout

    def status(self) -> dict[str, Any]:
        """`meshctl status --json`."""
        return dict(json.loads(self.meshctl("status", str(self.inventory), "--json").stdout))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    lab = Lab("test")
    down(lab, Local(), nowhere)
    up(lab, Local(), nowhere)
    inventory = tmp_path_factory.mktemp("inventory") / "lab.yaml"
    inventory.write_text(yaml.safe_dump(for_lab(lab), sort_keys=False))
    yield Place(lab, inventory)
    down(lab, Local(), nowhere)


def of_process(pid: int, file: str) -> bytes:
    """A file of a process in /proc; nothing when it has ended meanwhile, as those do by which libvirtd looks what QEMU can."""
    try:
        return Path("/proc", str(pid), file).read_bytes()
    except OSError:
        return b""


def for_lab(lab: Lab) -> dict[str, Any]:
    """The shipped inventories/lab.yaml, moved to another lab."""
    said = dict(yaml.safe_load((folder("inventories") / "lab.yaml").read_text()))
    said["hosts"][0]["uri"] = lab.uri
    said["hosts"][0]["pool"]["path"] = str(lab.pool)
    said["ssh"]["key_file"] = str(lab.key)
    said["ssh"]["proxy_command"] = list(connect_argv(lab))
    return said
