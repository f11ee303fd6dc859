"""The one command of a look at a machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

DRAIN_AND_START_S = 45.0
"""What a look takes besides its time: python3 begins within 5 s on a busy emulated CPU, files and namespaces are read twice, and a linkerd
that is asked twice may take 20 s each."""

# The text goes by the script's name in messages; both its arguments are arguments, and no part of it.
_RUN = """
exec python3 -c "$1" "$2"
"""


def argv(
    *,
    for_s: float,
    peers: Sequence[tuple[str, str, str]] = (),
    mtu: int = 0,
    names: Sequence[tuple[str, str]] = (),
    domains: Sequence[str] = (),
    admin_port: int = 0,
) -> list[str]:
    """The command. `peers` are kind, name and address; `names` DNS servers and what they are asked; `domains` libvirt's on that host.

    It prints one JSON object, for `read_guest` and `read_host`.
    """
    spec = {
        "for_s": for_s,
        "peers": peers,
        "mtu": mtu,
        "names": names,
        "domains": domains,
        "admin_port": admin_port,
    }
    text = files("provision.diagnose").joinpath("on_machine.py").read_text(encoding="utf-8")
    return ["sh", "-c", _RUN, "diagnose", text, json.dumps(spec)]
