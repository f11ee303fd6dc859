"""CPUs of guests: who else has them, where vCPUs are, limits, clocks and sleep. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from provision.base.cpu_lists import cpu_list, parse_cpu_list
from provision.diagnose.cause import Cause, cause
from provision.diagnose.estimate import TAIL, at_p99, part, share_of_p99
from provision.diagnose.facts import Guest, Host, HostCpu, Recording, Throttled, Vcpu

WAITED, OTHER = 0.02, 0.02
"""Shares of the look: of a vCPU that waited, and of somebody else on its CPU."""

WAITED_SHARED, OTHER_SHARED = 0.1, 0.3
"""The same where guests share CPUs by plan: they wait for each other, and only much of somebody who is none of them is a cause."""

STEAL, STOPPED, PRESSED = 0.05, 0.01, 0.5
SLOW_CLOCK, BUSY = 0.6, 0.2
DEEP, DEEP_US = 0.1, 20
INTERRUPTS_PER_S = 1000.0

USUAL_MS = 20.0
"""What a share is taken of where no request was seen: a quick service behind a mesh."""


def judge_cpu(recording: Recording) -> Iterator[Cause]:
    """MD421 to MD428."""
    for host in recording.hosts:
        yield from _hogs(host)
        yield from _moved(host)
        yield from _clocks(recording, host)
        yield from _sleep(host)
        yield from _interrupts(recording, host)
    for guest in recording.guests:
        yield from _steal(recording, guest)
        yield from _too_few(recording, guest)
        yield from _stopped(recording, guest)


def _as_planned(vcpu: Vcpu) -> bool:
    return parse_cpu_list(vcpu.live) <= parse_cpu_list(vcpu.planned)


def _by_guest(vcpus: Iterable[Vcpu]) -> dict[str, list[Vcpu]]:
    found: dict[str, list[Vcpu]] = defaultdict(list)
    for vcpu in vcpus:
        found[vcpu.guest].append(vcpu)
    return found


def _hogs(host: Host) -> Iterator[Cause]:
    """One cause for each guest that waits."""
    waiting = (one for one in host.vcpus if _as_planned(one) and one.waited >= (WAITED if one.own else WAITED_SHARED))
    reserved = cpu_list({one.cpu for one in host.cpus} - {cpu for v in host.vcpus for cpu in parse_cpu_list(v.planned)})
    for guest, vcpus in _by_guest(waiting).items():
        cpus = {cpu for one in vcpus for cpu in parse_cpu_list(one.live)}
        least = OTHER if all(one.own for one in vcpus) else OTHER_SHARED
        others = [one for one in host.others if one.cpu in cpus and one.share >= least]
        if others:
            worst = max(vcpus, key=lambda one: one.wait_ms)
            who = ", ".join(f"{one.who} on CPU {one.cpu} {one.share:.0%}" for one in others[:4])
            seen = f"{guest}'s vCPU {worst.vcpu} waited {worst.waited:.0%} of the time, {worst.wait_ms:.1f} ms each; {who} of the time"
            values = {"cpu": others[0].cpu, "host": host.name, "reserved": reserved or "0"}
            yield cause("MD421", f"{guest} on {host.name}", seen, TAIL * worst.wait_ms, "certain", {guest}, **values)


def _moved(host: Host) -> Iterator[Cause]:
    for guest, vcpus in _by_guest(one for one in host.vcpus if not _as_planned(one)).items():
        said = "; ".join(f"vCPU {one.vcpu} may run on {one.live} instead of {one.planned}" for one in vcpus[:4])
        worst = max(vcpus, key=lambda one: one.wait_ms)
        seen = f"{said}; it waited {worst.waited:.0%} of the time, {worst.wait_ms:.1f} ms each"
        explains = max(TAIL * worst.wait_ms, 1.0)
        values = {"domain": guest, "vcpu": worst.vcpu, "planned": worst.planned, "host": host.name}
        yield cause("MD422", f"{guest} on {host.name}", seen, explains, "certain", {guest}, **values)


def _on(host: Host, cpu: HostCpu) -> list[Vcpu]:
    return [one for one in host.vcpus if cpu.cpu in parse_cpu_list(one.live)]


def _clocks(recording: Recording, host: Host) -> Iterator[Cause]:
    for cpu in host.cpus:
        clock = part(cpu.mhz or 0.0, cpu.max_mhz or 0.0)
        busy = [one for one in _on(host, cpu) if one.ran >= BUSY]
        if cpu.mhz and cpu.max_mhz and clock < SLOW_CLOCK and busy:
            seen = (
                f"CPU {cpu.cpu} at {cpu.mhz:.0f} of {cpu.max_mhz:.0f} MHz while {busy[0].guest} ran {busy[0].ran:.0%}"
            )
            explains = share_of_p99(recording, 1 - clock, USUAL_MS)
            yield cause(
                "MD426", f"CPU {cpu.cpu} of {host.name}", seen, explains, "possible", {busy[0].guest}, host=host.name
            )


def _sleep(host: Host) -> Iterator[Cause]:
    deep = [one for one in host.cpus if (one.deep or 0) >= DEEP and one.deep_us > DEEP_US and _on(host, one)]
    if deep:
        worst = max(deep, key=lambda one: one.deep_us)
        seen = f"CPUs {cpu_list(one.cpu for one in deep)}: up to {worst.deep_us} µs to wake, {worst.deep or 0:.0%} of the time"
        yield cause("MD427", host.name, seen, 4 * worst.deep_us / 1000, "possible", (), host=host.name)


def _interrupts(recording: Recording, host: Host) -> Iterator[Cause]:
    own = {cpu for one in host.vcpus if one.own for cpu in parse_cpu_list(one.planned)}
    hit = [one for one in host.cpus if one.cpu in own and one.irqs_per_s >= INTERRUPTS_PER_S]
    if hit:
        worst = max(hit, key=lambda one: one.irqs_per_s)
        explains = worst.irqs_per_s / 10000 + share_of_p99(recording, worst.softirq, USUAL_MS)
        seen = f"CPU {worst.cpu}: {worst.irqs_per_s:.0f} a second, softirq {worst.softirq:.1%}"
        yield cause("MD428", host.name, seen, explains, "possible", (), host=host.name, cpus=cpu_list(own))


def _steal(recording: Recording, guest: Guest) -> Iterator[Cause]:
    shared = any(not one.own for host in recording.hosts for one in host.vcpus if one.guest == guest.name)
    if guest.steal >= STEAL and not shared:
        explains = share_of_p99(recording, guest.steal, USUAL_MS)
        host = guest.host or "its host"
        yield cause("MD423", guest.name, f"{guest.steal:.0%} of its time", explains, "likely", {guest.name}, host=host)


def _too_few(recording: Recording, guest: Guest) -> Iterator[Cause]:
    pressed = guest.pressure.cpu or 0.0
    if pressed >= PRESSED and guest.idle < 0.1 and guest.steal < STEAL:
        seen = f"tasks waited for a CPU {pressed:.0%} of the time; its {guest.cpus} CPUs were idle {guest.idle:.0%}"
        explains = share_of_p99(recording, pressed, USUAL_MS)
        yield cause("MD424", guest.name, seen, explains, "possible", {guest.name}, node=guest.name)


def _stopped(recording: Recording, guest: Guest) -> Iterator[Cause]:
    """One cause for each pod: its container's and its own cgroup say the same twice."""
    worst: dict[str, Throttled] = {}
    for one in sorted(guest.throttled, key=lambda each: each.stopped):
        if part(one.stopped, one.periods) >= STOPPED:
            worst[one.pod.partition(" (")[0]] = one
    for name, one in worst.items():
        share, each_ms = part(one.stopped, one.periods), part(one.stopped_s * 1000, one.stopped)
        seen = f"stopped in {one.stopped} of {one.periods} periods ({share:.0%}), {each_ms:.0f} ms each"
        sure = "certain" if name in recording.router_pods else "likely" if _serves(recording, name) else "possible"
        way = _limit(name, sure)
        yield cause("MD425", f"{name} on {guest.name}", seen, at_p99(each_ms, share), sure, {guest.name}, way=way)


def _serves(recording: Recording, pod: str) -> bool:
    asked = recording.service
    return any(one.pod == pod and asked in ("", one.service) for one in recording.endpoints)


def _limit(pod: str, sure: str) -> str:
    namespace, _, name = pod.rpartition("/")
    where = f"-n {namespace} " if namespace else ""
    if sure == "certain":
        drift = "`meshctl status --drift INVENTORY` shows what somebody added, `meshctl provision` takes it away"
        return f"meshctl gives linkerd no CPU limit: {drift}"
    return f"`resources.limits.cpu` of `kubectl {where}get pod {name} -o yaml` higher, or out, in what made it"
