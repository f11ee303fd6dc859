"""libvirt's connection URIs, as far as one can be judged by its text: what libvirt refuses, what is unwise, which machine it leads to.

The form is libvirt's (libvirt.org/uri.html, libvirt.org/remote.html): DRIVER[+TRANSPORT]://[USER@][HOST][:PORT]/PATH[?PARAMETERS].
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from pathlib import PurePosixPath
from urllib.parse import SplitResult, parse_qs, parse_qsl, urlsplit

SSH = ("ssh", "libssh", "libssh2")
TRANSPORTS = ("", "unix", *SSH, "tcp", "tls", "ext")
PARAMETERS = (
    *("command", "keyfile", "known_hosts", "known_hosts_verify", "mode", "name", "netcat", "no_tty", "no_verify"),
    *("pkipath", "proxy", "socket", "sshauth", "tls_priority"),
)
"""All that libvirt's remote driver reads (src/remote/remote_driver.c, doRemoteOpen); it passes over any other."""

LAB_SSH = re.compile(r"/var/lib/meshctl/[^/]+/ssh")
"""The ssh of a lab of several hosts, which `meshctl lab up --hosts` writes."""

_SYSTEM = "qemu:///system here, qemu+ssh://root@HOST/system elsewhere"
_USER = re.compile(r"[A-Za-z0-9_%][A-Za-z0-9_.@+%-]*")
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")


@dataclass(frozen=True)
class Uri:
    """A URI in its parts; `host` is empty for this machine."""

    driver: str
    transport: str
    host: str
    parameters: dict[str, str]


def parse_uri(text: str) -> Uri:
    """A URI's parts. Raises ValueError, with a hint behind a newline, for one that libvirt or meshctl cannot use."""
    shown = re.sub(r"//[^/]*@", "//…@", text)
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{shown!r} is not a URI: {str(error).lower()}\n{_SYSTEM}") from error
    if parts.password is not None or "%3a" in (parts.username or "").lower():
        raise ValueError(
            "a password stands in it, which libvirt does not take, and which all who read the file see\na key"
        )
    scheme = re.match(r"(qemu|test)(?:\+([a-z0-9]+))?://", text)
    if scheme is None:
        raise ValueError(f"{shown!r} is not a libvirt URI of QEMU\n{_SYSTEM}")
    found = Uri(scheme[1], scheme[2] or "", parts.hostname or "", dict(parse_qsl(parts.query, keep_blank_values=True)))
    _check_transport(found)
    _check_place(parts, port, found)
    _check_path(text, parts, found)
    _check_parameters(found)
    return found


def _check_transport(uri: Uri) -> None:
    if uri.transport not in TRANSPORTS:
        near = difflib.get_close_matches(uri.transport, TRANSPORTS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(filter(None, TRANSPORTS))}"
        raise ValueError(f"libvirt has no transport {uri.transport}\n{hint}")
    if uri.transport == "unix" and uri.host:
        raise ValueError(f"a Unix socket is on this machine, not on {uri.host}\nqemu+ssh://{uri.host}/system")


def _check_place(parts: SplitResult, port: int | None, uri: Uri) -> None:
    place = parts.netloc.rpartition("@")[2]
    if port == 0 or place.endswith(":"):
        raise ValueError(f"{place!r}: there is no such port\nports go from 1 to 65535")
    if "@" in parts.netloc and _USER.fullmatch(parts.username or "") is None:
        raise ValueError(f"{parts.username or ''!r} is not a user\nUSER@HOST")
    if "@" in parts.netloc and not uri.host:
        raise ValueError("there is a user, but no host\nUSER@HOST")
    if uri.host:
        check_host(uri.host, bracketed="[" in place)


def check_host(host: str, *, bracketed: bool = False) -> None:
    """Raises ValueError for what is neither a host's name nor an address that can be connected to."""
    numeric = re.fullmatch(r"[0-9.]+", host)
    if not bracketed and not numeric and _NAME.fullmatch(host) is None:
        raise ValueError(f"{host!r} is not the name of a host\na name, an IPv4 address, or an IPv6 address in brackets")
    if not bracketed and not numeric:
        return
    plain, _, zone = host.partition("%")
    try:
        address = IPv6Address(plain) if bracketed else IPv4Address(host)
    except AddressValueError as error:
        raise ValueError(f"{host!r} is not an IP address\n{error}") from error
    if address.is_unspecified or address.is_multicast or (address.version == 6 and address.is_link_local and not zone):
        raise ValueError(f"{host} is no address that one can connect to\nthe host's own address, or its name")


