"""Zipkin and its database out of the built images, without Kubernetes: root filesystems in a network of their own, on a small volume.

Needs root, and the images (`meshctl bundle build --with tracing`). A JVM starts once for all of it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from provision.base.waiting import NotYet, Ready, wait_until
from provision.bundle import zipkin
from provision.bundle.seal import DATABASE, ZIPKIN
from provision.inventory.tracing import RESERVE, ROOM
from provision.mesh.zipkin import Keeper
from provision.mesh.zipkin import zipkin as objects
from tests.unit.mesh.test_mesh import platform

pytestmark = pytest.mark.lab

MIB = 2**20
MOST = 64 * MIB
"""The inventory's least, on the smallest volume that the inventory lets it have."""

VOLUME_MIB = (ROOM * MOST + RESERVE) // MIB
AGE_H = 1
EVERY_S = 3
PASSWORD = "c0ffee"
DEVICES = ("null", "zero", "random", "urandom")
PATIENCE_S = 900.0
"""A JVM that has a fiftieth of two busy CPUs needed 330 s."""

KEEPER = Keeper("z", "d", "w1", "/data", "10.96.0.11", AGE_H, MOST, 768)


def environment(container: str) -> dict[str, str]:
    """What the pod's container is given, but for the Secret."""
    (daemonset,) = (one for one in objects(KEEPER, "default", {}, platform("1.20")) if one["kind"] == "DaemonSet")
    found = {one["name"]: one for one in daemonset["spec"]["template"]["spec"]["containers"]}
    return {entry["name"]: entry["value"] for entry in found[container]["env"] if "value" in entry}


def unpacked(archive: Path, target: Path) -> Path:
    """The root filesystem of an image of one layer."""
    with tarfile.open(archive) as outer:
        (layer,) = (name for name in outer.getnames() if name.endswith("layer.tar"))
        stream = outer.extractfile(layer)
        assert stream is not None
        with tarfile.open(fileobj=stream) as inner:
            inner.extractall(target)
    return target


@dataclass
class Pod:
    """The two containers, in a network namespace of their own; `mounts` are taken away at the end."""

    folder: Path
    namespace: str
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    mounts: list[Path] = field(default_factory=list)

    def mount(self, *words: str, target: Path) -> None:
        if not target.exists():
            target.mkdir(parents=True)
        subprocess.run(["mount", *words, str(target)], check=True)
        self.mounts.append(target)

    def root(self, name: str) -> Path:
        return self.folder / name

    def start(self, name: str, argv: list[str], environment: dict[str, str]) -> None:
        log = (self.folder / f"{name}.log").open("ab")
        inside = ["ip", "netns", "exec", self.namespace, "chroot", str(self.root(name)), *argv]
        path = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
        self.running[name] = subprocess.Popen(
            inside, env=path | environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )

    def database(self) -> None:
        said = environment("database") | {"EVERY_S": str(EVERY_S)}
        self.start("database", ["/usr/local/bin/start"], said)

    def zipkin(self) -> None:
        said = environment("zipkin") | {"MYSQL_PASS": PASSWORD}
        java = f"/{zipkin.JAVA}/bin/java"
        self.start("zipkin", [java, "-jar", "/zipkin/zipkin.jar"], said)

    def kill(self, name: str) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.running[name].pid, signal.SIGKILL)
        self.running.pop(name).wait()

    def stored_bytes(self) -> int:
        """What the traces' tables have on the volume."""
        return sum(path.stat().st_size for path in self.root("database").glob("data/zipkin/zipkin/zipkin_*.ibd"))


def asked(pod: Pod, path: str) -> Any:
    """What Zipkin's API answers, None for nothing that it could mean."""
    argv = [
        "ip",
        "netns",
        "exec",
        pod.namespace,
        "curl",
        "--silent",
        "--max-time",
        "60",
        f"http://127.0.0.1:9411{path}",
    ]
    said = subprocess.run(argv, capture_output=True, check=False).stdout
    try:
        return json.loads(said)
    except ValueError:
        return None


def healthy(pod: Pod) -> None:
    def look() -> Ready[None] | NotYet:
        said = asked(pod, "/health")
        return Ready(None) if said and said["status"] == "UP" else NotYet(f"{said}")

    wait_until(look, what="Zipkin with its storage", within_s=PATIENCE_S, every_s=2.0)


def sent(pod: Pod, count: int, tag_bytes: int = 0, age_s: int = 0) -> list[str]:
    """Traces that Zipkin said it has taken."""
    words = ["9410", str(count), str(tag_bytes), str(age_s)]
    argv = ["ip", "netns", "exec", pod.namespace, sys.executable, "-m", "tests.doubles.scribe", *words]
    root = Path(__file__).parents[3]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, cwd=root, timeout=PATIENCE_S)
    return done.stdout.split()


