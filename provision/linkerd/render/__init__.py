"""linkerd.yaml from what the inventory wants, for any release.

To live here a line knows where a release has the place for a setting of `mesh:`.
"""

from provision.linkerd.render.render import inexpressible, render
from provision.linkerd.render.settings import ENVIRONMENT, HOST_NETWORK, SERVICE

__all__ = [
    "ENVIRONMENT",
    "HOST_NETWORK",
    "SERVICE",
    "inexpressible",
    "render",
]
