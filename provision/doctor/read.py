"""The answer of the gathering script, section by section, to facts. Pure; what is absent becomes a fact's default."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from lxml import etree

from provision.base.cpu_lists import parse_cpu_list
from provision.base.units import KIB, MIB
from provision.doctor.facts import (
    CpuFacts,
    Facts,
    HugePages,
    IdleState,
    LibvirtFacts,
    Link,
    MemoryFacts,
    NetworkFacts,
    Route,
    ServiceFacts,
)
from provision.doctor.read_storage import read_storage

CAP_SYS_RESOURCE = 24
"""Its bit in CapEff (include/uapi/linux/capability.h): with it a process may raise hard limits."""

NEEDED = ("online", "meminfo", "df", "lsblk", "links", "routes", "mounts")
"""Sections that every host gives to root: one that lacks says that something is missing there."""

Sections = Mapping[str, str]


def read_facts(sections: Sections, libvirt: LibvirtFacts, asked_at: tuple[float, float]) -> Facts:
    """All facts. `asked_at` are our clock before and after the read, in seconds since the epoch."""
    root = sections.get("user") == "0"
    lacking = [name for name in NEEDED if not sections.get(name)]
    return Facts(
        libvirt=libvirt,
        cpu=read_cpu(sections),
        memory=read_memory(sections),
        storage=read_storage(sections),
        network=read_network(sections),
        services=read_services(sections, asked_at),
        unread=(*lacking, *([] if root else ["what only root may read"])),
    )


def read_libvirt(versions: Mapping[str, str], capabilities: str) -> LibvirtFacts:
    """From libvirt's versions and capabilities XML."""
    root = etree.fromstring(capabilities.encode())
    owner = re.search(r"\+([0-9]+):\+([0-9]+)", root.findtext("host/secmodel[model='dac']/baselabel", ""))
    return LibvirtFacts(
        libvirt=_version(versions["libvirt"]),
        qemu=_version(versions["hypervisor"]),
        security=frozenset(str(model.text) for model in root.findall("host/secmodel/model")),
        qemu_uid=int(owner[1]) if owner else None,
        qemu_gid=int(owner[2]) if owner else None,
    )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))


def read_cpu(sections: Sections) -> CpuFacts:
    """CPUs, governors, C-states, isolation."""
    flags = sections.get("cpu_flags", "").split()
    balancer = next((p for p in processes(sections) if p.get("name") == "irqbalance"), None)
    return CpuFacts(
        virtual="hypervisor" in flags,
        hardware_virtualization=bool({"vmx", "svm"} & set(flags)) if flags else None,
        dev_kvm="dev_kvm" in sections,
        dev_vhost_net="dev_vhost_net" in sections,
        governors=tuple(_governors(sections)),
        idle_states=tuple(_idle_states(sections)),
        latency_limit_us=_number(sections.get("latency_limit")),
        smt=sections.get("smt") == "1",
        isolated=_cpus(sections.get("isolated")),
        nohz_full=_cpus(sections.get("nohz_full")),
        clocksource=sections.get("clocksource", ""),
        irqbalance=balancer is not None,
        irqbalance_banned=_cpus((balancer or {}).get("IRQBALANCE_BANNED_CPULIST")),
    )


def _cpus(text: str | None) -> frozenset[int]:
    # The kernel says "(null)" for an empty nohz_full.
    return parse_cpu_list(text) if text and text[0].isdigit() else frozenset()


def _number(text: str | None) -> int | None:
    found = re.fullmatch(r"\s*(-?[0-9]+)\s*", text or "")
    return int(found[1]) if found else None


def by_folder(text: str) -> dict[str, dict[str, str]]:
    """Lines `FOLDER/FILE:CONTENT` as content by folder and file."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for line in text.splitlines():
        path, _, content = line.partition(":")
        folder, _, name = path.rpartition("/")
        found[folder][name] = content
    return dict(found)


def _governors(sections: Sections) -> Iterator[tuple[str, frozenset[int]]]:
    by_governor: dict[str, set[int]] = defaultdict(set)
    for policy in by_folder(sections.get("governors", "")).values():
        if "scaling_governor" in policy:
            by_governor[policy["scaling_governor"]] |= {int(cpu) for cpu in policy.get("affected_cpus", "").split()}
    for governor, cpus in sorted(by_governor.items()):
        yield governor, frozenset(cpus)


def _idle_states(sections: Sections) -> Iterator[IdleState]:
    enabled = {
        IdleState(state["name"], int(state.get("latency", "0")))
        for state in by_folder(sections.get("idle", "")).values()
        if "name" in state and state.get("disable", "0") == "0"
    }
    yield from sorted(enabled, key=lambda state: (state.latency_us, state.name))


def processes(sections: Sections) -> list[dict[str, str]]:
    """The processes that matter, each with what the script says of it."""
    found: list[dict[str, str]] = []
    for line in sections.get("processes", "").splitlines():
        if line.startswith("name "):
            found.append({"name": line.removeprefix("name ")})
        elif found and line.startswith("Max locked memory"):
            found[-1]["memlock"] = line.split()[4]  # the hard limit: libvirt may raise the soft one to it
        elif found:
            key, _, value = line.replace(":", "=", 1).partition("=")
            found[-1][key] = value.strip()
    return found


def read_memory(sections: Sections) -> MemoryFacts:
    """Memory, huge pages, and the limits of libvirt's daemon."""
    running = processes(sections)
    daemon = next((p for p in running if p["name"] in ("virtqemud", "libvirtd")), {})
    chosen = re.search(r"\[(\w+)\]", sections.get("thp", ""))
    ksm = by_folder(sections.get("ksm", "")).get("/sys/kernel/mm/ksm", {})
    meminfo = {line.split(":")[0]: int(line.split()[1]) for line in sections.get("meminfo", "").splitlines()}
    limit = daemon.get("memlock")
    return MemoryFacts(
        available_mib=meminfo["MemAvailable"] // 1024 if "MemAvailable" in meminfo else None,
        thp=chosen[1] if chosen else "",
        ksm_running=ksm.get("run") == "1",
        ksm_sharing_pages=int(ksm.get("pages_sharing", "0")),
        ksm_tuned=any(p["name"] == "ksmtuned" for p in running),
        hugepages=tuple(_hugepages(sections)),
        hugetlbfs_kib=frozenset(_mounted_pages(sections.get("mounts", ""))),
        memlock_bytes=None if limit is None else -1 if limit == "unlimited" else int(limit),
        may_raise_limits=bool(int(daemon.get("CapEff", "0") or "0", 16) >> CAP_SYS_RESOURCE & 1) if daemon else True,
        swap_mib=sum(int(line.split()[2]) for line in sections.get("swaps", "").splitlines()[1:]) // 1024,
        numa_balancing=sections.get("numa_balancing") not in (None, "", "0"),
    )


