"""The shell of a host, found from its libvirt URI: here, in a lab's namespaces, or by the system's ssh."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, urlsplit

from provision.base.calls import Calls
from provision.base.shell import Completed, Local, OnLine, Shell
from provision.inventory import Host
from provision.lab import exec_argv, of_uri

CONNECT_S = 4
"""A host that has not taken the TCP connection by then is not there: `doctor` has 5 s for each."""

ALIVE_S, ALIVE_COUNT = 5, 4
"""ssh asks a host that is silent every 5 s whether it is there, and gives it up after 4 questions without an answer."""

# Nothing tells a command behind ssh that whoever asked for it is gone: without a terminal there is no hang-up, and it would
# run on beside what the next run begins. So it runs in a session of its own, under a deadline of its own ($1, seconds), and
# ends when standard input does: ssh's other end holds that open for as long as it lives. One line: csh takes no other.
_GUARD = (
    "exec 3<&0; within=$1; shift; "
    'setsid timeout --kill-after=10 "$within" "$@" < /dev/null 3<&- & child=$!; '
    '( read -r _; kill -TERM -"$child" ) <&3 > /dev/null 2>&1 & guard=$!; '
    'exec 3<&-; wait "$child"; status=$?; kill "$guard" 2> /dev/null; exit "$status"'
)


@dataclass
class Through(Local):
    """Commands that another program of this machine carries to where they run: its argv is `prefix`."""

    prefix: tuple[str, ...] = ()
    quoted: bool = False
    """The program joins its words and gives them to a shell elsewhere, as ssh does."""

    def _end(self, argv: Sequence[str], stdin: bytes, within_s: float, on_line: OnLine | None) -> Completed:
        if not self.quoted:
            return self._started(argv, (*self.prefix, *argv), stdin, within_s, on_line)
        held = not stdin
        guarded = ("sh", "-c", _GUARD, "guard", f"{max(within_s, 1.0):.0f}", *argv) if held else argv
        return self._started(argv, (*self.prefix, shlex.join(guarded)), stdin, within_s, on_line, held=held)


def host_shell(host: Host, calls: Calls) -> Shell | None:
    """A shell on the host, as root where its URI says so or sudo allows it; None where the URI leads to none.

    None: libvirt's test driver, TCP and TLS. Raises MeshctlError when the URI is that of a lab which is not up.
    """
    parts = urlsplit(host.uri)
    driver, _, transport = parts.scheme.partition("+")
    lab = of_uri(host.uri)
    if driver == "test":
        return None
    if lab is not None:
        return Through(host.name, calls=calls, prefix=exec_argv(lab, ()))
    if transport in ("ssh", "libssh"):
        return Through(host.name, calls=calls, prefix=ssh_argv(parts), quoted=True)
    return Local(host.name, calls=calls) if transport in ("", "unix") and not parts.hostname else None


def ssh_argv(uri: SplitResult) -> tuple[str, ...]:
    """The ssh that reaches the host of a qemu+ssh URI as libvirt does: same program, same settings, no questions.

    `keyfile` and `command` are libvirt's parameters for the private key and for the program (libvirt.org/uri.html). A user
    other than root needs sudo without a password, as in guests.
    """
    said = parse_qs(uri.query)
    keyfile, program = said.get("keyfile", []), said.get("command", ["ssh"])
    options = [
        *("-o", "BatchMode=yes", "-o", f"ConnectTimeout={CONNECT_S}"),
        *("-o", f"ServerAliveInterval={ALIVE_S}", "-o", f"ServerAliveCountMax={ALIVE_COUNT}"),
        *(("-p", str(uri.port)) if uri.port else ()),
        *(("-l", uri.username) if uri.username else ()),
        *(("-i", keyfile[0]) if keyfile else ()),
    ]
    sudo = () if uri.username in (None, "root") else ("sudo", "-n", "--")
    return (program[0], *options, "--", uri.hostname or "localhost", *sudo)
