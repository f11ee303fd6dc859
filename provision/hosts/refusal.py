"""Why libvirt gave no connection, told from its words, and the one next step for that cause. Pure.

libvirt hands on what ssh, the remote shell, virt-ssh-helper or nc said, in English: it starts ssh with LC_ALL=C.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from provision.lab import of_uri

# What virt-ssh-helper, libvirt itself and nc (traditional, OpenBSD's) say when the socket is the trouble, not the way to the host.
_AT_SOCKET = r"(Failed to connect socket to|nc(\.\w+)?: (unix connect failed|/)).*"

UNASKED = "no_tty"
"""libvirt's parameter that makes its ssh ask nothing (BatchMode): keys and passwords belong in the agent and known_hosts."""


@dataclass(frozen=True)
class Cause:
    """A pattern in libvirt's words, and the next step: {ssh} logs in there as libvirt does, {user} is who does, {host} where."""

    pattern: str
    step: str


_CAUSES = (
    Cause(
        r"(virt-ssh-helper|nc|netcat): (command )?not found",
        "SSH works, but the host has no program that hands libvirt's socket on: `apt-get install netcat-openbsd` there"
        " (virt-ssh-helper comes with libvirt-daemon)",
    ),
    Cause(
        r"(nc(\.\w+)?|[Nn]et[Cc]at|[Nn]cat): (invalid|unknown|illegal|unrecognized) option|[Uu]sage: nc|BusyBox",
        "the host's nc knows no Unix sockets (option -U): `apt-get install netcat-openbsd` there, or proxy=native in the URI where"
        " virt-ssh-helper is there (libvirt 6.8 and later)",
    ),
    Cause(
        r"Cannot find '?ssh'? in path|ssh: (command )?not found",
        "this machine has no ssh: `apt-get install openssh-client`, or command= in the URI",
    ),
    Cause(
        r"Bad owner or permissions on|Bad configuration option|terminating, \d+ bad configuration",
        "this machine's ssh does not take its own settings: `{ssh} true` names the file and the line",
    ),
    Cause(
        r"UNPROTECTED PRIVATE KEY FILE|bad permissions",
        "ssh does not take a key that others can read: `chmod 600` on the file that `{ssh} true` names",
    ),
    Cause(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        "the host's key is not the known one. Find out why before anything else: was it installed anew, is it another machine?"
        " Then take the old line out of known_hosts and log in once by hand: `{ssh}`",
    ),
    Cause(
        r"Host key verification failed|host key is known for",
        "the host's key is not known, and is never taken unseen: log in once by hand and compare the fingerprint: `{ssh}`",
    ),
    Cause(
        r"Permission denied \([a-z,-]+\)|Too many authentication failures",
        "the host's sshd lets {user} not in: `{ssh} true` must work without a question"
        " (key in the agent or in the URI's keyfile=)",
    ),
    Cause(
        r"account is currently not available|This account is|nologin",
        "{user} has no shell on the host, which libvirt's ssh needs: `getent passwd {user}` there",
    ),
    Cause(
        r"no matching (host key type|key exchange method|cipher|MAC)|Unable to negotiate",
        "the two sshs have no algorithm in common: a newer sshd, or what `{ssh} true` says it offers in ~/.ssh/config for this host",
    ),
    Cause(
        r"administratively prohibited|forwarding (request denied|is disabled)",
        "the jump host forwards nothing for this user: AllowTcpForwarding in its sshd_config",
    ),
    Cause(
        r"[Cc]ertificate|TLS|x509",
        "the two certificates do not fit: `virt-pki-validate` here and on {host}; a URI qemu+ssh:// needs none",
    ),
    Cause(
        r"no connection driver available|[Cc]annot find.*driver|driver .*not (available|loaded)",
        "the libvirt there has no QEMU: `apt-get install libvirt-daemon-driver-qemu qemu-system-x86` on {host}",
    ),
    Cause(
        r"[Tt]oo many active clients|max_(anonymous_)?clients",
        "libvirtd has as many connections as it takes: who has them says `virt-admin srv-clients-list libvirtd` on {host};"
        " max_clients in libvirtd.conf",
    ),
    Cause(
        _AT_SOCKET + r"Permission denied",
        "{user} may log in there but not manage libvirt: `usermod --append --groups libvirt {user}` on the host, or log in as root",
    ),
    Cause(
        r"polkit|authentication (unavailable|failed)|access denied by policy",
        "libvirt's polkit refuses {user}: `usermod --append --groups libvirt {user}` on the host, or log in as root",
    ),
    Cause(
        r"Could not resolve hostname|[Nn]ame resolution|Name or service not known|getaddrinfo",
        "no such name: `getent hosts {host}`, and HostName in ~/.ssh/config",
    ),
    Cause(
        r"virtqemud-sock.*(No such file|Connection refused)",
        "libvirt's split daemon for QEMU does not run: `systemctl enable --now virtqemud.socket virtnetworkd.socket virtstoraged.socket`"
        " on {host}",
    ),
    Cause(
        _AT_SOCKET + r"(No such file|Connection refused)",
        "libvirtd does not run: `systemctl start libvirtd` (or virtqemud.socket) on {host}",
    ),
    Cause(
        r"Connection refused",
        "the machine is there, but no sshd listens: `systemctl start ssh` on {host}, or another port in the URI",
    ),
    Cause(
        r"timed out|No route to host|unreachable|Host is down",
        "nothing answers there: is {host} up, and the network (or jump host) between?",
    ),
    Cause(
        r"kex_exchange_identification|ssh_exchange_identification",
        "its sshd ended the connection before anybody logged in: MaxStartups, fail2ban, or no sshd on this port;"
        " `journalctl -u ssh` on {host} says which",
    ),
)


def advice(uri: str, said: str) -> str:
    """The next step after libvirt refused to open a URI with these words."""
    parts = urlsplit(uri)
    if of_uri(uri) is not None and re.search(_AT_SOCKET + r"(No such file|Connection refused)", said):
        return "the lab is not up: `meshctl lab up`"
    user = parts.username or "this user"
    login = f"{parts.username}@{parts.hostname}" if parts.username else parts.hostname
    port = f" -p {parts.port}" if parts.port else ""
    ssh = f"{parse_qs(parts.query).get('command', ['ssh'])[0]}{port} {login}"
    step = next(
        (cause.step for cause in _CAUSES if re.search(cause.pattern, said, re.DOTALL)), "try: virsh -c '{uri}' version"
    )
    return step.format(ssh=ssh, user=user, host=parts.hostname or "this machine", uri=uri)


def unasking(uri: str) -> str:
    """The URI with which libvirt's ssh asks nothing, unless the inventory says `no_tty=0`: several hosts are opened at once."""
    parts = urlsplit(uri)
    if not parts.scheme.endswith("+ssh") or UNASKED in parse_qs(parts.query):
        return uri
    return f"{uri}{'&' if parts.query else '?'}{UNASKED}=1"
