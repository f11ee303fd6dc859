"""Where a request goes: routers with their defaults, identifiers, dtabs, and what linkerd makes of a name.

To live here a line follows linkerd's own rule for a name or a router; whether that is a fault is `check`.
"""

from provision.linkerd.routing.config import Config, Routing
from provision.linkerd.routing.delegate import delegate
from provision.linkerd.routing.dtab import NAMERS, SYSTEM, DtabError, Entry, Path, show_path, show_prefix, show_tree
from provision.linkerd.routing.identify import Request, identify
from provision.linkerd.routing.reach import Pattern, patterns, reached
from provision.linkerd.routing.routers import HTTP, LOOPBACK, Router, default_identifier, default_prefix, routers

__all__ = [
    "HTTP",
    "LOOPBACK",
    "NAMERS",
    "SYSTEM",
    "Config",
    "DtabError",
    "Entry",
    "Path",
    "Pattern",
    "Request",
    "Router",
    "Routing",
    "default_identifier",
    "default_prefix",
    "delegate",
    "identify",
    "patterns",
    "reached",
    "routers",
    "show_path",
    "show_prefix",
    "show_tree",
]
