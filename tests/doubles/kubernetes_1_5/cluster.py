"""The cluster's memory, shared by the nodes, and small things that the three programs have in common."""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

SHARED = Path("/srv/double")
KUBERNETES = Path("/etc/kubernetes")
PREFIX = "gcr.io/google_containers"


@contextmanager
def cluster() -> Iterator[dict[str, Any]]:
    """Everything that etcd would hold; other processes wait meanwhile."""
    path = SHARED / "cluster.json"
    with open(SHARED / "cluster.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        values: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        yield values
        new = path.with_suffix(".new")
        new.write_text(json.dumps(values, indent=1))
        new.rename(path)


def fail(message: str, status: int = 1) -> NoReturn:
    """Says it on stderr and ends."""
    print(message, file=sys.stderr)
    sys.exit(status)


def strict(message: str) -> NoReturn:
    """What the real program would let pass and should not."""
    fail(f"DOUBLE: {message}", 70)


def for_ever() -> NoReturn:
    """wait.PollInfinite: no timeout, no word."""
    while True:
        time.sleep(0.2)


def until(question: object) -> None:
    """PollInfinite on a question."""
    assert callable(question)
    while not question():
        time.sleep(0.05)


def flags(words: list[str], known: Mapping[str, bool]) -> tuple[dict[str, str], list[str]]:
    """Flags (True: takes a value) and positional words, as pflag reads them; an unknown one ends the program."""
    given: dict[str, str] = {}
    rest: list[str] = []
    queue = list(words)
    while queue:
        word = queue.pop(0)
        if not word.startswith("-") or word == "-":
            rest.append(word)
            continue
        name, equals, value = word.partition("=")
        if name not in known:
            fail(f"Error: unknown flag: {name}\nUsage:\n  see --help")
        if known[name] and not equals:
            if not queue:
                fail(f"Error: flag needs an argument: {name}")
            value = queue.pop(0)
        given[name] = value if equals or known[name] else "true"
    return given, rest


def images() -> set[str]:
    """What Docker has."""
    listed = subprocess.run(
        ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"], capture_output=True, text=True, check=False
    )
    return set(listed.stdout.split())


def docker_settings() -> dict[str, Any]:
    """Docker's settings as they were when it started; the file's where no double of Docker noted them."""
    noted = Path("/var/lib/double/docker.json")
    if noted.exists():
        return dict(json.loads(noted.read_text()).get("settings", {}))
    path = Path("/etc/docker/daemon.json")
    return dict(json.loads(path.read_text())) if path.exists() else {}


def address_of_node() -> set[str]:
    """Addresses of this node."""
    shown = subprocess.run(["ip", "-4", "-o", "address"], capture_output=True, text=True, check=True).stdout
    return {line.split()[3].partition("/")[0] for line in shown.splitlines()}
