"""Advice on what kubeadm, the kubelet and container runtimes print: the cause is named, its symptoms are not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.base.shell import Local
from provision.kubernetes import diagnose
from provision.kubernetes.diagnose import sort_out
from provision.kubernetes.failures import BY_ID, BY_NAME, FAILURES, SHOWN, UNKNOWN, causes, hint_for
from provision.kubernetes.pages import PAGES, TOLD

LINES = Path(__file__).parents[2] / "data" / "kubernetes" / "kubeadm-lines.yaml"
CASES: list[dict[str, Any]] = yaml.safe_load(LINES.read_text())

# The help that kubeadm 1.20 ends with, whatever was wrong (cmd/kubeadm/app/cmd/phases/init/waitcontrolplane.go).
HELP = """
	Unfortunately, an error has occurred:
		timed out waiting for the condition

	This error is likely caused by:
		- The kubelet is not running
		- The kubelet is unhealthy due to a misconfiguration of the node in some way (required cgroups disabled)

	If you are on a systemd-powered system, you can try to troubleshoot the error with the following commands:
		- 'systemctl status kubelet'
		- 'journalctl -xeu kubelet'

	Additionally, a control plane component may have crashed or exited when started by the container runtime.
	To troubleshoot, list all containers using your preferred container runtimes CLI.

	Here is one example how you may list all Kubernetes containers running in docker:
		- 'docker ps -a | grep kube | grep -v pause'
		Once you have found the failing container, you can inspect its logs with:
		- 'docker logs CONTAINERID'

