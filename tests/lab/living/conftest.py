"""The cluster that all scenarios here share, and which of them a run takes.

Made once, as it takes minutes under software emulation. A cluster of one's own, which is left standing, is named by
`MESHCTL_LIVING=INVENTORY`; scenarios, by `MESHCTL_SCENARIOS=grow-disk,rotate-key`.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from provision.base.events import nowhere
from provision.base.shell import Local
from provision.inventory import load
from provision.lab import Lab, down, up
from tests.lab.conftest import Place, for_lab

LAB = "test-living"
MEMORY = {"cp1": "2560MiB", "w1": "1792MiB", "w2": "1792MiB"}
"""What three nodes can live on, so that the lab fits a machine of 8 GiB."""

TIMES: dict[str, float] = defaultdict(float)


@pytest.fixture(scope="package")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A living cluster: cp1, w1 and w2, converged. Each scenario leaves it so."""
    if mine := os.environ.get("MESHCTL_LIVING"):
        yield Place(lab_of(mine), Path(mine))
        return
    lab = Lab(LAB)
    down(lab, Local(), nowhere)
    up(lab, Local(), nowhere)
    inventory = tmp_path_factory.mktemp("living") / "lab.yaml"
    inventory.write_text(yaml.safe_dump(three_nodes(lab), sort_keys=False))
    made = Place(lab, inventory)
    started = time.monotonic()
    assert made.meshctl("provision", str(inventory), "--yes").status == 0
    TIMES["fresh"] = time.monotonic() - started
    yield made
    down(lab, Local(), nowhere)


def lab_of(inventory: str) -> Lab:
    """The lab that an inventory's only host is in: its socket lies in the lab's folder of /run."""
    (host,) = load(inventory).hosts
    return Lab(Path(host.uri.partition("socket=")[2]).parent.name)


def three_nodes(lab: Lab) -> dict[str, object]:
    """The shipped inventory for a lab, with a second worker."""
    said = for_lab(lab)
    nodes = [*said["nodes"], said["nodes"][-1] | {"name": "w2"}]
    return said | {"nodes": [node | {"memory": MEMORY[node["name"]]} for node in nodes]}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = {name for name in os.environ.get("MESHCTL_SCENARIOS", "").split(",") if name}
    left_out = [item for item in items if chosen and (name := scenario_of(item)) and name not in chosen]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def scenario_of(item: pytest.Item) -> str:
    """The name of the scenario that a test belongs to, "" for none."""
    marker = item.get_closest_marker("scenario")
    return str(marker.args[0]) if marker else ""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    name = dict(report.user_properties).get("scenario")
    if name:
        TIMES[str(name)] += report.duration if report.when == "call" else 0.0


@pytest.fixture(autouse=True)
def named(request: pytest.FixtureRequest) -> None:
    """Puts the scenario's name into the test's report."""
    if name := scenario_of(request.node):
        request.node.user_properties.append(("scenario", name))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TIMES:
        terminalreporter.section("scenarios")
    for name, seconds in TIMES.items():
        terminalreporter.write_line(f"{seconds:7.1f} s  {name}")
