"""meshctl as a process of its own, as a person runs it: an inventory on disk, and signals to it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from provision import images
from provision.base.waiting import NotYet, Ready, wait_until
from provision.bundle import seal
from provision.images.builder import path as image_path
from tests.unit.bundle.test_bundle import lay_out
from tests.unit.guests.sshd import make_key

MESHCTL = str(Path(sys.executable).with_name("meshctl"))

INVENTORY = """\
apiVersion: meshctl/v1
cluster: demo
hosts:
- {{name: hv1, uri: "{uri}", pool: {{path: /nowhere/pool}}, reserved_memory: 0MiB}}
network: {{cidr: 10.77.0.0/24, bridge: meshbr9}}
nodes:
- {{name: cp1, role: control-plane, vcpus: 2, memory: 2GiB, disk: 10GiB}}
- {{name: w1, role: worker, vcpus: 1, memory: 1GiB, disk: 10GiB, volumes: [{volumes}]}}
ssh: {{key_file: {key}, proxy_command: ["false"]}}
kubernetes: {{version: v1.20.2, bundle: {bundle}}}
"""


@dataclass(frozen=True)
class Place:
    """A folder with an inventory, and what meshctl keeps: cache and state."""

    folder: Path
    uri: str
    volumes: int = 0
    """How many data volumes the worker has: so many calls has the stage volumes to make, and the cluster's two roots."""

    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def inventory(self) -> Path:
        return self.folder / "x.yaml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def furnish(self) -> Place:
        """Lays out a bundle, an image and the inventory."""
        bundle = lay_out(self.folder / "bundle", "v1.20.2", "meshctl/l5d-standin:0.8.5", "meshctl/kubectl:v1.20.2")
        seal(bundle, "v1.20.2")
        image = self.folder / "cache" / "images" / image_path(images.recipe("debian-12")).name
        image.parent.mkdir(parents=True)
        image.write_bytes(b"an image")
        volumes = ", ".join(f"{{name: d{n}, size: 1GiB, mount: /srv/d{n}}}" for n in range(self.volumes))
        key = make_key(self.folder / "key")
        self.inventory.write_text(INVENTORY.format(uri=self.uri, bundle=bundle, volumes=volumes, key=key))
        return self

    def start(
        self,
        *argv: str,
        stdin: int = subprocess.DEVNULL,
        stdout: int | IO[Any] = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
    ) -> Running:
        """Starts `meshctl ARGV`, INVENTORY standing for the inventory, with signals as a terminal's shell leaves them."""
        words = [str(self.inventory) if word == "INVENTORY" else word for word in argv]
        env = (
            dict(os.environ)
            | {"MESHCTL_CACHE": str(self.folder / "cache"), "MESHCTL_STATE": str(self.state)}
            | dict(self.env)
        )
        process = subprocess.Popen(
            # A runner in the background has its children ignore SIGINT.
            ["env", "--default-signal=INT,HUP,TERM", MESHCTL, *words],
            env=env, stdin=stdin, stdout=stdout, stderr=stderr, text=True, start_new_session=True,
        )  # fmt: skip
        return Running(process)

    def run(self, *argv: str) -> Ended:
        """Runs it to its end."""
        return self.start(*argv).ended()


@dataclass(frozen=True)
class Ended:
    status: int
    stdout: str
    stderr: str


@dataclass
class Running:
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    """What has been read of its stdout, other than by the test itself."""

    _reader: threading.Thread | None = None

    def kill(self, number: signal.Signals) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    def narrow(self) -> None:
        """Lets its stdout take a page only before it waits for us to read: so it cannot run away from the test."""
        assert self.process.stdout
        fcntl.fcntl(self.process.stdout, fcntl.F_SETPIPE_SZ, 4096)

    def stalls(self) -> None:
        """Reads its stdout, and waits until nothing more comes: it hangs in calls that it has begun."""
        self._drain()
        counts: list[int] = []

        def look() -> Ready[None] | NotYet:
            counts.append(len(self.lines))
            return Ready(None) if len(counts) > 2 and counts[-3] == counts[-1] else NotYet(f"{counts[-1]} lines")

        wait_until(look, what="its silence", within_s=30, every_s=0.3)

    def _drain(self) -> None:
        """Reads the rest by the object that read the beginning: that has more in its buffer, which `communicate` passes over."""
        stdout, self.process.stdout = self.process.stdout, None
        if stdout is not None:
            self._reader = threading.Thread(target=lambda: self.lines.extend(stdout), daemon=True)
            self._reader.start()

    def has_socket(self) -> None:
        """Waits until it has a connection to libvirt."""
        folder = Path(f"/proc/{self.process.pid}/fd")

        def look() -> Ready[None] | NotYet:
            try:
                links = [os.readlink(entry) for entry in folder.iterdir()]
            except FileNotFoundError:  # closed while we looked
                return NotYet("it closes files")
            return Ready(None) if any(link.startswith("socket:") for link in links) else NotYet(", ".join(links))

        wait_until(look, what="its connection to libvirt", within_s=30, every_s=0.05)

    def ended(self, within_s: float = 60) -> Ended:
        """Waits for its end."""
        self._drain()
        try:
            _, err = self.process.communicate(timeout=within_s)
        except BaseException:
            self.process.kill()
            self.process.communicate()
            raise
        if self._reader is not None:
            self._reader.join(within_s)
        return Ended(self.process.returncode, "".join(self.lines), err or "")
