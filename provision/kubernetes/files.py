"""The files that preparation writes on a node. Pure: spec and member in, files out."""

from __future__ import annotations

import json
from typing import Any

from provision.guests import firewall
from provision.kubernetes.kubelet import RESOLV_CONF
from provision.kubernetes.places import STATE
from provision.kubernetes.profile import Profile
from provision.kubernetes.spec import File, Spec
from provision.specs import Member

ROUTES = "/etc/meshctl/routes"
MASQUERADE = "/etc/meshctl/no-masquerade"
NETWORK_SCRIPT = "/usr/local/lib/meshctl/network"
DETACHED_SCRIPT = "/usr/local/lib/meshctl/detached"
NETWORK_UNIT = "meshctl-network.service"
CNI_CONF = "/etc/cni/net.d/10-meshctl.conf"
ROUTE_PROTOCOL = 201
"""The routing protocol number of our routes: their stamp. No routing daemon that iproute2 knows uses 201."""

DOCKER_CONFIG = "/etc/docker/daemon.json"
DOCKER_NEEDS: dict[str, Any] = {"default-ipc-mode": "shareable", "exec-opts": ["native.cgroupdriver=cgroupfs"]}
"""Containers of Kubernetes 1.5 join the pause container's IPC namespace, which Docker since 18 forbids by default;
kubelets of both generations are told cgroupfs, and Docker must agree."""

_BEGIN, _END = "# meshctl: nodes of the cluster, begin", "# meshctl: nodes of the cluster, end"

# Docker sets the FORWARD policy to DROP whenever it starts, and routes do not outlive a reboot: so after each start
# of Docker, and at each boot.
_NETWORK_UNIT = f"""\
[Unit]
Description=meshctl: pod network between nodes
Wants=network-online.target
After=network-online.target docker.service
PartOf=docker.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={NETWORK_SCRIPT}

[Install]
WantedBy=multi-user.target docker.service
"""

# Routes that are ours and no longer wanted go; all others stay. What pods send to pods, nodes and Services keeps its
# source address; anything beyond has no way back to a pod address, so it leaves under the node's.
_NETWORK_SCRIPT = f"""\
#!/bin/sh
# Written by meshctl. Wanted routes are in {ROUTES}: one a line, `SUBNET via ADDRESS`.
set -eu
modprobe -a br_netfilter overlay
sysctl -q -p /etc/sysctl.d/95-meshctl-kubernetes.conf
iptables -w -P FORWARD ACCEPT
while read -r subnet _ address; do
    ip route replace "$subnet" via "$address" proto {ROUTE_PROTOCOL}
done < {ROUTES}
ip -4 route show proto {ROUTE_PROTOCOL} | while read -r subnet _ address _; do
    grep -qxF "$subnet via $address" {ROUTES} || ip route del "$subnet" via "$address" proto {ROUTE_PROTOCOL}
done
iptables -w -t nat -N MESHCTL-EGRESS 2>/dev/null || iptables -w -t nat -F MESHCTL-EGRESS
while read -r inside; do
    iptables -w -t nat -A MESHCTL-EGRESS -d "$inside" -j RETURN
done < {MASQUERADE}
iptables -w -t nat -A MESHCTL-EGRESS -j MASQUERADE
read -r own < /etc/meshctl/pod-subnet
iptables -w -t nat -C POSTROUTING -s "$own" -j MESHCTL-EGRESS 2>/dev/null ||
    iptables -w -t nat -A POSTROUTING -s "$own" -j MESHCTL-EGRESS
"""

# kubeadm runs under systemd, not under an SSH session, so that it outlives us; its end is a file. It gets a deadline,
# as kubeadm 1.5 waits without end; SIGINT lets it say where it was. Its log shows the token and is private, its
# configuration holds the token and goes.
_DETACHED_SCRIPT = f"""\
#!/bin/sh
# Written by meshctl. detached SECONDS COMMAND…: runs kubeadm under a deadline and leaves its result in {STATE}.
cd {STATE} || exit 1
limit=$1
shift
rm -f kubeadm.done kubeadm.failed kubeadm.log
(umask 077 && : > kubeadm.log)
date -u +%FT%TZ > kubeadm.started
timeout -s INT -k 30 "$limit" "$@" >> kubeadm.log 2>&1 < /dev/null
status=$?
rm -f kubeadm.yaml
result=failed
[ "$status" = 0 ] && result=done
echo "$status" > kubeadm.new && sync && mv -f kubeadm.new "kubeadm.$result"
exit "$status"
"""


def files_for(profile: Profile, spec: Spec, member: Member) -> tuple[File, ...]:
    """Every file of a node that meshctl owns whole. /etc/hosts and Docker's settings are shared: see below."""
    return (
        *profile.node_files(spec, member),
        File(CNI_CONF, _json(cni_conf(member))),
        File(RESOLV_CONF, "".join(f"nameserver {address}\n" for address in spec.nameservers)),
        File("/etc/modules-load.d/meshctl-kubernetes.conf", "br_netfilter\noverlay\n"),
        File(
            "/etc/sysctl.d/95-meshctl-kubernetes.conf",
            "net.ipv4.ip_forward = 1\nnet.bridge.bridge-nf-call-iptables = 1\n",
        ),
        File(ROUTES, "".join(f"{route}\n" for route in routes(spec, member))),
        File(MASQUERADE, "".join(f"{inside}\n" for inside in spec.inside)),
        File("/etc/meshctl/pod-subnet", f"{member.pod_subnet}\n"),
        File(NETWORK_SCRIPT, _NETWORK_SCRIPT, 0o755),
        File(DETACHED_SCRIPT, _DETACHED_SCRIPT, 0o755),
        File(f"/etc/systemd/system/{NETWORK_UNIT}", _NETWORK_UNIT),
    )


def firewall_files(spec: Spec) -> tuple[File, ...]:
    """What nft and systemd need on a node that has nft. Without a firewall the rules say that there are none."""
    rules = firewall.opened() if spec.firewall is None else spec.firewall.rules()
    return File(firewall.RULES, rules), File(firewall.UNIT_FILE, firewall.UNIT)


def cni_conf(member: Member) -> dict[str, Any]:
    """A bridge of the node's own pod subnet. One `.conf`, no `.conflist`: 1.5 knows only that."""
    return {
        "cniVersion": "0.2.0",
        "name": "meshctl",
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "subnet": member.pod_subnet, "routes": [{"dst": "0.0.0.0/0"}]},
    }


def routes(spec: Spec, member: Member) -> tuple[str, ...]:
    """The way to every other node's pods."""
    return tuple(way for name, way in spec.ways if name != member.name)


def hosts_file(current: str, spec: Spec) -> str:
    """/etc/hosts with every member in a block of ours; lines elsewhere that name only members are taken out."""
    kept, inside = [], False
    for line in current.splitlines():
        if line in (_BEGIN, _END):
            inside = line == _BEGIN
        elif not inside and not _names_only(line, spec.names):
            kept.append(line)
    return "\n".join([*kept, _BEGIN, *spec.host_lines, _END]) + "\n"


def docker_config(current: str) -> str | None:
    """Docker's settings with ours added, None when they are there already. Raises ValueError when it is not JSON."""
    settings: dict[str, Any] = json.loads(current) if current.strip() else {}
    if all(settings.get(key) == value for key, value in DOCKER_NEEDS.items()):
        return None
    return json.dumps({**settings, **DOCKER_NEEDS}, indent=2) + "\n"


def _names_only(line: str, names: frozenset[str]) -> bool:
    words = line.partition("#")[0].split()
    return len(words) > 1 and set(words[1:]) <= names


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"