error execution phase wait-control-plane: couldn't initialize a Kubernetes cluster
To see the stack trace of this error execute with --v=5 or higher
""".splitlines()


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['lines'][-1].strip()[:50]} is {case['is']}")
def test_the_cause_is_named(case: Mapping[str, Any]) -> None:
    hint = hint_for(case["lines"])
    assert case["is"] in hint
    assert "not" not in case or case["not"] not in hint


def certain(lines: list[str]) -> bool:
    """Whether more than a warning, and more than that something does not run, is in them."""
    return not all("[WARNING " in line for line in lines) and not all(failure.vague for failure, _ in causes(lines))


@pytest.mark.parametrize(
    "case", [case for case in CASES if certain(case["lines"])], ids=lambda case: case["lines"][-1].strip()[:50]
)
def test_kubeadms_general_words_around_it_hide_no_cause(case: Mapping[str, Any]) -> None:
    assert hint_for([*case["lines"], *HELP]) == hint_for(case["lines"]) == hint_for([*HELP, *case["lines"]])


def test_general_words_alone_say_what_does_not_run() -> None:
    assert hint_for(HELP).startswith("MK296: the kubelet or the control plane's containers do not run")


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (
            ["running with swap on is not supported", "[kubelet-check] dial tcp [::1]:10248: connection refused"],
            ["swap"],
        ),
        (["dial tcp 10.0.0.2:6443: connect: connection refused", "ErrImagePull"], ["image"]),
        (["etcdserver: request timed out", "No space left on device", "dial tcp 10.0.0.2:6443: i/o timeout"],
         ["disk"]),
        (["[ERROR NumCPU]: 1", "[ERROR Mem]: 982", "[ERROR Swap]: running with swap on"], ["cpus", "memory", "swap"]),
        (["[WARNING FileExisting-tc]: tc not found in system path", "no route to host"], ["unreachable"]),
        (["[WARNING FileExisting-tc]: tc not found in system path"], ["program"]),
        (["[WARNING FileExisting-tc]: tc not found in system path", *HELP], ["nothing-runs"]),
        (["[WARNING SystemVerification]: this Docker version is not on the list of validated versions: 20", *HELP], ["nothing-runs"]),
        (["cni config uninitialized", "dial tcp 10.0.0.2:6443: connect: connection refused"], ["api", "cni"]),
        (["[WARNING Firewalld]: firewalld is active", *HELP], ["firewall"]),
        (["CrashLoopBackOff", "panic: freepages: failed to get all reachable pages"], ["etcd-data"]),
        (["all is well"], []),
    ],
)  # fmt: skip
def test_causes_stand_in_the_order_of_causes_without_what_follows(lines: list[str], named: list[str]) -> None:
    assert [failure.name for failure, _ in causes(lines)] == named
    assert [failure.name for failure, _ in causes(reversed(lines))] == named


def test_unknown_words_get_general_advice() -> None:
    assert hint_for(["something new"]) == UNKNOWN


def test_no_more_is_said_at_once_than_can_be_read() -> None:
    many = [line for case in CASES for line in case["lines"]]
    assert len(causes(many)) > SHOWN
    assert hint_for(many).count(". Also: ") == SHOWN - 1


@pytest.mark.parametrize(
    ("line", "generation", "advice"),
    [
        ("unsupported kernel release: 6.1.0", "1.5", "must be skipped"),
        ("unsupported kernel release: 6.1.0", "1.20", "SystemVerification"),
        ("failed to parse response as JWS object", "1.5", "tokens.csv"),
        ("token id is invalid for this cluster", "1.20", "kubeadm token create"),
        ("kubelet cgroup driver is different from docker cgroup driver", "1.20", "must both use cgroupfs"),
        ("kubelet cgroup driver is different from docker cgroup driver", "", "systemd on v2"),
        ("x509: certificate has expired or is not yet valid", "1.20", "kubeadm certs renew"),
        ("x509: certificate has expired or is not yet valid", "1.5", "renews none"),
    ],
)
def test_advice_is_for_the_generation_at_hand(line: str, generation: str, advice: str) -> None:
    assert advice in hint_for([line], generation)


def test_the_registry_hangs_together() -> None:
    assert len(BY_NAME) == len(FAILURES)
    for failure in FAILURES:
        assert set(failure.symptoms) <= BY_NAME.keys()
        assert failure.advice
        assert not failure.cause.endswith(".")
        assert not any(advice.endswith(".") for advice in (failure.advice, *failure.advice_of.values()))


def test_every_failure_has_an_id_of_its_own_and_a_whole_page() -> None:
    assert len(BY_ID) == len(FAILURES)
    assert all(re.fullmatch(r"MK2\d\d+", id_) for id_ in BY_ID)
    assert BY_NAME.keys() == TOLD.keys()
    assert [page.id for page in PAGES] == sorted(BY_ID)
    for page in PAGES:
        told, text = TOLD[page.failure.name], page.text()
        assert all(said.endswith(".") for said in (told.means, told.why))
        assert told.seen in text
        assert "{what}" not in text


def test_the_line_that_a_page_shows_is_told_by_its_failure() -> None:
    for name, told in TOLD.items():
        assert name in [failure.name for failure, _ in causes([told.seen])], told.seen


def test_every_known_failure_is_told_by_some_line_that_is_tried() -> None:
    tried = {failure.name for case in CASES for failure, _ in causes(case["lines"])}
    assert {failure.name for failure in FAILURES} - tried == set()


def test_advice_sees_more_than_is_shown() -> None:
    """What is wrong may stand above kubeadm's page of general words, or behind the 300th character of a line."""
    long = "kubelet: " + "x" * 400 + " running with swap on is not supported"
    text = "\x1ekubeadm:\n" + "\n".join([long, *HELP]) + "\n\x1ekubelet (activating):\n\x1econtainers:\n"
    found = sort_out(text, "1.20")
    assert found.hint.startswith("MK204: swap is on: turn it off")
    assert len(found.shown) == 1 + 12 + 1 + 1
    assert (found.shown[0], found.shown[-1]) == ("kubeadm:", "containers:")


def test_a_line_is_shown_up_to_a_width_and_without_tokens() -> None:
    found = sort_out(f"\x1ekubeadm:\njoin --token abcdef.0123456789abcdef {'x' * 400}\n", "1.20")
    assert found.shown[1].startswith("join --token ***")
    assert len(found.shown[1]) == 300


def test_the_script_prints_its_sections_on_any_machine() -> None:
    shown = diagnose(Local()).shown
    assert shown[0] == "kubeadm:"
    assert any(line.startswith("kubelet (") for line in shown)
    assert "containers:" in shown


def test_a_node_without_disk_pressure_has_no_full_disk() -> None:
    """From the kubelet of a control plane that was too slow for kubeadm's ten minutes."""
    said = (
        'E1130 04:27:01.901271 1114 event.go:273] Unable to write event: \'&v1.Event{InvolvedObject:v1.ObjectReference{Kind:"Node",'
        ' Name:"cp1"}, Reason:"NodeHasNoDiskPressure", Message:"Node cp1 status is now: NodeHasNoDiskPressure"}'
        " (retry limit exceeded!)"
    )
    assert causes([said]) == []
    assert "the root volume is full" in hint_for(["Node cp1 status is now: NodeHasDiskPressure"])
