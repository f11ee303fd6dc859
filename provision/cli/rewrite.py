"""Files that meshctl changes for their owner: what would change is shown, then asked, then written as a whole or not at all."""

from __future__ import annotations

import codecs
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from provision.cli.say import ask_yes, say

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Original:
    """A text as it was read, from a file or, when `file` is `-`, from stdin."""

    file: str
    data: bytes

    @property
    def text(self) -> str:
        """The text, without a byte order mark."""
        return self.data.decode("utf-8-sig")

    def encoded(self, text: str) -> bytes:
        """Another text in the same encoding: with a byte order mark when there was one."""
        return (codecs.BOM_UTF8 if self.data.startswith(codecs.BOM_UTF8) else b"") + text.encode()


def read(file: str) -> Original:
    """A file or stdin. Raises OSError, and UnicodeDecodeError when it is no UTF-8."""
    original = Original(file, sys.stdin.buffer.read() if file == "-" else _bytes(file))
    _ = original.text
    return original


def _bytes(file: str) -> bytes:
    with open(file, "rb") as stream:
        return stream.read()


def diff(original: Original, text: str) -> str:
    """What would change, as `diff -u` shows it; empty when nothing would."""
    from difflib import unified_diff

    lines = unified_diff(_lines(original.text), _lines(text), original.file, f"{original.file} (new)")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").splitlines(keepends=True)


def rewrite(original: Original, text: str, *, yes: bool, quiet: bool = False) -> bool:
    """Shows the difference (`quiet`: on stderr), asks unless `yes`, and writes. False when the answer was no. Raises MeshError."""
    difference = diff(original, text)
    if not difference:
        return True
    say(difference, nl=False, err=quiet)
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask: say --yes")
    if not yes and not ask_yes(f"Write this to {original.file}?"):
        return False
    write(original, text)
    return True


def write(original: Original, text: str) -> None:
    """Replaces a file by rename: a reader sees the old text or the new. Mode, owner and links stay. Raises MeshError."""
    from pathlib import Path

    from provision.base.errors import MeshError, cause

    path = Path(os.path.realpath(original.file))
    try:
        if path.read_bytes() != original.data:
            raise MeshError(f"{original.file} was changed by somebody else meanwhile", hint="run it again")
        _replace(path, original.encoded(text))
    except OSError as error:
        raise MeshError(f"{original.file} cannot be written: {cause(error)}", hint="nothing was changed") from error


def _replace(path: Path, data: bytes) -> None:
    import tempfile
    from pathlib import Path

    known = path.stat()
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    fresh = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        if (known.st_uid, known.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(fresh, known.st_uid, known.st_gid)
        fresh.chmod(known.st_mode & 0o7777)
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
