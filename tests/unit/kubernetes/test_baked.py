"""Nodes made from a baked image are looked at as any other: what is there by its content is left, what is not is installed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from provision.base.events import Event
from provision.base.shell import Completed, Local
from provision.kubernetes import Program, profile_for
from provision.kubernetes.node import compare
from provision.kubernetes.prepare import absent, from_bundle
from tests.unit.kubernetes.test_kubernetes import SPEC, W1


def of_this_machine(name: str) -> str:
    return hashlib.sha256(Path(f"/usr/bin/{name}").read_bytes()).hexdigest()


def test_programs_are_told_by_their_content() -> None:
    good = Program("bin/true", of_this_machine("true"))
    other = Program("bin/false", of_this_machine("true"))
    missing = Program("cni/meshctl-nothing", "0" * 64)
    assert absent(Local(), (good, other, missing)) == (other, missing)
    assert absent(Local(), (good,)) == ()


class Counting(Local):
    """Notes what is run."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[str, ...]] = []

    def run(self, argv, **options) -> Completed:  # type: ignore[no-untyped-def]
        self.said.append(tuple(argv))
        return super().run(argv, **options)


def test_a_node_that_has_all_needs_no_bundle() -> None:
    """The disk may be gone: nothing is mounted, nothing emitted."""
    said = {"loaded": (SPEC.archives[1].sha256,), "image": SPEC.archives[1].references, "active": ("active",)}
    state = compare(profile_for("1.20"), SPEC, W1, said)
    assert (len(state.missing_programs), state.missing_archives) == (2, ())
    shell, events = Counting(), list[Event]()
    from_bundle(shell, state, (Program("bin/true", of_this_machine("true")),), events.append)
    assert (shell.said, events) == ([], [])


def test_an_archive_counts_only_when_docker_has_what_it_brings() -> None:
    """What the baked image notes is not believed: one image lost, and the archive is loaded again."""
    said = {"loaded": tuple(one.sha256 for one in SPEC.archives), "active": ("active",)}
    half = {**said, "image": SPEC.archives[1].references[:1]}
    whole = {**said, "image": SPEC.archives[1].references}
    missing = [compare(profile_for("1.20"), SPEC, W1, words).missing_archives for words in (said, half, whole)]
    assert missing == [SPEC.archives[1:], SPEC.archives[1:], ()]
    other = {**whole, "loaded": ("9" * 64,)}  # baked of another bundle
    assert compare(profile_for("1.20"), SPEC, W1, other).missing_archives == SPEC.archives[1:]
