"""What Docker and meshctl know of one node is taken off a guest that others are made from; what was loaded stays."""

from __future__ import annotations

from provision.base.shell import Shell
from provision.kubernetes.places import STATE

# Docker's id is in key.json, since 23 in engine-id; its networks have ids by lot too, and are made anew at its start. What is noted in
# `loaded` each clone compares with what its Docker says. Without `prepared` it compares programs by their content.
_FORGET = f"""
set -eu
systemctl stop docker.socket docker.service containerd.service
rm -rf /etc/docker/key.json /var/lib/docker/engine-id /var/lib/docker/network
rm -rf /var/lib/docker/containers/* /var/lib/docker/tmp/*
find {STATE} -mindepth 1 ! -name loaded -delete
test -s {STATE}/loaded
"""


def forget_docker(shell: Shell) -> None:
    """Stops Docker and takes its identity away. Raises CommandFailed."""
    shell.run(["sh", "-c", _FORGET, "forget"], within_s=300)
