"""Stage verify: the pod network and the mesh, proven by requests. Reads only."""

from __future__ import annotations

from provision.events import Output
from provision.kubernetes import Kubectl, Pod, pods_on, reach
from provision.mesh import ECHO_PORT, Probe, judge
from provision.observe import mesh_platform
from provision.parallel import for_each
from provision.plan import Plan
from provision.shell import Ssh
from provision.stages.doors import Doors
from provision.waiting import wait_until

NAME, TITLE = "verify", "pod network and mesh, by real requests"

# One read per node, constant; addresses and ports are arguments. Prints three sections, each behind a line
# `== NAME STATUS`: the routed request, the ping, the metrics. Status 0 means that nothing answered.
_PROBE = """
import http.client, sys
host, port, admin = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def ask(name, port, path, headers):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        status, fields, body = answer.status, dict(answer.getheaders()), answer.read().decode(errors="replace")
    except OSError as error:
        status, fields, body = 0, {}, str(error) or type(error).__name__
    import json
    print(json.dumps({"name": name, "status": status, "headers": fields, "body": body}))
ask("route", port, "/", {"Host": host})
ask("ping", admin, "/admin/ping", {})
ask("metrics", admin, "/admin/metrics.json", {})
"""
