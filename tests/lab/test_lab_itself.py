"""The embedded lab as such: real libvirtd, real QEMU, real namespaces. What runs in it is tested elsewhere."""

from __future__ import annotations

import io
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.base.errors import HypervisorError
from provision.base.events import Event, nowhere
from provision.base.shell import Local
from provision.base.waiting import NotYet, Ready, wait_until
from provision.hosts.hypervisor import Hypervisor
from provision.lab import Lab, connect_argv, down, exec_argv, up
from provision.lab.processes import in_namespace, lives, members
from provision.libvirt_xml.domain_xml import upload_volume_xml
from tests.lab.conftest import of_process

pytestmark = pytest.mark.lab

MESHCTL = str(Path(sys.executable).with_name("meshctl"))
GUEST_MIB = 128

NETWORK = """<network><name>n</name><forward mode="nat"/><bridge name="testbr0" stp="off" delay="0"/>
<ip address="10.99.0.1" prefix="24"/></network>"""

POOL = """<pool type="dir"><name>p</name><target><path>{path}</path></target></pool>"""

ROOT = """<volume><name>root</name><capacity unit="MiB">64</capacity><target><format type="qcow2"/></target></volume>"""

# Everything of a real guest that asks something of the lab: pins, memory at once, native AIO on the pool's filesystem,
# a port of the network, a console log. Its disk is empty: it stays in its BIOS.
GUEST = """<domain type="qemu"><name>g</name><memory unit="MiB">{memory}</memory>
<memoryBacking><nosharepages/><allocation mode="immediate"/></memoryBacking>
<vcpu placement="static">2</vcpu><iothreads>1</iothreads>
<cputune><vcpupin vcpu="0" cpuset="1"/><vcpupin vcpu="1" cpuset="0"/><emulatorpin cpuset="1"/>
<iothreadpin iothread="1" cpuset="0"/></cputune>
<os><type arch="x86_64" machine="q35">hvm</type></os><features><acpi/></features><cpu mode="maximum"/>
<devices>
<disk type="file" device="disk">
<driver name="qemu" type="qcow2" cache="none" io="native" discard="unmap" iothread="1"/>
<source file="{pool}/root"/><target dev="vda" bus="virtio"/></disk>
<interface type="network"><source network="n"/><model type="virtio"/></interface>
<serial type="pty"><log file="{pool}/g.console" append="on"/></serial>
<controller type="usb" model="none"/><memballoon model="none"/>
</devices></domain>"""


def _furnish(lab: Lab) -> Hypervisor:
    """Network, pool and a running guest."""
    hypervisor = Hypervisor(lab.name, lab.uri)
    hypervisor.create_network(NETWORK)
    hypervisor.create_pool(POOL.format(path=lab.pool))
    hypervisor.create_volume("p", ROOT)
    hypervisor.define_domain(GUEST.format(memory=GUEST_MIB, pool=lab.pool))
    hypervisor.start_domain("g")
    return hypervisor


def _gone(lab: Lab) -> bool:
    places = (lab.run, lab.state, lab.namespace_file)
    return not members(lab) and not any(path.exists() for path in places)


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """Made by another process, which has ended by now."""
    made = Lab("test-itself")
    Local().run([MESHCTL, "lab", "up", "--name", made.name], within_s=240)
    yield made
    down(made, Local(), nowhere)
    assert _gone(made)


@pytest.fixture(scope="module")
def hypervisor(lab: Lab) -> Iterator[Hypervisor]:
    opened = _furnish(lab)
    yield opened
    opened.close()


def _qemu(lab: Lab) -> int:
    (pid,) = (pid for pid in members(lab) if b"guest=g," in of_process(pid, "cmdline"))
    return pid


def _inside(lab: Lab, *argv: str) -> str:
    return Local().read(exec_argv(lab, argv)).stdout


def test_the_pid_file_names_a_process_of_the_lab(lab: Lab) -> None:
    assert in_namespace(lab, int(lab.pid_file.read_text()))


