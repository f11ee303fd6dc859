"""A run of meshctl in a process of its own that ends, as by SIGKILL, at a given call to libvirt.

The call is found by Python's profile hook, in libvirt's own binding: nothing of it is replaced.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from types import FrameType

from provision.base.units import MIB
from provision.inventory import Cluster, load
from provision.run import destroy, plan_removal
from provision.run.engine import make_plan, opened, provision
from provision.run.stages.guests import _bring_up
from tests.libvirt.test_engine import _sealed

KILLED = 137

MUTATIONS = frozenset(
    (
        *("virStoragePoolDefineXML", "virStoragePoolBuild", "virStoragePoolCreate", "virStoragePoolSetAutostart"),
        *("virNetworkDefineXML", "virNetworkCreate", "virNetworkSetAutostart"),
        *("virStorageVolCreateXML", "virStorageVolUpload", "virStreamSend", "virStreamFinish", "virStorageVolDelete"),
        *("virDomainDefineXMLFlags", "virDomainSetAutostart", "virDomainCreate"),
        *("virDomainDestroy", "virDomainUndefineFlags", "virNetworkDestroy", "virNetworkUndefine"),
        *("virStoragePoolDestroy", "virStoragePoolDelete", "virStoragePoolUndefine"),
        "virDomainSetMetadata",
    )
)

Deed = Callable[[str], None]


SMALL_MIB = 64


def cluster_of(inventory: str) -> Cluster:
    """The inventory with guests so small that they start at once: no inventory may say so, as no node could live in them."""
    cluster = load("x.yaml", inventory)
    nodes = tuple(node.model_copy(update={"memory": SMALL_MIB * MIB}) for node in cluster.nodes)
    return cluster.model_copy(update={"nodes": nodes})


def build(inventory: str) -> None:
    """Provision as far as guests that never boot let it: hosts, images, networks, volumes, and guests until they start."""
    with opened(cluster_of(inventory), lambda _: None) as world:
        provision(world, make_plan(world), "volumes")
        plan, doors = make_plan(world), world.doors(_sealed(world))
        for action in plan.of("guests", "guest"):
            _bring_up(action, plan, doors)


def raze(inventory: str) -> None:
    """`destroy --purge`."""
    with opened(cluster_of(inventory), lambda _: None) as world:
        destroy(world, plan_removal(world, purge=True), purge=True)


def points(calls: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Of calls of one kind that follow each other the first: they leave the same kinds of things behind."""
    for at, call in enumerate(calls):
        if at == 0 or calls[at - 1] != call:
            yield at, call


def run(deed: Deed, inventory: str, at: int | None = None) -> tuple[int | None, Sequence[str]]:
    """The exit status, and the mutating calls in their order; with `at` it ends before that one, from 0."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_until, args=(deed, inventory, at, there))
    process.start()
    there.close()
    calls = []
    try:
        while True:
            calls.append(here.recv())
    except EOFError:
        process.join()
    return process.exitcode, calls


def _until(deed: Deed, inventory: str, at: int | None, told: Connection) -> None:
    lock, seen = threading.Lock(), 0

    def profile(_frame: FrameType, event: str, arg: object) -> None:
        nonlocal seen
        name = getattr(arg, "__name__", "") if event == "c_call" else ""
        if name not in MUTATIONS or getattr(arg, "__module__", "") != "libvirtmod":
            return
        with lock:
            if seen == at:
                os._exit(KILLED)
            seen += 1
            told.send(name)

    threading.setprofile(profile)
    sys.setprofile(profile)
    deed(inventory)
