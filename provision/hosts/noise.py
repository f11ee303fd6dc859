"""A noisy neighbour: busy loops on given CPUs of a host, which end by themselves whatever becomes of who began them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from provision.base.cpu_lists import cpu_list
from provision.base.shell import Shell

NEEDED = ("setsid", "timeout", "taskset", "grep", "mkdir", "rm")
"""coreutils, util-linux and grep: every Debian has them."""

# A loop has three ends: `stop`, `timeout`, and the kernel's, for when somebody kills `timeout` alone: so many seconds of CPU each
# (RLIMIT_CPU). Arguments: name, seconds, CPUs, loops.
_LOOPS = """
ulimit -t "$2"
number=0
while [ "$number" -lt "$4" ]; do
  taskset -c "$3" sh -c 'while :; do :; done' &
  number=$((number + 1))
done
wait
"""

# `setsid` becomes the program that it starts, as it leads no group here: its pid is that of the whole group of loops, and waited for, since
# whoever ends it in the moment before would end nothing.
_BEGIN = """
set -e
mkdir -p /run/meshctl
file=/run/meshctl/noise.$2
setsid timeout --kill-after=2 "$3" sh -c "$1" meshctl-noise "$2" "$3" "$4" "$5" </dev/null >/dev/null 2>&1 &
echo "$!" > "$file"
tries=0
until kill -0 -"$!" 2>/dev/null || [ "$tries" = 500 ]; do
  sleep 0.01
  tries=$((tries + 1))
done
"""

# A stale file names a process that is not this. Few programs: after Ctrl-C there is a second for it, on a host whose CPUs are all busy.
_END = """
file=/run/meshctl/noise.$1
read -r pid 2>/dev/null < "$file" || exit 0
if grep -qsaF meshctl-noise "/proc/$pid/cmdline"; then
  { kill -KILL -"$pid" 2>/dev/null || kill -KILL "$pid"; } && echo ended
fi
rm -f "$file"
"""

_ABLE = """
for name in "$@"; do
  command -v "$name" > /dev/null || echo "$name"
done
"""

END_S = 20.0


@dataclass(frozen=True)
class Noise:
    """The noise of a cluster on a host, of which there is one at a time: `name` is both their names, as hosts of a lab share a /run."""

    shell: Shell
    name: str

    def lacking(self) -> tuple[str, ...]:
        """Programs that it needs and the host has not. Raises ShellError."""
        return tuple(self.shell.read(["sh", "-c", _ABLE, "able", *NEEDED]).stdout.split())

    def begin(self, cpus: Collection[int], loops: int, within_s: float) -> None:
        """Begins so many busy loops, free to run on `cpus`, that end after `within_s` seconds at the latest; one that is there ends first.

        Raises ShellError.
        """
        self.end()
        seconds = str(round(within_s))
        self.shell.run(["sh", "-c", _BEGIN, "noise", _LOOPS, self.name, seconds, cpu_list(cpus), str(loops)])

    def end(self) -> bool:
        """Ends it; whether it was still there. Raises ShellError."""
        return self.shell.run(["sh", "-c", _END, "quiet", self.name], within_s=END_S).stdout.strip() == "ended"
