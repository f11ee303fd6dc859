"""The virtual address of the control planes: keepalived holds it on one of those whose API server answers (ADR 0036). Pure.

Who serves is found out by the API server's own `/healthz`, which asks its etcd too. Whoever does not serve is in keepalived's state FAULT
and takes no part, so that the address comes to the first control plane by itself as soon as `kubeadm init` has its API server up, and
kubeadm's wait for it ends.
"""

from __future__ import annotations

import netaddr

from provision.kubernetes.spec import CONTROL_PLANE, File, Spec
from provision.specs import Member

PROGRAM = "/usr/sbin/keepalived"
UNIT = "keepalived.service"
CONFIG = "/etc/keepalived/keepalived.conf"
CHECK = "/etc/meshctl/api-server-answers"

INTERFACE = "mesh0"
"""How the seed calls a guest's link (network-config.j2)."""

ADVERT_S = 3
"""Seconds between adverts; three that stay away, and up to one more, are the end of the one who sends them (RFC 3768 §6.1). keepalived's
default is 1: an emulated guest whose disk is busy stands still for that long and longer."""

CHECK_EVERY_S, CHECK_WITHIN_S, FALL = 10, 9, 5
"""Seconds between checks, seconds that one may take, and how many must fail in a row. Each check is a TLS handshake, which costs an
emulated CPU a tenth of a second. An API server that ended, on a machine that goes on, so loses the address within a minute, if the kubelet
has not started it anew before. No sooner: when a second member is added to etcd the first one cannot write until that has started, for
which kubeadm has 40 s (`etcdHealthyCheckRetries` by `etcdHealthyCheckInterval`), and needs the address then."""

# Run as nobody. It asks on loopback whether somebody serves, and tells him nothing: whose certificate he shows does not matter, and the
# authority's certificate is not there before `kubeadm init`.
_CHECK = f"""\
#!/bin/sh
# Written by meshctl: whether the API server of this control plane serves.
exec curl --silent --fail --insecure --noproxy '*' --max-time {CHECK_WITHIN_S - 1} --output /dev/null https://127.0.0.1:6443/healthz
"""

# nopreempt, and the same state and priority for all: the address stays where it is as long as it is well there. With that no weight
# works (keepalived.conf(5): it is for who may be preempted), so a check that fails means FAULT. One alone has no peers to name, for which
# keepalived falls back to multicast: a group of its own, so that nobody else's adverts are met there.
_CONFIG = f"""\
# Written by meshctl: the virtual address of the control planes.
global_defs {{{{
    router_id {{name}}
    script_user nobody nogroup
    enable_script_security
{{group}}}}}}
vrrp_script api_server {{{{
    script "{CHECK}"
    interval {CHECK_EVERY_S}
    timeout {CHECK_WITHIN_S}
    fall {FALL}
    rise 1
    init_fail
}}}}
vrrp_instance api_server {{{{
    state BACKUP
    nopreempt
    interface {INTERFACE}
    virtual_router_id {{router}}
    priority 100
    advert_int {ADVERT_S}
{{peers}}    track_script {{{{
        api_server
    }}}}
    virtual_ipaddress {{{{
        {{endpoint}}/32 dev {INTERFACE}
    }}}}
}}}}
"""


def holds_address(spec: Spec, member: Member) -> bool:
    """Whether a member takes part in holding the virtual address."""
    return bool(spec.endpoint) and member.role == CONTROL_PLANE


def address_files(spec: Spec, member: Member) -> tuple[File, ...]:
    """Keepalived's configuration and its check on a control plane of a cluster with a virtual address; nothing elsewhere."""
    if not holds_address(spec, member):
        return ()
    return (File(CHECK, _CHECK, 0o755), File(CONFIG, keepalived_conf(spec, member)))


def keepalived_conf(spec: Spec, member: Member) -> str:
    """Keepalived's configuration on a control plane. Every value is a name or an address, which the inventory's model has checked."""
    others = sorted(one.address for one in spec.control_planes if one.name != member.name)
    endpoint = netaddr.IPAddress(spec.endpoint)
    listed = "".join(f"        {address}\n" for address in others)
    peers = f"    check_unicast_src\n    unicast_src_ip {member.address}\n    unicast_peer {{\n{listed}    }}\n"
    return _CONFIG.format(
        name=member.name,
        group="" if others else f"    vrrp_mcast_group4 {_group(endpoint)}\n",
        router=int(endpoint) % 255 + 1,
        peers=peers if others else "",
        endpoint=endpoint,
    )


def _group(endpoint: netaddr.IPAddress) -> str:
    """A multicast group of the administrative scope (RFC 2365: 239.0.0.0/8) that only this address leads to."""
    return f"239.{str(endpoint).partition('.')[2]}"
