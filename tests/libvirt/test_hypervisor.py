"""The door to libvirt, against libvirt's test driver."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from provision.base.errors import HypervisorError
from provision.hosts import DomainTimes
from provision.hosts.hypervisor import Hypervisor
from provision.libvirt_xml import bundle_disk_xml
from provision.libvirt_xml.domain_xml import domain_xml, network_xml, pool_xml, upload_volume_xml, volume_xml
from provision.specs import Owner
from provision.specs.objects import GuestSpec
from provision.specs.stamp import Stamp, with_pins
from tests.unit.sample import wanted

STAMP = Stamp("lab", "cp1", "0123456789abcdef", "10.77.0.11", "ssh-ed25519 AAAA", "seed.iso")


def guest() -> GuestSpec:
    return wanted("qemu").guest("cp1")


def test_an_empty_host_has_nothing(hypervisor: Hypervisor) -> None:
    assert (hypervisor.domains(), hypervisor.networks(), hypervisor.pools()) == ((), (), ())
    assert hypervisor.volumes("meshctl") == ()
    assert hypervisor.size() == (8, 32768)
    assert hypervisor.kvm_fault()


def test_a_guest_is_defined_started_and_removed_with_its_stamp(hypervisor: Hypervisor) -> None:
    hypervisor.create_network(network_xml(wanted().networks[0], Owner("lab")))
    hypervisor.define_domain(domain_xml(guest(), STAMP))
    hypervisor.define_domain(domain_xml(guest(), STAMP))
    hypervisor.start_domain("lab-cp1")
    hypervisor.start_domain("lab-cp1")
    (seen,) = hypervisor.domains()
    assert seen.active
    assert seen.stamp == with_pins(STAMP, guest())
    assert seen.vcpu_cpus == ("1", "2")
    hypervisor.remove_domain("lab-cp1")
    assert hypervisor.domains() == ()


def test_a_network_carries_its_stamp_and_goes(hypervisor: Hypervisor) -> None:
    hypervisor.create_network(network_xml(wanted().networks[0], Owner("lab")))
    (seen,) = hypervisor.networks()
    assert seen.active
    assert seen.stamp is not None
    assert (seen.stamp.cluster, seen.bridge, seen.addresses) == ("lab", "meshbr0", ("10.77.0.1/24",))
    hypervisor.remove_network("meshctl")
    assert hypervisor.networks() == ()


def test_pools_and_volumes(hypervisor: Hypervisor) -> None:
    pool = wanted().pools[0]
    hypervisor.create_pool(pool_xml(pool))
    (seen,) = hypervisor.pools()
    assert (seen.name, seen.uuid, seen.active, seen.type, seen.path) == ("meshctl", pool.uuid, True, "dir", "/srv/pool")
    hypervisor.create_volume("meshctl", upload_volume_xml("base.qcow2", private=False))
    hypervisor.upload("meshctl", "base.qcow2", io.BytesIO(b"x"))
    hypervisor.create_volume("meshctl", volume_xml(wanted().volumes[0]))
    assert {volume.name for volume in hypervisor.volumes("meshctl")} == {"base.qcow2", wanted().volumes[0].name}
    hypervisor.delete_volume("meshctl", "base.qcow2")
    hypervisor.delete_volume("meshctl", "base.qcow2")
    assert [volume.name for volume in hypervisor.volumes("meshctl")] == [wanted().volumes[0].name]


def test_an_unknown_element_is_refused_and_not_ignored(hypervisor: Hypervisor) -> None:
    xml = domain_xml(guest(), STAMP).replace("<nosharepages/>", "<nosharepagez/>")
    with pytest.raises(HypervisorError, match="hv1: cannot define the domain"):
        hypervisor.define_domain(xml)


def test_of_guests_that_run_it_is_asked_how_long_their_vcpus_waited(hypervisor: Hypervisor) -> None:
    hypervisor.define_domain(domain_xml(guest(), STAMP))
    assert hypervisor.vcpu_times(["lab-cp1"]) == {}
    hypervisor.start_domain("lab-cp1")
    assert hypervisor.vcpu_times(["lab-cp1", "lab-w9"]) == {
        "lab-cp1": DomainTimes({})
    }  # the test driver has no threads
    assert hypervisor.vcpu_times([]) == {}
    assert hypervisor.calls.reads == 3


def test_every_call_is_counted_as_read_or_mutation(hypervisor: Hypervisor) -> None:
    hypervisor.domains()
    hypervisor.networks()
    assert (hypervisor.calls.reads, hypervisor.calls.mutations) == (2, 0)
    hypervisor.create_pool(pool_xml(wanted().pools[0]))
    assert hypervisor.calls.mutations == 1


@pytest.mark.parametrize(
    "uri", ["test:///no/such/file.xml", "qemu+unix:///system?socket=/run/meshctl/no-such-lab/sock"]
)
def test_no_connection_names_host_and_uri_and_the_next_step(uri: str) -> None:
    with pytest.raises(HypervisorError, match="hv9: no connection to ") as caught:
        Hypervisor("hv9", uri).domains()
    assert caught.value.hint


def test_a_running_guest_is_stamped_anew_and_its_definition_is_not(hypervisor: Hypervisor) -> None:
    hypervisor.create_network(network_xml(wanted().networks[0], Owner("lab")))
    hypervisor.define_domain(domain_xml(guest(), STAMP))
    hypervisor.start_domain("lab-cp1")
    hypervisor.restamp("lab-cp1", replace(STAMP, digest="fedcba9876543210", bundle="other.iso"))
    (seen,) = hypervisor.domains()
    assert seen.stamp == replace(STAMP, digest="fedcba9876543210", bundle="other.iso")
    assert seen.definition.stamp == with_pins(STAMP, guest())


def test_a_bundle_that_a_guest_has_is_not_exchanged(hypervisor: Hypervisor) -> None:
    hypervisor.create_network(network_xml(wanted().networks[0], Owner("lab")))
    hypervisor.define_domain(domain_xml(guest(), STAMP))
    hypervisor.start_domain("lab-cp1")
    before = hypervisor.calls.mutations
    hypervisor.exchange_bundle("lab-cp1", bundle_disk_xml(guest().bundle_path))
    assert hypervisor.calls.mutations == before
