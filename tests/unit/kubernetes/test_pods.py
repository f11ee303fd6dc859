"""Pods as the API gives them: which are the wanted ones, which stay ready, which never will be."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from provision.base.errors import KubernetesError
from provision.base.waiting import NotYet, Ready
from provision.kubernetes import Pod, judge_pods
from provision.kubernetes.pods import judge_ready

NOW = datetime.datetime(2026, 11, 29, 12, 0, 0, tzinfo=datetime.UTC)
WANTED = {"meshctl/pod-digest": "new"}


def pod(node: str, digest: str = "new", *, ready: bool = True, since_s: int = 3600, **container: Any) -> dict[str, Any]:
    since = (NOW - datetime.timedelta(seconds=since_s)).isoformat().replace("+00:00", "Z")
    condition = {"type": "Ready", "status": str(ready), "lastTransitionTime": since}
    state = {
        "name": "l5d",
        "containerID": f"docker://{node}-id",
        "restartCount": 0,
        "state": {"running": {}},
        **container,
    }
    return {
        "metadata": {"name": f"l5d-{node}", "annotations": {"meshctl/pod-digest": digest}},
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "podIP": "10.1.0.1", "conditions": [condition], "containerStatuses": [state]},
    }


def judged(*pods: dict[str, Any]) -> Ready[dict[str, Pod]] | NotYet:
    return judge_pods(pods, ["cp1", "w1"], WANTED, lambda: NOW)


def crash_looping(node: str, pause: str, digest: str = "new", **more: Any) -> dict[str, Any]:
    waiting = {"reason": "CrashLoopBackOff", "message": f"{pause} restarting failed container=l5d pod=l5d-x"}
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": "bad dtab"}}
    return pod(node, digest, ready=False, restartCount=6, state={"waiting": waiting}, lastState=ended, **more)


def test_ready_pods_of_the_wanted_template_are_taken() -> None:
    assert judged(pod("cp1"), pod("w1")) == Ready(
        {name: Pod(f"l5d-{name}", name, "10.1.0.1", f"{name}-id") for name in ("cp1", "w1")}
    )


def test_a_ready_pod_of_an_older_template_is_not_the_wanted_one() -> None:
    """Kubernetes 1.20 rolls node by node: right after `apply` every node has a ready pod, of the old configuration."""
    assert judged(pod("cp1"), pod("w1", "old")) == NotYet("w1: its pod is of an older configuration", ("w1",))
    beside = judged(pod("cp1"), pod("w1", "old"), pod("w1", ready=False))
    assert beside == NotYet("w1: Running, not ready", ("w1",))


@pytest.mark.parametrize("pause", ["back-off 40s", "Back-off 1m20s", "back-off 5m0s"])
def test_a_wanted_pod_that_crashes_again_and_again_ends_the_wait_with_its_reason(pause: str) -> None:
    with pytest.raises(KubernetesError, match="w1: pod l5d-w1, container l5d: CrashLoopBackOff") as caught:
        judged(pod("cp1"), crash_looping("w1", pause))
    assert "restarted 6 times, last ended with 1 (bad dtab)" in caught.value.message
    assert caught.value.hint


def test_first_crashes_and_those_of_an_older_template_are_waited_for() -> None:
    assert isinstance(judged(pod("cp1"), crash_looping("w1", "back-off 20s")), NotYet)
    assert isinstance(judged(pod("cp1"), crash_looping("w1", "back-off 5m0s", "old")), NotYet)


def test_a_pod_that_never_will_be_ready_elsewhere_is_not_waited_for() -> None:
    """A run may be about some nodes only."""
    assert isinstance(judged(pod("cp1"), pod("w1"), crash_looping("w2", "back-off 5m0s")), Ready)


def test_an_image_that_nobody_has_ends_the_wait() -> None:
    waiting = {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "l5d:1"'}}
    with pytest.raises(KubernetesError, match=r'w1: .*ImagePullBackOff .Back-off pulling image "l5d:1"'):
        judged(pod("cp1"), pod("w1", ready=False, state=waiting))


def test_between_two_crashes_a_pod_is_ready_but_not_taken() -> None:
    assert judged(pod("cp1"), pod("w1", since_s=8, restartCount=2)) == NotYet(
        "w1: restarted, and not ready for 30 s yet", ("w1",)
    )
    assert isinstance(judged(pod("cp1"), pod("w1", since_s=31, restartCount=2)), Ready)


def test_a_pod_that_was_restarted_is_ready_at_once_where_nobody_asks_for_how_long() -> None:
    items = [pod("w1", restartCount=1, since_s=2)]
    assert isinstance(judge_pods(items, ["w1"], {}, lambda: NOW), NotYet)
    assert isinstance(judge_pods(items, ["w1"], {}, lambda: NOW, steady_s=0), Ready)


def test_all_pods_of_a_node_are_ready_but_for_those_that_go_and_of_others() -> None:
    going = pod("w1", ready=False)
    going["metadata"] |= {"name": "old", "deletionTimestamp": "2026-01-01T00:00:00Z"}
    assert judge_ready([pod("w1"), going, pod("w2", ready=False)], "w1") == Ready(None)
    assert judge_ready([pod("w1"), pod("w1", ready=False)], "w1") == NotYet("w1: not ready: l5d-w1", ("w1",))
