"""`tracing:` in the inventory: its node, volume, room and memory, the Service's address, and who else says where traces go."""

from __future__ import annotations

import textwrap

import pytest

from provision.base.errors import InventoryError, Problem
from provision.inventory import Cluster, load
from tests.unit.inventory.test_loader import GOOD

VOLUME = "  volumes: [{name: traces, size: 2GiB, mount: /srv/traces}]\n"
BUNDLE = "  bundle: ./bundle\n"


def text(tracing: str, *, good: str = GOOD, volume: str = VOLUME, bundle: str = BUNDLE) -> str:
    """An inventory whose worker has a volume for traces."""
    worker = "  memory: 2GiB\n  disk: 12GiB\n"
    return good.replace(f"{worker}ssh:", f"{worker}{volume}ssh:") + bundle + textwrap.dedent(tracing)


def loaded(tracing: str, **more: str) -> Cluster:
    return load("/nowhere/x.yaml", text(tracing, **more))


def problems(tracing: str, **more: str) -> tuple[Problem, ...]:
    with pytest.raises(InventoryError) as caught:
        loaded(tracing, **more)
    return caught.value.problems


def test_one_word_is_enough() -> None:
    cluster = loaded("tracing: {kind: zipkin}\n")
    assert cluster.traces_home is not None
    assert cluster.traces_home.name == "w1"
    tracer = cluster.traced_mesh.tracer
    assert tracer is not None
    assert (tracer.kind, tracer.host, tracer.port, tracer.sample_rate) == ("zipkin", "10.96.0.11", 9410, 0.001)
    assert cluster.mesh.tracer is None


def test_without_it_nothing_is_traced() -> None:
    cluster = load("x.yaml", GOOD)
    assert (cluster.tracing, cluster.traces_home) == (None, None)
    assert cluster.traced_mesh == cluster.mesh


def test_one_elsewhere_is_reached_at_its_address() -> None:
    cluster = loaded(
        "tracing: {kind: external, address: 10.20.0.9, port: 9999, sample_rate: 1}\n", volume="", bundle=""
    )
    assert cluster.traces_home is None
    tracer = cluster.traced_mesh.tracer
    assert tracer is not None
    assert (tracer.host, tracer.port, tracer.sample_rate) == ("10.20.0.9", 9999, 1.0)


def test_its_room_follows_from_the_volume() -> None:
    tracing = loaded("tracing: {}\n").tracing
    assert tracing is not None
    assert tracing.room(2 << 30) == 896 << 20
    assert tracing.fits(2 << 30)
    assert not tracing.fits(256 << 20)


WORKER = "- name: w2\n  role: worker\n  memory: 2GiB\n  disk: 12GiB\n"


def test_a_node_that_comes_later_takes_nothing_over() -> None:
    more = text("tracing: {}\n").replace("ssh:\n", WORKER + VOLUME + "ssh:\n")
    home = load("/nowhere/x.yaml", more).traces_home
    assert home is not None
    assert home.name == "w1"


def test_a_worker_is_taken_before_a_control_plane() -> None:
    both = text("tracing: {}\n").replace("  memory: 3GiB\n", "  memory: 3GiB\n" + VOLUME)
    home = load("/nowhere/x.yaml", both).traces_home
    assert home is not None
    assert home.name == "w1"


@pytest.mark.parametrize(
    ("tracing", "field", "words", "hint"),
    [
        ("tracing: {node: w9}\n", "tracing.node", "no node w9", "cp1, w1"),
        ("tracing: {node: cp1}\n", "tracing.node", "cp1 has no data volume traces", "nodes[].volumes"),
        ("tracing: {volume: other}\n", "tracing.volume", "no node has a data volume other", "name: other"),
        ("tracing: {max_size: 1GiB}\n", "tracing.max_size", "has 2GiB, too little for 1GiB", "896MiB at the most"),
        ("tracing: {memory: 1.5GiB}\n", "tracing.memory", "want 1536MiB, and node w1 has 2GiB", "half"),
        ("tracing: {memory: 128MiB}\n", "tracing.memory", "not enough", "512MiB"),
        ("tracing: {max_size: 1MiB}\n", "tracing.max_size", "too small", "64MiB"),
        ("tracing: {service_address: 10.96.0.10}\n", "tracing.service_address", "it is DNS's", "10.96.0.11"),
        ("tracing: {service_address: 10.97.255.255}\n", "", "", ""),
        ("tracing: {service_address: 10.112.0.5}\n", "tracing.service_address", "it is not in it", "10.96.0.11"),
        ("tracing: {address: 10.20.0.9}\n", "tracing.address", "means nothing for kind zipkin", "another kind"),
        ("tracing: {kind: external}\n", "tracing.kind", "needs address", "add address"),
        ("tracing: {kind: external, address: 10.20.0.9, node: w1}\n", "tracing.node", "means nothing", "another kind"),
        ("tracing: {sample_rate: 2}\n", "tracing.sample_rate", "", ""),
        ("tracing: {max_age_h: 0}\n", "tracing.max_age_h", "", ""),
        ("tracing: {}\nmesh: {tracer: {host: 10.0.0.9}}\n", "mesh.tracer", "tracing says", "one of the two"),
    ],
)
def test_what_cannot_be_is_refused_at_its_place(tracing: str, field: str, words: str, hint: str) -> None:
    if not field:
        loaded(tracing)
        return
    (problem,) = problems(tracing)
    assert problem.field == field
    assert problem.line >= GOOD.count("\n") + 2
    assert words in problem.message
    assert hint in (problem.hint or "")


def test_the_bundle_must_hold_it() -> None:
    (problem,) = problems("tracing: {}\n", bundle="")
    assert (problem.field, problem.message) == ("tracing", "the bundle debian-source holds no Zipkin")
    assert "bundle build --from debian-source --with tracing" in (problem.hint or "")
    assert loaded("tracing: {}\n", bundle="  bundle: debian-source+tracing\n").kubernetes.bundle


def test_every_fault_is_said_at_once() -> None:
    found = problems("tracing: {node: w9, service_address: 10.96.0.1}\nmesh: {tracer: {host: 10.0.0.9}}\n", bundle="")
    assert {one.field for one in found} == {"tracing", "tracing.node", "tracing.service_address", "mesh.tracer"}


def test_ones_own_linkerd_yaml_says_itself_where_traces_go() -> None:
    found = problems("tracing: {}\nmesh: {config_file: linkerd.yaml}\n")
    assert "says where traces go" in " ".join(one.message for one in found)
