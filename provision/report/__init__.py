"""What people and programs see of a run: events as lines, on a terminal and as JSON; a plan and drift as text and data.

To live here a line puts words or layout to what somebody else found.
"""

from provision.report.account import Account
from provision.report.junit import Junit
from provision.report.logs import crash_file, run_log
from provision.report.sinks import JsonLines, Lines, Sink, Terminal, tee

__all__ = [
    "Account",
    "JsonLines",
    "Junit",
    "Lines",
    "Sink",
    "Terminal",
    "crash_file",
    "run_log",
    "tee",
]
