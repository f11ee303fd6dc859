"""Why requests are slow: facts by one look at all machines, judged by pure functions, ranked, explained by a registry.

To live here a line reads a fact of latency, judges one, draws or tells the verdict, or is the page of a cause; machines are reached
elsewhere. `on_machine` is the text that runs there.
"""

from __future__ import annotations

from provision.diagnose.drawing import draw
from provision.diagnose.facts import Endpoint, Recording, read_recording, written
from provision.diagnose.read_guest import read_guest
from provision.diagnose.read_host import Planned, read_host
from provision.diagnose.read_machine import read_paths
from provision.diagnose.read_router import read_router
from provision.diagnose.script import DRAIN_AND_START_S, argv
from provision.diagnose.text import as_text
from provision.diagnose.verdict import Verdict, judge

__all__ = [
    "DRAIN_AND_START_S",
    "Endpoint",
    "Planned",
    "Recording",
    "Verdict",
    "argv",
    "as_text",
    "draw",
    "judge",
    "read_guest",
    "read_host",
    "read_paths",
    "read_recording",
    "read_router",
    "written",
]
