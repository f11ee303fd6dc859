"""The page of one known failure of Kubernetes: what the registry knows of it, and what is told of it beside."""

from __future__ import annotations

from dataclasses import dataclass, replace

from provision.base.pages import Entry, fenced
from provision.kubernetes.failures import BY_NAME, advice_on
from provision.kubernetes.failures.model import Failure

_WAITING = {
    "vain": "A wait in which it is seen twice ends at once: no waiting mends it.",
    "doubtful": "A wait in which it is seen twice warns of it once and goes on, and ends where what says it has ended itself.",
    "usual": "A healthy start shows it too: no wait ends for it, and it is said when a wait has come to its end.",
}


@dataclass(frozen=True)
class Told:
    """What is told of a failure: a line as it was printed, what that means, and why it comes about."""

    seen: str
    means: str
    why: str


@dataclass(frozen=True)
class FailurePage(Entry):
    """One known failure."""

    failure: Failure
    told: Told

    def text(self) -> str:
        """The page in Markdown, its heading one of the second level."""
        parts = [
            f"## {self.heading}",
            f"Severity: {self.severity}.",
            self.told.means,
            f"**How it is seen.** For one:\n\n{fenced(self.told.seen, 'text')}",
            f"**Why it happens.** {self.told.why}",
            f"**Next step.** {_advice(self.failure)}",
            *(
                f"**Next step on {generation}.** {_advice(self.failure, generation)}"
                for generation in self._generations
            ),
            f"**While something is waited for.** {_WAITING[self.failure.waiting]}",
            *self._consequences(),
        ]
        return "\n\n".join(parts) + "\n"

    @property
    def _generations(self) -> list[str]:
        return sorted(self.failure.advice_of, key=lambda said: tuple(map(int, said.split("."))))

    def _consequences(self) -> list[str]:
        follow = [BY_NAME[name] for name in self.failure.symptoms]
        said = ", ".join(f"{one.id} ({_cause(one)})" for one in follow)
        return [f"**What follows from it**, and is not said beside it: {said}."] if follow else []


def page(failure: Failure, told: Told) -> FailurePage:
    """The page of a failure."""
    severity = "warning" if failure.harmless else "error"
    return FailurePage(failure.id, _cause(failure), severity, failure, told)


def _cause(failure: Failure) -> str:
    """The cause where nothing fills its text."""
    return (
        failure.cause.replace(" ({what})", "")
        .replace("port {what}", "a port")
        .replace("{what}", "bridge-nf-call-iptables")
    )


def _advice(failure: Failure, generation: str = "") -> str:
    """What to do, with capitals for what the node's own words fill in."""
    named = replace(failure, cause="")
    said = advice_on(named, ["NAME"], generation).removeprefix(f"{failure.id}: : ")
    return f"{said[0].upper() if not said.startswith('`') else said[0]}{said[1:]}."
