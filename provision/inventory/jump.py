"""The host to go through, as a user writes it: USER@HOST:PORT in every spelling that ssh(1) takes."""

from __future__ import annotations

import re
from typing import NamedTuple

from provision.inventory.uri import check_host

# Two colons or more without brackets are an IPv6 address and never one with a port: `2001:db8::1:22` is an address too.
_FORM = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][A-Za-z0-9_.-]*)@)?"
    r"(?:(?P<bare>[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f.:]*)"
    r"|(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*))(?::(?P<port>[0-9]{1,5}))?)"
)


class Jump(NamedTuple):
    """A jump host; without user or port the SSH configuration says them."""

    host: str
    user: str | None = None
    port: int | None = None


def parse_jump(text: str) -> Jump:
    """A jump host from its text. Raises ValueError, with a second line that says how to write it."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a host to go through\nUSER@HOST:PORT; IPv6 with a port: [2001:db8::1]:22")
    if address := found["v6"] or found["bare"]:
        check_host(address, bracketed=True)
    else:
        check_host(found["name"])
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 0 < port < 65536:
        raise ValueError(f"{port} is not a port\nports go from 1 to 65535")
    return Jump(address or found["name"], found["user"], port)
