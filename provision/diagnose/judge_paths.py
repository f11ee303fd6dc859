"""The ways between machines: loss, delay, size, clocks. Pure."""

from __future__ import annotations

import bisect
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from provision.diagnose.cause import Cause, cause
from provision.diagnose.estimate import RTO_MS, SYN_RETRY_MS, at_p99
from provision.diagnose.facts import Path, Recording

LEAST_LOST, LEAST_LOSS = 3, 0.002
"""Fewer are a guest that was off its CPU; 1 % of loss loses 12 of the 1,200 probes that a pair sends each other in a minute."""

LEAST_LOSS_BEYOND, MUCH_LOSS = 4, 0.05
"""Times as often as on the other ways: all lose a little where the machine that probes is too busy to receive."""

ROUNDS = 2
"""Of packets in a small request: its own and the answer's, each acknowledged."""

SLOW_MS, MUCH_SLOWER, JITTER_MS = 15.0, 4.0, 10.0
"""Guests on one site answer within 1 ms, emulated ones within some 5, and 10 on a busy machine; from Oslo to Frankfurt it takes 25."""

SLOWER_MS = 5.0

CLOCK_S = 1.0
"""A guest that never met a time server has its clock from the hardware's, which counts whole seconds."""

MOST_NAMED = 4
"""Other ends that a line names."""


@dataclass(frozen=True)
class Pair:
    """Two machines, and both ways between them."""

    kind: str
    ends: tuple[str, str]
    ways: tuple[Path, ...]

    @property
    def sent(self) -> int:
        """Probes of both."""
        return sum(one.sent for one in self.ways)

    @property
    def lost(self) -> int:
        """Of them, those that did not come back."""
        return sum(one.lost for one in self.ways)

    @property
    def loss(self) -> float:
        """The share that was lost."""
        return self.lost / self.sent if self.sent else 0.0

    @property
    def answers(self) -> bool:
        """Whether any came back: between hosts, and to pods, a firewall or a policy may let none through."""
        return self.lost < self.sent

    def worst(self, what: str) -> float:
        """The larger of both ways' median_ms, p99_ms or jitter_ms."""
        return max((value for one in self.ways if (value := getattr(one, what)) is not None), default=0.0)

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.ends[0]} – {self.ends[1]}"


MEASURES: Mapping[str, Callable[[Pair], float]] = {
    "loss": lambda pair: pair.loss,
    **{what: partial(Pair.worst, what=what) for what in ("median_ms", "p99_ms", "jitter_ms")},
}


