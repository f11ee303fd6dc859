"""The check-up against libvirt's test driver, which has no machine behind it: what a real one is like is tested by facts."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from provision.base.errors import HostUnfit, InventoryError, Unreachable
from provision.base.events import Event, Failed, Found, StageFinished
from provision.cli.doctor import doctor
from provision.cli.provision import provision
from provision.inventory import load
from provision.inventory.model import Cluster
from provision.run.checkup import admit, as_text, check_hosts
from provision.run.engine import opened
from tests.unit.guests.sshd import make_key, public_of


def _said(uri: str, **changes: Any) -> dict[str, Any]:
    host = {"name": "hv1", "uri": uri, "pool": {"path": "/srv/pool"}, "reserved_memory": "0MiB"}
    return {
        "apiVersion": "meshctl/v1",
        "cluster": "demo",
        "hosts": [host],
        "network": {"cidr": "10.77.0.0/24", "bridge": "meshbr9"},
        "nodes": [{"name": "cp1", "role": "control-plane", "vcpus": 2, "memory": "2GiB", "disk": "10GiB"}],
        "ssh": {"public_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f test"},
        "kubernetes": {"version": "v1.20.2"},
    } | changes


def _cluster(uri: str, **changes: Any) -> Cluster:
    return load("x.yaml", yaml.safe_dump(_said(uri, **changes)))


def _admitted(cluster: Cluster) -> list[Event]:
    events: list[Event] = []
    with opened(cluster, events.append) as world:
        admit(world)
    return events


def test_there_is_nothing_to_say_of_a_driver_without_a_machine(uri: str) -> None:
    with opened(_cluster(uri), lambda _event: None) as world:
        checkup = check_hosts(world)
        assert world.calls.mutations == 0
    assert checkup.findings == ()
    assert as_text(checkup).startswith("0 error(s), 0 warning(s); looked at hv1 in 0.")


def test_a_host_without_libvirt_is_an_error_and_hides_no_other(uri: str, tmp_path: Path) -> None:
    none, nor_there = (f"qemu+unix:///system?socket={tmp_path}/{name}" for name in ("none", "nor-there"))
    hosts = [{"name": "hv1", "uri": none}, {"name": "hv2", "uri": uri}, {"name": "hv3", "uri": nor_there}]
    with opened(
        _cluster(uri, hosts=hosts, network={"cidr": "10.77.0.0/24", "mode": "bridge", "bridge": "br0"}), print
    ) as world:
        checkup = check_hosts(world)
    assert [(finding.id, finding.where) for finding in checkup.findings] == [("MC101", "hv1"), ("MC101", "hv3")]
    assert "no connection to" in checkup.findings[0].seen
    assert checkup.findings[0].fix.startswith("libvirtd does not run: `systemctl start libvirtd`")


def test_a_host_that_takes_a_connection_and_says_nothing_is_given_up_in_time(uri: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent"))
        silent.listen()
        hosts = [{"name": "hv1", "uri": f"qemu+unix:///system?socket={tmp_path}/silent"}, {"name": "hv2", "uri": uri}]
        network = {"cidr": "10.77.0.0/24", "mode": "bridge", "bridge": "br0"}
        started = time.monotonic()
        with opened(_cluster(uri, hosts=hosts, network=network), print) as world:
            (finding,) = check_hosts(world).findings
        assert time.monotonic() - started < 7
    assert (finding.id, finding.where) == ("MC101", "hv1")
    assert finding.seen.endswith("/silent gives no answer within 5 s")


def test_cpus_that_the_host_does_not_have_are_found_instead_of_refusals(uri: str) -> None:
    host = {"name": "hv1", "uri": uri, "pool": {"path": "/srv/pool"}, "reserved_cpus": [900]}
    with opened(_cluster(uri, hosts=[host]), print) as world:
        (finding,) = check_hosts(world).errors
    assert (finding.id, finding.seen[:23]) == ("MC162", "reserved_cpus names 900")


def test_a_guest_that_fits_nowhere_is_an_error(uri: str) -> None:
    node = {"name": "cp1", "role": "control-plane", "vcpus": 512, "memory": "2GiB", "disk": "10GiB"}
    with opened(_cluster(uri, nodes=[node]), print) as world:
        (finding,) = check_hosts(world).errors
    assert (finding.id, finding.where) == ("MC161", "cp1")
    assert "512" in finding.seen


def test_provision_is_let_through_or_stopped(uri: str, tmp_path: Path) -> None:
    key = {"key_file": str(make_key(tmp_path / "key"))}
    assert [type(event) for event in _admitted(_cluster(uri, ssh=key))][-1] is StageFinished
    events: list[Event] = []
    with (
        opened(_cluster(f"qemu+unix:///system?socket={tmp_path}/none", ssh=key), events.append) as world,
        pytest.raises(HostUnfit, match=r"doctor found 1 error\(s\): MC101 on hv1"),
    ):
        admit(world)
    assert [event.id for event in events if isinstance(event, Found)] == ["MC101"]
    assert [event.exit_code for event in events if isinstance(event, Failed)] == [12]


def test_the_command(uri: str, tmp_path: Path) -> None:
    inventory = tmp_path / "x.yaml"
    inventory.write_text(yaml.safe_dump(_said(uri)))
    well = CliRunner().invoke(doctor, [str(inventory), "--json"])
    assert (well.exit_code, json.loads(well.stdout)["findings"]) == (0, [])
    inventory.write_text(yaml.safe_dump(_said(f"qemu+unix:///system?socket={tmp_path}/none")))
    ill = CliRunner().invoke(doctor, [str(inventory)])
    assert ill.exit_code == 12
    assert "hv1: error MC101: " in ill.stdout
    assert "see: docs/doctor.md#mc101-libvirt-does-not-answer" in ill.stdout


def test_provision_begins_with_it(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHCTL_STATE", str(tmp_path / "state"))
    inventory, key = tmp_path / "x.yaml", {"key_file": str(make_key(tmp_path / "key"))}
    inventory.write_text(yaml.safe_dump(_said(f"qemu+unix:///system?socket={tmp_path}/none", ssh=key)))
    stopped = CliRunner().invoke(provision, [str(inventory), "--yes", "--json"])
    assert isinstance(stopped.exception, HostUnfit)
    events = [json.loads(line) for line in stopped.stdout.splitlines()]
    assert [event["event"] for event in events] == ["StageStarted", "Found", "Failed"]
    assert (events[1]["id"], events[1]["severity"], events[1]["where"]) == ("MC101", "error", "hv1")


@pytest.mark.parametrize("fault", ["garbage", "a passphrase", "not in the agent"])
def test_a_key_that_could_open_no_session_ends_it_before_anything_is_looked_at(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key = make_key(tmp_path / "key", "ed25519", "open sesame" if fault == "a passphrase" else "")
    ssh = {"key_file": str(key)}
    if fault == "garbage":
        key.write_text("garbage")
    if fault == "not in the agent":
        ssh = {"public_key": public_of(key)}
    with opened(_cluster(uri, ssh=ssh, id="a" * 16), print) as world:
        with pytest.raises(InventoryError if fault == "garbage" else Unreachable) as caught:
            admit(world)
        assert (world.calls.reads, world.calls.mutations) == (0, 0)
    assert caught.value.hint
