"""The cloud-init seed of a node: NoCloud's three files, and the disk image that carries them. Pure.

The host key is made before the guest exists and goes in with the seed, so that the first SSH connection can
already be checked against it.
"""

from __future__ import annotations

import functools
import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import jinja2

from provision.base import data
from provision.base.secret import Secret
from provision.guests import firewall
from provision.guests.ports import SSH, opened_by
from provision.guests.settings import sysctl_file
from provision.inventory import Cluster, Node, mac_address
from provision.specs import Member
from provision.storage import BOUND, STATE_KIND, STATE_MOUNT, STATE_UNITS, Volume

LABEL = "cidata"
"""The volume label by which cloud-init's NoCloud finds its seed (cloud-init docs, datasources/nocloud)."""

MOUNT_VOLUME = """
disk=/dev/disk/by-id/virtio-$1
udevadm settle --exit-if-exists="$disk"
if [ ! -b "$disk" ]; then echo "there is no disk $1"; exit 0; fi
blkid -p "$disk" > /dev/null 2>&1
if [ $? = 2 ]; then "mkfs.$3" -q "$disk"; fi
if ! grep -qsF "$disk $2 " /etc/fstab; then echo "$disk $2 $3 defaults,nofail,discard 0 2" >> /etc/fstab; fi
mkdir -p "$2"
if ! mountpoint -q "$2"; then mount "$2"; fi
"""
"""Runs at each boot, with serial number, mount point and filesystem of a data volume; later by SSH for a volume that is
younger than the seed. Status 2 of blkid(8) is its word for a
disk on which it finds nothing; cloud-init's own fs_setup would make a filesystem over another one that it did not expect,
and needs modules (disk_setup, mounts) that the base image does not load.
"""


MOUNT_STATE = """
volume=$1
shift
if ! mountpoint -q "$volume"; then exit 0; fi
mkdir -p -m 700 "$volume/kept"
if [ ! -e "$volume/kept/of" ]; then : > "$volume/kept/of"; fi
while [ $# -gt 0 ]; do
    if [ ! -d "$volume/$1" ]; then mkdir "$volume/$1"; fi
    if ! grep -qsF "$volume/$1 $2 " /etc/fstab; then echo "$volume/$1 $2 none bind,nofail 0 0" >> /etc/fstab; fi
    mkdir -p "$2"
    if ! mountpoint -q "$2"; then mount "$2"; fi
    shift 2
done
"""
"""Runs at each boot behind MOUNT_VOLUME, with the place of the state volume, and pairs of its folders and the guest's that they are bound
over. `kept/of` is what the Kubernetes part knows the volume by."""

STATE_UNIT = "[Unit]\n" + "".join(
    f"RequiresMountsFor={path}\nAssertPathIsMountPoint={path}\n" for path in BOUND.values()
)
"""For services that work with these folders: without the volume they would begin with empty ones (systemd.unit(5))."""


@dataclass(frozen=True)
class HostKey:
    """A guest's SSH host key: the private half as OpenSSH's file format, the public half as one line."""

    private: Secret
    public: str


@dataclass(frozen=True)
class SeedFiles:
    """The three files; `user_data` holds the private host key, so it is a Secret."""

    user_data: Secret
    meta_data: str
    network_config: str


def hosts_file(members: Sequence[Member]) -> str:
    """/etc/hosts of each node at its first boot: every node of the cluster is resolvable."""
    lines = ["127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback"]
    lines += [f"{member.address} {member.name}" for member in sorted(members, key=lambda member: member.name)]
    return "\n".join(lines) + "\n"


def render(cluster: Cluster, member: Member, members: Sequence[Member], public_key: str, key: HostKey) -> SeedFiles:
    """The seed of `member`; `public_key` may log in, `key` is the guest's own."""
    words = _words(cluster, member, members, public_key)
    # A new host key is a new instance: cloud-init must put it in place even on a root volume that has booted before.
    words["instance"] = f"{cluster.cluster}-{member.name}-{hashlib.sha256(key.public.encode()).hexdigest()[:8]}"
    secrets = {"host_key_private": key.private.reveal(), "host_key_public": key.public}
    return SeedFiles(
        Secret(_render("user-data.j2", words | secrets)),
        _render("meta-data.j2", words),
        _render("network-config.j2", words),
    )


