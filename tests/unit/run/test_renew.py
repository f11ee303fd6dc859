"""`renew` with several control planes: whose certificates are renewed, and in which order what is done."""

from __future__ import annotations

import datetime
import importlib
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pytest

from provision.kubernetes import Expiry
from provision.kubernetes.expiry import called
from provision.kubernetes.profile import Holder
from provision.run.engine import World
from provision.run.renew import Renewals, plan_renewal, renew
from tests.unit.sample import CLUSTER

renewing = importlib.import_module("provision.run.renew")
"""The module: `provision.run.renew` is the command there."""

NOW = datetime.datetime.now(datetime.UTC)
OWN = "/var/lib/kubelet/pki/kubelet-client-current.pem"
FIRST, *_ = CLUSTER.nodes
PLANES = ("cp1", "cp2", "cp3")


def expiry(name: str, days: int) -> Expiry:
    return Expiry(name, NOW + datetime.timedelta(days=days), days)


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What is done on which node, by nobody: there are none here."""
    found: list[tuple[Any, ...]] = []
    shells = {name: SimpleNamespace(where=name) for name in (*PLANES, "w1")}

    def noted(what: str) -> Any:
        return lambda shell, *rest, **_: found.append((what, shell.where, *(one for one in rest if type(one) is tuple)))

    for name in ("sign_control_plane", "start_control_plane", "await_serving", "renew_worker"):
        monkeypatch.setattr(renewing, name, noted(name))
    monkeypatch.setattr(renewing, "_shells", lambda _: shells)
    monkeypatch.setattr(renewing, "_certificates", lambda _, shell: SEEN[shell.where])
    monkeypatch.setattr(renewing, "unfinished", lambda _: False)
    monkeypatch.setattr(renewing, "leased", lambda *_, **__: nullcontext())
    monkeypatch.setattr(renewing, "recorded", lambda *_: nullcontext())
    return found


SEEN = {
    "cp1": (expiry("apiserver", 20), expiry(called(OWN), 300)),
    "cp2": (expiry("apiserver", -3), expiry(called(OWN), -3)),
    "cp3": (expiry("apiserver", 300), expiry(called(OWN), 300)),
    "w1": (expiry(called(OWN), -3),),
}


def world() -> World:
    planes = [FIRST.model_copy(update={"name": name}) for name in PLANES]
    cluster = CLUSTER.model_copy(update={"nodes": (*planes, CLUSTER.nodes[1])})
    return cast(World, SimpleNamespace(cluster=cluster, emit=lambda _: None, hypervisors={}, calls=None))


def test_of_control_planes_and_workers_those_are_renewed_that_need_it(done: list[tuple[Any, ...]]) -> None:
    """A worker of 1.20 renews by itself, until its certificate has expired."""
    assert plan_renewal(world()).nodes == ("cp1", "cp2", "w1")
    assert done == []


def test_all_are_signed_before_the_first_is_started_anew_and_then_one_after_the_other(
    done: list[tuple[Any, ...]],
) -> None:
    """Etcds whose certificates have expired do not speak with each other: the first would wait for a majority in vain."""
    over = (Holder(OWN, OWN),)
    renew(world(), Renewals(SEEN, ("cp1", "cp2", "w1")))
    assert done == [
        ("sign_control_plane", "cp1", ()),
        ("sign_control_plane", "cp2", over),
        ("start_control_plane", "cp1"),
        ("await_serving", "cp1"),
        ("start_control_plane", "cp2"),
        ("await_serving", "cp2"),
        ("renew_worker", "w1", over),
    ]
