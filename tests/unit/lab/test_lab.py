"""The lab's places and its refusals; the lab itself is tried in tests/lab."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from netaddr import iter_iprange

from provision.base import data
from provision.base.errors import MeshctlError
from provision.base.events import nowhere
from provision.base.shell import Local
from provision.inventory import load
from provision.lab import (
    Lab,
    connect_argv,
    down,
    exec_argv,
    host_uri,
    of_uri,
    processes,
    up,
)
from provision.lab.daemon import host_libvirtd_conf
from provision.lab.hosts import BRIDGE, JUMP_ADDRESS, address
from provision.lab.lab import PACKAGES
from provision.lab.logins import MEMBER, STRANGER, make_accounts

ABSENT = Lab("nobody-made-this")


@pytest.mark.parametrize("name", ["lab", "a", "test-2", "x" * 20])
def test_a_dns_label_is_a_name(name: str) -> None:
    assert Lab(name).namespace == f"meshctl-{name}"


def test_hosts_of_labs_are_machines_of_their_own_and_stay_these() -> None:
    confs = [host_libvirtd_conf(lab.at(host)) for lab in (Lab(), Lab("test")) for host in ("hv1", "hv2")]
    assert len({conf.splitlines()[-1] for conf in confs}) == 4
    assert all(re.fullmatch('host_uuid = "[0-9a-f-]{36}"', conf.splitlines()[-1]) for conf in confs)
    assert host_libvirtd_conf(Lab("lab", "hv1")) == confs[0]


@pytest.mark.parametrize("name", ["", "Lab", "-a", "a-", "a.b", "../etc", "a/b", "a b", "x" * 21, "lab\n"])
def test_whatever_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(MeshctlError, match="not a name for a lab"):
        Lab(name)


def test_labs_of_different_names_share_no_place() -> None:
    def places(lab: Lab) -> set[object]:
        return {lab.namespace, lab.run, lab.state, lab.pool, lab.key, lab.uri, lab.pid_file, lab.log, connect_argv(lab)}

    assert places(Lab("one")).isdisjoint(places(Lab("two")))


def test_the_shipped_inventory_names_the_default_lab() -> None:
    lab, cluster = Lab(), load(str(data.folder("inventories") / "lab.yaml"))
    assert cluster.hosts[0].uri == lab.uri
    assert cluster.hosts[0].pool.path == str(lab.pool)
    assert cluster.ssh.key_file == str(lab.key)
    assert cluster.ssh.proxy_command == connect_argv(lab)


HOSTS = Lab().at("hv1"), Lab().at("hv2")


def test_a_lab_its_hosts_and_a_lab_named_like_one_share_no_place() -> None:
    labs = (Lab(), *HOSTS, Lab("lab-hv1"), Lab("hosts"))
    places = [(lab.namespace, lab.run, lab.state, lab.uri, lab.pid_file) for lab in labs]
    assert len({place for lab in places for place in lab}) == 5 * len(labs)


@pytest.mark.parametrize("host", ["hv0", "hv10", "h", "../x", "hv1\n"])
def test_whatever_is_no_host_is_refused(host: str) -> None:
    with pytest.raises(MeshctlError, match="is no host of a lab"):
        Lab("lab", host)


def test_the_shipped_inventory_of_three_hosts_names_the_default_lab() -> None:
    lab, cluster = Lab(), load(str(data.folder("inventories") / "lab-hosts.yaml"))
    assert [host.uri for host in cluster.hosts] == [host_uri(lab, name) for name in ("hv1", "hv2", "hv3")]
    assert {Path(host.pool.path or "").parent for host in cluster.hosts} == {
        Path("/var/lib/libvirt")
    }  # each host's own
    assert cluster.ssh.key_file == str(lab.key)
    assert cluster.ssh.proxy_command == connect_argv(lab)
    assert cluster.network.bridge == BRIDGE
    assert not {JUMP_ADDRESS, *map(address, HOSTS)} & {str(ip) for ip in iter_iprange(*cluster.network.node_range())}


def test_it_has_the_shape_of_the_shipped_real_one() -> None:
    def shape(name: str) -> object:
        cluster = load(str(data.folder("inventories") / name))
        pools = {(host.pool.type, host.pool.path) for host in cluster.hosts}
        return (
            len(cluster.hosts),
            len(pools),
            cluster.network.mode,
            {urlsplit(host.uri).scheme for host in cluster.hosts},
        )

    assert shape("lab-hosts.yaml") == shape("oslo.yaml") == (3, 1, "bridge", {"qemu+ssh"})


def test_a_socket_leads_to_its_lab_or_host() -> None:
    assert [of_uri(lab.uri) for lab in (Lab(), *HOSTS)] == [Lab(), *HOSTS]
    assert of_uri(Lab().uri.replace("lab/", "lab/hosts/hv1x/")) is None


def test_no_password_of_the_machine_is_in_a_hosts_accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Lab, "state", tmp_path)
    make_accounts(HOSTS[0])
    make_accounts(HOSTS[0])
    shadow = (tmp_path / "accounts" / "shadow").read_text().splitlines()
    assert [line.split(":")[:2] for line in shadow] == [["root", "*"], [MEMBER, "*"], [STRANGER, "*"]]
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "accounts").iterdir()}
    assert modes == {"passwd": 0o644, "group": 0o644, "shadow": 0o600, "sudoers": 0o440}
    groups = [line.split(":") for line in (tmp_path / "accounts" / "group").read_text().splitlines()]
    assert [group[0] for group in groups if MEMBER in group[3]] == ["libvirt"]


def test_exec_says_when_the_lab_is_not_up() -> None:
    with pytest.raises(MeshctlError, match="is not up") as caught:
        exec_argv(ABSENT, ["true"])
    assert caught.value.hint == "`meshctl lab up`"


@pytest.mark.parametrize("command", [up, down])
def test_without_root_the_lab_says_so(command: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(MeshctlError, match="needs root"):
        command(ABSENT, Local(), nowhere)  # type: ignore[operator]


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("provision.lab.lab._PATH", str(tmp_path))
    with pytest.raises(MeshctlError, match="not installed") as caught:
        up(ABSENT, Local(), nowhere)
    assert caught.value.hint == f"apt-get install {' '.join(sorted(PACKAGES.values()))}"
    assert not ABSENT.run.exists()


@pytest.fixture
def stubborn(tmp_path: Path) -> Iterator[int]:
    """A process that does not listen to SIGTERM."""
    ready = tmp_path / "ready"
    pid = Local().background(["sh", "-c", f"trap '' TERM; : > {ready}; exec sleep 60"], log=str(tmp_path / "log"))
    while not ready.exists():
        assert processes.lives(pid)
    yield pid
    if processes.lives(pid):
        os.kill(pid, signal.SIGKILL)


def test_who_does_not_listen_is_killed(stubborn: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "END_S", 0.3)
    processes.end(lambda: [stubborn] if processes.lives(stubborn) else [], "its end")
    assert not processes.lives(stubborn)


def test_a_process_that_is_gone_does_not_live() -> None:
    assert processes.lives(os.getpid())
    assert not processes.lives(2**22 + 1)  # above the kernel's largest pid
