"""`meshctl ssh` as far as a person notices it: the system's ssh, a real sshd, and a guest of the test driver for its stamp."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from provision.base.errors import HypervisorError, InventoryError
from provision.base.shell import Local
from provision.base.waiting import NotYet
from provision.guests import KeyRefused
from provision.hosts import Hypervisor
from provision.inventory.model import Cluster
from provision.libvirt_xml import domain_xml
from provision.run import answering, ssh_argv
from provision.run.access import node_target
from provision.run.engine import World, opened
from provision.run.stages.guests import look
from provision.specs import Stamp
from tests.unit.guests.sshd import Sshd, agent, make_key, public_of, running
from tests.unit.sample import CLUSTER, wanted


@pytest.fixture
def sshd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sshd]:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    monkeypatch.setenv("MESHCTL_STATE", str(tmp_path / "state of 100%"))
    with running(tmp_path / "guest", "MaxAuthTries 3") as made:
        yield made


def cluster(uri: str, sshd: Sshd, **ssh: object) -> Cluster:
    """The sample, with a way to the sshd whatever a guest's address is."""
    way = {"proxy_command": ["socat", "-", f"TCP:127.0.0.1:{sshd.port}"], "user": sshd.target.user}
    host = CLUSTER.hosts[0].model_copy(update={"uri": uri})
    return CLUSTER.model_copy(update={"hosts": (host,), "ssh": type(CLUSTER.ssh).model_validate(way | ssh)})


@pytest.fixture
def world(uri: str, sshd: Sshd) -> Iterator[World]:
    with opened(cluster(uri, sshd, key_file=str(sshd.user)), print) as made:
        guest = wanted().guest("cp1")
        stamp = Stamp("lab", "cp1", "0123456789abcdef", guest.address, public_of(sshd.folder / "host"), "seed.iso")
        stamp = replace(stamp, owner=made.cluster.owner.id)
        made.hypervisors["hv1"].define_domain(domain_xml(guest, stamp))
        yield made


def said(world: World, *command: str) -> str:
    return Local().read(ssh_argv(world, "cp1", command)).stdout


def test_one_word_is_read_by_the_guests_shell_and_several_reach_the_program_as_they_are(world: World) -> None:
    assert said(world, "echo one; echo $((1 + 1))") == "one\n2\n"
    assert said(world, "printf", "%s|", "a b", "; id", "$HOME") == "a b|; id|$HOME|"
    assert said(world, "true") == ""


def test_the_agents_key_is_chosen_by_its_public_half(
    world: World, sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [make_key(tmp_path / f"other{number}") for number in range(6)]
    ssh = world.cluster.ssh.model_copy(update={"key_file": None, "public_key": public_of(sshd.user)})
    by_agent = replace(world, cluster=world.cluster.model_copy(update={"ssh": ssh}))
    with agent(tmp_path, *others, sshd.user) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        assert said(by_agent, "echo", "in") == "in\n"
    assert "Failed publickey" not in sshd.log


def test_a_broken_key_is_said_before_ssh_is_started(world: World, sshd: Sshd) -> None:
    sshd.user.chmod(0o644)
    with pytest.raises(InventoryError, match=r"others may read it \(mode 0644\)"):
        ssh_argv(world, "cp1", ["true"])


FINISHED = (
    "[   91.234602] cloud-init[525]: Cloud-init v. 22.4.2 running 'modules:final' at Sun, 29 Nov 2026 12:05:41 +0000. Up 90.48 seconds.\n"
    "[   91.512559] cloud-init[525]: Cloud-init v. 22.4.2 finished at Sun, 29 Nov 2026 12:05:42 +0000. "
    "Datasource DataSourceNoCloud [seed=/dev/vdb][dsmode=net].  Up 91.45 seconds\n"
)
"""Of a real guest's console, word for word."""


def test_a_refused_key_is_waited_for_during_the_first_boot_only(world: World, sshd: Sshd) -> None:
    sshd.authorized.write_text("")
    shell = world.sessions.to(node_target(world, "cp1"))
    booting = look(shell, world.cluster, lambda: FINISHED.partition("\n")[0])
    assert isinstance(booting, NotYet)
    assert "refused the key" in booting.seen
    with pytest.raises(KeyRefused, match=f"cp1: {sshd.target.user}@10.77.0.11 refused the key {sshd.user}"):
        look(shell, world.cluster, lambda: FINISHED)


def test_a_guest_is_reached_while_another_host_is_away(world: World) -> None:
    gone = world.cluster.hosts[0].model_copy(update={"name": "hv2", "uri": "test:///no/such/node.xml"})
    whole = replace(
        world,
        cluster=world.cluster.model_copy(update={"hosts": (*world.cluster.hosts, gone)}),
        hypervisors={**world.hypervisors, "hv2": Hypervisor("hv2", gone.uri)},
    )
    with pytest.raises(HypervisorError):
        said(whole, "true")
    here, away = answering(whole)
    assert [one.host for one in away] == ["hv2"]
    assert said(here, "echo here") == "here\n"
