"""Runs that are killed before each of their mutating calls, on a real libvirtd: the next run carries on, in one try."""

from __future__ import annotations

import itertools
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from provision import images
from provision.bundle import seal
from provision.hosts import Hypervisor
from provision.images.builder import path as image_path
from provision.plan import Plan
from provision.run import plan_removal
from provision.run.engine import make_plan, opened
from tests.libvirt.killing import KILLED, build, cluster_of, points, raze, run
from tests.libvirt.real_daemon import daemon
from tests.unit.bundle.test_bundle import lay_out

INVENTORY = """\
apiVersion: meshctl/v1
cluster: demo
id: 0123456789abcdef
hosts:
- name: hv1
  uri: {uri}
  pool: {{path: {pool}}}
  cpu: {{policy: shared}}
  reserved_cpus: []
  reserved_memory: 0MiB
  require: any
storage: {{require: any}}
network: {{cidr: 10.77.0.0/24, bridge: meshbr9}}
nodes:
- {{name: cp1, role: control-plane, vcpus: 2, memory: 2GiB, disk: 8GiB}}
ssh:
  public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f test
  proxy_command: ["false"]
kubernetes: {{version: v1.20.2, bundle: {bundle}}}
"""

THEIRS = "<network><name>theirs</name><bridge name='virbr-t'/></network>"


@dataclass(frozen=True)
class Place:
    """A real libvirtd and an inventory for it."""

    inventory: str
    uri: str
    pool: Path

    def plan(self) -> Plan:
        with opened(cluster_of(self.inventory), lambda _: None) as world:
            return make_plan(world)

    def left(self) -> tuple[str, ...]:
        """What of ours `destroy --purge` would still find, and what lies in the pool's folder."""
        with opened(cluster_of(self.inventory), lambda _: None) as world:
            ours = [f"{one.kind} {one.name}" for one in plan_removal(world, purge=True)]
        return (*ours, *(path.name for path in self.pool.rglob("*")))

    def unfinished(self) -> tuple[str, ...]:
        """What of hosts, images, networks, volumes and guests is still to be done; boots are not: these guests have none."""
        stages = ("hosts", "images", "networks", "volumes", "guests")
        return tuple(f"{a.verb} {a.kind}" for a in self.plan().until(stages).changes if a.kind != "boot")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("hv")
    with pytest.MonkeyPatch.context() as patch, daemon(folder / "libvirt") as uri:
        patch.setenv("MESHCTL_CACHE", str(folder / "cache"))
        sealed = lay_out(folder / "bundle", "v1.20.2", "meshctl/l5d-standin:0.8.5", "meshctl/kubectl:v1.20.2")
        seal(sealed, "v1.20.2")
        image = image_path(images.recipe("debian-12"))
        image.parent.mkdir(parents=True)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), "64M"], check=True)
        pool = folder / "pool"
        text = INVENTORY.format(uri=uri, pool=pool, bundle=sealed)
        theirs = Hypervisor("hv1", uri)
        theirs.create_network(THEIRS)
        theirs.close()
        yield Place(text, uri, pool)


def foreign(place: Place) -> list[str]:
    hypervisor = Hypervisor("hv1", place.uri)
    found = [network.name for network in hypervisor.networks() if network.active and network.autostart]
    hypervisor.close()
    return found


BETWEEN = frozenset(
    (
        *("virStoragePoolBuild", "virStoragePoolCreate", "virStoragePoolSetAutostart"),
        *("virNetworkCreate", "virNetworkSetAutostart", "virDomainSetAutostart", "virDomainCreate"),
        *("virDomainUndefineFlags", "virNetworkUndefine", "virStoragePoolDelete", "virStoragePoolUndefine"),
    )
)
"""Calls that are not the first of a mutation of ours: before them something half made, or half removed, is left."""


def tried(calls: Sequence[str]) -> list[tuple[int, str]]:
    """The points to kill at: those within a mutation and, with MESHCTL_EXPLORE, all."""
    every = bool(os.environ.get("MESHCTL_EXPLORE"))
    return [(at, call) for at, call in points(calls) if every or call in BETWEEN]


def test_runs_and_removals_that_were_killed_between_two_calls_are_carried_on_by_the_next(place: Place) -> None:
    status, calls = run(build, place.inventory)
    assert (status, place.unfinished()) == (0, ())
    status, undone = run(raze, place.inventory)
    assert (status, place.left()) == (0, ())
    assert {*calls, *undone} >= BETWEEN
    for (at, call), (end, undo) in zip(tried(calls), itertools.cycle(tried(undone)), strict=False):
        where = f"killed before call {at}, {call}, then before {end}, {undo}"
        assert run(build, place.inventory, at)[0] == KILLED, where
        assert run(build, place.inventory)[0] == 0, where
        assert place.unfinished() == (), where
        assert run(raze, place.inventory, end)[0] == KILLED, where
        assert run(raze, place.inventory)[0] == 0, where
        assert place.left() == (), where
    assert foreign(place) == ["theirs"]
