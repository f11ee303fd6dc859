"""The inventory that comes nearest to another tool's file: valid as it stands, with what must be filled in marked as such."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from provision.base.scalars import NAME
from provision.inventory.loader.foreign import Foreign, Machine

SIZES = {True: (4, 8192, 40), False: (4, 8192, 60)}
"""vCPUs, MiB and GiB of a control plane and of a worker, where the other tool says nothing."""

LEAST = {True: (2, 2048, 8), False: (1, 1024, 8)}
"""What an inventory takes."""

HEAD = """\
# Made from {tool} by `meshctl init`. Put in your host's name, a folder on NVMe and your key; then `meshctl plan`.
apiVersion: meshctl/v1
cluster: {cluster}

hosts:
- name: hv1
  uri: qemu+ssh://root@hv1.example.net/system   # your machine with libvirt and KVM, on which the nodes will be guests
  pool: {{name: meshctl, type: dir, path: /var/lib/libvirt/meshctl}}

network:
  name: meshctl
  mode: nat          # with several hosts: bridge
  bridge: meshbr0
  cidr: 10.77.0.0/24

nodes:
"""

TAIL = """
ssh:
  user: mesh
  key_file: ~/.ssh/id_ed25519
  jump: root@hv1.example.net   # the NAT network is reached through its host

kubernetes:
  version: v1.20.2{version}
  bundle: debian-source
"""


def draft(foreign: Foreign) -> str:
    """The inventory's text: the same nodes with the same roles, one control plane, and comments where that loses something."""
    machines = _with_one_control_plane(list(foreign.machines) or [Machine("cp1", True), Machine("w1")])
    names = _names([machine.name for machine in machines])
    lines = [_node(name, machine) for name, machine in zip(names, machines, strict=True)]
    version = f"   # {_plain(foreign.version)} there" if foreign.version else ""
    head = HEAD.format(tool=foreign.tool, cluster=_quoted(_name(foreign.cluster) or "mesh"))
    if len(machines) > 200:
        head = head.replace("10.77.0.0/24", "10.77.0.0/22")
    ranges = "".join(f"  # {key}: {_plain(value)}   there\n" for key, value in foreign.ranges.items())
    return f"{head}{''.join(lines)}{TAIL.format(version=version)}{ranges}"


def _with_one_control_plane(machines: list[Machine]) -> list[Machine]:
    first = next((index for index, one in enumerate(machines) if one.control_plane), 0)
    return [replace(one, control_plane=index == first) for index, one in enumerate(machines)]


def _node(name: str, machine: Machine) -> str:
    control = machine.control_plane
    said = (machine.vcpus, machine.memory_mib, machine.disk_gib)
    sizes = [max(one or usual, least) for one, usual, least in zip(said, SIZES[control], LEAST[control], strict=True)]
    vcpus, memory, disk = min(sizes[0], 512), min(sizes[1], 1 << 24), min(sizes[2], 1 << 16)
    role = "control-plane" if control else "worker"
    was = [f"was {_plain(machine.name)}"] if name != machine.name else []
    was += [f"at {_plain(machine.address)}"] if machine.address else []
    text = f"- {{name: {_quoted(name)}, role: {role}, vcpus: {vcpus}, memory: {memory}MiB, disk: {disk}GiB}}"
    return f"{text}   # {', '.join(was)} there\n" if was else f"{text}\n"


def _names(said: list[str]) -> Iterator[str]:
    taken: set[str] = set()
    for number, one in enumerate(said, 1):
        name = _name(one.partition(".")[0])
        if not name or name in taken or name.isdigit() or name.startswith(("localhost", "ip6-", "0x")):
            name = f"n{number}"
            while name in taken:
                name += "x"
        taken.add(name)
        yield name


def _name(text: str) -> str:
    """The nearest name, "" when nothing of the text can be in one."""
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40].strip("-")
    return name if NAME.fullmatch(name) else ""


def _quoted(name: str) -> str:
    """Quoted where YAML may take a name for something else."""
    words = ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
    return name if name[0].isalpha() and name not in words else f'"{name}"'


def _plain(text: str) -> str:
    """As much of a text as may stand in a comment."""
    return "".join(one for one in text if one.isprintable())[:60]
