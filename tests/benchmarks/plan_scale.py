"""What a plan of many hosts costs: CPU seconds and calls to libvirt, on its test driver, before and after all is made.

    python -m tests.benchmarks.plan_scale [HOSTS] [NODES]

Calls are those of libvirt's binding that go to a daemon (by Python's profile hook, in a run of its own: it is slow).
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from provision import bundle, images
from provision.bundle import seal
from provision.images.builder import path as image_path
from provision.inventory import load
from provision.inventory.model import Cluster
from provision.run.engine import World, make_plan, opened, provision
from provision.run.stages.guests import _bring_up
from tests.unit.bundle.test_bundle import lay_out

NODE = """<node><cpu><mhz>2000</mhz><model>x</model><active>64</active><nodes>1</nodes><sockets>1</sockets><cores>64</cores>
<threads>1</threads></cpu><memory>134217728</memory></node>"""

LOCAL = frozenset(
    (
        *("virDomainGetName", "virDomainGetID", "virNetworkGetName", "virStoragePoolGetName", "virStorageVolGetName"),
        *("virConnectGetType", "virGetLastError"),
    )
)
"""Questions that the binding answers by itself."""

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f test"


def inventory(folder: Path, hosts: int, nodes: int) -> str:
    """That many hosts of 64 CPUs on one bridge, and guests of two vCPUs."""
    lines = ["apiVersion: meshctl/v1", "cluster: many", "hosts:"]
    for number in range(hosts):
        node = folder / f"node-{number}.xml"
        node.write_text(NODE)
        lines.append(
            f"- {{name: hv{number}, uri: 'test://{node}', pool: {{path: {folder}/pool}}, reserved_memory: 0MiB}}"
        )
    lines += ["network: {mode: bridge, bridge: br0, cidr: 10.64.0.0/16, gateway: 10.64.0.1}", "nodes:"]
    for number in range(nodes):
        role = "worker" if number else "control-plane"
        lines.append(
            f"- {{name: n{number}, role: {role}, vcpus: 2, memory: 2GiB, disk: 10GiB, host: hv{number % hosts}}}"
        )
    lines += [
        f"ssh: {{public_key: {KEY}, proxy_command: ['false']}}",
        f"kubernetes: {{version: v1.20.2, bundle: {folder / 'bundle'}, pod_cidr: 10.128.0.0/9}}",
    ]
    return "\n".join(lines) + "\n"


def prepared(folder: Path, hosts: int, nodes: int) -> Cluster:
    """A cluster with bundle and image; MESHCTL_CACHE must lead below the folder."""
    seal(lay_out(folder / "bundle", "v1.20.2", "meshctl/l5d-standin:0.8.5", "meshctl/kubectl:v1.20.2"), "v1.20.2")
    image = image_path(images.recipe("debian-12"))
    image.parent.mkdir(parents=True)
    image.write_bytes(b"an image")
    return load("x.yaml", inventory(folder, hosts, nodes))


def complete(world: World) -> None:
    """Makes all that the test driver has, but no guest that boots."""
    provision(world, make_plan(world), "volumes")
    plan = make_plan(world)
    doors = world.doors(bundle.load(bundle.find(world.cluster.kubernetes.bundle)))
    for action in plan.of("guests", "guest"):
        _bring_up(action, plan, doors)


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Calls to libvirt by name, in all threads."""
    calls: Counter[str] = Counter()

    def profile(_frame: FrameType, event: str, arg: object) -> None:
        if event == "c_call" and getattr(arg, "__module__", "") == "libvirtmod":
            name = getattr(arg, "__name__", "")
            if name.startswith("vir") and name not in LOCAL and not name.endswith("Free"):
                calls[name] += 1

    threading.setprofile(profile)
    sys.setprofile(profile)
    try:
        yield calls
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


def main(hosts: int = 100, nodes: int = 1000) -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["MESHCTL_CACHE"] = f"{name}/cache"
        cluster = prepared(Path(name), hosts, nodes)
        with opened(cluster, lambda _: None) as world:
            make_plan(world)  # what only the first of a process costs: imports, the bundle's disk
            _measured(world, "empty")
            complete(world)
            _measured(world, "complete")


def _measured(world: World, title: str) -> None:
    started, cpu = time.monotonic(), time.process_time()
    make_plan(world)
    seconds, cpu_s = time.monotonic() - started, time.process_time() - cpu
    with counted() as calls:
        make_plan(world)
    most = ", ".join(f"{count} {name}" for name, count in calls.most_common(6))
    print(f"{title}: {cpu_s:.2f} s CPU, {seconds:.2f} s, {calls.total()} calls to libvirt ({most})", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