def test_up_again_changes_nothing(lab: Lab) -> None:
    seen: list[Event] = []
    pid, key = lab.pid_file.read_text(), lab.key.read_bytes()
    assert up(lab, Local(), seen.append) == (lab.uri,)
    assert (lab.pid_file.read_text(), lab.key.read_bytes(), seen) == (pid, key, [])


def test_the_key_is_private(lab: Lab) -> None:
    assert lab.key.stat().st_mode & 0o777 == 0o600
    assert lab.key.with_suffix(".pub").read_text().startswith("ssh-ed25519 ")


def test_inside_the_systems_libvirt_is_the_labs(lab: Lab, hypervisor: Hypervisor) -> None:
    assert _inside(lab, "virsh", "--connect", "qemu:///system", "list", "--name").split() == ["g"]
    assert _inside(lab, "virsh", "uri").strip() == "qemu:///system"
    assert _inside(lab, "pwd").strip() == str(Path.cwd())


def test_nothing_leads_out(lab: Lab, hypervisor: Hypervisor) -> None:
    assert _inside(lab, "ip", "route", "show", "default") == ""
    assert "nameserver" not in _inside(lab, "cat", "/etc/resolv.conf")
    assert not Path("/sys/class/net/testbr0").exists()


def test_bridged_packets_do_not_meet_the_firewall(lab: Lab, hypervisor: Hypervisor) -> None:
    settings = _inside(lab, "sh", "-c", "cat /proc/sys/net/bridge/bridge-nf-call-*tables 2>/dev/null; true")
    assert set(settings.split()) <= {"0"}
    assert _inside(lab, "cat", "/proc/sys/net/ipv4/ip_forward").strip() == "1"


def test_every_thread_of_a_guest_has_its_cpus(lab: Lab, hypervisor: Hypervisor) -> None:
    def cpus(task: Path) -> str:
        return next(
            line.split()[1] for line in (task / "status").read_text().splitlines() if "Cpus_allowed_list" in line
        )

    tasks = list(Path(f"/proc/{_qemu(lab)}/task").iterdir())
    found = {(task / "comm").read_text().strip(): cpus(task) for task in tasks}
    assert found.pop("CPU 0/TCG") == "1"
    assert found.pop("CPU 1/TCG") == "0"
    assert found.pop("IO iothread1") == "0"
    assert set(found.values()) == {"1"}


def test_a_guests_memory_is_there_from_the_start(lab: Lab, hypervisor: Hypervisor) -> None:
    status = Path(f"/proc/{_qemu(lab)}/status").read_text()
    resident_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    assert resident_kib >= GUEST_MIB * 1024


def test_a_connection_reaches_in(lab: Lab) -> None:
    listen = ("socat", "TCP-LISTEN:7000,bind=127.0.0.1,reuseaddr,fork", "SYSTEM:echo from within")
    server = Local().background(exec_argv(lab, listen), log=str(lab.state / "socat.log"))

    def ask() -> Ready[str] | NotYet:
        argv = [word.replace("%h", "127.0.0.1").replace("%p", "7000") for word in connect_argv(lab)]
        answer = Local().read(argv, check=False)
        return Ready(answer.stdout) if answer.status == 0 else NotYet(answer.stderr)

    assert wait_until(ask, what="an answer", within_s=10, every_s=0.1) == "from within\n"
    os.kill(server, signal.SIGTERM)


def test_exec_gives_the_commands_status(lab: Lab) -> None:
    argv = [MESHCTL, "lab", "exec", "--name", lab.name, "--", "sh", "-c", "exit 7"]
    assert Local().read(argv, check=False).status == 7


