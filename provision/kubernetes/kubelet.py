"""kubelet.service and its drop-ins."""

from __future__ import annotations

from provision.kubernetes.spec import File

RESOLV_CONF = "/etc/meshctl/resolv.conf"
"""What the kubelet hands on to pods: the node's own /etc/resolv.conf may name a resolver on loopback."""

_KUBELET_UNIT = """\
[Unit]
Description=kubelet: The Kubernetes Node Agent
Wants=network-online.target
After=network-online.target docker.service

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
"""


def kubelet_unit() -> File:
    """kubelet.service: Restart without a limit, as it crash-loops until kubeadm has given it a configuration."""
    return File("/etc/systemd/system/kubelet.service", _KUBELET_UNIT)


def drop_in(name: str, content: str) -> File:
    """A drop-in of kubelet.service."""
    return File(f"/etc/systemd/system/kubelet.service.d/{name}.conf", content)
