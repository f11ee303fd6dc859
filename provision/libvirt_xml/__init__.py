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
    vcpu_pin,
)
from provision.libvirt_xml.domain_states import ended, halted
from provision.libvirt_xml.domain_xml import (
    domain_xml,
    guest_settings,
    network_xml,
    pool_xml,
    probe_xml,
    upload_volume_xml,
    volume_xml,
)
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
    volume_base,
)
from provision.libvirt_xml.values import check_domain

__all__ = [
    "EMULATOR_PIN",
    "NONE",
    "DomainSeen",
    "DomainState",
    "NetworkSeen",
    "PoolSeen",
    "Settings",
    "VolumeSeen",
    "check_domain",
    "domain_xml",
    "ended",
    "guest_settings",
    "halted",
    "iothread_pin",
    "iothreads_in",
    "is_pin",
    "lock_limit_mib",
    "network_xml",
    "parse_domain",
    "parse_kvm_offered",
    "parse_network",
    "parse_pool",
    "pool_xml",
    "probe_xml",
    "upload_volume_xml",
    "vcpu_pin",
    "volume_base",
    "volume_xml",
]
