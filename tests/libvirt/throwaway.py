"""Clusters that are made from one inventory under several names, on a real libvirtd, with guests that start and have nothing to boot."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provision import images
from provision.base.events import Emit, nowhere
from provision.bundle import seal
from provision.hosts import Hypervisor
from provision.images.builder import path as image_path
from provision.inventory import named
from provision.run.engine import World, make_plan, opened, provision
from provision.run.stages.guests import _bring_up, _mark
from tests.libvirt.killing import cluster_of
from tests.libvirt.test_engine import _sealed
from tests.libvirt.test_killed import INVENTORY
from tests.unit.bundle.test_bundle import lay_out
from tests.unit.guests.sshd import make_key

MESHCTL = str(Path(sys.executable).with_name("meshctl"))

THEIRS = "<network><name>theirs</name><bridge name='virbr-t'/><ip address='10.200.0.1' prefix='24'/></network>"
FOREIGN = """<domain type='qemu'><name>foreign</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"""


@dataclass(frozen=True)
class Ground:
    """A libvirtd with somebody else's domain and network on it, and an inventory for it."""

    inventory: Path
    uri: str
    pool: Path

    @contextmanager
    def world(self, name: str = "", emit: Emit = nowhere) -> Iterator[World]:
        """A run for the cluster of a name; without, for the inventory's own."""
        cluster = cluster_of(self.inventory.read_text())
        said = named(cluster, name) if name else cluster
        with opened(said, emit, named=bool(name)) as made:
            yield made

    def build(self, name: str = "", *, expires: str = "") -> None:
        """Provision as far as guests that never boot let it."""
        with self.world(name) as world:
            provision(world, make_plan(world, expires=expires), "volumes", expires=expires)
            plan, doors = make_plan(world, expires=expires), world.doors(_sealed(world))
            for action in plan.of("guests", "guest"):
                _bring_up(action, plan, doors)
            for action in plan.of("guests", "expiry"):
                _mark(action, plan, doors)

    def meshctl(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Runs the real program; INVENTORY and URI stand for this place's."""
        return self.start(*words, **env).ended()

    def start(self, *words: str, **env: str) -> Started:
        """The same, without waiting for its end."""
        meant = {"INVENTORY": str(self.inventory), "URI": self.uri}
        argv = [MESHCTL, *(meant.get(word, word) for word in words)]
        return Started(
            subprocess.Popen(
                argv, env=os.environ | env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )  # fmt: skip

    def listed(self) -> dict[str, Any]:
        """`meshctl list --json`, by cluster."""
        done = self.meshctl("list", "URI", "--json")
        assert done.returncode == 0, done.stderr
        return {one["cluster"]: one for one in json.loads(done.stdout)["clusters"]}

    @contextmanager
    def door(self) -> Iterator[Hypervisor]:
        """The host, as somebody else has it."""
        door = Hypervisor("hv1", self.uri)
        yield door
        door.close()

    def things(self) -> set[str]:
        """Domains and networks of whomever."""
        with self.door() as door:
            return {one.name for one in door.domains()} | {one.name for one in door.networks()}


@dataclass(frozen=True)
class Started:
    process: subprocess.Popen[str]

    def ended(self) -> subprocess.CompletedProcess[str]:
        out, err = self.process.communicate(timeout=900)
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, out, err)


def lay_ground(folder: Path, uri: str) -> Ground:
    """What is needed beside the daemon: bundle, image, inventory; $MESHCTL_CACHE and _STATE are set already."""
    sealed = lay_out(folder / "bundle", "v1.20.2", "meshctl/l5d-standin:0.8.5", "meshctl/kubectl:v1.20.2")
    seal(sealed, "v1.20.2")
    image = image_path(images.recipe("debian-12"))
    image.parent.mkdir(parents=True)
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), "64M"], check=True)
    inventory = folder / "x.yaml"
    text = INVENTORY.format(uri=uri, pool=folder / "pool", bundle=sealed)
    inventory.write_text(re.sub("public_key: .*", f"key_file: {make_key(folder / 'key')}", text))
    made = Ground(inventory, uri, folder / "pool")
    with made.door() as door:
        door.create_network(THEIRS)
        door.define_domain(FOREIGN)
    return made


def expiries(ground: Ground, cluster: str) -> Sequence[str]:
    """What the stamps of a cluster's guests and networks say."""
    with ground.door() as door:
        stamps = [one.definition.stamp for one in door.domains()] + [one.stamp for one in door.networks()]
    return [stamp.upkeep.expires for stamp in stamps if stamp and stamp.cluster == cluster]
