"""The one command of a look at a machine, and the one that stays on a guest."""

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

_STAY = """
exec python3 -c "$1" "$2" "$3" "$4"
"""

# The second text imports from the first, as it does here: by its name, from what is loaded already.
_BOTH = """
import sys, types
first = types.ModuleType("provision.diagnose.on_machine")
exec(compile(sys.argv[1], "on_machine", "exec"), vars(first))
sys.modules[first.__name__] = first
exec(compile(sys.argv[2], "on_guest", "exec"), {"__name__": "__main__"})
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
    return ["sh", "-c", _RUN, "diagnose", _text("on_machine"), json.dumps(spec)]


def ticking_argv(*, every_s: float, share: float, admin_port: int) -> list[str]:
    """The command that prints a line of JSON each tick, for `ticks.merged`, and ends when nobody reads it any longer.

    Ticks are `every_s` apart, or further, so that it takes no more than `share` of a CPU; 0: as much as it takes.
    """
    spec = {"every_s": every_s, "share": share, "admin_port": admin_port}
    return ["sh", "-c", _STAY, "watch", _BOTH, _text("on_machine"), _text("on_guest"), json.dumps(spec)]


def _text(name: str) -> str:
    return files("provision.diagnose").joinpath(f"{name}.py").read_text(encoding="utf-8")
