"""How long vCPUs waited, by a real libvirtd of a real QEMU, against what the kernel says of their threads."""

from __future__ import annotations

import re
from pathlib import Path

from provision.hosts import Hypervisor
from tests.libvirt.real_daemon import daemon

GUEST = """
<domain type='qemu'>
  <name>{name}</name><memory unit='MiB'>32</memory><vcpu>2</vcpu><os><type arch='x86_64'>hvm</type></os>
  <devices><memballoon model='none'/><controller type='usb' model='none'/></devices>
</domain>
"""


def test_libvirt_says_what_the_kernel_does(tmp_path: Path) -> None:
    with daemon(tmp_path / "d") as uri:
        hypervisor = Hypervisor("hv1", uri)
        for name in ("lab-cp1", "other"):
            hypervisor.define_domain(GUEST.format(name=name))
            hypervisor.start_domain(name)
        before = kernels(tmp_path / "d" / "run" / "qemu" / "lab-cp1.pid")
        said = hypervisor.vcpu_times(["lab-cp1", "lab-w1"])
        after = kernels(tmp_path / "d" / "run" / "qemu" / "lab-cp1.pid")
        hypervisor.close()
    assert set(said) == {"lab-cp1"}
    assert set(said["lab-cp1"].vcpus) == {0, 1}
    for number, times in said["lab-cp1"].vcpus.items():
        assert times.waited_s is not None
        assert before[number] <= times.waited_s <= after[number]


def kernels(pid_file: Path) -> dict[int, float]:
    """Seconds that each vCPU's thread waited by now (the second field of schedstat)."""
    found = {}
    for task in Path("/proc", pid_file.read_text().strip(), "task").iterdir():
        if match := re.fullmatch(r"CPU (\d+)/TCG\n", (task / "comm").read_text()):
            found[int(match[1])] = int((task / "schedstat").read_text().split()[1]) / 1e9
    return found
