"""A lab of several hypervisors, each in namespaces of its own with libvirtd and sshd, joined by one bridge.

operator ── netns of the lab: bridge br0 .1, jump host ─┬─ veth ── netns of hv1: br0 .11, sshd, libvirtd, guests
                                                        ├─ veth ── netns of hv2: br0 .12
                                                        └─ veth ── netns of hv3: br0 .13
"""

from __future__ import annotations

from provision.base.events import Changed, Emit
from provision.base.parallel import for_each
from provision.base.shell import Local
from provision.lab.daemon import answers, daemon_pid, host_libvirtd_conf, start_daemon
from provision.lab.ground import clear_remains, make_folders, make_key, make_namespace
from provision.lab.logins import (
    JUMP,
    MEMBER,
    STRANGER,
    client,
    make_accounts,
    make_client,
    make_sshd,
    sshd_pid,
    start_sshd,
    wait_for,
)
from provision.lab.places import Lab

BRIDGE = "br0"
UPLINK = "eth0"
JUMP_ADDRESS = "10.78.0.1"
PREFIX = 24

PACKAGES = {"sshd": "openssh-server", "nc": "netcat-openbsd", "sudo": "sudo"}
"""What a lab with hosts needs beyond one without."""


def address(host: Lab) -> str:
    """A host's address on the bridge: 10.78.0.11 of hv1. Guests' begin at 10.78.0.101, see inventories/lab-hosts.yaml."""
    return f"10.78.0.{10 + int(host.host[-1])}"


def uri(lab: Lab, host: str, user: str = "root") -> str:
    """The URI of a host's libvirt over SSH, by the lab's own client."""
    return f"qemu+ssh://{user}@{host}/system?command={client(lab)}"


def up_hosts(lab: Lab, count: int, shell: Local, emit: Emit) -> tuple[str, ...]:
    """Makes the places of `count` hosts, or what is missing of them, and gives their URIs. As `up` for each."""
    hosts = [lab.at(f"hv{number}") for number in range(1, count + 1)]
    for place in (*hosts, lab):  # hosts first: what breaks off here is known by them as a lab with hosts
        make_folders(place)
        make_accounts(place)
    make_key(lab, shell)
    invited = lab.key.with_suffix(".pub").read_text()
    make_namespace(lab, shell)
    _bridge(lab, JUMP_ADDRESS, shell)
    make_sshd(lab, JUMP_ADDRESS, (MEMBER,), invited, shell)
    started = for_each(hosts, lambda host: _up(host, lab, invited, shell, emit))
    if sshd_pid(lab) is None:
        start_sshd(lab, shell)
        started.append(True)
    make_client(lab, JUMP_ADDRESS, [(host, address(host)) for host in hosts])
    for_each([JUMP, *(host.host for host in hosts)], lambda name: wait_for(lab, name, shell, emit))
    if any(started):
        emit(Changed(shell.where, f"lab {lab.name}", "up"))
    return tuple(uri(lab, host.host) for host in hosts)


def _up(host: Lab, lab: Lab, invited: str, shell: Local, emit: Emit) -> bool:
    """One host, or what is missing of it; whether something had to be started."""
    (host.state / "libvirtd.conf").write_text(host_libvirtd_conf(host))
    make_sshd(host, address(host), ("root", MEMBER, STRANGER), invited, shell)
    running = answers(host, shell)
    if not running:
        clear_remains(host, shell)
    make_namespace(host, shell)
    _bridge(host, address(host), shell)
    _cable(host, lab, shell)
    if not running:
        start_daemon(host, shell, emit)
    if sshd_pid(host) is None:
        start_sshd(host, shell, ("nsenter", f"--target={daemon_pid(host)}", "--net", "--mount", "--root", "--"))
        return True
    return not running


def _bridge(lab: Lab, own: str, shell: Local) -> None:
    """The place's bridge, with its address and without a spanning tree: it would hold packets back for half a minute."""
    if not _has(lab, BRIDGE, shell):
        # The same hardware address as before: others remember it, and would go on sending to the one that is gone.
        mac = "52:54:00:{:02x}:{:02x}:{:02x}".format(*map(int, own.split(".")[1:]))
        shell.run(["ip", "-n", lab.namespace, "link", "add", BRIDGE, "address", mac, "type", "bridge"])
    shell.run(["ip", "-n", lab.namespace, "address", "replace", f"{own}/{PREFIX}", "dev", BRIDGE])
    shell.run(["ip", "-n", lab.namespace, "link", "set", BRIDGE, "up"])


def _cable(host: Lab, lab: Lab, shell: Local) -> None:
    """The pair of interfaces between a host's bridge and the lab's; one that was pulled is plugged in again."""
    if not _has(host, UPLINK, shell):
        other_end = ("peer", "name", UPLINK, "netns", host.namespace)
        shell.run(["ip", "-n", lab.namespace, "link", "add", host.host, "type", "veth", *other_end])
    for place, link in ((lab, host.host), (host, UPLINK)):
        shell.run(["ip", "-n", place.namespace, "link", "set", link, "master", BRIDGE, "up"])


def _has(lab: Lab, link: str, shell: Local) -> bool:
    return shell.read(["ip", "-n", lab.namespace, "link", "show", "dev", link], check=False).status == 0
