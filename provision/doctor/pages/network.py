"""The network below the guests."""

from __future__ import annotations

from provision.doctor.pages.model import error, warning

NETWORK = (
    error(
        "MC141",
        "the network collides with a route of the host",
        happens="The guests' network overlaps with a network that the host reaches over another interface.",
        matters="The host then answers some of the guests into the wrong network, or loses its own: SSH to it included.",
        fix="another `network: {{cidr: …}}`, for example {free}; or take the route away on {host}: `ip route del {route} dev {device}`",
        near_miss="The route over the guests' own bridge, and the default route.",
        source="seen in talos#4858, openshift/installer#707",
    ),
    warning(
        "MC142",
        "pods cannot reach a network of the host's",
        happens="The CIDR of pods or of Services overlaps with a network that the host has a route to.",
        matters="In the cluster these addresses are pods or Services: what has them outside cannot be reached from inside.",
        fix="`kubernetes: {{{field}: {free}}}` in the inventory, before the cluster is made",
        near_miss="A network behind the default route only: nobody here knows it.",
        source="kubernetes.io: cluster networking",
    ),
    error(
        "MC143",
        "another libvirt network has the addresses",
        happens="A network of libvirt that is not ours has an address within the guests' network, or the same bridge.",
        matters="libvirt refuses to start the second one: «network is already in use by interface».",
        fix="another `network: {{cidr: …, bridge: …}}`, for example {free}; or, when nobody needs it, `virsh -c '{uri}' net-destroy {network}`",
        near_miss="libvirt's own `default` (192.168.122.0/24) beside a cluster in 10.77.0.0/24.",
        source="libvirt: src/network/bridge_driver_linux.c, networkCheckRouteCollision",
    ),
    error(
        "MC144",
        "there is no such bridge",
        happens="Network mode `bridge`, and the bridge that it names does not exist on the host.",
        matters="Guests are plugged into the host's bridge: without it they do not start.",
        fix="`ip link add {bridge} type bridge && ip link set {bridge} up && ip link set UPLINK master {bridge}` on {host}, for good in its network configuration",
        near_miss="Mode `nat`: there libvirt makes the bridge.",
    ),
    error(
        "MC145",
        "the bridge's MTU is too small",
        happens="The bridge, or a port of it, takes smaller packets than the network's `mtu`.",
        matters="Guests send packets of that size, and the bridge drops them without a word: small requests work, large ones hang.",
        fix="`ip link set {link} mtu {mtu}` on {host}, for good in its network configuration; or `network: {{mtu: {seen}}}`",
        near_miss="A bridge with a larger MTU than the network's.",
        source="kernel.org: networking/bridge; a bridge's MTU is that of its smallest port unless it was set",
    ),
    warning(
        "MC146",
        "the bridge leads nowhere",
        happens="The bridge is down, or none of its ports that are no guests has a carrier, and there are several hosts.",
        matters="Guests on this host reach neither those on others nor the API server.",
        fix="`ip link set {bridge} up && ip link set UPLINK master {bridge}` on {host}; look at the cable and at the switch's port",
        near_miss="One host only: its guests reach each other over a bridge without ports.",
    ),
    warning(
        "MC147",
        "bridged packets pass iptables",
        happens="net.bridge.bridge-nf-call-iptables is 1.",
        matters="Packets between guests meet the host's rules: MASQUERADE hides the nodes' addresses from pods, a policy DROP stops them, and each costs CPU.",
        fix="`sysctl -w net.bridge.bridge-nf-call-iptables=0` on {host}, for good in /etc/sysctl.d (br_netfilter is loaded by Docker: move it off this host)",
        near_miss="1 inside of the guests, where Kubernetes needs it.",
        source="wiki.libvirt.org: Net.bridge.bridge-nf-call and sysctl.conf",
    ),
    error(
        "MC148",
        "forwarding is off",
        happens="The guests' network (mode nat) runs, and net.ipv4.ip_forward is 0.",
        matters="The host drops what guests send to the outside. libvirt switched it on when the network started: something switched it off.",
        fix="`sysctl -w net.ipv4.ip_forward=1` on {host}, and find what switches it off: `grep -r ip_forward /etc/sysctl*`",
        near_miss="The network does not run yet: libvirt switches forwarding on with it.",
        source="libvirt: src/network/bridge_driver.c, networkEnableIPForwarding",
    ),
    error(
        "MC149",
        "a firewall blocks the bridge",
        happens="What no rule accepts is dropped or rejected, by policy or by a last rule, and nothing lets the guests' bridge through.",
        matters="Guests start and reach nothing: joining the cluster hangs until its time is over.",
        fix="{remedy}",
        fixes="bridged: `iptables -I FORWARD -i {bridge} -o {bridge} -j ACCEPT` on {host}, or `sysctl -w net.bridge.bridge-nf-call-iptables=0`; "
        "NAT: `systemctl reload libvirtd` (or virtnetworkd), which writes its rules again",
        near_miss="Policy DROP with libvirt's own rules before it, or with a rule that accepts the bridge.",
        source="wiki.libvirt.org: Networking; docs.docker.com: packet filtering and firewalls (Docker sets FORWARD to DROP)",
    ),
    error(
        "MC150",
        "whole packets are lost between hosts",
        happens="A small packet from one host's bridge to the next one's arrives, one of the network's `mtu` that must not be cut does not.",
        matters="Something between the hosts takes smaller packets only: ssh and kubeadm begin and then hang.",
        fix="`ping -M do -s {size} {address}` on {host} with smaller sizes finds what passes; set {mtu} on switches and tunnels between, or a smaller `network: {{mtu: …}}`",
        near_miss="Hosts without an address on the bridge, or that answer no ping at all: nothing can be said of those.",
        source="man ping: -M do; RFC 1191",
    ),
    warning(
        "MC154",
        "the kernel does not move the guests' packets",
        happens="Guests run under KVM, and there is no /dev/vhost-net.",
        matters="QEMU copies each packet then, on the CPUs for its emulation: a hop costs tens of microseconds more, and more again when those "
        "CPUs are busy. Guests start all the same.",
        fix="`modprobe vhost_net` on {host}, for good by a line in /etc/modules-load.d; a kernel that has none (CONFIG_VHOST_NET) must be another one",
        near_miss="Software emulation: it cannot use vhost-net, and is not asked for it.",
        source="libvirt.org/formatdomain.html#setting-nic-driver-specific-options: without a name vhost is tried, and left out where it is not there",
    ),
)
