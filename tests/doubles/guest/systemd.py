"""systemd: unit files, enabling, starting, restarting what fails, transient units."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from . import docker
from .state import HERE, SHARED, refuse, remembered, strict

UNITS = Path("/etc/systemd/system")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
BUILT_IN = frozenset({"docker.service"})
RESTART_S = 0.3
"""RestartSec, shortened."""


def systemctl(words: list[str]) -> None:
    """The verbs that meshctl and kubeadm use."""
    match words:
        case ["is-active", "--quiet", unit]:
            sys.exit(0 if active(_full(unit)) == "active" else 3)
        case ["is-active", *names] if names:
            states = [active(_full(name)) for name in names]
            print("\n".join(states))
            sys.exit(0 if "active" in states else 3)
        case ["is-enabled", unit]:
            _is_enabled(_full(unit))
        case ["daemon-reload"]:
            with remembered("units") as units:
                units["loaded"] = _fingerprint()
        case ["enable", *names] if names:
            _enable([_full(name) for name in names])
        case ["disable", "--now", unit]:
            stop(_full(unit))
            Path(f"/etc/systemd/system/multi-user.target.wants/{_full(unit)}").unlink(missing_ok=True)
        case ["start", unit]:
            if active(_full(unit)) != "active":
                start(_full(unit))
        case ["restart", *names] if names:
            for name in names:
                stop(_full(name))
                start(_full(name))
        case ["stop", unit]:
            stop(_full(unit))
        case ["reset-failed", unit]:
            _reset_failed(_full(unit))
        case _:
            strict("systemctl", words)


def active(unit: str) -> str:
    """What is-active prints."""
    with remembered("units") as units:
        known = units.get(unit, {})
        return str(known.get("active", "inactive"))


def start(unit: str) -> None:
    """Starts a unit; one whose file changed since daemon-reload is refused (systemd would use the old one)."""
    if unit == "docker.service":
        docker.restarted()
        subprocess.run(["iptables", "-w", "-P", "FORWARD", "DROP"], check=True)
        _note(unit, active="active")
        _restart_parts("docker.service")
        return
    settings = _settings(unit)
    if settings.get("Type") == "oneshot":
        status = subprocess.run(shlex.split(settings["ExecStart"]), check=False).returncode
        _note(unit, active="failed" if status else "active")
        if status:
            refuse(f"Job for {unit} failed because the control process exited with error code.")
        return
    commands = [shlex.split(settings[key]) for key in ("ExecStartPre", "ExecStart") if key in settings]
    _spawn(unit, lambda: _supervise(unit, commands, restart=settings.get("Restart") == "always"))


def stop(unit: str) -> None:
    """Ends a unit's process group."""
    with remembered("units") as units:
        pid = units.get(unit, {}).get("pid")
        units[unit] = {**units.get(unit, {}), "active": "inactive", "pid": None}
    if pid:
        with _nothing_half_done(), suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)