def seed_digest(cluster: Cluster, member: Member, public_key: str) -> str:
    """Digest over what the seed says of this node: not over the host key (it is drawn by lot) nor over the other
    nodes (adding one must not make every seed stale).
    """
    words = _words(cluster, member, (member,), public_key)
    texts = (_render(name, words | {"host_key_private": "", "host_key_public": ""}) for name in _TEMPLATES)
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


_TEMPLATES = ("user-data.j2", "meta-data.j2", "network-config.j2")


def _words(cluster: Cluster, member: Member, members: Sequence[Member], public_key: str) -> dict[str, object]:
    network = cluster.network
    nameservers = network.nameservers or ((network.gateway_address,) if network.mode == "nat" else ())
    return {
        "cluster": cluster.cluster,
        "node": member.name,
        "instance": f"{cluster.cluster}-{member.name}",
        "user": cluster.ssh.user,
        "public_key": public_key,
        "sysctl": sysctl_file(cluster.sysctl),
        "hosts": hosts_file(members),
        "mac": mac_address(cluster.owner.key, member.name),
        "mtu": network.mtu,
        "address": f"{member.address}/{network.prefix_length}",
        "gateway": network.gateway_address,
        "nameservers": list(nameservers),
        # No resolver runs in the guest: networkd alone writes no resolv.conf.
        "resolv_conf": "".join(f"nameserver {address}\n" for address in nameservers),
        "mount_volume": MOUNT_VOLUME,
        "volumes": [
            {"serial": serial, "mount": mount, "filesystem": filesystem}
            for serial, mount, filesystem in _mounted(cluster.node(member.name))
        ],
        **_state_words(cluster.node(member.name)),
        "firewall": _firewall_files(cluster, members) if cluster.firewall else {},
        "firewall_unit": firewall.UNIT_NAME,
    }


def _firewall_files(cluster: Cluster, members: Sequence[Member]) -> dict[str, str]:
    """Its files by path. SSH stays open until a session has shown where it comes from, and the mesh is not there yet: preparation closes
    these.
    """
    closed = firewall.Firewall(
        nodes=tuple(member.address for member in members),
        pods=cluster.kubernetes.pod_cidr,
        services=cluster.kubernetes.service_cidr,
        admins=cluster.network.admins,
        ports=tuple(port for port in opened_by(cluster.kubernetes.generation) if port is not SSH),
    )
    return {firewall.RULES: closed.rules(), firewall.UNIT_FILE: firewall.UNIT}


def _mounted(node: Node) -> Iterator[tuple[str, str, str]]:
    """What MOUNT_VOLUME gets for each volume of a node."""
    yield from map(mount_words, node.volumes)
    if node.state_mib:
        yield STATE_KIND, STATE_MOUNT, "ext4"


def _state_words(node: Node) -> dict[str, object]:
    """What MOUNT_STATE gets, and the files that hold services until it has run; nothing for a node without a state volume."""
    bound = [word for pair in BOUND.items() for word in pair]
    return {
        "mount_state": MOUNT_STATE,
        "state": [STATE_MOUNT, *bound] if node.state_mib else [],
        "state_units": list(STATE_UNITS) if node.state_mib else [],
        "state_unit": STATE_UNIT,
    }


def mount_words(volume: Volume) -> tuple[str, str, str]:
    """What MOUNT_VOLUME gets for a volume: serial number, mount point, filesystem."""
    return f"data-{volume.name}", volume.mount, volume.filesystem


def _render(template: str, words: Mapping[str, object]) -> str:
    return _compiled(template).render(words)


@functools.cache
def _compiled(template: str) -> jinja2.Template:
    """A template, read and compiled once: that takes twenty times as long as to render it."""
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - YAML, each value | tojson
    return environment.from_string((data.folder("cloud-init") / template).read_text())


def disk_image(files: SeedFiles) -> bytes:
    """The seed as an ISO 9660 image with Rock Ridge and Joliet names, labelled `cidata`."""
    import pycdlib

    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=LABEL)
    contents = {
        "user-data": files.user_data.reveal(),
        "meta-data": files.meta_data,
        "network-config": files.network_config,
    }
    for name, content in contents.items():
        content_bytes = content.encode()
        plain = name.upper().replace("-", "_")
        iso.add_fp(io.BytesIO(content_bytes), len(content_bytes), f"/{plain}.;1", rr_name=name, joliet_path=f"/{name}")
    image = io.BytesIO()
    iso.write_fp(image)
    iso.close()
    return image.getvalue()
