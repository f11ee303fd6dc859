"""libvirt's own test driver, with a private state per test: no daemon, no root, no mock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.hosts.hypervisor import Hypervisor
from tests.libvirt.daemon import Daemon, daemon

# 8 CPUs, 32 GiB. A file of its own gives every connection a private state, so a test keeps one connection.
NODE = """<node>
  <cpu>
    <mhz>2000</mhz><model>x</model><active>8</active><nodes>1</nodes><sockets>1</sockets><cores>8</cores><threads>1</threads>
  </cpu>
  <memory>33554432</memory>
</node>
"""


@pytest.fixture
def uri(tmp_path: Path) -> str:
    path = tmp_path / "node.xml"
    path.write_text(NODE)
    return f"test://{path}"


@pytest.fixture
def hypervisor(uri: str) -> Iterator[Hypervisor]:
    opened = Hypervisor("hv1", uri)
    yield opened
    opened.close()


@pytest.fixture
def libvirtd() -> Iterator[Daemon]:
    """A real daemon of one's own, with libvirt's test driver in it."""
    with daemon() as made:
        yield made
