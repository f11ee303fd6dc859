"""What upgrades 1.20's control plane: the script as a shell runs it, and advice when kubeadm refuses. kubeadm and kubectl are stand-ins."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.base.shell import Local
from provision.kubernetes import profile_for
from provision.kubernetes.impatience import impatience
from provision.kubernetes.upgrade import advice

REFUSED = (
    "[preflight] Running pre-flight checks.",
    "[preflight] Some fatal errors occurred:",
    "\t[ERROR CoreDNSUnsupportedPlugins]: start version '' not supported",
    "\t[ERROR CoreDNSMigration]: CoreDNS will not be upgraded: start version '' not supported",
)
"""Of kubeadm 1.20.2, in a cluster that has no CoreDNS."""

OLD = "MK211: out of memory: give the node a larger `memory`"


def upgraded(folder: Path, *, coredns: bool) -> list[str]:
    """The words that kubeadm gets, in a cluster that has CoreDNS or none."""
    programs = {"kubeadm": 'printf "%s\\n" "$@"', "kubectl": f"exit {0 if coredns else 1}"}
    for name, text in programs.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    work = profile_for("1.20").upgrade_work("control-plane", first=True)
    shell = Local(env={"PATH": f"{folder}:/usr/bin:/bin"})
    return shell.run(["sh", "-c", work, "upgrade", "v1.20.3"]).stdout.splitlines()


def ignored(words: list[str]) -> set[str]:
    (said,) = (word for word in words if word.startswith("--ignore-preflight-errors="))
    return set(said.partition("=")[2].split(","))


def test_kubeadm_is_not_asked_about_a_coredns_that_is_not_there(tmp_path: Path) -> None:
    words = upgraded(tmp_path, coredns=False)
    assert words[:4] == ["upgrade", "apply", "v1.20.3", "--yes"]
    assert ignored(words) == {"ImagePull", "CreateJob", "CoreDNSUnsupportedPlugins", "CoreDNSMigration"}


def test_it_is_asked_about_one_that_somebody_has(tmp_path: Path) -> None:
    assert ignored(upgraded(tmp_path, coredns=True)) == {"ImagePull", "CreateJob"}


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        (REFUSED, "kubeadm has changed nothing yet: mend what it names, then provision again"),
        ((*REFUSED[:2], "\t[ERROR Swap]: running with swap on is not supported. Please disable swap"), "swap is on"),
        (("[upgrade/apply] FATAL: timed out",), OLD),
    ],
)
def test_the_upgrades_own_words_come_before_what_ended_on_the_node_long_ago(said: tuple[str, ...], hint: str) -> None:
    assert hint in advice(list(said), OLD, "1.20")


def test_only_kubeadms_own_clock_has_an_upgrade_begun_once_more() -> None:
    gave_up = "FATAL: couldn't upgrade control plane. kubeadm has tried to recover everything into the earlier state. Errors faced: "
    late = 'FATAL post-upgrade error: [unable to create RBAC role: Post "https://…/roles?timeout=10s": net/http: request canceled'
    assert "took all back" in impatience(f"[upgrade/apply] {gave_up}timed out waiting for the condition")
    assert "in its ten seconds" in impatience(
        f"[upgrade/postupgrade] {late} (Client.Timeout exceeded while awaiting headers)]"
    )
    assert impatience(f"[upgrade/apply] {gave_up}[couldn't find the volume]") == ""
    assert impatience(f"[upgrade/postupgrade] {late[:40]}") == ""
    assert impatience("timed out waiting for the condition") == ""