def stored(pod: Pod, ids: list[str]) -> set[str]:
    """Those of these traces that Zipkin has."""
    found = asked(pod, f"/api/v2/traceMany?traceIds={','.join(ids)}") or []
    return {spans[0]["traceId"] for spans in found}


def until(what: str, holds: Callable[[], object]) -> None:
    wait_until(lambda: Ready(None) if holds() else NotYet("not yet"), what=what, within_s=PATIENCE_S, every_s=2.0)


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    folder, images = tmp_path_factory.mktemp("zipkin"), zipkin.cached()
    assert images is not None
    made = Pod(folder, f"zipkin-{os.getpid()}")
    subprocess.run(["ip", "netns", "add", made.namespace], check=True)
    try:
        subprocess.run(["ip", "-n", made.namespace, "link", "set", "lo", "up"], check=True)
        for name, image in (("zipkin", ZIPKIN), ("database", DATABASE)):
            unpacked(images / f"{image}.tar", made.root(name))
            made.mount("-t", "proc", "proc", target=made.root(name) / "proc")
            for device in DEVICES:
                target = made.root(name) / "dev" / device
                target.parent.mkdir(exist_ok=True)
                target.touch()
                made.mount("--bind", f"/dev/{device}", target=target)
        volume = folder / "volume"
        with volume.open("wb") as file:
            file.truncate(VOLUME_MIB * MIB)
        subprocess.run(["mkfs.ext4", "-q", "-F", str(volume)], check=True)
        made.mount("-o", "loop", str(volume), target=made.root("database") / "data")
        made.mount("-t", "tmpfs", "run", target=made.root("database") / "run")
        secret = made.root("database") / "secret"
        secret.mkdir()
        (secret / "password").write_text(PASSWORD)
        made.database()
        made.zipkin()
        healthy(made)
        yield made
    finally:
        for name in list(made.running):
            made.kill(name)
        for target in reversed(made.mounts):
            subprocess.run(["umount", str(target)], check=False)
        subprocess.run(["ip", "netns", "delete", made.namespace], check=False)


def test_a_span_by_scribe_is_a_trace_that_zipkin_shows(pod: Pod) -> None:
    (id_,) = sent(pod, 1)
    until("the trace", lambda: asked(pod, f"/api/v2/trace/{id_}"))
    (span,) = asked(pod, f"/api/v2/trace/{id_}")
    assert (span["kind"], span["name"], span["localEndpoint"]["serviceName"]) == ("CLIENT", "get", "filler")


def test_the_database_listens_on_loopback_alone_and_its_password_is_in_no_argument(pod: Pod) -> None:
    listening = subprocess.run(
        ["ip", "netns", "exec", pod.namespace, "ss", "-Hltn"], capture_output=True, text=True, check=True
    ).stdout
    addresses = {line.split()[3] for line in listening.splitlines()}
    assert {one for one in addresses if one.endswith(":3306")} == {"127.0.0.1:3306"}
    told = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert PASSWORD not in told
    assert PASSWORD not in (pod.folder / "database.log").read_text()


def test_killed_and_started_again_nothing_that_was_stored_is_lost(pod: Pod) -> None:
    ids = sent(pod, 100)
    until("all stored", lambda: stored(pod, ids) == set(ids))
    for name in ("zipkin", "database"):
        pod.kill(name)
    pod.database()
    pod.zipkin()
    healthy(pod)
    assert stored(pod, ids) == set(ids)
    again = sent(pod, 50)
    until("stored again", lambda: stored(pod, again) == set(again))


def test_what_is_too_old_goes_and_what_is_not_stays(pod: Pod) -> None:
    others = [*sent(pod, 50, age_s=AGE_H * 3600 + 60), *sent(pod, 50, age_s=-86400)]  # too old, and of a time to come
    young = sent(pod, 50, age_s=AGE_H * 3600 - 900)
    until("the young ones, which came last, are stored", lambda: stored(pod, young) == set(young))
    until("the others are gone", lambda: not stored(pod, others))
    assert stored(pod, young) == set(young)


def test_it_stays_within_its_size_and_the_latest_are_there(pod: Pod) -> None:
    """Twice as much as may stay is sent; the files become smaller, and the volume is never full."""
    first = sent(pod, 50)
    highest, freest = 0, VOLUME_MIB * MIB
    fell = False
    for _ in range(400):
        sent(pod, 50, 24_000)
        size = pod.stored_bytes()
        fell = fell or size < highest // 2 + highest // 4
        highest = max(highest, size)
        freest = min(freest, shutil.disk_usage(pod.root("database") / "data").free)
        if fell and highest > MOST:
            break
    assert fell, f"{highest} bytes at the most"
    assert highest < 2 * MOST
    assert freest > 16 * MIB
    assert not stored(pod, first)
    last = sent(pod, 50)
    until("the last are stored", lambda: stored(pod, last) == set(last))
    print(f"most of the tables {highest / MIB:.0f} MiB, least free {freest / MIB:.0f} MiB")