@contextmanager
def _nothing_half_done() -> Iterator[None]:
    """A kubelet ends a pod's start before it ends itself: killed between that and its note, it left a process that kept its port."""
    with open(SHARED / "cluster.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def systemd_run(words: list[str]) -> None:
    """`systemd-run --unit=U --description=D COMMAND…`: a service of its own, with systemd's environment."""
    if len(words) < 3 or not words[0].startswith("--unit=") or not words[1].startswith("--description="):
        strict("systemd-run", words)
    unit, command = _full(words[0].partition("=")[2]), words[2:]
    if active(unit) != "inactive":
        refuse(f"Failed to start transient service unit: Unit {unit} already exists.")
    _spawn(unit, lambda: _supervise(unit, [command], restart=False))


def journalctl(words: list[str]) -> None:
    """`journalctl -u kubelet --no-pager -o cat -n N`."""
    if words[:5] != ["-u", "kubelet", "--no-pager", "-o", "cat"] or words[5] != "-n":
        strict("journalctl", words)
    log = HERE / "kubelet.service.log"
    if log.exists():
        print("\n".join(log.read_text().splitlines()[-int(words[6]) :]))


def boot(words: list[str]) -> None:
    """The test's own command: what systemd does at boot, Docker first, then what is enabled."""
    if words:
        strict("double-boot", words)
    with remembered("units") as units:
        enabled = sorted(units.get("enabled", []))
        for unit in [name for name in units if name.endswith(".service")]:
            del units[unit]
        units["loaded"] = _fingerprint()
    for unit in ["docker.service", *enabled]:
        start(unit)


def _full(unit: str) -> str:
    return unit if "." in unit else f"{unit}.service"


def _note(unit: str, **values: object) -> None:
    with remembered("units") as units:
        units[unit] = {**units.get(unit, {}), **values}


def _is_enabled(unit: str) -> None:
    if unit not in BUILT_IN and not (UNITS / unit).exists():
        refuse(f"Failed to get unit file state for {unit}: No such file or directory")
    with remembered("units") as units:
        enabled = unit in BUILT_IN or unit in units.get("enabled", [])
    print("enabled" if enabled else "disabled")
    sys.exit(0 if enabled else 1)


def _enable(names: list[str]) -> None:
    for name in names:
        if not (UNITS / name).exists():
            refuse(f"Failed to enable unit: Unit file {name} does not exist.")
    with remembered("units") as units:
        units["enabled"] = sorted({*units.get("enabled", []), *names})
    for name in names:
        for line in (UNITS / name).read_text().splitlines():
            for target in line.removeprefix("WantedBy=").split() if line.startswith("WantedBy=") else []:
                (UNITS / f"{target}.wants").mkdir(exist_ok=True)
                (UNITS / f"{target}.wants" / name).unlink(missing_ok=True)
                (UNITS / f"{target}.wants" / name).symlink_to(UNITS / name)


def _reset_failed(unit: str) -> None:
    with remembered("units") as units:
        if units.get(unit, {}).get("active") != "failed":
            refuse(f"Failed to reset failed state of unit {unit}: Unit {unit} not loaded.")
        del units[unit]


def _fingerprint() -> str:
    files = sorted(path for path in UNITS.rglob("*") if not path.is_symlink() and path.is_file() and _ours(str(path)))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


def _ours(path: str) -> bool:
    return "meshctl" in path or "kubelet" in path


def _settings(unit: str) -> dict[str, str]:
    """ExecStart with the Environment= of unit and drop-ins put in, and Type and Restart."""
    path = UNITS / unit
    if not path.exists():
        refuse(f"Failed to start {unit}: Unit {unit} not found.", 5)
    with remembered("units") as units:
        if units.get("loaded") != _fingerprint():
            refuse(f"DOUBLE: {unit}: unit files changed on disk, no daemon-reload since", 70)
    settings: dict[str, str] = {}
    environment: dict[str, str] = {}
    for part in [path, *sorted((UNITS / f"{unit}.d").glob("*.conf"))]:
        for line in part.read_text().splitlines():
            key, _, value = line.partition("=")
            if key == "Environment":
                name, _, text = shlex.split(value)[0].partition("=")
                environment[name] = text
            elif key == "ExecStart" and value and "ExecStart" in settings and settings["ExecStart"]:
                refuse(f"{unit}: Service has more than one ExecStart= setting, which is only allowed for Type=oneshot")
            else:
                settings[key] = value
    settings["ExecStart"] = re.sub(r"\$([A-Z_]+)", lambda found: environment.get(found[1], ""), settings["ExecStart"])
    return settings


def _spawn(unit: str, work: object) -> None:
    """Leaves `work` running as a process group of its own, and comes back when a `stop` finds that."""
    assert callable(work)
    ours, its = socket.socketpair()
    pid = os.fork()
    if pid:
        ours.recv(1)
        _note(unit, active="active", pid=pid)
        ours.send(b".")
        return
    os.setsid()
    its.send(b".")
    its.recv(1)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    work()
    os._exit(0)


def _supervise(unit: str, commands: list[list[str]], *, restart: bool) -> None:
    """One command after the other, each only when the one before it ended well: ExecStartPre=, then ExecStart=."""
    environment = {"PATH": PATH, "LANG": "C.UTF-8"}
    while True:
        with open(HERE / f"{unit}.log", "ab") as log:
            for command in commands:
                status = subprocess.run(
                    command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
                ).returncode
                if status:
                    break
        if not restart:
            if status:
                _note(unit, active="failed", pid=None)
            else:
                with remembered("units") as units:
                    units.pop(unit, None)
            return
        _note(unit, active="activating")
        time.sleep(RESTART_S)
        _note(unit, active="active")


def _restart_parts(of: str) -> None:
    for path in UNITS.glob("*.service"):
        if f"PartOf={of}" in path.read_text() and active(path.name) == "active":
            start(path.name)
