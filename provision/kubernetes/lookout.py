"""Waits on nodes that look why (ADR 0033): what the nodes say meanwhile is read, and a cause that no waiting mends ends the wait. One that
was in vain ends with a diagnosis. How long is waited follows how slow the nodes are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from provision.base.errors import KubernetesError, MeshctlError, StageTimeout
from provision.base.events import Emit, Warned, nowhere
from provision.base.parallel import for_each
from provision.base.shell import Shell
from provision.base.waiting import NotYet, Ready, wait_until
from provision.kubernetes.diagnose import SECTION, Diagnosis, diagnose
from provision.kubernetes.failures import BY_NAME, advice_on, causes
from provision.kubernetes.token import redacted

T = TypeVar("T")

GLANCE_S = 30.0
"""How often nodes are looked at; the first time after this long, as most waits are over by then."""

GLANCE_WITHIN_S = 60.0

AT_ONCE = 3
"""How many nodes are looked at: what keeps a hundred of them keeps these too."""

RESTARTS = 3
"""From its third start anew on a container is said to end again and again: while a control plane starts some do once or twice."""

LOOP = 20_000
USUAL_S = 0.4
"""What a shell takes for LOOP steps on an idle emulated CPU, for which the deadlines are made (tens of milliseconds under KVM)."""

SLOWEST = 3.0
"""No wait is made longer than so many times: a node that is slower than that serves nobody."""

# $1: seconds of the epoch, 0 at first; $2: steps of the loop. Prints the node's time, the loop's begin and end, and what was said since.
# Containers that ended are shown with their own last words; the pause containers say nothing.
_GLANCE = """
read -r begun _ < /proc/uptime
i=0; while [ $i -lt "$2" ]; do i=$((i+1)); done
read -r ended _ < /proc/uptime
printf '%s %s %s\\n' "$(date +%s)" "$begun" "$ended"
if [ "$1" = 0 ]; then exit 0; fi
printf '\\036kubelet:\\n'
journalctl -u kubelet --no-pager -o cat --since "@$1" -n 400 2>/dev/null | grep -v 'Server rejected event'
docker ps -a --no-trunc --filter name=k8s_ --filter status=exited --format '{{.ID}} {{.Names}}' 2>/dev/null |
    grep -v ' k8s_POD' | head -n 6 | while read -r id name; do
    printf '\\036%s:\\n' "$name"
    docker logs --since "$1" --tail 20 "$id" 2>&1
done
exit 0
"""


@dataclass(frozen=True)
class Glance:
    """What a node said between two looks: names of failures that no waiting mends, containers that ended again and again with their
    last words, the node's time in seconds of the epoch, and how many times slower than usual it is.
    """

    at: str
    slowness: float = 1.0
    vain: frozenset[str] = frozenset()
    crashing: tuple[tuple[str, str], ...] = ()


def read_glance(text: str) -> Glance:
    """The same of what the script printed. Pure."""
    head, *sections = text.split(SECTION)
    at, begun, ended = (*head.split(), "0", "0", "0")[:3]
    said = [[redacted(line.rstrip()) for line in section.splitlines() if line.strip()] for section in sections]
    lines = [line for _, *rest in filter(None, said) for line in rest]
    vain = frozenset(failure.name for failure, _ in causes(lines) if failure.waiting == "vain")
    crashing = tuple(
        (name, rest[-1]) for title, *rest in filter(None, said) if rest and (name := _crashing(title.rstrip(":")))
    )
    return Glance(at, min(SLOWEST, max(1.0, (float(ended) - float(begun)) / USUAL_S)), vain, crashing)


def _crashing(container: str) -> str:
    """The container's own name, if it was started anew often: the kubelet calls it k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT."""
    kind, _, rest = container.partition("_")
    attempt = rest.rpartition("_")[2]
    return rest.partition("_")[0] if kind == "k8s" and attempt.isdigit() and int(attempt) >= RESTARTS else ""


