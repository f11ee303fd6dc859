"""The seed: its three files as cloud-init reads them, and the disk that carries them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pycdlib
import pytest
import yaml

from provision.base.secret import Secret
from provision.base.shell import Local
from provision.guests.hostkey import new_host_key
from provision.guests.seed import MOUNT_STATE, HostKey, disk_image, render, seed_digest
from tests.unit.sample import CLUSTER, wanted

KEY = HostKey(
    Secret("-----BEGIN OPENSSH PRIVATE KEY-----\nabc#: {{ x }}\n-----END OPENSSH PRIVATE KEY-----\n"),
    "ssh-ed25519 AAAAC3 lab-cp1",
)
MEMBERS = wanted().members


def user_data() -> Any:
    return yaml.safe_load(render(CLUSTER, MEMBERS[0], MEMBERS, "ssh-ed25519 AAAA mesh@test", KEY).user_data.reveal())


def test_user_data_says_who_may_log_in_and_which_key_the_guest_has() -> None:
    said = user_data()
    assert said["users"][0]["name"] == "mesh"
    assert said["users"][0]["ssh_authorized_keys"] == ["ssh-ed25519 AAAA mesh@test"]
    assert said["ssh_keys"] == {"ed25519_private": KEY.private.reveal(), "ed25519_public": KEY.public}
    assert said["ssh_pwauth"] is False


def test_sysctl_and_all_node_names_are_written() -> None:
    files = {file["path"]: file["content"] for file in user_data()["write_files"]}
    assert files["/etc/sysctl.d/90-meshctl.conf"].splitlines() == [
        "net.core.somaxconn = 4096",
        "net.ipv4.ip_local_port_range = 1024 65000",
        "net.ipv4.tcp_tw_reuse = 1",
    ]
    assert {"10.77.0.11 cp1", "10.77.0.12 w1"} <= set(files["/etc/hosts"].splitlines())


def test_the_network_config_is_static_and_matched_by_mac() -> None:
    config = yaml.safe_load(render(CLUSTER, MEMBERS[0], MEMBERS, "k", KEY).network_config)
    card = config["ethernets"]["mesh0"]
    assert card["match"]["macaddress"].startswith("52:54:00:")
    assert card["addresses"] == ["10.77.0.11/24"]
    assert card["dhcp4"] is False
    assert card["routes"] == [{"to": "0.0.0.0/0", "via": "10.77.0.1"}]


def test_a_new_host_key_is_a_new_instance() -> None:
    first, second = (render(CLUSTER, MEMBERS[0], MEMBERS, "k", new_host_key("x")).meta_data for _ in range(2))
    assert yaml.safe_load(first)["instance-id"] != yaml.safe_load(second)["instance-id"]


def test_the_digest_ignores_the_host_key_and_other_nodes_but_not_the_login_key() -> None:
    first = seed_digest(CLUSTER, MEMBERS[0], "k")
    assert first == seed_digest(CLUSTER, MEMBERS[0], "k")
    assert first != seed_digest(CLUSTER, MEMBERS[0], "other")
    more = CLUSTER.model_copy(update={"nodes": CLUSTER.nodes[:1]})
    assert first == seed_digest(more, MEMBERS[0], "k")


def test_a_private_key_does_not_print() -> None:
    files = render(CLUSTER, MEMBERS[0], MEMBERS, "k", KEY)
    assert "BEGIN" not in repr(files)
    assert "BEGIN" not in f"{files.user_data}"


@pytest.mark.parametrize("name", ["user-data", "meta-data", "network-config"])
def test_the_disk_is_labelled_and_holds_the_files_under_their_full_names(name: str) -> None:
    files = render(CLUSTER, MEMBERS[0], MEMBERS, "k", KEY)
    image = disk_image(files)
    assert image[0x8028 : 0x8028 + 32].decode().strip() == "cidata"
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(image))
    content = io.BytesIO()
    iso.get_file_from_iso_fp(content, rr_path=f"/{name}")
    iso.close()
    wanted_text = {
        "user-data": files.user_data.reveal(),
        "meta-data": files.meta_data,
        "network-config": files.network_config,
    }[name]
    assert content.getvalue().decode() == wanted_text


# ── a control plane's state volume ───────────────────────────────────────────────────────────────────────────────

STATEFUL = CLUSTER.model_copy(
    update={"nodes": (CLUSTER.nodes[0].model_copy(update={"state": None}), *CLUSTER.nodes[1:])}
)


def test_a_control_plane_mounts_its_state_and_nothing_starts_without() -> None:
    said = yaml.safe_load(render(STATEFUL, MEMBERS[0], MEMBERS, "k", KEY).user_data.reveal())
    volume, state = said["bootcmd"]
    assert (volume[:2], volume[3:]) == (["sh", "-c"], ["meshctl", "state", "/var/lib/meshctl-state", "ext4"])
    assert state[4:] == [
        *("/var/lib/meshctl-state", "etcd", "/var/lib/etcd"),
        *("kubernetes", "/etc/kubernetes", "kubelet-pki", "/var/lib/kubelet/pki"),
    ]
    units = [file for file in said["write_files"] if ".service.d/" in file["path"]]
    assert [unit["path"].split("/")[4] for unit in units] == ["docker.service.d", "kubelet.service.d"]
    for unit in units:
        lines = unit["content"].splitlines()
        for path in ("/var/lib/etcd", "/etc/kubernetes", "/var/lib/kubelet/pki"):
            assert {f"RequiresMountsFor={path}", f"AssertPathIsMountPoint={path}"} < {*lines}


# A namespace of mounts, in which the volume is a filesystem of memory. $1: the script, $2: a folder; then what it mounts.
_STARTS = """
set -e
mount -t tmpfs state "$2/volume"
cp /etc/fstab "$2/fstab"
mount --bind "$2/fstab" /etc/fstab
script=$1 folder=$2
for start in 1 2; do
    sh -c "$script" meshctl "$folder/volume" etcd "$folder/etcd" pki "$folder/a/pki"
    [ $start = 2 ] || { echo kept > "$folder/etcd/data"; umount "$folder/etcd" "$folder/a/pki"; }
done
cat "$folder/etcd/data"
mkdir "$folder/etcd/aside"
mv "$folder/etcd/data" "$folder/etcd/aside/data"
stat -c %a "$folder/volume/kept"
stat -c %s "$folder/volume/kept/of"
grep -c "$folder/volume/etcd $folder/etcd none bind,nofail 0 0" "$folder/fstab"
grep -c " $folder/a/pki " "$folder/fstab"
ls "$folder/volume/etcd/aside"
"""


def test_folders_of_the_volume_are_bound_at_each_start_and_what_is_in_them_stays(tmp_path: Path) -> None:
    for name in ("volume", "etcd"):
        (tmp_path / name).mkdir()
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-c", _STARTS, "starts", MOUNT_STATE, str(tmp_path)]
    said = Local().read(argv).stdout.split()
    assert said == ["kept", "700", "0", "1", "1", "data"]


def test_nothing_is_bound_where_the_volume_is_not_mounted(tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    argv = ["sh", "-c", MOUNT_STATE, "meshctl", f"{tmp_path}/volume", "etcd", f"{tmp_path}/etcd"]
    assert Local().run(argv).status == 0
    assert [one.name for one in tmp_path.rglob("*")] == ["volume"]
