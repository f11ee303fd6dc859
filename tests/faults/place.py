"""Where faults are tried: a real libvirtd, with things of others on it, an inventory, and a run as a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import libvirt

from provision import images
from provision.bundle import seal
from provision.images.builder import path as image_path
from tests.faults.calls import Faulty, ran
from tests.libvirt.real_daemon import daemon
from tests.unit.bundle.test_bundle import lay_out

INVENTORY = """\
apiVersion: meshctl/v1
cluster: demo
id: 0123456789abcdef
hosts:
- {{name: hv1, uri: "{uri}", reserved_memory: 0MiB, reserved_cpus: [], cpu: {{policy: shared}}, nosharepages: false, require: any,
   pool: {{path: {pool}}}}}
network: {{cidr: 10.77.0.0/24, bridge: meshbr9}}
storage: {{require: any}}
nodes:
- {{name: cp1, role: control-plane, vcpus: 2, memory: 2GiB, disk: 10GiB}}
- {{name: w1, role: worker, vcpus: 1, memory: 1GiB, disk: 10GiB}}
ssh:
  public_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f test
  proxy_command: ["false"]   # nothing answers there: no packet leaves the machine
kubernetes: {{version: v1.20.2, bundle: {bundle}}}
"""

WITHIN_S = 120.0

THEIRS = (
    "<domain type='qemu'><name>theirs</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>",
    "<network><name>theirs</name><forward mode='bridge'/><bridge name='br-theirs'/></network>",
)


@dataclass(frozen=True)
class Place:
    """A daemon at `uri`, an inventory for it, and the folder that all of it lies in."""

    folder: Path
    uri: str
    inventory: Path

    @property
    def pool(self) -> Path:
        """The folder of the cluster's pool."""
        return self.folder / "pool"

    def left(self) -> dict[str, list[str]]:
        """Everything that is there, by kind, but for what belongs to others."""
        connection = libvirt.open(self.uri)
        try:
            found = {
                "domains": connection.listAllDomains(),
                "networks": connection.listAllNetworks(),
                "pools": connection.listAllStoragePools(),
            }
            named = {
                kind: sorted(one.name() for one in those if one.name() != "theirs") for kind, those in found.items()
            }
        finally:
            connection.close()
        return named | {"files": sorted(path.name for path in self.pool.glob("*"))}

    def theirs(self) -> int:
        """How many of the others' things are there."""
        connection = libvirt.open(self.uri)
        try:
            names = [one.name() for one in (*connection.listAllDomains(), *connection.listAllNetworks())]
        finally:
            connection.close()
        return names.count("theirs")

    def wipe(self) -> None:
        """Takes all but the others' things away, so that one point's orphans are not the next one's."""
        connection = libvirt.open(self.uri)
        for one in connection.listAllDomains():
            if one.name() != "theirs":
                _gone(one.destroy if one.isActive() else None, one.undefine)
        for one in (*connection.listAllNetworks(), *connection.listAllStoragePools()):
            if one.name() != "theirs":
                _gone(one.destroy if one.isActive() else None, one.undefine)
        connection.close()
        for path in self.pool.glob("*"):
            path.unlink()


def _gone(*deeds: Callable[[], object] | None) -> None:
    for deed in deeds:
        if deed is not None:
            deed()


def prepared(folder: Path) -> Path:
    """Makes a base image in a cache, and a bundle, for all places; gives the bundle."""
    os.environ["MESHCTL_CACHE"] = str(folder / "cache")
    os.environ["MESHCTL_STATE"] = str(folder / "state")
    _image(folder)
    bundle = lay_out(folder / "bundle", "v1.20.2", "meshctl/l5d-standin:0.8.5", "meshctl/kubectl:v1.20.2")
    seal(bundle, "v1.20.2")
    return bundle


@contextmanager
def place(folder: Path, bundle: Path) -> Iterator[Place]:
    """Makes a place that takes its artifacts from what is `prepared`; ends the daemon."""
    with daemon(folder / "libvirt") as uri:
        connection = libvirt.open(uri)
        connection.defineXML(THEIRS[0])
        connection.networkDefineXML(THEIRS[1])
        connection.close()
        inventory = folder / "inventory.yaml"
        inventory.write_text(INVENTORY.format(uri=uri, pool=folder / "pool", bundle=bundle))
        yield Place(folder, uri, inventory)


def _image(folder: Path) -> None:
    """A base image of 3 MiB that QEMU can make an overlay on."""
    raw, image = folder / "raw", image_path(images.recipe("debian-12"))
    raw.write_bytes(os.urandom(3 * 2**20))
    image.parent.mkdir(parents=True)
    subprocess.run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "qcow2", str(raw), str(image)], check=True)


def do(at: Place, deed: str, fault: Faulty | None = None) -> tuple[int, str]:
    """Does it in a process of its own; its status (0, a class's exit code, SPENT when the fault ended it) and what it said last."""
    harm = fault or Faulty()
    daemon = (at.folder / "libvirt" / "run" / "libvirtd.pid").read_text().strip()
    argv = [sys.executable, "-m", "tests.faults.worker", str(at.inventory), deed, harm.mode, str(harm.at), daemon]
    try:
        return ran(argv, WITHIN_S)
    finally:
        os.kill(int(daemon), signal.SIGCONT)  # a fault may have stopped it
