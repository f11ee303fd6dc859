"""The lab's places and its refusals; the lab itself is tried in tests/lab."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.base import data
from provision.base.errors import MeshctlError
from provision.base.events import nowhere
from provision.base.shell import Local
from provision.inventory import load
from provision.lab import (
    Lab,
    connect_argv,
    down,
    exec_argv,
    processes,
    up,
)
from provision.lab.lab import PACKAGES

ABSENT = Lab("nobody-made-this")


@pytest.mark.parametrize("name", ["lab", "a", "test-2", "x" * 20])
def test_a_dns_label_is_a_name(name: str) -> None:
    assert Lab(name).namespace == f"meshctl-{name}"


@pytest.mark.parametrize("name", ["", "Lab", "-a", "a-", "a.b", "../etc", "a/b", "a b", "x" * 21, "lab\n"])
def test_whatever_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(MeshctlError, match="not a name for a lab"):
        Lab(name)


def test_labs_of_different_names_share_no_place() -> None:
    def places(lab: Lab) -> set[object]:
        return {lab.namespace, lab.run, lab.state, lab.pool, lab.key, lab.uri, lab.pid_file, lab.log, connect_argv(lab)}

    assert places(Lab("one")).isdisjoint(places(Lab("two")))


def test_the_shipped_inventory_names_the_default_lab() -> None:
    lab, cluster = Lab(), load(str(data.folder("inventories") / "lab.yaml"))
    assert cluster.hosts[0].uri == lab.uri
    assert cluster.hosts[0].pool.path == str(lab.pool)
    assert cluster.ssh.key_file == str(lab.key)
    assert cluster.ssh.proxy_command == connect_argv(lab)


def test_exec_says_when_the_lab_is_not_up() -> None:
    with pytest.raises(MeshctlError, match="is not up") as caught:
        exec_argv(ABSENT, ["true"])
    assert caught.value.hint == "`meshctl lab up`"


@pytest.mark.parametrize("command", [up, down])
def test_without_root_the_lab_says_so(command: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MeshctlError, match="needs root"):
        command(ABSENT, Local(), nowhere)  # type: ignore[operator]


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("provision.lab.lab._PATH", str(tmp_path))
    with pytest.raises(MeshctlError, match="not installed") as caught:
        up(ABSENT, Local(), nowhere)
    assert caught.value.hint == f"apt-get install {' '.join(sorted(PACKAGES.values()))}"
    assert not ABSENT.run.exists()


@pytest.fixture
def stubborn(tmp_path: Path) -> Iterator[int]:
    """A process that does not listen to SIGTERM."""
    ready = tmp_path / "ready"
    pid = Local().background(["sh", "-c", f"trap '' TERM; : > {ready}; exec sleep 60"], log=str(tmp_path / "log"))
    while not ready.exists():
        assert processes.lives(pid)
    yield pid
    if processes.lives(pid):
        os.kill(pid, signal.SIGKILL)


def test_who_does_not_listen_is_killed(stubborn: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "END_S", 0.3)
    processes.end(lambda: [stubborn] if processes.lives(stubborn) else [], "its end")
    assert not processes.lives(stubborn)


def test_a_process_that_is_gone_does_not_live() -> None:
    assert processes.lives(os.getpid())
    assert not processes.lives(2**22 + 1)  # above the kernel's largest pid
