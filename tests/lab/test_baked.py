"""A cluster made without and with a baked image, in one run: how long each takes to a routed request, and what nodes share.

The tests build on each other in the order of this file. Prints the seconds of both, stage by stage.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provision import images
from provision.base import data
from tests.lab.conftest import Place

pytestmark = [pytest.mark.lab, pytest.mark.in_turn, pytest.mark.scenario("golden-image")]

Event = dict[str, Any]
SECONDS: dict[str, float] = {}
"""From `provision` to its end, which is a request that every node's mesh has routed."""

NODES = ("cp1", "w1")

UNIQUE = """
cat /etc/machine-id
cat /etc/ssh/ssh_host_ed25519_key.pub
docker info --format '{{.ID}}'
cat /proc/sys/kernel/hostname
"""
FOREIGN = """
ls /etc/ssh/ssh_host_*_key
ls /var/log/journal
awk -F: '$3 >= 1000 && $3 < 65000 {print $1}' /etc/passwd
grep -rl bake- /etc /var/lib/cloud /var/lib/meshctl /root 2>/dev/null
exit 0
"""


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache in which nothing is baked, with the base image and the bundle of the user's own."""
    own, made = data.cache(), tmp_path_factory.mktemp("cache")
    for part in ("images", "bundles", "disks"):
        if (own / part).is_dir():
            (made / part).symlink_to(own / part)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESHCTL_CACHE", str(made))
        yield made


def provisioned(place: Place, what: str) -> list[Event]:
    """Makes the cluster from nothing in the pool; gives the events."""
    started = time.monotonic()
    done = place.meshctl("provision", str(place.inventory), "--yes", "--json")
    SECONDS[what] = time.monotonic() - started
    assert done.status == 0
    events = [json.loads(line) for line in done.stdout.splitlines()]
    print(f"{what}: {SECONDS[what]:.0f} s from provision to a routed request", flush=True)
    for event in events:
        if event["event"] == "StageFinished":
            print(f"{what}: stage {event['stage']}: {event['seconds']:.1f} s", flush=True)
    assert routed(events) == len(NODES)
    return events


def routed(events: list[Event]) -> int:
    """How many nodes got their answer through their own mesh."""
    said = [event["line"] for event in events if event["event"] == "Output" and event["source"] == "verify"]
    return sum("200 by echo-" in line for line in said)


def changes(events: list[Event], change: str) -> list[str]:
    found = [event for event in events if event["event"] == "Changed" and event["change"] == change]
    return [f"{event['where']}: {event['object']}" for event in found]


def inside(place: Place, node: str, script: str) -> str:
    return place.meshctl("ssh", str(place.inventory), node, "--", "sudo", "sh", "-c", f"'{quoted(script)}'").stdout


def quoted(script: str) -> str:
    return script.replace("'", "'\\''")


def emptied(place: Place) -> None:
    """Nothing is left in the pool, so that both ways send all that they need."""
    assert place.meshctl("destroy", str(place.inventory), "--yes", "--purge").status == 0
    assert not list(place.lab.pool.glob("*.qcow2"))


def test_without_a_baked_image_every_node_loads_the_bundle(place: Place) -> None:
    events = provisioned(place, "without")
    assert len(changes(events, "load")) == len(NODES)
    emptied(place)


def test_an_image_is_baked_and_the_guest_is_gone(place: Place) -> None:
    started = time.monotonic()
    done = place.meshctl("image", "bake", str(place.inventory), "--yes", "--json")
    SECONDS["bake"] = time.monotonic() - started
    assert done.status == 0
    for event in map(json.loads, done.stdout.splitlines()):
        if event["event"] == "StageFinished":
            print(f"bake: stage {event['stage']}: {event['seconds']:.1f} s", flush=True)
    (made,) = images.all_baked()
    print(f"bake: {SECONDS['bake']:.0f} s, {made.size >> 20} MiB", flush=True)
    assert "bake-" not in place.virsh("list", "--all")
    assert "bake-" not in place.virsh("net-list", "--all")
    assert not list(place.lab.pool.glob("bake-*"))
    emptied(place)


def test_the_plan_says_that_nodes_begin_with_it(place: Place) -> None:
    said = place.meshctl("plan", str(place.inventory)).stdout
    assert "debian-12, baked with Kubernetes v1.20.2" in said


def test_with_it_no_node_loads_anything(place: Place) -> None:
    events = provisioned(place, "with")
    assert changes(events, "load") == []
    assert [one for one in changes(events, "install") if "programs" in one] == []
    print(
        f"without {SECONDS['without']:.0f} s, with {SECONDS['with']:.0f} s, the bake {SECONDS['bake']:.0f} s",
        flush=True,
    )
    assert SECONDS["with"] < SECONDS["without"]


def test_no_two_nodes_have_the_same_identity(place: Place) -> None:
    first, second = (inside(place, node, UNIQUE).splitlines() for node in NODES)
    assert len(first) == len(second) == 4
    for one, other in zip(first, second, strict=True):
        assert one
        assert one != other
    assert (first[3], second[3]) == NODES


def test_nothing_is_left_of_the_guest_that_it_was_baked_in(place: Place) -> None:
    for node in NODES:
        machine = inside(place, node, "cat /etc/machine-id").strip()
        assert inside(place, node, FOREIGN).splitlines() == ["/etc/ssh/ssh_host_ed25519_key", machine, "mesh"]


def test_the_root_filesystem_has_grown_to_the_nodes_own_disk(place: Place) -> None:
    """12 GiB by the inventory; the image has 8."""
    for node in NODES:
        assert int(inside(place, node, "df --output=size --block-size=1M / | tail -n 1")) > 11 << 10


def test_nothing_is_left_to_do(place: Place) -> None:
    assert place.meshctl("plan", str(place.inventory), "--detailed-exitcode").status == 0
