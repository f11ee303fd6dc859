"""libvirt's XML, both ways: from a specification to what is defined, and from what libvirt says to what was seen. Pure.

To live here a line knows an element of libvirt's XML; nobody else does. No connection is opened here: that is `hosts`.
"""

from provision.libvirt_xml.definition import (
    EMULATOR_PIN,
    NONE,
    DomainState,
    Settings,
    iothread_pin,
    iothreads_in,
    is_pin,
    pins_in,
    vcpu_pin,
)
from provision.libvirt_xml.domain_xml import domain_xml, network_xml, pool_xml, probe_xml, upload_volume_xml, volume_xml
from provision.libvirt_xml.hardware_xml import lock_limit_mib
from provision.libvirt_xml.libvirt_seen import (
    DomainSeen,
    Holder,
    NetworkSeen,
    PoolSeen,
    VolumeSeen,
    parse_domain,
    parse_domain_holder,
    parse_kvm_offered,
    parse_network,
    parse_pool,
    parse_volume,
    parse_volume_holder,
)

__all__ = [
    "EMULATOR_PIN",
    "NONE",
    "DomainSeen",
    "DomainState",
    "Holder",
    "NetworkSeen",
    "PoolSeen",
    "Settings",
    "VolumeSeen",
    "domain_xml",
    "iothread_pin",
    "iothreads_in",
    "is_pin",
    "lock_limit_mib",
    "network_xml",
    "parse_domain",
    "parse_domain_holder",
    "parse_kvm_offered",
    "parse_network",
    "parse_pool",
    "parse_volume",
    "parse_volume_holder",
    "pins_in",
    "pool_xml",
    "probe_xml",
    "upload_volume_xml",
    "vcpu_pin",
    "volume_xml",
]
