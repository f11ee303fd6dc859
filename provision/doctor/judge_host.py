"""Versions, KVM, clock, sshd. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlsplit

from provision.base.units import GIB
from provision.doctor.finding import Finding, found
from provision.doctor.patient import Patient
from provision.guests import THROUGH_JUMP
from provision.inventory import parse_jump
from provision.placement import foreign_architecture

OLDEST_LIBVIRT = (7, 0, 0)
OLDEST_QEMU = (5, 2, 0)
"""Debian 11's: they know every element that our XML has."""

THREADED_LIBVIRT, THREADED_QEMU = (8, 2, 0), (5, 0, 0)
"""`<allocation threads=…>` (libvirt.org/formatdomain.html)."""

LARGE_GUEST = 64 * GIB
"""One thread touches some 4 GiB a second: from here on it is felt."""

CLOCK_S = 1.0

MAIN_SESSIONS = 2
"""libvirt's connection and the host's shell."""


def judge_host(patient: Patient) -> Iterator[Finding]:
    """MC102 to MC108, MC151, MC152, MC163."""
    if not patient.real:
        return
    yield from _unread(patient)
    yield from _versions(patient)
    if architecture := foreign_architecture(patient.host, patient.topology):
        yield found("MC163", patient.name, f"{patient.name} {architecture}")
    else:  # there is no KVM for guests of another architecture to be judged
        yield from _virtualization(patient)
    yield from _clock(patient)
    yield from _sshd(patient)


def _unread(patient: Patient) -> Iterator[Finding]:
    facts = patient.facts
    if facts.shell_error:
        yield found("MC102", patient.name, facts.shell_error, command=f"virsh -c '{patient.host.uri}' version")
    elif facts.unread:
        command = "`apt-get install iproute2 util-linux coreutils` where one of these is missing"
        yield found("MC102", patient.name, f"could not be read: {', '.join(facts.unread)}", command=command)


def _versions(patient: Patient) -> Iterator[Finding]:
    libvirt, qemu = patient.facts.libvirt.libvirt, patient.facts.libvirt.qemu
    said = f"libvirt {_dotted(libvirt)}, QEMU {_dotted(qemu)}"
    if not libvirt:
        return
    if libvirt < OLDEST_LIBVIRT or qemu < OLDEST_QEMU:
        yield found("MC103", patient.name, f"{said}; 7.0.0 and 5.2.0 are the oldest that do")
    largest = max((node.memory for node in patient.nodes), default=0)
    if largest >= LARGE_GUEST and (libvirt < THREADED_LIBVIRT or qemu < THREADED_QEMU):
        yield found("MC104", patient.name, f"{said}; the largest guest has {largest // GIB} GiB")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _virtualization(patient: Patient) -> Iterator[Finding]:
    cpu = patient.facts.cpu
    if patient.seen.virtualization != "kvm":
        seen, remedy = _without_kvm(patient)
        finding = found("MC105", patient.name, seen, remedy=remedy)
        refused = patient.host.require == "kvm" and patient.nodes  # by the plan too
        yield finding if refused else replace(finding, severity="warning")
    if cpu.virtual:
        yield found("MC106", patient.name, "the CPU has the flag `hypervisor`")


def _without_kvm(patient: Patient) -> tuple[str, str]:
    """What was seen, and the remedy for that."""
    cpu = patient.facts.cpu
    if cpu.hardware_virtualization is False and not cpu.dev_kvm:
        where = "in the virtual machine's CPU (nested virtualization)" if cpu.virtual else "in the firmware's setup"
        return "the CPU shows neither vmx nor svm", f"switch virtualization (VT-x, AMD-V) on {where}"
    if not cpu.dev_kvm:
        return "there is no /dev/kvm", f"`modprobe kvm_intel || modprobe kvm_amd` on {patient.name}"
    log = "/var/log/libvirt/qemu/meshctl-probe-*.log"
    return (
        "/dev/kvm is there, but a guest does not live under it, or crawls",
        f"QEMU's words are in {log} on {patient.name}",
    )


def _clock(patient: Patient) -> Iterator[Finding]:
    services = patient.facts.services
    if services.synchronized is False:
        yield found("MC107", patient.name, "NTPSynchronized=no")
    ahead = services.clock_ahead_s
    if ahead is not None and abs(ahead) - services.clock_error_s > CLOCK_S:
        which = "ahead of" if ahead > 0 else "behind"
        seen = f"{abs(ahead):.1f} s {which} this machine's (± {services.clock_error_s:.1f} s)"
        yield found("MC108", patient.name, seen)


def _sshd(patient: Patient) -> Iterator[Finding]:
    """What this host must take when guests are reached through it."""
    services, wanted = patient.facts.services, sessions_through(patient)
    start = services.max_startups.split(":")[0]
    if start.isdigit() and int(start) < wanted:
        seen = f"MaxStartups {services.max_startups}; up to {wanted} log in at once"
        yield found("MC151", patient.name, seen, wanted=f"{2 * wanted}:30:{4 * wanted}")
    if services.max_sessions is not None and services.max_sessions < wanted:
        seen = f"MaxSessions {services.max_sessions}; up to {wanted} over one connection"
        yield found("MC152", patient.name, seen, wanted=2 * wanted)


def sessions_through(patient: Patient) -> int:
    """How many SSH sessions the host's sshd gets at once: our own two, and one for each guest behind a jump host."""
    if "+ssh" not in patient.host.uri:
        return 0
    jump = patient.cluster.ssh.jump
    here = jump is not None and parse_jump(jump).host == urlsplit(patient.host.uri).hostname
    guests = min(THROUGH_JUMP, len(patient.cluster.nodes)) if here else 0
    return MAIN_SESSIONS + guests
