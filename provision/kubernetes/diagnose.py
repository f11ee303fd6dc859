"""What went wrong on a node: last lines of kubeadm, the kubelet and the control plane's containers, and advice on
failures that are known by their text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from provision.base.shell import Shell
from provision.kubernetes.files import STATE
from provision.kubernetes.token import redacted

WIDTH = 300
"""Characters shown of a line: the kubelet writes whole objects into one."""

# Containers that ended are shown with their own last words; the pause containers say nothing. Rejected events are what
# the kubelet says most of while a control plane starts, and tell nothing.
_DIAGNOSE = f"""
echo "kubeadm:"; tail -n 12 {STATE}/kubeadm.log 2>/dev/null
echo "kubelet ($(systemctl is-active kubelet 2>/dev/null)):"
journalctl -u kubelet --no-pager -o cat -n 200 2>/dev/null | grep -v "Server rejected event" | tail -n 12
echo "containers:"
docker ps -a --filter name=k8s_ --format '{{{{.Names}}}}	{{{{.Status}}}}' 2>&1 | grep -v k8s_POD | head -n 15
docker ps -q -a --filter name=k8s_ --filter status=exited 2>/dev/null | head -n 3 | while read -r id; do
    echo "$(docker inspect --format '{{{{.Name}}}}' "$id"):"
    docker logs --tail 4 "$id" 2>&1
done
"""

KNOWN: tuple[tuple[str, str], ...] = (
    (r"non-shareable IPC", 'Docker needs `"default-ipc-mode": "shareable"` in /etc/docker/daemon.json and a restart'),
    (
        r"docker-default profile could not be loaded",
        "apparmor_parser is missing in the base image: install the package apparmor",
    ),
    (
        r"unsupported kernel release|unsupported docker version",
        "kubeadm 1.5's pre-flight checks know no kernel after 4.x: they must be skipped",
    ),
    (
        r"failed to verify JWS|failed to parse response as JWS",
        "the token is not the cluster's: another cluster may answer at this address",
    ),
    (
        r"different from docker cgroup driver",
        "Docker and kubelet must both use the cgroup driver cgroupfs",
    ),
    (r"No space left on device", "the root volume is full: give the node a larger `disk`"),
    (
        r"certificate has expired or is not yet valid",
        "the nodes' clocks differ, or the certificates are over a year old: compare `date` on all nodes",
    ),
    (
        r"ImagePull|ErrImagePull|failed to pull image|manifest unknown",
        "an image is not in the bundle: `meshctl bundle show` lists what is",
    ),
    (
        r"it already exists|Port \d+ is in use|Node with name .* already exists|/var/lib/\w+ is not empty",
        "something of an earlier cluster is in the way: `kubeadm reset` on the node, then provision again",
    ),
    (r"running with swap on", "swap must be off: remove it from the guest's /etc/fstab"),
    (
        r"mountpoint for cpu not found|cgroup mountpoint does not exist",
        "the guest runs cgroup v2: its kernel command line must ask for v1",
    ),
    (r"connection refused|no route to host|i/o timeout", "the API server did not answer: see the containers above"),
)
"""Patterns on real error texts, most telling first, and what to do."""


def diagnose(shell: Shell) -> list[str]:
    """The last lines that matter, in sections, tokens blotted out."""
    completed = shell.read(["sh", "-c", _DIAGNOSE, "diagnose"], within_s=120, check=False)
    return [redacted(line.rstrip())[:WIDTH] for line in completed.stdout.splitlines() if line.strip()]


def hint_for(lines: Iterable[str]) -> str:
    """Advice on the first known failure among these lines, general advice when there is none."""
    text = "\n".join(lines)
    found = (advice for pattern, advice in KNOWN if re.search(pattern, text, re.IGNORECASE))
    return next(found, "provision again resets the node and begins anew; `meshctl ssh` leads to its logs")