@dataclass(frozen=True)
class Watched:
    """The nodes that a wait is about, the one that all others need first, and how they are reached: asked only when they are looked at."""

    names: tuple[str, ...]
    shells: Callable[[], Mapping[str, Shell]]
    generation: str = ""

    @classmethod
    def by(cls, generation: str, *shells: Shell) -> Watched:
        """Those that these shells lead to."""
        found = {shell.where: shell for shell in shells}
        return cls(tuple(found), lambda: found, generation)


@dataclass
class Lookout:
    """Looks at nodes while something is waited for."""

    nodes: Watched
    emit: Emit = nowhere
    slowness: float = 1.0
    _looked_s: float = field(default_factory=time.monotonic)
    _last: dict[str, Glance] = field(default_factory=dict)
    _told: set[tuple[str, str]] = field(default_factory=set)

    @cached_property
    def _shells(self) -> Mapping[str, Shell]:
        """Asked for once in a wait: it may read all hosts."""
        return self.nodes.shells()

    def glance(self, concerned: tuple[str, ...] = ()) -> None:
        """Looks, when it is time, at the nodes that the wait is about. Raises KubernetesError when one says twice what no waiting mends."""
        if time.monotonic() - self._looked_s < GLANCE_S:
            return
        for_each(self._watched(concerned), self._look)
        self._looked_s = time.monotonic()

    def explained(self, error: StageTimeout, concerned: tuple[str, ...] = ()) -> StageTimeout:
        """The end of a wait with what the nodes say of it."""
        found = {node: one for node in self._watched(concerned) if (one := self._diagnosis(node)) is not None}
        if not found:
            return error
        text = "\n".join(f"    {node}: {line}" for node, one in found.items() for line in one.shown)
        hint = error.hint or ". ".join(dict.fromkeys(one.hint for one in found.values()))
        return StageTimeout(f"{error.message}\n{text}", hint=hint)

    def _watched(self, concerned: tuple[str, ...]) -> list[str]:
        first, *others = self.nodes.names
        return list(dict.fromkeys((first, *(node for node in others if not concerned or node in concerned))))[:AT_ONCE]

    def _diagnosis(self, node: str) -> Diagnosis | None:
        try:
            return diagnose(self._shells[node], self.nodes.generation)
        except MeshctlError:
            return None  # the wait's own words say that it cannot be reached

    def _look(self, node: str) -> None:
        before = self._last.get(node, Glance("0"))
        try:
            argv = ["sh", "-c", _GLANCE, "glance", before.at, str(LOOP)]
            found = read_glance(self._shells[node].read(argv, within_s=GLANCE_WITHIN_S, check=False).stdout)
        except MeshctlError:
            return
        self._last[node] = found
        self.slowness = max(self.slowness, found.slowness)
        for name, words in found.crashing:
            if (node, name) not in self._told:
                self._told.add((node, name))
                self.emit(Warned(f"{node}: {name} ends again and again: {words}"))
        if twice := found.vain & before.vain:
            raise self._in_vain(node, twice)

    def _in_vain(self, node: str, names: frozenset[str]) -> KubernetesError:
        advice = ". Also: ".join(advice_on(BY_NAME[name], (), self.nodes.generation) for name in sorted(names))
        found = self._diagnosis(node)
        text = "\n".join(f"    {line}" for line in (found.shown if found else ()))
        return KubernetesError(f"{node}: it is waited in vain\n{text}".rstrip(), hint=found.hint if found else advice)


def wait_on(
    nodes: Watched,
    check: Callable[[], Ready[T] | NotYet],
    *,
    what: str,
    within_s: float,
    every_s: float = 3.0,
    emit: Emit = nowhere,
    hint: str = "",
) -> T:
    """As `wait_until`, with an eye on nodes: `within_s` is for nodes of usual slowness.

    Raises KubernetesError for what no waiting mends.
    """
    lookout, last = Lookout(nodes, emit), NotYet("")

    def look() -> Ready[T] | NotYet:
        nonlocal last
        answer = check()
        if isinstance(answer, NotYet):
            last = answer
            lookout.glance(answer.nodes)
        return answer

    def allowed_s() -> float:
        return within_s * lookout.slowness

    try:
        return wait_until(look, what=what, within_s=allowed_s, every_s=every_s, emit=emit, hint=hint)
    except StageTimeout as error:
        raise lookout.explained(error, last.nodes) from error
