"""Everything meshctl refuses or fails with: one class and one exit code per kind of cause.

    MeshctlError 1
    ├── InventoryError 3
    ├── PlacementError 4
    ├── ConflictError 5
    ├── HypervisorError 6
    ├── ShellError 7
    │   ├── Unreachable
    │   └── CommandFailed
    ├── ImageError 8
    ├── StageTimeout 9
    ├── KubernetesError 10
    ├── MeshError 11
    ├── HostUnfit 12
    ├── StorageError 13
    ├── LockedError 14
    ├── Unfinished 15
    └── SomeFailed 16

The message says what is wrong, with the numbers; the hint says what to do next. Foreign exceptions
(libvirt, paramiko, OSError) are translated once, at the door that meets them. docs/exit-codes.md
lists the codes; a test keeps the two equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from provision.base.visible import visible_line


class MeshctlError(Exception):
    """A failure whose cause and next step are known."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def cause(error: BaseException) -> str:
    """What a foreign exception says, in words; its class when it says nothing, as EOFError and many a TimeoutError do."""
    said = (isinstance(error, OSError) and error.strerror) or str(error)
    return said.strip() or type(error).__name__


@dataclass(frozen=True, order=True)
class Problem:
    """One fault of an input file: where it stands (line and column from 1), what and how to mend it."""

    file: str
    line: int
    column: int
    field: str
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"
    """A warning can work, and is unwise: nothing is refused for it."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}"
        subject = f"{self.field}: " if self.field else ""
        warning = "warning: " if self.severity == "warning" else ""
        return visible_line(f"{where}: {warning}{subject}{self.message}")


class InventoryError(MeshctlError):
    """The inventory cannot be used; carries every problem found, not only the first."""

    exit_code = 3

    def __init__(self, message: str, *, hint: str = "", problems: Sequence[Problem] = ()) -> None:
        super().__init__(message, hint=hint)
        self.problems = tuple(problems)


class PlacementError(MeshctlError):
    """The guests do not fit the hosts as asked."""

    exit_code = 4


class ConflictError(MeshctlError):
    """Something of the same name exists and does not carry our stamp, or changed under us."""

    exit_code = 5


class HypervisorError(MeshctlError):
    """libvirt refused or could not be reached."""

    exit_code = 6


class ShellError(MeshctlError):
    """A command, here or in a guest, could not do its work."""

    exit_code = 7


class Unreachable(ShellError):
    """No SSH session: no route, no sshd, a refused key, or a host key that is not the known one."""


class CommandFailed(ShellError):
    """A command ended with a status other than 0, or not within its time."""

    def __init__(
        self, where: str, argv: Sequence[str], status: int, last_lines: Sequence[str], *, hint: str = ""
    ) -> None:
        shown = "\n".join(f"    {line}" for line in last_lines)
        what = "ended with status" if status >= 0 else "was ended by signal"
        message = f"{where}: {in_words(argv)} {what} {abs(status)}" + (f"\n{shown}" if shown else "")
        super().__init__(message, hint=hint)
        self.where = where
        self.argv = tuple(argv)
        self.status = status
        self.last_lines = tuple(last_lines)


SHOWN = 300
"""How much of a command is shown: three lines of a wide terminal."""


def in_words(argv: Sequence[str]) -> str:
    """A command as a message names it. A script of ours (`sh -c TEXT NAME …`) goes by its name: its text is not for people."""
    scripts = [at for at, text in enumerate(argv) if "\n" in text and list(argv[max(0, at - 2) : at]) == ["sh", "-c"]]
    if scripts:  # the last: one may run another
        return "the script" + "".join(f" `{name}`" for name in argv[scripts[-1] + 1 : scripts[-1] + 2])
    text = " ".join(argv)
    first = text.partition("\n")[0][:SHOWN]
    return f"`{text}`" if first == text else f"`{first} …`"


class ImageError(MeshctlError):
    """A base image, a bundle or a backup is absent, incomplete or not what its digest says."""

    exit_code = 8


class StageTimeout(MeshctlError):
    """Something did not happen within its time; the message says what was seen last."""

    exit_code = 9


class KubernetesError(MeshctlError):
    """kubeadm, the kubelet or the API server did not do its part."""

    exit_code = 10


class MeshError(MeshctlError):
    """The mesh's configuration is refused, or a request did not go through it."""

    exit_code = 11


class HostUnfit(MeshctlError):
    """A host is not fit for the planned guests: `doctor` found errors."""

    exit_code = 12


class StorageError(MeshctlError):
    """A pool's devices are not what the inventory requires, are too few, or hold what must not be overwritten."""

    exit_code = 13


class LockedError(MeshctlError):
    """Another run holds a host."""

    exit_code = 14


class Unfinished(MeshctlError):
    """`destroy` removed what it could; what is left on hosts that did not answer or refused was said."""

    exit_code = 15

    def __init__(
        self, message: str, *, hint: str = "once that is mended, the same command removes what is left"
    ) -> None:
        super().__init__(f"not all is removed: {message}", hint=hint)


class SomeFailed(MeshctlError):
    """`provision --keep-going` finished the nodes that it could; it gave up others, each with its cause and next step."""

    exit_code = 16
