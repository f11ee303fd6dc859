"""Where a request goes: routers with their defaults, identifiers, dtabs, and what linkerd makes of a name.

To live here a line follows linkerd's own rule for a name or a router; whether that is a fault is `check`.
"""

from provision.linkerd.routing.bound import Fault, Namer, fault, owner, without_sign
from provision.linkerd.routing.config import Config, Routing
from provision.linkerd.routing.delegate import TOO_DEEP, Delegation, End, delegate
from provision.linkerd.routing.dtab import (
    NAMERS,
    SYSTEM,
    DtabError,
    Entry,
    Leaf,
    Path,
    leaves,
    parse,
    parse_path,
    show_path,
    show_prefix,
    show_tree,
    symbols,
)
from provision.linkerd.routing.identify import Identified, Request, identify
from provision.linkerd.routing.reach import ANY, Element, Pattern, Reached, example, patterns, reached
from provision.linkerd.routing.routers import HTTP, LOOPBACK, Router, default_identifier, default_prefix, routers

__all__ = [
    "ANY",
    "HTTP",
    "LOOPBACK",
    "NAMERS",
    "SYSTEM",
    "TOO_DEEP",
    "Config",
    "Delegation",
    "DtabError",
    "Element",
    "End",
    "Entry",
    "Fault",
    "Identified",
    "Leaf",
    "Namer",
    "Path",
    "Pattern",
    "Reached",
    "Request",
    "Router",
    "Routing",
    "default_identifier",
    "default_prefix",
    "delegate",
    "example",
    "fault",
    "identify",
    "leaves",
    "owner",
    "parse",
    "parse_path",
    "patterns",
    "reached",
    "routers",
    "show_path",
    "show_prefix",
    "show_tree",
    "symbols",
    "without_sign",
]
