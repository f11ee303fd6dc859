"""What placement decides, as libvirt takes it: defined with its schema (VIR_DOMAIN_DEFINE_VALIDATE), and read back."""

from __future__ import annotations

import pytest

from provision.base.errors import HypervisorError
from provision.hosts.hypervisor import Hypervisor
from provision.libvirt_xml.domain_xml import domain_xml
from provision.specs.stamp import Stamp
from tests.unit.sample import split_guest, wanted

STAMP = Stamp("lab", "cp1", "0123456789abcdef")


@pytest.mark.parametrize("vendor", ["Intel", "AMD"])
@pytest.mark.parametrize("virtualization", ["kvm", "qemu"])
def test_a_guest_with_everything_is_valid_to_libvirt(hypervisor: Hypervisor, virtualization: str, vendor: str) -> None:
    # The test driver takes domains of its own type only; the rest of the document stays as it is.
    xml = domain_xml(split_guest(virtualization, vendor), STAMP)
    hypervisor.define_domain(xml.replace(f'<domain type="{virtualization}"', '<domain type="test"', 1))
    (seen,) = hypervisor.domains()
    assert seen.vcpu_cpus == ("2", "34", "3", "35")
    assert (seen.emulator_cpus, seen.iothread_cpus) == ("0,32", ("0,32",))
    assert (seen.memory_nodes, seen.hugepage_kib) == ("0-1", 2048)


def test_the_schema_is_really_asked(hypervisor: Hypervisor) -> None:
    xml = domain_xml(wanted().guest("cp1"), STAMP).replace("<nosharepages/>", "<nosharepage/>")
    with pytest.raises(HypervisorError, match=r"(?s)schema.*memoryBacking"):
        hypervisor.define_domain(xml)
