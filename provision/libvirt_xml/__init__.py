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
from provision.libvirt_xml.documents import first_tag, may_be_xml, root_of, text_of
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
from provision.libvirt_xml.exchange_xml import (
    STAMP_PREFIX,
    BundleDisk,
    bundle_disk_xml,
    parse_bundle_disk,
    stamp_xml,
)
from provision.libvirt_xml.hardware_xml import lock_limit_mib
from provision.libvirt_xml.lease_xml import LEASE_NAME, Lease, lease_xml, parse_lease
from provision.libvirt_xml.libvirt_seen import (
    DomainSeen,
    Holder,
    NetworkSeen,
    PoolSeen,
    VolumeSeen,
    machine_in,
    parse_domain,
    parse_domain_holder,
    parse_kvm_offered,
    parse_network,
    parse_pool,
    parse_volume,
    parse_volume_holder,
    uuid_in,
)
from provision.libvirt_xml.memory_parts import MemoryPart
from provision.libvirt_xml.values import check_domain, scaled_bytes
from provision.libvirt_xml.whose import judged_domains, judged_networks

__all__ = [
    "EMULATOR_PIN",
    "LEASE_NAME",
    "NONE",
    "STAMP_PREFIX",
    "BundleDisk",
    "DomainSeen",
    "DomainState",
    "Holder",
    "Lease",
    "MemoryPart",
    "NetworkSeen",
    "PoolSeen",
    "Settings",
    "VolumeSeen",
    "bundle_disk_xml",
    "check_domain",
    "domain_xml",
    "ended",
    "first_tag",
    "guest_settings",
    "halted",
    "iothread_pin",
    "iothreads_in",
    "is_pin",
    "judged_domains",
    "judged_networks",
    "lease_xml",
    "lock_limit_mib",
    "machine_in",
    "may_be_xml",
    "network_xml",
    "parse_bundle_disk",
    "parse_domain",
    "parse_domain_holder",
    "parse_kvm_offered",
    "parse_lease",
    "parse_network",
    "parse_pool",
    "parse_volume",
    "parse_volume_holder",
    "pool_xml",
    "probe_xml",
    "root_of",
    "scaled_bytes",
    "stamp_xml",
    "text_of",
    "upload_volume_xml",
    "uuid_in",
    "vcpu_pin",
    "volume_xml",
]
