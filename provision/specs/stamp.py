"""Our mark on domains and networks: the element in their metadata that says whose they are and what they were given. A codec."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from lxml import etree

from provision.base.cpu_lists import cpu_list
from provision.base.moments import MOMENT, is_moment
from provision.specs.objects import GuestSpec

STAMP_URI = "urn:meshctl:stamp:1"
STAMP = f"{{{STAMP_URI}}}stamp"
STAMPED = (
    *("cluster", "node", "digest", "address", "host_key", "seed", "bundle"),
    *("vcpu_pins", "emulator_cpus", "iothread_cpus", "owner", "pod_subnet", "rebuild", "state", "endpoint"),
    *("labels", "taints"),
)
KEPT = ("created", "expires", "pool", "store")
"""The attributes of `Upkeep`. A meshctl that does not know them passes them over."""

THROWN_AWAY, BUT_DATA, GONE, PUT_BACK, TAKE_UP = "all", "but-data", "gone", "put-back", "take-up"
"""What `Stamp.rebuild` says of a guest that is being rebuilt: it is to be thrown away, or all of it but its data volumes; that is done;
it was defined anew, and the cluster's state is to be put back on it before anything else is made of it; or it is to go on with the
state that is on its state volume, and never to make another cluster."""

_NAME = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_BYTE = r"(25[0-5]|2[0-4]\d|1?\d?\d)"
_QUALIFIED = r"([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?"
LABEL = rf"{_QUALIFIED}=[A-Za-z0-9._-]*"
TAINT = rf"{LABEL}:[A-Za-z]+"
"""What a node's labels and taints look like, as Kubernetes' API takes them: each is one word, in which there is no comma."""
_CPUS = r"\d{1,5}(-\d{1,5})?(,\d{1,5}(-\d{1,5})?)*"
_FORMS = {
    "cluster": _NAME,
    "node": _NAME,
    "address": rf"{_BYTE}(\.{_BYTE}){{3}}",
    "endpoint": rf"{_BYTE}(\.{_BYTE}){{3}}",
    "host_key": r"[a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?",
    "seed": r"[A-Za-z0-9._-]+",
    "vcpu_pins": r"\d{1,5}(,\d{1,5})*",
    "emulator_cpus": _CPUS,
    "iothread_cpus": _CPUS,
    "created": MOMENT,
    "expires": MOMENT,
    "pool": _NAME,
    "store": "dir|logical|block",
    "rebuild": f"{THROWN_AWAY}|{BUT_DATA}|{GONE}|{PUT_BACK}|{TAKE_UP}",
    "state": r"[A-Za-z0-9._-]+",
    "labels": rf"{LABEL}(,{LABEL})*",
    "taints": rf"{TAINT}(,{TAINT})*",
}
"""What the values look like that others build on."""


@dataclass(frozen=True)
class Upkeep:
    """What of a cluster must be known where its inventory is not, and is no part of any digest.

    `created` is when the thing was made and `expires` until when the cluster is needed, both as moments in UTC: empty where nobody said.
    `pool` is libvirt's pool that holds the cluster's files on this host; `store` says what its volumes are there, as `VolumeSpec` does.
    """

    created: str = ""
    expires: str = ""
    pool: str = ""
    store: str = ""


@dataclass(frozen=True)
class Stamp:
    """Our mark on a domain or a network. `host_key` is a guest's public SSH host key as OpenSSH writes it; `seed` and `bundle`
    are the volumes that it was made with, and keeps (`bundle`: empty on those that an older meshctl made).

    `vcpu_pins` (a CPU per vCPU, `1,2`), `emulator_cpus` and `iothread_cpus` are the pins that we gave a guest when we last
    defined it, whatever somebody made of its elements since; empty on those that an older meshctl defined.
    `owner` is the id of the cluster's owner (`Owner`), empty from before there were ids; `pod_subnet` is where the node's pods live.
    `state` is the volume that a control plane has its cluster on, empty for one that has none.
    `rebuild` says how far a rebuild has come that has not ended (THROWN_AWAY and those beside it), empty where there is none.
    `endpoint` is, on a control plane's guest, the virtual address that it was made with; empty where there is none.
    `labels` and `taints` are what somebody had given the node in Kubernetes before it was thrown away, as kubectl takes them, with
    commas between: to be given back when it has joined again.
    """

    cluster: str
    node: str
    digest: str
    address: str = ""
    host_key: str = ""
    seed: str = ""
    bundle: str = ""
    vcpu_pins: str = ""
    emulator_cpus: str = ""
    iothread_cpus: str = ""
    owner: str = ""
    pod_subnet: str = ""
    rebuild: str = ""
    state: str = ""
    endpoint: str = ""
    labels: str = ""
    taints: str = ""
    upkeep: Upkeep = field(default_factory=Upkeep)

    @property
    def given(self) -> str:
        """Labels and taints that are to be given back, in words; "" for none."""
        return ", ".join(word for words in (self.labels, self.taints) for word in words.split(",") if word)


def stamp_element(stamp: Stamp) -> Any:
    """The stamp as it stands in `<metadata>`."""
    element = etree.Element(STAMP, nsmap={"meshctl": STAMP_URI})
    said = {name: getattr(stamp, name) for name in STAMPED} | {name: getattr(stamp.upkeep, name) for name in KEPT}
    for name, value in said.items():
        if value:
            element.set(name, value)
    return element


def stamp_text(stamp: Stamp) -> str:
    """The stamp as libvirt takes it to set it on a domain that is there: without its namespace, which libvirt adds."""
    element = etree.Element("stamp", dict(stamp_element(stamp).attrib))
    return str(etree.tostring(element, encoding="unicode"))


def with_pins(stamp: Stamp, guest: GuestSpec) -> Stamp:
    """The stamp with the pins that the guest is to have: `domain_xml` writes it so."""
    return replace(
        stamp,
        vcpu_pins=",".join(map(str, guest.vcpu_pins)),
        emulator_cpus=cpu_list(guest.emulator_cpus),
        iothread_cpus=cpu_list(guest.iothread_cpus),
    )


def read_stamp(root: Any) -> tuple[Stamp | None, str]:
    """The stamp of a domain or network, None for one that is not ours; and what of an element that looks like a stamp
    cannot be read: it is no stamp then, whoever wrote it.
    """
    element = root.find(f"metadata/{STAMP}")
    if element is None:
        return None, ""
    values = {name: str(element.get(name, "")) for name in (*STAMPED, *KEPT)}
    odd = [f"{name} {value!r}" for name, value in values.items() if not _readable(name, value)]
    if odd:
        return None, ", ".join(odd)
    upkeep = Upkeep(**{name: values.pop(name) for name in KEPT})
    return Stamp(**values, upkeep=upkeep), ""


def _readable(name: str, value: str) -> bool:
    """Whether a value can have been written by us, as far as something is made of it. Only cluster must be there."""
    if not value:
        return name != "cluster"
    return re.fullmatch(_FORMS.get(name, ".*"), value) is not None and (_FORMS.get(name) != MOMENT or is_moment(value))
