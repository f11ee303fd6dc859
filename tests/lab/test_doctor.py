"""`doctor` on a live lab: faults planted in the lab's own namespaces are found by their ids, and gone when taken back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from provision.base.events import nowhere
from provision.base.shell import Local
from provision.doctor import Finding
from provision.inventory import load
from provision.lab import Lab, down, exec_argv, up
from provision.run.checkup import check_hosts
from provision.run.engine import World, opened
from tests.lab.conftest import MESHCTL, for_lab

pytestmark = pytest.mark.lab

LAB = Lab("test-doctor")
THP = "/sys/kernel/mm/transparent_hugepage/enabled"


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    up(LAB, Local(), nowhere)
    path = tmp_path_factory.mktemp("inventory") / "lab.yaml"
    path.write_text(yaml.safe_dump(for_lab(LAB), sort_keys=False))
    yield path
    down(LAB, Local(), nowhere)


@pytest.fixture(scope="module")
def world(inventory: Path) -> Iterator[World]:
    with opened(load(str(inventory)), nowhere) as made:
        yield made


def inside(*argv: str) -> str:
    """Runs a command in the lab's namespaces."""
    return Local().run(exec_argv(LAB, argv)).stdout


@contextmanager
def mounted(*argv: str) -> Iterator[None]:
    """A mount that only the lab sees; the last word is where."""
    inside("mount", *argv)
    try:
        yield
    finally:
        inside("umount", argv[-1])


@contextmanager
def saying(tmp_path: Path, path: str, content: str) -> Iterator[None]:
    """A file of /proc or /sys that says something else to the lab."""
    other = tmp_path / path.replace("/", "_")
    other.write_text(content)
    with mounted("--bind", str(other), path):
        yield


@contextmanager
def bridge(name: str, *commands: tuple[str, ...]) -> Iterator[None]:
    """A bridge in the lab's network."""
    inside("ip", "link", "add", name, "type", "bridge")
    try:
        for command in commands:
            inside("ip", *command)
        inside("ip", "link", "set", name, "up")
        yield
    finally:
        inside("ip", "link", "delete", name)


def found(world: World, id_: str) -> Finding | None:
    return next((finding for finding in check_hosts(world).findings if finding.id == id_), None)


def planted(world: World, id_: str) -> Finding:
    finding = found(world, id_)
    assert finding is not None
    return finding


def test_nothing_keeps_the_lab_from_its_guests(inventory: Path) -> None:
    done = Local().run([str(MESHCTL), "doctor", str(inventory), "--json"], check=False)
    said = json.loads(done.stdout)
    assert [finding for finding in said["findings"] if finding["severity"] == "error"] == []
    assert done.status == 0
    assert said["hosts"][0]["seconds"] < 5


def test_low_memlock(world: World, tmp_path: Path) -> None:
    """On the daemon as the lab sees it: a real hard limit could not be taken back without CAP_SYS_RESOURCE."""
    process = f"/proc/{LAB.pid_file.read_text().strip()}"
    status, limits = Path(process, "status").read_text(), Path(process, "limits").read_text()
    powerless = "\n".join("CapEff:\t0" if line.startswith("CapEff") else line for line in status.splitlines())
    high, low = (
        "\n".join(f"Max locked memory  {limit}  {limit}  bytes" if line.startswith("Max locked") else line for line in limits.splitlines())
        for limit in ("unlimited", "65536")
    )  # fmt: skip
    with saying(tmp_path, f"{process}/status", powerless + "\n"):
        with saying(tmp_path, f"{process}/limits", low + "\n"):
            finding = planted(world, "MC125")
        with saying(tmp_path, f"{process}/limits", high + "\n"):
            assert found(world, "MC125") is None
    assert "(65536 bytes); the largest guest needs 5328 MiB" in finding.seen
    assert "LimitMEMLOCK=infinity" in finding.fix


def test_transparent_huge_pages(world: World, tmp_path: Path) -> None:
    with saying(tmp_path, THP, "[always] madvise never\n"):
        finding = planted(world, "MC121")
    with saying(tmp_path, THP, "always [madvise] never\n"):
        assert found(world, "MC121") is None
    assert finding.fix.startswith(f"`echo madvise > {THP}` on hv1")


def test_a_colliding_route(world: World) -> None:
    with bridge("clash0", ("address", "add", "10.77.200.1/16", "dev", "clash0")):
        finding = planted(world, "MC141")
    assert found(world, "MC141") is None
    assert finding.seen == "10.77.0.0/16 leads to clash0; the network is 10.77.0.0/24"
    assert "`ip route del 10.77.0.0/16 dev clash0`" in finding.fix


def test_a_full_pool(world: World) -> None:
    with mounted("-t", "tmpfs", "-o", "size=4m", "tmpfs", str(LAB.pool)):
        inside("sh", "-c", 'head -c 5000000 /dev/zero > "$1/fill" || true', "fill", str(LAB.pool))
        finding = planted(world, "MC132")
    assert found(world, "MC132") is None
    assert finding.seen.startswith(f"0 MiB of 4 are free for {LAB.pool}; ")
    assert f"`du -xh --max-depth=1 {LAB.pool} | sort -h`" in finding.fix


def test_a_governor_that_saves_power(world: World, tmp_path: Path) -> None:
    policy = tmp_path / "cpufreq" / "policy0"
    policy.mkdir(parents=True)
    (policy / "scaling_governor").write_text("powersave\n")
    (policy / "affected_cpus").write_text("0\n")
    with mounted("--bind", str(policy.parent), "/sys/devices/system/cpu/cpufreq"):
        finding = planted(world, "MC111")
        (policy / "scaling_governor").write_text("performance\n")
        assert found(world, "MC111") is None
    assert finding.seen == "powersave on CPUs 0"
    assert "`cpupower frequency-set -g performance`" in finding.fix


def test_a_bridge_without_the_networks_mtu(world: World) -> None:
    with bridge("meshbr0", ("link", "set", "meshbr0", "mtu", "1400")):
        finding = planted(world, "MC145")
    assert found(world, "MC145") is None
    assert finding.seen == "meshbr0 has MTU 1400, the network 1500"
    assert finding.fix.startswith("`ip link set meshbr0 mtu 1500` on hv1")


def test_a_pool_on_what_the_inventory_does_not_want(inventory: Path, tmp_path: Path) -> None:
    path = tmp_path / "nvme.yaml"
    path.write_text(yaml.safe_dump(for_lab(LAB) | {"storage": {"require": "nvme"}}))
    with (
        mounted("-t", "tmpfs", "-o", "size=4g", "tmpfs", str(LAB.pool)),
        opened(load(str(path)), nowhere) as made,
    ):
        finding = planted(made, "MC131")
    seen = f"pool meshctl: {LAB.pool} lies on tmpfs (tmpfs), below which there is no device to be seen, but storage.require is nvme"
    assert (finding.severity, finding.seen) == ("error", seen)
    assert finding.fix.startswith(
        "give it a filesystem on an NVMe, or say storage.require: any; `lsblk -o NAME,TRAN,ROTA` on hv1"
    )


def test_cpus_that_the_host_does_not_have(inventory: Path, tmp_path: Path) -> None:
    said = for_lab(LAB)
    said["hosts"][0]["reserved_cpus"] = [4096]
    path = tmp_path / "cpus.yaml"
    path.write_text(yaml.safe_dump(said))
    with opened(load(str(path)), nowhere) as made:
        finding = planted(made, "MC162")
    assert finding.seen.startswith("reserved_cpus names 4096; the host has CPUs 0")
