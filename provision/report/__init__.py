"""What people and programs see of a run: events as lines, on a terminal and as JSON; a plan and drift as text and data.

To live here a line puts words or layout to what somebody else found.
"""

from provision.report.sinks import JsonLines, Lines, Sink, Terminal, run_log, tee

__all__ = [
    "JsonLines",
    "Lines",
    "Sink",
    "Terminal",
    "run_log",
    "tee",
]