class Usual:
    """What is usual on the other ways of a kind: the median of all but one, of as many pairs as 100 guests have."""

    def __init__(self, alike: Sequence[Pair]) -> None:
        """Sorts each measure once."""
        self.alone = len(alike) < 2
        self._ranked = {what: sorted(map(read, alike)) for what, read in MEASURES.items()}

    def beside(self, pair: Pair, what: str) -> float:
        """The median of the others; 0 where there are none."""
        ranked = self._ranked[what]
        count = len(ranked) - 1
        if count < 1:
            return 0.0
        left_out = bisect.bisect_left(ranked, MEASURES[what](pair))
        low, high = (ranked[at + (at >= left_out)] for at in ((count - 1) // 2, count // 2))
        return (low + high) / 2


def pairs(recording: Recording) -> tuple[Pair, ...]:
    """All pairs of machines, each kind for itself."""
    found: dict[tuple[str, tuple[str, str]], list[Path]] = defaultdict(list)
    for path in recording.paths:
        found[path.kind, _sorted(path.start, path.end)].append(path)
    return tuple(Pair(kind, ends, tuple(ways)) for (kind, ends), ways in found.items())


def _sorted(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one <= other else (other, one)


def judge_paths(recording: Recording) -> Iterator[Cause]:
    """MD401, MD402, MD404, MD405."""
    found = pairs(recording)
    yield from _told(_slow_or_lossy(recording, found))
    yield from _told(_sizes(recording, found))
    yield from _clocks(recording)


Hit = tuple[Pair, Cause]
"""A cause, and the way that it lies on: that of the hosts where they have it too."""


def _slow_or_lossy(recording: Recording, found: Sequence[Pair]) -> Iterator[Hit]:
    where = {one.name: one.host for one in recording.guests}
    hosts = {one.ends: one for one in found if one.kind == "host" and one.answers}
    for kind in ("guest", "host", "pod"):
        alike = [one for one in found if one.kind == kind and one.sent and (one.answers or kind == "guest")]
        usual = Usual(alike)
        for pair in alike:
            below = hosts.get(_sorted(*(where.get(end, "") for end in pair.ends)))
            yield from _loss(recording, pair, usual, below)
            yield from _delay(recording, pair, usual, below)


def _told(hits: Iterable[Hit]) -> Iterator[Cause]:
    """One cause for all ways of a machine that have it: that machine, or its link, is what they have in common."""
    left = list(hits)
    while left:
        ends = Counter((cause.id, pair.kind, end) for pair, cause in left for end in pair.ends)
        hub = min(ends, key=lambda one: (-ends[one], one))
        mine = [hit for hit in left if _is_of(hit, *hub)]
        left = [hit for hit in left if not _is_of(hit, *hub)]
        yield _merged(hub[2], mine)


def _is_of(hit: Hit, id_: str, kind: str, end: str) -> bool:
    pair, cause = hit
    return cause.id == id_ and pair.kind == kind and end in pair.ends


def _merged(hub: str, hits: Sequence[Hit]) -> Cause:
    """The worst of them, named by all the ways."""
    pair, worst = max(hits, key=lambda hit: hit[1].explains_ms)
    others = sorted({end for way, _ in hits for end in way.ends} - {hub})
    more = f" and {len(others) - MOST_NAMED} more" if len(others) > MOST_NAMED else ""
    kind = "" if pair.kind == "guest" else f" ({pair.kind}s)"
    return replace(
        worst,
        where=f"{hub} – {', '.join(others[:MOST_NAMED])}{more}{kind}",
        seen=worst.seen if len(hits) == 1 else f"{pair.name}, the worst of {len(hits)} ways: {worst.seen}",
        touches=frozenset[str]().union(*(cause.touches for _, cause in hits)),
    )


def _touched(recording: Recording, pair: Pair) -> frozenset[str]:
    """The guests that a pair is of; of hosts, those on them."""
    if pair.kind == "host":
        return frozenset(one.name for one in recording.guests if one.host in pair.ends)
    return frozenset(pair.ends)


def _way(recording: Recording, pair: Pair, below: Pair | None, *, also: bool, remedy: str) -> str:
    """Where it lies: the wire, or what is between a guest and it."""
    if pair.kind == "host" or also:
        hosts = " and ".join((below or pair).ends)
        return f"the wire: {remedy} on {hosts}"
    apart = {one.host for one in recording.guests if one.name in pair.ends}
    if len(apart) > 1 and below is None:
        where = "the hosts' own way was not seen"
    else:
        where = "the hosts' own way is clean" if below else "both are on one host"
    guests = " and ".join(pair.ends)
    hosts = ", ".join(sorted(apart - {""})) or "their hosts"
    return f"{where}: `tc -s qdisc show; ip -s link` on {guests}, and on the bridge's ports of {hosts}"


def _loss(recording: Recording, pair: Pair, others: Usual, below: Pair | None) -> Iterator[Hit]:
    usual = others.beside(pair, "loss")
    as_the_others = pair.loss < LEAST_LOSS_BEYOND * usual and pair.loss < MUCH_LOSS
    if pair.lost < LEAST_LOST or pair.loss < LEAST_LOSS or as_the_others:
        return
    also = below is not None and below.lost >= LEAST_LOST
    hit = 1 - (1 - pair.loss) ** ROUNDS
    explains = at_p99(RTO_MS, hit) + (2 * RTO_MS if hit**2 >= 0.01 else 0.0)
    remedy = "`ethtool -S LINK | grep -iE 'err|drop|crc'`, cable, switch port, duplex"
    compared = "" if others.alone else f"; on the other ways {usual:.1%}"
    seen = f"{pair.lost} of {pair.sent} probes ({pair.loss:.1%}) were lost{compared}"
    way = _way(recording, pair, below, also=also, remedy=remedy)
    told = cause("MD401", pair.name, seen, explains, "certain", _touched(recording, pair), way=way)
    yield (below if also and below else pair), told


def _delay(recording: Recording, pair: Pair, others: Usual, below: Pair | None) -> Iterator[Hit]:
    median, jitter, p99 = (pair.worst(what) for what in ("median_ms", "jitter_ms", "p99_ms"))
    usual, usual_jitter = others.beside(pair, "median_ms"), others.beside(pair, "jitter_ms")
    slower = median - usual >= SLOWER_MS and median >= MUCH_SLOWER * usual
    uneven = jitter >= JITTER_MS and jitter >= MUCH_SLOWER * usual_jitter
    if not (slower or uneven or median >= SLOW_MS):
        return
    also = below is not None and below.worst("median_ms") >= median / 2
    rest = others.beside(pair, "p99_ms") if slower or uneven else 0.0
    way = _way(recording, pair, below, also=also, remedy="`mtr -n` from one to the other")
    compared = "" if others.alone else f"; on the other ways {usual:.1f} ms"
    seen = f"a round takes {median:.1f} ms, p99 {p99:.0f} ms, ± {jitter:.1f} ms{compared}"
    told = cause("MD402", pair.name, seen, max(p99 - rest, 0.0), "certain", _touched(recording, pair), way=way)
    yield (below if also and below else pair), told


def _sizes(recording: Recording, found: Sequence[Pair]) -> Iterator[Hit]:
    """Whole packets that get lost where small ones pass."""
    for pair in found:
        hit = [
            one
            for one in pair.ways
            if one.whole_sent >= 2 and one.whole_lost == one.whole_sent and one.lost < one.sent / 2
        ]
        if hit:
            size = recording.mtu - 28
            way = hit[0]
            lost = f"{way.whole_lost} of {way.whole_sent} lost; small ones pass"
            seen = f"{recording.mtu} bytes from {way.start} to {way.end}: {lost}"
            values = {"size": size, "address": way.end, "node": way.start, "mtu": recording.mtu}
            yield pair, cause("MD404", pair.name, seen, SYN_RETRY_MS, "certain", _touched(recording, pair), **values)


def _clocks(recording: Recording) -> Iterator[Cause]:
    """A guest's clock against the middle of all: two that differ are both named, as nobody knows who is right."""
    ahead = {guest.name: 0.0 for guest in recording.guests[:1]}
    first = next(iter(ahead), "")
    seen = {(one.start, one.end): one.clock_ahead_s for one in recording.paths if one.kind == "guest"}
    for (start, end), value in seen.items():
        if value is not None and start == first:
            ahead[end] = value
        elif value is not None and end == first:
            ahead.setdefault(start, -value)
    middle = statistics.median(ahead.values()) if ahead else 0.0
    for guest, value in ahead.items():
        if abs(value - middle) >= CLOCK_S:
            which = "ahead of" if value > middle else "behind"
            yield cause(
                "MD405", guest, f"{abs(value - middle):.1f} s {which} the others", 0.0, "certain", {guest}, node=guest
            )
