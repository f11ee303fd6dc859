"""Docker: an image store, and containers that are processes of somebody else (the kubelet's double registers them)."""

from __future__ import annotations

import json
import os
import re
import signal
import tarfile
import time
from contextlib import suppress
from pathlib import Path

from .state import refuse, remembered, strict

DAEMON = Path("/etc/docker/daemon.json")
REPOSITORIES = Path("/var/lib/docker/image/overlay2/repositories.json")


def docker(words: list[str]) -> None:
    """The commands that meshctl uses. Without a running daemon each fails as Docker's client does."""
    with remembered("units") as units:
        running = units.get("docker.service", {}).get("active") == "active"
    if not running:
        refuse("Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?")
    match words:
        case ["images", "--format", "{{.Repository}}:{{.Tag}}"]:
            with remembered("docker") as state:
                print("\n".join(state.get("images", {})))
        case ["load", "-i", path]:
            load(path)
        case ["inspect", "--format", "{{.State.Pid}}", container]:
            print(_container(container)["pid"])
        case ["inspect", "--format", "{{.Name}}", container]:
            print("/" + _container(container)["name"])
        case ["logs", "--tail", _, container]:
            print(_container(container)["log"])
        case ["ps", *how] if any(word.startswith("name=k8s_") for word in how):
            ps(how)
        case ["stop", "--time", _, *ids]:
            _ended(ids)
        case ["rm", "-f", *ids]:
            with remembered("docker") as state:
                for one in ids:
                    _end(state.get("containers", {}).pop(one, {}).get("pid", 0))
        case _:
            strict("docker", words)


def load(path: str) -> None:
    """Reads the references out of a docker-save archive."""
    with tarfile.open(path) as archive:
        member = archive.extractfile("manifest.json")
        assert member is not None
        entries = json.load(member)
    with remembered("docker") as state:
        for entry in entries:
            for reference in entry["RepoTags"]:
                state.setdefault("images", {})[reference] = entry["Config"]
                print(f"Loaded image: {reference}")
        state["loads"] = state.get("loads", 0) + 1
        _note_repositories(state["images"])


def _note_repositories(images: dict[str, str]) -> None:
    """Docker's own file of references."""
    repositories: dict[str, dict[str, str]] = {}
    for reference, config in images.items():
        repositories.setdefault(reference.rpartition(":")[0], {})[reference] = config
    REPOSITORIES.parent.mkdir(parents=True, exist_ok=True)
    REPOSITORIES.write_text(json.dumps({"Repositories": repositories}))


def ps(how: list[str]) -> None:
    """Ids with -q, else names and states; exited ones with -a only."""
    flags = "".join(word[1:] for word in how if word.startswith("-") and not word.startswith("--"))
    wanted = "exited" if "status=exited" in how else ""
    names = [
        word.removeprefix("name=") for word in how if word.startswith("name=")
    ]  # each a pattern, one of them must be found
    with remembered("docker") as state:
        for one, container in state.get("containers", {}).items():
            if not any(re.search(name, f"/{container['name']}") for name in names):
                continue
            if (wanted and container["status"] != wanted) or ("a" not in flags and container["status"] != "running"):
                continue
            print(one if "q" in flags else f"{container['name']}\t{container['status']}")


def _end(pid: int) -> None:
    """Comes back when the process has ended and its ports are free, as docker does."""
    if pid:
        with suppress(ProcessLookupError, FileNotFoundError):
            os.kill(pid, signal.SIGKILL)
            while " Z " not in Path(f"/proc/{pid}/stat").read_text():
                time.sleep(0.01)


def _ended(ids: list[str]) -> None:
    with remembered("docker") as state:
        for one in ids:
            state["containers"][one]["status"] = "exited"


def restarted() -> None:
    """The daemon starts: it reads its settings now, and only now; and it closes the FORWARD chain."""
    settings = json.loads(DAEMON.read_text()) if DAEMON.exists() else {}
    with remembered("docker") as state:
        state["settings"] = settings


def _container(one: str) -> dict[str, str]:
    with remembered("docker") as state:
        found = state.get("containers", {}).get(one)
    if found is None:
        refuse(f"Error: No such object: {one}")
    return dict(found)
