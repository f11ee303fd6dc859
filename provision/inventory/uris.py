"""Which machine a libvirt URI leads to, as far as its text tells. Pure."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

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
