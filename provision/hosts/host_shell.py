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


@dataclass
class Through(Local):
    """Commands that another program of this machine carries to where they run: its argv is `prefix`."""

    prefix: tuple[str, ...] = ()
    quoted: bool = False
    """The program joins its words and gives them to a shell, as ssh does."""

    def _end(self, argv: Sequence[str], stdin: bytes, within_s: float, on_line: OnLine | None) -> Completed:
        carried = (shlex.join(argv),) if self.quoted else tuple(argv)
        return super()._end((*self.prefix, *carried), stdin, within_s, on_line)


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
        *(("-p", str(uri.port)) if uri.port else ()),
        *(("-l", uri.username) if uri.username else ()),
        *(("-i", keyfile[0]) if keyfile else ()),
    ]
    sudo = () if uri.username in (None, "root") else ("sudo", "-n", "--")
    return (program[0], *options, "--", uri.hostname or "localhost", *sudo)
