"""One machine under two names, which the inventory's text does not tell: a real libvirtd by two sockets."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from provision.base.errors import PlacementError
from provision.cli.doctor import doctor
from provision.inventory import load
from provision.run.engine import opened
from provision.run.observe import observe_topologies
from tests.libvirt.real_daemon import daemon, uri_of


def test_neither_plan_nor_doctor_gives_its_cpus_twice(tmp_path: Path) -> None:
    with daemon(tmp_path / "d") as uri:
        (tmp_path / "other").symlink_to(tmp_path / "d")
        said = {
            "apiVersion": "meshctl/v1",
            "cluster": "demo",
            "hosts": [{"name": "hv1", "uri": uri}, {"name": "hv2", "uri": uri_of(tmp_path / "other")}],
            "network": {"cidr": "10.77.0.0/24", "mode": "bridge", "bridge": "br0"},
            "nodes": [{"name": "cp1", "role": "control-plane", "memory": "2GiB", "disk": "10GiB"}],
            "ssh": {"public_key": "ssh-ed25519 AAAA test"},
            "kubernetes": {"version": "v1.20.2"},
        }
        cluster = load("x.yaml", yaml.safe_dump(said))
        with (
            opened(cluster, lambda _event: None) as world,
            pytest.raises(PlacementError, match=r"^hv2 is the machine of hv1 \(host uuid [0-9a-f-]{36}\), whose CPUs"),
        ):
            observe_topologies(cluster, world.hypervisors, world.shell)
        (tmp_path / "x.yaml").write_text(yaml.safe_dump(said))
        checked = CliRunner().invoke(doctor, [str(tmp_path / "x.yaml")])
    assert checked.exit_code == 12
    assert "hv2: error MC164: is the machine of hv1" in checked.stdout
