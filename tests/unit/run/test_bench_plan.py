"""What a bench takes from Kubernetes, and how it tells what it will do."""

from __future__ import annotations

from typing import Any

import pytest

from provision.base.errors import KubernetesError
from provision.bench import Ground, Pins, Ways, cells
from provision.bench.cells import DIRECT, ONE_HOP
from provision.run.bench_plan import Bench, Guest, Wish, echo_address


def pod(node: str, address: str = "", phase: str = "Running") -> dict[str, Any]:
    return {"spec": {"nodeName": node}, "status": {"phase": phase, **({"podIP": address} if address else {})}}


def test_the_pod_on_the_node_is_asked_and_none_that_does_not_run() -> None:
    pods = [pod("w1", "10.244.1.5"), pod("w2", "10.244.2.4", "Failed"), pod("w2"), pod("w2", "10.244.2.5")]
    assert echo_address(pods, "w2") == "10.244.2.5"
    with pytest.raises(KubernetesError, match="no pod of the echo app runs on w3"):
        echo_address(pods, "w3")


def guest(node: str, *cpus: int) -> Guest:
    pins = Pins(tuple(frozenset({cpu}) for cpu in cpus), frozenset({0}), frozenset({0}))
    return Guest(node, "hv1", f"lab-{node}", "10.77.0.12", pins, pins, emulated=False)


def test_who_is_asked_is_told_what_is_done_for_how_long_and_what_is_not() -> None:
    start, end = guest("w1", 2, 3), guest("w2", 4, 5)
    ground = Ground("hv1", frozenset(range(8)), frozenset({2, 3, 4, 5}), reserved=frozenset({0, 1}))
    found = Bench(
        Wish("", "", per_s=50, for_s=20, runs=5),
        "lab",
        start,
        end,
        Ways({DIRECT: ("10.244.2.5", 8080), ONE_HOP: ("127.0.0.1", 4140)}, {}),
        cells([DIRECT, ONE_HOP]),
        {"hv1": ground},
        {"linker-to-linker": "the mesh has none"},
        (start,),
    )
    assert found.as_text().splitlines() == [
        "lab: w1 asks w2, 50 requests/s for 20 s, 12 cell(s), 5 run(s): about 26 min, 76 min at the most",
        "  - put back first: the pins of w1 on hv1",
        f"  - {ground.in_words()}",
        "  - the pins of w1 and w2 are widened while they run, and put back after each measurement",
        "  - the busy loops end after 76 s at the latest, whatever becomes of meshctl",
        "  - net.ipv4.tcp_tw_reuse, net.ipv4.ip_local_port_range, net.core.somaxconn are changed on w1,"
        " and put back after each measurement",
        "  - linker-to-linker is left out: the mesh has none",
    ]
    assert ground.floating == frozenset(range(2, 8))