def _check_path(text: str, parts: SplitResult, uri: Uri) -> None:
    if parts.fragment or "#" in text:
        raise ValueError("libvirt reads nothing after #\ntake it out")
    if uri.driver == "test":
        if parts.path in ("", "/"):
            raise ValueError("libvirt's test driver needs a path\ntest:///default, or test:///path/of/node.xml")
        return
    if parts.path != "/system":
        wanted = f"{parts.scheme}://{parts.netloc}/system"
        said = {
            "/session": "/session is for one user's own guests: it has no networks and pools of the host, and may pin nothing",
            "/embed": "/embed has no daemon that other programs and later runs could reach",
        }
        none = "without a path libvirt opens nothing" if parts.path in ("", "/") else f"there is no {parts.path}"
        raise ValueError(f"libvirt's system connection is wanted: {wanted}\n{said.get(parts.path, none)}")


def _check_parameters(uri: Uri) -> None:
    command = uri.parameters.get("command")
    if uri.transport in SSH and _unverified(uri):
        hint = "take it out, and log in once by hand: docs/hosts.md says how hosts are known"
        raise ValueError(f"host keys are checked by meshctl's own ssh, whatever libvirt is told\n{hint}")
    if uri.transport == "ext" and not command:
        raise ValueError("the transport ext needs command=\nthe program that connects")
    socket = uri.parameters.get("socket", "/")
    if not socket.startswith("/"):
        raise ValueError(f"socket={socket} is not an absolute path\nsocket=/run/…/libvirt-sock")
    if command is None:
        return
    if uri.transport not in (*SSH, "ext"):
        raise ValueError(
            f"command= means nothing for {uri.driver}+{uri.transport or 'tls'}\ntake it out, or qemu+ssh://"
        )
    if not command or re.search(r"\s", command):
        raise ValueError(f"command={command!r} is not a program\none program, without arguments: a script may add them")


def _unverified(uri: Uri) -> bool:
    return uri.parameters.get("no_verify", "0") != "0" or uri.parameters.get("known_hosts_verify") == "ignore"


def doubts(uri: Uri) -> Iterator[tuple[str, str]]:
    """What can work and is unwise: message and hint."""
    said = uri.parameters
    for name in said:
        if name not in PARAMETERS:
            near = difflib.get_close_matches(name, PARAMETERS, n=1)
            yield f"libvirt passes over {name}=", f"did you mean {near[0]}?" if near else "take it out"
    if _unverified(uri):
        yield "certificates are not checked: anybody on the way can be this host", "take it out"
    if uri.transport == "tcp":
        yield "what is said is neither encrypted nor checked: who is on the way reads and changes it", "qemu+ssh://"
    command = said.get("command")
    if command is not None and command != "ssh" and LAB_SSH.fullmatch(command) is None:
        yield f"{command} is run on this machine, with your rights, for each connection", "is it yours?"
    if uri.transport in SSH and not uri.host:
        yield "no host is named, so ssh goes to this machine", "qemu:///system needs no ssh"
    keyfile = said.get("keyfile")
    if keyfile and not PurePosixPath(keyfile).is_absolute():
        yield f"keyfile={keyfile} depends on where meshctl is started", "an absolute path"


_DEFAULT_PORTS = {"ssh": 22, "libssh": 22, "libssh2": 22, "tls": 16514, "tcp": 16509}
_DEFAULT_SOCKETS = ("/run/libvirt/libvirt-sock", "/var/run/libvirt/libvirt-sock")
_HERE = ("localhost", "127.0.0.1", "::1")


def is_test(uri: str) -> bool:
    """Whether it is libvirt's test driver, which has no machine behind it."""
    return uri.startswith(("test:", "test+"))


def machine_behind(uri: str) -> tuple[str, ...]:
    """Equal for URIs that lead to the same machine: user and transport make no difference, a port may (NAT).

    A socket that is not libvirt's own is another machine: a lab's. Two names of a machine are told apart by its uuid only.
    """
    parts = urlsplit(uri)
    driver, _, transport = parts.scheme.partition("+")
    query = parse_qs(parts.query)
    own = [value for key in ("socket", "root") for value in query.get(key, ()) if value not in _DEFAULT_SOCKETS]
    try:
        port = parts.port
    except ValueError:  # no number: libvirt will say so
        return (uri,)
    host = (parts.hostname or "").rstrip(".")
    beside = "" if port in (None, _DEFAULT_PORTS.get(transport)) else str(port)
    return (driver, "" if host in _HERE and not beside else host, beside, parts.path, *own)
