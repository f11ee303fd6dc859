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
    NetworkSeen,
    PoolSeen,
    VolumeSeen,
    parse_domain,
    parse_kvm_offered,
    parse_network,
    parse_pool,
    uuid_in,
)
from provision.libvirt_xml.whose import judged_domains, judged_networks

__all__ = [
    "EMULATOR_PIN",
    "NONE",
    "DomainSeen",
    "DomainState",
    "NetworkSeen",
    "PoolSeen",
    "Settings",
    "VolumeSeen",
    "domain_xml",
    "iothread_pin",
    "iothreads_in",
    "is_pin",
    "judged_domains",
    "judged_networks",
    "lock_limit_mib",
    "network_xml",
    "parse_domain",
    "parse_kvm_offered",
    "parse_network",
    "parse_pool",
    "pins_in",
    "pool_xml",
    "probe_xml",
    "upload_volume_xml",
    "uuid_in",
    "vcpu_pin",
    "volume_xml",
]
