"""Why requests are slow: facts by one look at all machines, judged by pure functions, ranked, explained by a registry.

To live here a line reads a fact of latency, judges one, draws or tells the verdict, or is the page of a cause; machines are reached
elsewhere. `on_machine` is the text that runs there, `on_guest` the one that stays while somebody watches.
"""

from __future__ import annotations

from provision.diagnose.cause import Cause
from provision.diagnose.drawing import draw
from provision.diagnose.facts import Endpoint, Guest, Host, Recording, Router, Vcpu, read_recording, written
from provision.diagnose.read_guest import read_guest
from provision.diagnose.read_host import Planned, read_host
from provision.diagnose.read_machine import read_paths
from provision.diagnose.read_router import read_router
from provision.diagnose.script import DRAIN_AND_START_S, argv, ticking_argv
from provision.diagnose.text import as_text
from provision.diagnose.ticks import UNSEEN, Metrics, Sample, Seen, guest_between, merged, router_between
from provision.diagnose.verdict import Verdict, judge

__all__ = [
    "DRAIN_AND_START_S",
    "UNSEEN",
    "Cause",
    "Endpoint",
    "Guest",
    "Host",
    "Metrics",
    "Planned",
    "Recording",
    "Router",
    "Sample",
    "Seen",
    "Vcpu",
    "Verdict",
    "argv",
    "as_text",
    "draw",
    "guest_between",
    "judge",
    "merged",
    "read_guest",
    "read_host",
    "read_paths",
    "read_recording",
    "read_router",
    "router_between",
    "ticking_argv",
    "written",
]
