"""What is planted is named, and first; two at once are both named; where nothing is planted nothing is named."""

from __future__ import annotations

import itertools
import json
import time

import pytest

from provision.diagnose import Recording, as_text, judge, read_recording, written
from provision.diagnose.cause import Cause
from provision.diagnose.pages import BY_ID
from tests.unit.diagnose.cluster import PLACES, drawer, healthy, in_guest, in_host, in_router, with_
from tests.unit.diagnose.planted import PLANTED, Planted, loss, planted

VARIATIONS = 10

each = pytest.mark.parametrize("cause", PLANTED, ids=lambda cause: str(cause.name))
seeds = pytest.mark.parametrize("seed", range(VARIATIONS))


def named(recording: Recording) -> list[str]:
    return [one.id for one in judge(recording).causes]


def one_planted(cause: Planted, seed: int) -> Recording:
    draw = drawer(seed)
    node = ("w1", "w2", "w3")[seed % 3]
    other = "w2" if node != "w2" else "w3"
    return planted(cause, healthy(draw), draw, node, other)


@seeds
def test_of_a_healthy_cluster_nothing_is_named(seed: int) -> None:
    verdict = judge(healthy(drawer(seed)))
    assert [(one.id, one.where, one.seen) for one in verdict.causes] == []
    assert "nothing found" in as_text(verdict)
    assert verdict.unexplained_ms is not None
    assert len(verdict.looked_at) == 6


@each
def test_what_is_planted_is_named_first_and_nothing_beside_it(cause: Planted) -> None:
    """What follows from a cause is not told beside it."""
    for seed in range(VARIATIONS):
        verdict = judge(one_planted(cause, seed))
        assert [one.id for one in verdict.causes][:1] == [cause.id], as_text(verdict)
        assert {one.id for one in verdict.causes} == {cause.id}, as_text(verdict)


@pytest.mark.parametrize(
    "pair", tuple(itertools.combinations(PLANTED, 2)), ids=lambda pair: f"{pair[0].id}-{pair[1].id}"
)
def test_of_two_at_once_both_are_named(pair: tuple[Planted, Planted]) -> None:
    for seed in range(3):
        draw = drawer(seed)
        seen = healthy(draw)
        seen = planted(pair[0], seen, draw, "w1", "w2")
        seen = planted(pair[1], seen, draw, "w3", "cp1")
        found = named(seen)
        assert {pair[0].id, pair[1].id} <= set(found[:4]), as_text(judge(seen))


def test_a_way_is_the_wires_where_the_hosts_lose_too() -> None:
    draw = drawer(1)
    guests_only = loss(healthy(draw), draw, "w1", "w2")
    both = with_(
        guests_only,
        paths=tuple(
            with_(path, lost=9) if path.kind == "host" and {path.start, path.end} == {"hv1", "hv2"} else path
            for path in guests_only.paths
        ),
    )
    assert "the hosts' own way is clean" in judge(guests_only).causes[0].fix
    assert all("the wire: `ethtool" in one.fix for one in judge(both).causes)


def test_one_hundred_guests_are_judged_within_two_seconds() -> None:
    places = {f"n{number}": f"hv{number % 20}" for number in range(97)} | {"w1": "hv1", "w2": "hv2", "w3": "hv3"}
    draw = drawer(3)
    seen = planted(PLANTED[0], healthy(draw, places), draw, "w1", "w2")
    assert (len(seen.guests), len(seen.paths)) == (100, 100 * 99 + 20 * 19)
    text = written(seen)
    started = time.process_time()
    verdict = judge(read_recording(text, "hundred.json"))
    assert time.process_time() - started <= 2.0
    assert verdict.causes[0].id == "MD401"


def test_a_recording_is_read_back_as_it_was_written() -> None:
    seen = one_planted(PLANTED[0], 4)
    assert read_recording(written(seen), "x.json") == seen
    assert judge(read_recording(written(seen), "x.json")) == judge(seen)


def test_a_service_is_judged_by_itself() -> None:
    seen = with_(one_planted(next(one for one in PLANTED if one.id == "MD451"), 1), service="other")
    verdict = judge(seen)
    assert (verdict.causes, verdict.p99_ms) == ((), None)
    assert "no requests were seen" in as_text(verdict)


def test_without_requests_a_cause_says_what_one_would_pay() -> None:
    seen = with_(one_planted(PLANTED[0], 2), routers=())
    assert judge(seen).causes[0].id == "MD401"
    assert "ms of a request that meets it (certain)" in as_text(judge(seen))


def test_no_cause_explains_more_than_there_is() -> None:
    for cause in PLANTED:
        verdict = judge(one_planted(cause, 5))
        assert verdict.p99_ms is not None
        assert all(one.explains_ms <= verdict.p99_ms for one in verdict.causes)
        assert verdict.unexplained_ms is not None
        assert 0 <= verdict.unexplained_ms <= verdict.p99_ms


def test_what_could_not_be_seen_is_said() -> None:
    seen = healthy(drawer(1))
    seen = in_router(seen, "w1", lambda one: with_(one, fault="ConnectionRefusedError"))
    seen = in_host(seen, "hv1", lambda one: with_(one, unread=("pressure (no PSI)",)))
    seen = with_(seen, unseen=(("w9", "no answer within 5 s"),))
    said = as_text(judge(seen))
    filtered = with_(seen.paths[0], kind="pod", lost=600, median_ms=None)
    seen = with_(seen, paths=(*seen.paths, filtered))
    assert named(seen) == []
    said = as_text(judge(seen))
    assert "not seen: cp1 to w1 (pods): no probe came back" in said
    for line in ("w9: no answer within 5 s", "hv1: pressure (no PSI)", "linkerd on w1: ConnectionRefusedError"):
        assert f"not seen: {line}" in said


def test_a_shared_guests_waits_are_its_plan() -> None:
    hog = next(one for one in PLANTED if one.id == "MD421")
    seen = one_planted(hog, 0)

    def shared(share: float) -> Recording:
        hosts = (
            with_(
                host,
                vcpus=tuple(with_(one, own=False) for one in host.vcpus),
                others=tuple(with_(one, share=min(one.share, share)) for one in host.others),
            )
            for host in seen.hosts
        )
        return with_(seen, hosts=tuple(hosts))

    assert named(shared(0.2)) == []
    assert named(shared(1.0)) == ["MD421"]


def test_a_verdict_is_data_too() -> None:
    data = json.loads(json.dumps(judge(one_planted(PLANTED[0], 1)).as_data()))
    assert set(data) >= {"p99_ms", "unexplained_ms", "causes", "looked_at", "unseen", "services"}
    first = data["causes"][0]
    assert (first["id"], first["sure"]) == ("MD401", "certain")
    assert first["docs"] == BY_ID["MD401"].anchor


def test_every_page_is_said_by_a_judge_and_every_symptom_is_a_page() -> None:
    assert {one for page in BY_ID.values() for one in page.symptoms} <= set(BY_ID)
    assert all(page.reckoned and page.source for page in BY_ID.values())
    assert Cause.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert set(PLACES) == {"cp1", "w1", "w2", "w3"}


def test_a_drop_of_a_table_that_is_nearly_empty_is_not_for_want_of_room() -> None:
    """Seen in the lab: 1 packet, with 1,221 of 131,072 entries in use."""
    seen = in_guest(
        healthy(drawer(1)), "w1", lambda one: with_(one, conntrack=1221, conntrack_max=131072, conntrack_drops=1)
    )
    assert named(seen) == []
    half = in_guest(seen, "w1", lambda one: with_(one, conntrack=80000, conntrack_drops=1))
    assert named(half) == ["MD413"]