_HUGEPAGES = re.compile(r".*/node([0-9]+)/hugepages/hugepages-([0-9]+)kB")


def _hugepages(sections: Sections) -> Iterator[HugePages]:
    for folder, counts in sorted(by_folder(sections.get("hugepages", "")).items()):
        match = _HUGEPAGES.fullmatch(folder)
        if match:
            yield HugePages(int(match[1]), int(match[2]), int(counts["nr_hugepages"]), int(counts["free_hugepages"]))


def _mounted_pages(mounts: str) -> Iterator[int]:
    """Page sizes in KiB that a hugetlbfs is mounted with; a kernel that does not say one mounted its default, 2 MiB."""
    for line in mounts.splitlines():
        if line.split()[2:3] == ["hugetlbfs"]:
            size = re.search(r"\bpagesize=([0-9]+)([KMG])", line)
            yield int(size[1]) * {"K": 1, "M": KIB, "G": MIB}[size[2]] if size else 2048


def read_network(sections: Sections) -> NetworkFacts:
    """Interfaces, addresses, routes, forwarding and firewall."""
    return NetworkFacts(
        links=tuple(_link(link) for link in _json(sections.get("links"), [])),
        addresses=tuple(
            (str(link["ifname"]), f"{address['local']}/{address['prefixlen']}")
            for link in _json(sections.get("addresses"), [])
            for address in link.get("addr_info", ())
        ),
        routes=tuple(
            Route(_destination(str(route["dst"])), str(route.get("dev", "")))
            for route in _json(sections.get("routes"), [])
        ),
        forwarding=sections["forwarding"] == "1" if "forwarding" in sections else None,
        bridge_nf=sections.get("bridge_nf") == "1",
        rules=tuple(sections.get("iptables", "").splitlines()),
        nft_drops=tuple(_nft_drops(_json(sections.get("nft"), {}))),
    )


def _json(text: str | None, otherwise: Any) -> Any:
    return json.loads(text) if text and text.strip() else otherwise


def _link(link: Mapping[str, Any]) -> Link:
    flags = link.get("flags", [])
    return Link(
        name=str(link["ifname"]),
        mtu=int(link.get("mtu", 0)),
        up="UP" in flags,
        carrier="LOWER_UP" in flags,
        kind=str(link.get("linkinfo", {}).get("info_kind", "")),
        master=str(link.get("master", "")),
    )


def _destination(text: str) -> str:
    """iproute2 leaves /32 out, and says `default`."""
    return "0.0.0.0/0" if text == "default" else text if "/" in text else f"{text}/32"


def _nft_drops(said: Mapping[str, Any]) -> Iterator[str]:
    """Chains of nftables itself that drop by default; those that iptables-nft made are seen as iptables' own."""
    for entry in said.get("nftables", ()):
        chain = entry.get("chain", {})
        mine = chain.get("family") in ("ip", "inet", "bridge") and chain.get("policy") == "drop"
        if mine and not (chain.get("table") == "filter" and str(chain.get("name", "")).isupper()):
            yield f"{chain.get('hook')} in {chain['family']} {chain['table']}"


def read_services(sections: Sections, asked_at: tuple[float, float]) -> ServiceFacts:
    """Clock and sshd."""
    sshd = dict(line.lower().split(maxsplit=1) for line in sections.get("sshd", "").splitlines() if " " in line)
    told = re.fullmatch(r"\s*([0-9]+\.[0-9]+)\s*", sections.get("time", ""))
    before, after = asked_at
    return ServiceFacts(
        synchronized={"yes": True, "no": False}.get(sections.get("synchronized", "").strip()),
        clock_ahead_s=float(told[1]) - (before + after) / 2 if told else None,
        clock_error_s=(after - before) / 2,
        max_startups=sshd.get("maxstartups", ""),
        max_sessions=_number(sshd.get("maxsessions")),
    )
