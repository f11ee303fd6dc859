"""A libvirtd of one's own: a real daemon with a real socket, in a folder that goes with it. libvirt's test driver lives in it.

It runs as a user (session mode), never as root: root's would be the machine's own. So nobody's guests are in sight.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import libvirt

from provision.base.waiting import NotYet, Ready, wait_until

NOBODY = 65534
CONFIG = """auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_dir = "{folder}"
log_filters = "1:libvirt.storage"
log_outputs = "1:file:{folder}/calls"
"""


@dataclass(frozen=True)
class Daemon:
    """A running libvirtd."""

    pid: int
    socket: Path

    @property
    def uri(self) -> str:
        """libvirt's test driver inside of it: one state for all connections, kept as long as one is open."""
        return f"test+unix:///default?socket={self.socket}"

    def with_node(self, path: Path) -> str:
        """The URI of the test driver with a machine of one's own: each connection to it has a state of its own."""
        return f"test+unix://{path}?socket={self.socket}"

    def volumes(self) -> set[str]:
        """The volumes of cluster demo that it was told to make, whoever told it: what it logs of calls to storage."""
        calls = (self.socket.parent / "calls").read_text()
        return set(re.findall(r"virStorageVolCreateXML.*?<name>(demo\.[^<]*)</name>", calls, re.DOTALL))

    def stop(self) -> None:
        """From now on it takes connections and says nothing, on new ones or on old."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """It works again."""
        os.kill(self.pid, signal.SIGCONT)


@contextmanager
def daemon() -> Iterator[Daemon]:
    """Starts one, and ends it by its pid."""
    folder = Path(tempfile.mkdtemp(prefix="meshctl-"))
    try:
        config = folder / "libvirtd.conf"
        config.write_text(CONFIG.format(folder=folder))
        who = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
        if who:
            os.chown(folder, NOBODY, NOBODY)
        env = os.environ | {
            name: str(folder) for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")
        }
        argv = ["/usr/sbin/libvirtd", "--config", str(config), "--pid-file", str(folder / "pid")]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **who)  # type: ignore[call-overload]
        try:
            made = Daemon(process.pid, folder / "libvirt-sock")
            wait_until(
                lambda: _answers(made), what=f"libvirtd: {(folder / 'log').read_text()}", within_s=60, every_s=0.1
            )
            yield made
        finally:
            with suppress(ProcessLookupError):
                made.go_on()
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _answers(made: Daemon) -> Ready[None] | NotYet:
    try:
        libvirt.open(made.uri).close()
    except libvirt.libvirtError as error:
        return NotYet(str(error))
    return Ready(None)