def test_an_upload_that_breaks_off_leaves_a_part_and_a_whole_one_is_the_file(lab: Lab, hypervisor: Hypervisor) -> None:
    """The sending side breaks off after 3 of 8 MiB."""

    class Breaking(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() >= 3 << 20:
                raise OSError("the disk went away")
            return super().read(size)

    def physical() -> int:
        return next(volume.physical for volume in hypervisor.volumes("p") if volume.name == "sent")

    content = os.urandom(8 << 20)
    hypervisor.create_volume("p", upload_volume_xml("sent", private=False))
    with pytest.raises((OSError, HypervisorError)):
        hypervisor.upload("p", "sent", Breaking(content))
    assert physical() < len(content)
    hypervisor.delete_volume("p", "sent")
    hypervisor.create_volume("p", upload_volume_xml("sent", private=False))
    hypervisor.upload("p", "sent", io.BytesIO(content))
    assert physical() == len(content)
    assert (lab.pool / "sent").read_bytes() == content


def test_guests_survive_the_death_of_libvirtd(lab: Lab, hypervisor: Hypervisor) -> None:
    guest, daemon = _qemu(lab), int(lab.pid_file.read_text())
    os.kill(daemon, signal.SIGKILL)
    up(lab, Local(), nowhere)
    again = Hypervisor(lab.name, lab.uri)
    assert [(domain.name, domain.active) for domain in again.domains()] == [("g", True)]
    again.close()
    assert _qemu(lab) == guest
    assert int(lab.pid_file.read_text()) != daemon


def test_a_stale_pid_file_leads_nowhere(lab: Lab) -> None:
    """After a reboot the number in it may be anybody's."""
    content = lab.pid_file.read_text()
    try:
        lab.pid_file.write_text(str(os.getpid()))
        with pytest.raises(Exception, match="is not up"):
            exec_argv(lab, ["true"])
    finally:
        lab.pid_file.write_text(content)


@pytest.fixture
def other(lab: Lab) -> Iterator[Lab]:
    """A second lab beside the first. QEMU's capabilities are copied: probing them takes most of the start."""
    made = Lab("test-other")
    cache = Path("libvirt", "cache")
    shutil.copytree(lab.state / cache, made.state / cache)
    up(made, Local(), nowhere)
    yield made
    down(made, Local(), nowhere)


def test_down_takes_all_of_a_lab_and_nothing_else(lab: Lab, hypervisor: Hypervisor, other: Lab, tmp_path: Path) -> None:
    kept, bystander = members(lab), Local().background(["sleep", "300"], log=str(tmp_path / "log"))
    _furnish(other).close()
    Local().background(exec_argv(other, ["sleep", "300"]), log=str(tmp_path / "log"))
    (other.state / "mounted").mkdir()
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "file").write_text("precious")
    Local().run(["mount", "--bind", str(foreign), str(other.state / "mounted")])
    ended = members(other)
    assert len(ended) >= 4  # libvirtd, dnsmasq, QEMU, sleep

    down(other, Local(), nowhere)

    assert _gone(other)
    assert not [pid for pid in ended if lives(pid)]
    assert other.name not in Path("/proc/self/mountinfo").read_text()
    assert (foreign / "file").read_text() == "precious"
    assert lives(bystander)
    assert set(kept) <= set(members(lab))
    os.kill(bystander, signal.SIGKILL)


def test_down_where_nothing_is_says_nothing() -> None:
    seen: list[Event] = []
    down(Lab("test-nothing"), Local(), seen.append)
    assert seen == []


def test_up_mends_a_lab_that_lost_its_namespace(other: Lab) -> None:
    """Its guests hang in a network that nobody can reach any more: they end, and can be started again."""
    _furnish(other).close()
    before = members(other)
    Local().run(["ip", "netns", "delete", other.namespace])
    up(other, Local(), nowhere)
    assert not set(before) & set(members(other))
    mended = Hypervisor(other.name, other.uri)
    wait_until(
        lambda: Ready(None) if any(domain.active for domain in mended.domains()) else NotYet("no guest runs"),
        what="the guest's autostart",
        within_s=30,
    )
    mended.close()
    assert all(in_namespace(other, pid) for pid in members(other))


def test_up_ends_what_does_not_answer(other: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provision.lab.daemon.ANSWER_S", 2.0)
    monkeypatch.setattr("provision.lab.processes.END_S", 2.0)
    stopped = int(other.pid_file.read_text())
    os.kill(stopped, signal.SIGSTOP)
    up(other, Local(), nowhere)
    assert not lives(stopped)
    assert int(other.pid_file.read_text()) != stopped
