"""meshctl mesh traces: whom it asks through which node, and what it says where nobody keeps traces."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, cast

import pytest
from click.testing import CliRunner

from provision.base.errors import MeshError
from provision.base.shell import Completed
from provision.cli import meshctl
from provision.inventory import Cluster
from provision.run import mesh_traces as room
from provision.run.engine import World
from provision.run.mesh_traces import mesh_traces
from tests.unit.inventory.test_loader_tracing import loaded
from tests.unit.mesh.test_traces import SAID

ZIPKIN, EXTERNAL = "tracing: {}\n", "tracing: {kind: external, address: 10.20.0.9, api_port: 9998}\n"


class Node:
    """A node's shell that answers as curl does, and keeps what it was asked."""

    def __init__(self, body: str, status: int = 200) -> None:
        self.body, self.status, self.asked = body, status, []  # type: tuple[str, int, list[Sequence[str]]]

    def read(self, argv: Sequence[str], **_: object) -> Completed:
        self.asked.append(argv)
        printed = f"HTTP/1.1 {self.status} OK\r\nserver: x\r\n\r\n{self.body}\x1e{self.status:03}\x1e\x1d"
        return Completed("w1", tuple(argv), 0, printed, "")


def world(cluster: Cluster, nodes: Mapping[str, Node], monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr(room, "node_target", lambda _world, node: node)
    sessions = SimpleNamespace(ask_now=lambda: None, to=lambda node: nodes[node])
    return cast(World, SimpleNamespace(cluster=cluster, sessions=sessions))


def test_the_node_that_zipkin_is_on_asks_the_services_address(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node(SAID.read_text())
    found = mesh_traces(world(loaded(ZIPKIN), {"w1": node}, monkeypatch), slow_us=200_000, last_s=60, most=2)
    assert len(found) == 2
    assert node.asked[0][-1].startswith("http://10.96.0.11:9411/api/v2/traces?")


def test_one_elsewhere_is_asked_from_the_control_plane(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node("[]")
    assert mesh_traces(world(loaded(EXTERNAL), {"cp1": node}, monkeypatch), slow_us=0, last_s=60, most=2) == ()
    assert node.asked[0][-1].startswith("http://10.20.0.9:9998/api/v2/traces?")


def test_a_zipkin_that_does_not_answer_is_an_error_with_where_and_whence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        MeshError, match=r"Zipkin at 10\.96\.0\.11:9411, asked from w1: status 503, 'not yet'"
    ) as caught:
        mesh_traces(world(loaded(ZIPKIN), {"w1": Node("not yet", 503)}, monkeypatch), slow_us=0, last_s=60, most=2)
    assert "JVM" in caught.value.hint


def test_without_tracing_there_is_nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MeshError, match="nobody keeps traces"):
        mesh_traces(world(loaded("\n"), {}, monkeypatch), slow_us=0, last_s=60, most=2)


@pytest.mark.parametrize(("slow", "us"), [("500ms", 500_000), ("1.5s", 1_500_000), ("20us", 20)])
def test_the_command_takes_times_as_people_write_them(monkeypatch: pytest.MonkeyPatch, slow: str, us: int) -> None:
    from provision.cli import session

    asked: dict[str, Any] = {}

    @contextmanager
    def opened(_inventory: str) -> Any:
        yield SimpleNamespace()

    monkeypatch.setattr(session, "session", opened)
    monkeypatch.setattr(session, "seeing", lambda whole, _: (whole, ()))
    monkeypatch.setattr(room, "mesh_traces", lambda _world, **how: asked.update(how) or ())
    result = CliRunner().invoke(meshctl, ["mesh", "traces", "x.yaml", "--slow", slow, "--last", "2h", "--json"])
    assert (result.exit_code, json.loads(result.stdout)) == (0, [])
    assert asked == {"slow_us": us, "last_s": 7200, "most": 10}


def test_what_is_no_time_is_refused() -> None:
    result = CliRunner().invoke(meshctl, ["mesh", "traces", "x.yaml", "--slow", "500"])
    assert result.exit_code == 2
    assert "write it like 500ms" in result.stderr
