"""docs/ci in its own words: a cluster for a merge request beside one that lives, from nothing to a routed request and away again.

Both examples go by one cluster, so that it is made once: GitLab's job makes it, GitHub's finds it made, and each destroys.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.ci_words import NAME, Script, github, gitlab
from tests.lab.conftest import Place
from tests.lab.living.test_members import killed

pytestmark = pytest.mark.lab

SMALL = {"cp1": "2560MiB", "w1": "1536MiB"}
"""The cluster of a merge request: the living one has the rest of the lab's machine."""


@pytest.fixture(scope="module")
def checkout(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the runner has checked out: the living cluster's inventory as the template of smaller ones, with an owner's id."""
    folder = tmp_path_factory.mktemp("checkout")
    said = yaml.safe_load(place.inventory.read_text()) | {"id": "0123456789abcdef"}
    said["hosts"][0] |= {"cpu": {"policy": "shared", "ratio": 16}, "reserved_memory": "0MiB"}
    said["nodes"] = [node | {"memory": SMALL[node["name"]]} for node in said["nodes"] if node["name"] in SMALL]
    (folder / "inventories").mkdir()
    (folder / "inventories" / "ci.yaml").write_text(yaml.safe_dump(said, sort_keys=False))
    return folder


def listed(place: Place) -> dict[str, Any]:
    found = json.loads(place.meshctl("list", place.lab.uri, "--json").stdout)
    return {cluster["cluster"]: cluster for cluster in found["clusters"]}


def running(place: Place) -> set[str]:
    return set(place.virsh("list", "--name").split())


def run(scripts: list[Script], checkout: Path) -> str:
    """Runs them, and gives what they say on stdout."""
    said = []
    for script in scripts:
        done = script.run(checkout, show=True)
        print(done.stdout, flush=True)
        assert done.returncode == 0, script.text
        said.append(done.stdout)
    return "".join(said)


def app(said: str) -> str:
    """Who answered the request that is the last line of the job's tests."""
    return str(json.loads(said.strip().splitlines()[-1])["app"])


@pytest.mark.scenario("two-clusters")
def test_both_examples_make_a_cluster_beside_the_living_one_and_destroy_that_alone(
    place: Place, checkout: Path
) -> None:
    before, (script, after) = running(place), gitlab("mesh-tests")
    assert app(run([script], checkout)) == "echo"
    assert running(place) == before | {f"{NAME}-cp1", f"{NAME}-w1"}
    found = listed(place)
    assert (found["lab"]["expires"], found[NAME]["expired"]) == (None, False)
    *steps, destroy = github("mesh-tests")
    assert app(run(steps, checkout)) == "echo"
    run([destroy], checkout)
    assert set(listed(place)) == {"lab"}
    assert running(place) == before
    assert place.virsh("net-list", "--all", "--name").split() == ["meshctl"]
    run([after], checkout)  # as always, and nothing is left to destroy
    assert place.meshctl("plan", str(place.inventory), "--detailed-exitcode").status == 0


@pytest.mark.scenario("ttl-gc")
@pytest.mark.parametrize("system", [gitlab, github])
def test_the_nightly_job_takes_what_is_over_though_one_was_killed_and_leaves_the_living(
    place: Place, checkout: Path, system: Any
) -> None:
    before = running(place)
    words = ("--name", "pr-8", "--ttl", "1s", "--yes", "--until", "volumes")
    assert place.meshctl("provision", str(checkout / "inventories" / "ci.yaml"), *words).status == 0
    assert listed(place)["pr-8"]["expired"]
    killed(lambda change: "pr-8" in change, "gc", place.lab.uri, "--yes")
    assert "pr-8" in run(system("nightly-gc"), checkout)
    assert set(listed(place)) == {"lab"}
    assert not list(place.lab.pool.glob("pr-8.*"))
    assert running(place) == before
