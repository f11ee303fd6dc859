"""Exit codes: unique per class of cause, and all documented."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.base.errors import CommandFailed, MeshctlError
from provision.cli.ending import CLOSED_PIPE, SIGNALS
from provision.cli.failure import BUG
from provision.cli.mesh_validate import NOTHING_FOUND
from provision.cli.provision import CHANGES_PENDING
from provision.guests import ssh  # noqa: F401 - defines HostKeyMismatch

ENDINGS = {0, 2, CHANGES_PENDING, NOTHING_FOUND, BUG, CLOSED_PIPE, *(128 + number for number in SIGNALS)}
DOCS = Path(__file__).parents[3] / "docs" / "exit-codes.md"


def classes(base: type[MeshctlError] = MeshctlError) -> Iterator[type[MeshctlError]]:
    yield base
    for sub in base.__subclasses__():
        yield from classes(sub)


def test_each_kind_of_cause_has_a_code_of_its_own() -> None:
    direct: list[type[MeshctlError]] = [MeshctlError, *MeshctlError.__subclasses__()]
    codes = [cls.exit_code for cls in direct]
    assert len(codes) == len(set(codes))
    assert not set(codes) & ENDINGS


def test_every_class_and_code_is_documented() -> None:
    text = DOCS.read_text()
    documented = {int(code) for code in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)}
    assert documented == {cls.exit_code for cls in classes()} | ENDINGS
    for cls in classes():
        assert f"`{cls.__name__}`" in text


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("systemctl", "start", "kubelet"), "`systemctl start kubelet`"),
        (("sh", "-c", "\nset -eu\nexit 1\n", "settle", "v1.20.2\nbin/kubelet"), "the script `settle`"),
        (("sh", "-c", '\nexec "$@"\n', "guard", "9", "sh", "-c", "\nfalse\n", "clear", "vdb"), "the script `clear`"),
        (("sh", "-c", "\nfalse\n"), "the script"),
        (("sh", "-c", "false"), "`sh -c false`"),
        (("kubectl", "apply", "one\ntwo"), "`kubectl apply one …`"),
        (("echo", "x" * 900), f"`echo {'x' * 295} …`"),
    ],
)
def test_a_command_is_named_in_one_line(argv: tuple[str, ...], words: str) -> None:
    assert CommandFailed("w1", argv, 1, ("why",)).message == f"w1: {words} ended with status 1\n    why"
