"""What an inventory may say of storage, and how it is told what is wrong: all at once, with line and hint."""

from __future__ import annotations

from typing import Any

import pytest

from provision.base.errors import InventoryError
from provision.inventory import load

HEAD = """\
apiVersion: meshctl/v1
cluster: lab
hosts:
- name: hv1
  uri: qemu:///system
  pool: {pool}
network: {{cidr: 10.77.0.0/24}}
storage: {storage}
nodes:
- {{name: cp1, role: control-plane, memory: 3GiB, disk: 12GiB, volumes: {volumes}}}
ssh: {{public_key: ssh-ed25519 AAAA test}}
kubernetes: {{version: v1.20.2}}
"""


def inventory(pool: str = "{}", storage: str = "{}", volumes: str = "[]") -> str:
    return HEAD.format(pool=pool, storage=storage, volumes=volumes)


def problems(**parts: str) -> list[Any]:
    with pytest.raises(InventoryError) as caught:
        load("x.yaml", inventory(**parts))
    return list(caught.value.problems)


def test_nvme_is_required_unless_told_otherwise() -> None:
    assert load("x.yaml", inventory()).storage.require == "nvme"
    assert load("x.yaml", inventory(storage="{require: any, wipe: [S4EWNX0R512345]}")).storage.wipe == (
        "S4EWNX0R512345",
    )


def test_each_type_has_its_fields() -> None:
    logical = load("x.yaml", inventory(pool="{type: logical, volume_group: vg0, thin: true}")).hosts[0].pool
    block = load("x.yaml", inventory(pool="{type: block, devices: [/dev/nvme0n1p3, /dev/nvme0n1p4]}")).hosts[0].pool
    assert (logical.volume_group, logical.thin) == ("vg0", True)
    assert block.devices == ("/dev/nvme0n1p3", "/dev/nvme0n1p4")


@pytest.mark.parametrize(
    ("pool", "message"),
    [
        ("{type: logical}", "type logical needs `volume_group`"),
        ("{type: block}", "type block needs `devices`"),
        ("{volume_group: vg0}", "`volume_group` means nothing for type dir"),
        ("{thin: true, type: block, devices: [/dev/sda1]}", "`thin` means nothing for type block"),
        ("{devices: [/dev/sda1]}", "`devices` means nothing for type dir"),
        ("{type: block, devices: [/dev/sda1, /dev/sda1]}", "/dev/sda1 stands there twice"),
        ("{type: block, devices: [sda1]}", "sda1 does not have the right form"),
        ("{type: logical, volume_group: '-x'}", "-x does not have the right form"),
        ("{type: lvm}", "lvm is not one of 'dir', 'logical' or 'block'"),
    ],
)
def test_a_pool_that_cannot_be(pool: str, message: str) -> None:
    (problem,) = problems(pool=pool)
    assert (message in problem.message, problem.line) == (True, 6)


@pytest.mark.parametrize(
    ("volumes", "message"),
    [
        ("[{name: t, size: 1MiB, mount: /srv/t}]", "1 MiB is too small"),
        ("[{name: t, size: 1GiB, mount: srv}]", "'srv' is not a place to mount at"),
        ("[{name: t, size: 1GiB, mount: /srv/../etc}]", "has a detour in it"),
        ("[{name: t, size: 1GiB, mount: /usr}]", "/usr belongs to the guest's own system"),
        ("[{name: t, size: 1GiB, mount: /a}, {name: t, size: 1GiB, mount: /b}]", "two volumes have the name t"),
        ("[{name: t, size: 1GiB, mount: /a}, {name: u, size: 1GiB, mount: /a}]", "two volumes have the mount /a"),
        ("[{name: t, size: 1GiB, mount: /a, filesystem: ntfs}]", "ntfs is not one of 'ext4'"),
    ],
)
def test_a_volume_that_cannot_be(volumes: str, message: str) -> None:
    (problem,) = problems(volumes=volumes)
    assert message in problem.message
    assert problem.line == 10


def test_all_problems_are_named_at_once() -> None:
    found = problems(pool="{type: block}", storage="{require: fast}", volumes="[{name: t, size: 1GiB, mount: x}]")
    assert [problem.line for problem in found] == [6, 8, 10]
