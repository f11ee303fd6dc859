"""linkerd.yaml for 0.8.5, in the form that starts and routes there.

The article's own text does not: 0.8.5 calls the dtab `baseDtab`, knows the accrual kind `io.l5d.consecutiveFailures`, needs
a `namers` section, and its default identifier never makes a name below `/svc`. `failureAccrual.backoff` is accepted and
ignored before 1.1.1, so it is not written at all.
"""

from __future__ import annotations

from typing import Any

from provision.inventory import Mesh

CACHE = 1000
"""0.8.5 keeps 10 clients by default: the eleventh service evicts another's pool and statistics (1000 since 0.9.1)."""


def linkerd_config(mesh: Mesh) -> dict[str, Any]:
    """The configuration as data."""
    return {
        "admin": {"port": mesh.admin_port},
        "namers": [{"kind": "io.l5d.k8s"}],
        "routers": [
            {
                "protocol": "http",
                "label": "outgoing",
                "dstPrefix": "/svc",
                "identifier": {"kind": "io.l5d.header.token"},
                "baseDtab": f"/svc => /#/io.l5d.k8s/{mesh.namespace}/http ;\n",
                "bindingCache": {"paths": CACHE, "trees": CACHE, "bounds": CACHE, "clients": CACHE},
                "servers": [{"port": mesh.port, "ip": "0.0.0.0"}],
                "client": {
                    "loadBalancer": {"kind": "ewma"},
                    "failureAccrual": {"kind": "io.l5d.consecutiveFailures", "failures": 5},
                },
            }
        ],
    }
