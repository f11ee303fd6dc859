"""What is seen while nodes are waited for: a cause that no waiting mends ends the wait when it is seen twice, all else is waited out."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from provision.base.errors import KubernetesError, StageTimeout
from provision.base.events import Emit, Event, Warned, nowhere
from provision.base.shell import Local, Shell
from provision.base.waiting import NotYet
from provision.guests import Identity, Ssh, Target
from provision.kubernetes import lookout
from provision.kubernetes.lookout import SLOWEST, Glance, Watched, read_glance, wait_on

BAD_CA = "x509: certificate signed by unknown authority"
REFUSED = "dial tcp 10.0.0.2:6443: connect: connection refused"


def printed(*sections: str, at: int = 1000, loop_s: float = 0.1) -> str:
    return "\n".join((f"{at} 50.00 {50 + loop_s:.2f}", *(f"\x1e{section}" for section in sections)))


NAME = "this machine"

# Doubles of the two programs that a node is looked at with. The journal: what is `always` said, and what is said `once`.
JOURNALCTL = """#!/bin/sh
case "$*" in *"-u kubelet"*"-o cat"*) ;; *) exit 2 ;; esac
cat "$HERE/always" 2>/dev/null
cat "$HERE/once" 2>/dev/null && case "$*" in *--since*) rm "$HERE/once" ;; esac
"""
DOCKER = """#!/bin/sh
[ -e "$HERE/container" ] || exit 0
case "$*" in
"ps "*status=exited*"{{.ID}} {{.Names}}") echo "1f $(cat "$HERE/container")" ;;
"ps "*) ;;
"logs --since "*" --tail 20 1f") echo "panic: no" ;;
*) exit 2 ;;
esac
"""


@pytest.fixture
def node(tmp_path: Path) -> Local:
    """A shell on this machine, where the kubelet's journal and Docker are doubles."""
    for name, text in (("journalctl", JOURNALCTL), ("docker", DOCKER)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return Local(env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "HERE": str(tmp_path)})


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "GLANCE_S", 0.02)
    monkeypatch.setattr(lookout, "USUAL_S", 60.0)


def wait(node: Shell, within_s: float = 1.0, emit: Emit = nowhere) -> None:
    wait_on(
        Watched.by("", node),
        lambda: NotYet("not Ready", (NAME,)),
        what="nodes Ready",
        within_s=within_s,
        every_s=0.01,
        emit=emit,
    )


def test_what_no_waiting_mends_ends_the_wait_when_it_is_seen_twice(node: Local, tmp_path: Path) -> None:
    (tmp_path / "always").write_text(f"{BAD_CA}\n")
    started = time.monotonic()
    with pytest.raises(KubernetesError, match="this machine: it is waited in vain") as caught:
        wait(node, within_s=60)
    assert time.monotonic() - started < 20
    assert BAD_CA in caught.value.message
    assert "MK272" in (caught.value.hint or "")


@pytest.mark.parametrize("file", ["always", "once"])
def test_what_a_healthy_start_prints_and_what_is_said_once_are_waited_out_and_the_end_says_why(
    node: Local, tmp_path: Path, file: str
) -> None:
    (tmp_path / file).write_text(f"{REFUSED if file == 'always' else BAD_CA}\n")
    with pytest.raises(StageTimeout, match=r"nodes Ready: not within \d s; last seen: not Ready") as caught:
        wait(node)
    assert "this machine: kubelet (" in caught.value.message
    assert file == "once" or "MK277" in (caught.value.hint or "")


def test_a_node_that_cannot_be_reached_is_the_waits_own_affair() -> None:
    key = Identity(public="ssh-ed25519 AAAA none")
    with pytest.raises(StageTimeout, match=r"not Ready$"):
        wait(Ssh(Target("w1", "127.0.0.1", "ssh-ed25519 AAAA", "mesh", port=1), lambda: key))


def test_a_slow_node_has_longer(node: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "USUAL_S", 1e-6)
    started = time.monotonic()
    with pytest.raises(StageTimeout, match="not within 3 s; last seen"):  # all of it, not what was added last
        wait(node, within_s=1)
    assert time.monotonic() - started >= SLOWEST


def test_a_container_that_ends_again_and_again_is_told_once(node: Local, tmp_path: Path) -> None:
    (tmp_path / "container").write_text("k8s_kube-apiserver_kube-apiserver-cp1_kube-system_0a1b_4\n")
    said: list[Event] = []
    with pytest.raises(StageTimeout):
        wait(node, emit=said.append)
    assert said == [Warned("this machine: kube-apiserver ends again and again: panic: no")]


@pytest.mark.parametrize(
    ("text", "glance"),
    [
        ("", Glance("0")),
        (printed(loop_s=1000), Glance("1000", SLOWEST)),
        (printed("k8s_etcd_etcd-cp1_kube-system_0a1b_1:\nexiting\n"), Glance("1000")),
        (printed("somebodys_etcd_9:\nexiting\n"), Glance("1000")),
    ],
    ids=["nothing", "very slow", "started anew once", "not the kubelet's"],
)
def test_what_is_read(text: str, glance: Glance) -> None:
    assert read_glance(text) == glance


FATAL = """\
F1130 19:52:01.190231     919 server.go:269] failed to run Kubelet: unable to load bootstrap kubeconfig: no such file or directory
goroutine 1 [running]:
k8s.io/kubernetes/vendor/k8s.io/klog/v2.stacks(0xc000128001, 0xc000a5e000, 0xaf, 0x105)
\tk8s.io/kubernetes/vendor/k8s.io/klog/v2/klog.go:1026 +0xb9
created by k8s.io/kubernetes/vendor/k8s.io/component-base/logs.InitLogs
\t/build/vendor/k8s.io/component-base/logs/logs.go:58 +0x8a
"""


def test_of_a_process_that_gave_up_its_words_are_shown_and_not_its_stacks(node: Local, tmp_path: Path) -> None:
    (tmp_path / "always").write_text(FATAL)
    with pytest.raises(StageTimeout) as caught:
        wait(node)
    shown = caught.value.message.splitlines()
    assert [line for line in shown if "failed to run Kubelet" in line]
    assert not [line for line in shown if "goroutine" in line or ".go:1026" in line or "logs.go" in line]
