"""Causes that only some kernels can be made to have: a test of such a one is left out where it cannot be, and the run says so.

They are judged on recorded facts in any case (test_verdict.py).
"""

from __future__ import annotations

import subprocess

import pytest

MEANS = {
    "netem": "tc qdisc add dev lo root netem delay 1ms",
    "cgroup v1": "mkdir -p /tmp/cpu && mount -t tmpfs t /tmp/cpu && mkdir /tmp/cpu/c && mount -t cgroup -o cpu c /tmp/cpu/c"
    " && test -e /tmp/cpu/c/cpu.cfs_quota_us",
}
"""What a kernel must have, by a command in namespaces of its own that shows it."""

LEFT_OUT: dict[str, str] = {}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    asked = {
        name: marker.args[0] for item in items if (marker := item.get_closest_marker("kernel")) for name in [item.name]
    }
    lacking = {means for means in set(asked.values()) if not _has(means)}
    out = [item for item in items if asked.get(item.name) in lacking]
    LEFT_OUT.update({item.nodeid: asked[item.name] for item in out})
    if out:
        config.hook.pytest_deselected(items=out)
        items[:] = [item for item in items if item not in out]


def _has(means: str) -> bool:
    argv = ["unshare", "--mount", "--net", "sh", "-c", f"ip link set lo up; {MEANS[means]}"]
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, means in LEFT_OUT.items():
        terminalreporter.write_line(f"not tried on this machine, whose kernel has no {means}: {name}")
