"""The lease of a host as libvirt keeps it: a network that is never started, whose metadata say who holds the lease. A codec.

libvirt lets no two networks have one name, so that defining it is atomic, on every driver, for any number of machines; and it lets
whoever knows a network's uuid define it again, so that the holder alone can renew it.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields

from lxml import etree

LEASE_NAME = "meshctl-lease"
LEASE_URI = "urn:meshctl:lease:1"
LEASE = f"{{{LEASE_URI}}}lease"

NOWHERE = "meshctl-none"
"""The bridge that it names: libvirt would else choose one for it (virbrN), which others could want."""


@dataclass(frozen=True)
class Lease:
    """Who holds a host. `uuid` is drawn by the holder for one run, `beat` grows while that lives.

    `holder` is for people (user@machine), `command` what runs, `since` when it began (UTC, ISO 8601); `process` names the process so that
    another run on the same machine can tell that it ended.
    """

    uuid: str
    holder: str
    command: str
    since: str
    process: str = ""
    beat: str = "0"

    def __str__(self) -> str:
        return f"{self.holder} ({self.command}, since {self.since})"


def lease_xml(lease: Lease) -> str:
    """The network that is the lease."""
    root = etree.Element("network")
    etree.SubElement(root, "name").text = LEASE_NAME
    etree.SubElement(root, "uuid").text = lease.uuid
    mark = etree.SubElement(etree.SubElement(root, "metadata"), LEASE, nsmap={"meshctl": LEASE_URI})
    for name, value in asdict(lease).items():
        if name != "uuid":
            mark.set(name, value)
    etree.SubElement(root, "forward", mode="bridge")
    etree.SubElement(root, "bridge", name=NOWHERE)
    return str(etree.tostring(root, encoding="unicode", pretty_print=True))


def parse_lease(xml: str) -> Lease:
    """The lease that a network called LEASE_NAME is; one that somebody made by hand is held by `somebody`."""
    root = etree.fromstring(xml)
    mark = root.find(f"metadata/{LEASE}")
    said = {} if mark is None else {field.name: mark.get(field.name, "") for field in fields(Lease)}
    somebody = {"holder": "somebody", "command": "unknown", "since": "unknown", "process": "", "beat": ""}
    return Lease(**(somebody | said | {"uuid": root.findtext("uuid", "")}))
