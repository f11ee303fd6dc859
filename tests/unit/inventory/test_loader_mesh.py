"""`mesh:` in the inventory: all that its linkerd cannot be told, dtabs, ports, and the user's own linkerd.yaml, each at its place."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from provision.base.errors import InventoryError, Problem
from provision.inventory import load
from provision.mesh import configuration
from tests.unit.inventory.test_loader import GOOD

ARTICLE = Path(__file__).parents[2] / "data" / "linkerd" / "article.yaml"
FIRST = GOOD.count("\n") + 2
"""The line of the first field of `mesh:`."""

OWN = """\
admin: {ip: 127.0.0.1, port: 9991}
namers: [{kind: io.l5d.k8s}]
routers:
- protocol: http
  label: Own router
  dtab: /svc => /#/io.l5d.k8s/default/http
  servers: [{port: 4150, ip: 0.0.0.0}]
"""


def problems(mesh: str, folder: Path | None = None) -> list[Problem]:
    """The problems of an inventory with this mesh, in the order of the lines."""
    text = f"{GOOD}mesh:\n{textwrap.indent(textwrap.dedent(mesh), '  ')}"
    try:
        load(str((folder or Path("/nowhere")) / "inventory.yaml"), text)
    except InventoryError as error:
        return list(error.problems)
    return []


def only(mesh: str) -> Problem:
    (problem,) = problems(mesh)
    return problem


def test_an_unknown_release_is_refused_with_the_nearest() -> None:
    problem = only("version: 1.3.9\n")
    assert (problem.line, problem.field) == (FIRST, "mesh.version")
    assert "there is no linkerd 1.3.9" in problem.message
    assert "the nearest is 1.3." in problem.hint


def test_everything_at_once_each_at_its_line() -> None:
    found = problems(
        """\
        version: 0.8.5
        image: example/linkerd:1.3.0
        port: 9990
        incoming_port: 4200
        failure_accrual: {backoff: {ms: 10000}}
        timeouts: {attempt_ms: 5}
        dtab: |
          /svc/a => /#/io.l5d.consul/x ;
          /svc/b => /#/io.l5d.k8s/shop/http ;
          /svc/c => /#/io.l5d.k8s/default/8080 ;
        """
    )
    assert {(one.line - FIRST, one.field) for one in found} == {
        (2, "mesh.port"),
        (1, "mesh.image"),
        (3, "mesh.incoming_port"),
        (4, "mesh.failure_accrual.backoff"),
        (5, "mesh.timeouts.attempt_ms"),
        (7, "mesh.dtab"),
        (8, "mesh.dtab"),
        (9, "mesh.dtab"),
    }
    assert all(one.hint for one in found)


def test_a_dtab_that_linkerd_cannot_read_is_pointed_at() -> None:
    problem = only("dtab: |\n  /svc/a => /x ;\n  /svc/b > /y ;\n")
    assert (problem.line, problem.column, problem.field) == (FIRST + 2, 12, "mesh.dtab")
    assert "expected but '>' found" in problem.message


@pytest.mark.parametrize(
    ("mesh", "field", "words"),
    [
        ("protocols: [{protocol: h2, port: 4140}]\n", "mesh.protocols[0].port", "4140 is mesh.port already"),
        ("port: 8001\n", "mesh.port", "kubectl proxy"),
        ("protocols: [{protocol: thrift, port: 4340}]\n", "mesh.protocols[0].protocol", "thrift needs service"),
        (
            "protocols: [{protocol: mux, port: 4340, service: x}]\n",
            "mesh.protocols[0].service",
            "name their service themselves",
        ),
        (
            "topology: linker-to-linker\nprotocols: [{protocol: mux, port: 4340}]\n",
            "mesh.protocols[0].incoming_port",
            "needs a second port",
        ),
        ("protocols: [{protocol: mux, port: 1}, {protocol: mux, port: 2}]\n", "mesh.protocols[1].protocol", "already"),
        ("failure_accrual: {kind: successRate}\n", "mesh.failure_accrual.kind", "needs success_rate and requests"),
        ("failure_accrual: {requests: 3}\n", "mesh.failure_accrual.requests", "requests"),
        (
            "retries: {backoff: {kind: jittered, min_ms: 5, max_ms: 2}}\n",
            "mesh.retries.backoff.min_ms",
            "more than max_ms",
        ),
        ("retries: {backoff: {ms: 5, max_ms: 2}}\n", "mesh.retries.backoff.max_ms", "maxMs"),
        ("tracer: {kind: zipkin}\n", "mesh.tracer.kind", "zipkin needs host"),
        ("tracer: {host: 10.0.0.1, sample_rate: 2}\n", "mesh.tracer.sample_rate", "less than or equal to 1"),
        ("balancer: {kind: emwa}\n", "mesh.balancer.kind", "is not one of"),
    ],
)
def test_what_does_not_fit_is_a_problem_of_its_field(mesh: str, field: str, words: str) -> None:
    problem = only(mesh)
    assert problem.field == field
    assert words in problem.message


def test_a_tracer_by_a_name_of_the_cluster_needs_kubernetes_1_6() -> None:
    mesh = "mesh: {tracer: {host: zipkin.default.svc.cluster.local}}\n"
    load("-", GOOD + mesh)
    old = GOOD.replace("version: v1.20.2", "version: v1.5.8\n  bundle: ./b")
    with pytest.raises(InventoryError) as error:
        load("-", old + mesh)
    assert [one.field for one in error.value.problems] == ["mesh.tracer.host"]


def test_the_users_own_file_is_checked_for_the_release_with_its_own_lines(tmp_path: Path) -> None:
    (tmp_path / "linkerd.yaml").write_text(ARTICLE.read_text())
    found = problems("config_file: ./linkerd.yaml\n", tmp_path)
    assert [(one.file, one.line, one.message.partition(":")[0]) for one in found] == [
        (str(tmp_path / "linkerd.yaml"), 7, "ML305"),
        (str(tmp_path / "linkerd.yaml"), 16, "ML309"),
    ]


def test_the_users_own_file_has_to_fit_the_inventory(tmp_path: Path) -> None:
    (tmp_path / "linkerd.yaml").write_text(OWN)
    found = problems("version: 1.3.0\nconfig_file: linkerd.yaml\ntopology: outgoing\n", tmp_path)
    assert {one.field for one in found} == {"mesh.topology", "mesh.port", "mesh.admin_port"}
    assert problems("config_file: nowhere.yaml\n", tmp_path)[0].field == "mesh.config_file"


def test_the_users_own_file_is_installed_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "linkerd.yaml").write_text(OWN)
    mesh = "mesh: {version: 1.3.0, config_file: linkerd.yaml, port: 4150, admin_port: 9991}\n"
    found = configuration(load(str(tmp_path / "inventory.yaml"), GOOD + mesh).mesh)
    assert (found.text, found.label, dict(found.ports)) == (OWN, "Own router", {"Own router": 4150})


def test_a_plain_mesh_reads_nothing_of_what_is_known_of_linkerd() -> None:
    code = f"""
import sys
from provision.inventory import load
load("-", {GOOD + "mesh: {version: 0.8.5, heap: 512MiB}"!r})
print([name for name in sys.modules if name.startswith("provision.linkerd.")])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (
        ran.stdout.strip()
        == "['provision.linkerd.wanted', 'provision.linkerd.knowledge', 'provision.linkerd.knowledge.versions']"
    )
