"""Whether a guest has finished its first boot, and whether its kernel settings are the inventory's: one cheap read.

cloud-init's own status is read from the file that it keeps (/run/cloud-init/status.json, documented as "Status" in its
boot-stages pages): the command `cloud-init status` says the same after importing half of Python, 7 s on an emulated CPU.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from provision.base.shell import Shell
from provision.guests.disks import DISK_FILES, NO_DISKS, READ_FILESYSTEMS, Behind, left_behind
from provision.guests.logins import READ_KEYS, RECORD, Login, left_logins
from provision.guests.settings import SETTINGS, sysctl_file

_MARK = "== sysctl"
_STATUS = "/run/cloud-init/status.json"

# Constant; the files are arguments. Three processes in all: each costs a tenth of a second on an emulated CPU.
_READ = f"""{READ_KEYS}
if [ -e {_STATUS} ]; then while IFS= read -r line || [ -n "$line" ]; do printf '%s\\n' "$line"; done < {_STATUS}; fi
printf '\\n{_MARK}\\n'
grep -sH '' -- "$@" {DISK_FILES}
{READ_FILESYSTEMS}
exit 0
"""

_MOUNTS = "/proc/self/mounts"

_FINAL = re.compile(r"Cloud-init v\. \S+ finished at ")

_SWAP = str.maketrans("./", "/.")


def _path(key: str) -> str:
    """The file of a kernel setting: dots are slashes and slashes dots, as sysctl(8) has it."""
    return f"/proc/sys/{key.translate(_SWAP)}"


@dataclass(frozen=True)
class Differing:
    """A kernel setting that is not the inventory's."""

    key: str
    wanted: str
    found: str

    def __str__(self) -> str:
        return f"{self.key}: wanted {self.wanted}, found {self.found}"


@dataclass(frozen=True)
class Boot:
    """A guest's first boot. `waiting` is what is not finished yet, `failed` cloud-init's errors, `degraded` what it
    reports as recoverable (its exit code 2), `sysctl` the settings that differ, `old_file` whether the file that sets them at
    each start is not the inventory's, `unmounted` where data volumes should be mounted and are not, `behind` what has not grown with
    its disk, `logins` those that a change of the login is not finished with.
    """

    waiting: str = ""
    failed: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    sysctl: tuple[Differing, ...] = ()
    old_file: bool = False
    unmounted: tuple[str, ...] = ()
    behind: tuple[Behind, ...] = ()
    logins: tuple[Login, ...] = ()

    @property
    def faults(self) -> tuple[str, ...]:
        """Everything that is not as it must be; being degraded is not among it, nor logins."""
        missing = (f"no volume is mounted at {mount}" for mount in self.unmounted)
        old = ["what is set at each start is not the inventory's sysctl"] if self.old_file and not self.sysctl else []
        return (
            *([self.waiting] if self.waiting else []),
            *self.failed,
            *map(str, self.sysctl),
            *old,
            *missing,
            *map(str, self.behind),
        )


def observe_boot(
    shell: Shell,
    sysctl: Mapping[str, int | str],
    mounts: Sequence[str] = (),
    disks: Mapping[str, int] = NO_DISKS,
    former: Login | None = None,
) -> Boot:
    """Reads a guest; `mounts` are where its data volumes belong, `disks` the sizes of its disks in MiB by serial number, `former`
    a login that is to leave. Raises Unreachable when there is no session.
    """
    files = [SETTINGS, RECORD, *map(_path, sorted(sysctl)), *([_MOUNTS] if mounts else [])]
    argv = ["sh", "-c", _READ, "boot", former.user if former else "", *files]
    status, _, settings = shell.read(argv).stdout.partition(_MARK)
    return judge(status, settings, sysctl, mounts, disks, former)


def first_boot_over(console: str) -> bool:
    """Whether a guest's console says that cloud-init has done all it does (its module final_message, on by default)."""
    return _FINAL.search(console) is not None


def judge(
    status: str,
    settings: str,
    sysctl: Mapping[str, int | str],
    mounts: Sequence[str] = (),
    disks: Mapping[str, int] = NO_DISKS,
    former: Login | None = None,
) -> Boot:
    """Pure: what the two texts mean."""
    stages = _stages(status)
    final = stages.get("modules-final") or {}
    if not final.get("finished"):
        return Boot(waiting=f"cloud-init is at {_current(stages)}", logins=left_logins(settings, former))
    return Boot(
        failed=tuple(f"cloud-init {name}: {error}" for name, error in _said(stages, "errors")),
        degraded=tuple(f"{name}: {error}" for name, error in _said(stages, "recoverable_errors")),
        sysctl=tuple(_differing(settings, sysctl)),
        old_file=_lines(SETTINGS, settings) != sysctl_file(sysctl).splitlines(),
        unmounted=tuple(mount for mount in mounts if mount not in _mounted(settings)),
        behind=left_behind(settings, disks),
        logins=left_logins(settings, former),
    )


def _mounted(settings: str) -> set[str]:
    """Where something is mounted: the second word of each line of the kernel's list."""
    return {line.split()[1] for line in _lines(_MOUNTS, settings)}


def _lines(file: str, settings: str) -> list[str]:
    """What grep printed of one file, without its FILE:."""
    return [line.removeprefix(f"{file}:") for line in settings.splitlines() if line.startswith(f"{file}:")]


def _stages(status: str) -> Mapping[str, Any]:
    try:
        said = json.loads(status)
        return dict(said["v1"])
    except (ValueError, KeyError, TypeError):
        return {}


def _current(stages: Mapping[str, Any]) -> str:
    if stages.get("stage"):
        return str(stages["stage"])
    begun = [name for name, stage in stages.items() if isinstance(stage, dict) and stage.get("start")]
    return f"the end of {begun[-1]}" if begun else "its beginning"


def _said(stages: Mapping[str, Any], key: str) -> Iterator[tuple[str, str]]:
    for name, stage in stages.items():
        found = stage.get(key) if isinstance(stage, dict) else None
        if isinstance(found, dict):  # recoverable errors: texts by level
            found = [text for texts in found.values() for text in texts]
        for text in found or ():
            yield name, str(text)


def _differing(settings: str, wanted: Mapping[str, int | str]) -> Iterator[Differing]:
    # grep prints FILE:VALUE; tabs within a value are as good as blanks.
    found = dict(line.split(":", 1) for line in settings.splitlines() if ":" in line)
    for key, value in sorted(wanted.items()):
        now = found.get(_path(key), "").split()
        if str(value).split() != now:
            yield Differing(key, str(value), " ".join(now) or "nothing")
