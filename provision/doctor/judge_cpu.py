"""CPUs against the planned pins. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from provision.base.cpu_lists import cpu_list
from provision.doctor.finding import Finding, dedicated_cpus, found
from provision.doctor.patient import Patient
from provision.placement import absent

DEEP_US = 20
"""C1E wakes within some 10 µs, C6 within 80 to 130 and more (drivers/idle/intel_idle.c): 20 lies between."""

GOOD_CLOCKS = ("", "tsc", "kvm-clock", "arch_sys_counter")


def judge_cpu(patient: Patient) -> Iterator[Finding]:
    """MC111 to MC117, MC162, MC165."""
    for fault in absent(patient.host, patient.topology):
        yield found("MC162", patient.name, fault)
    if note := patient.topology.stray_note:
        yield found("MC165", patient.name, note)
    yield from _governor(patient)
    yield from _idle(patient)
    yield from _cores(patient)
    yield from _isolation(patient)
    yield from _stacked(patient)
    yield from _interrupts(patient)
    clock = patient.facts.cpu.clocksource
    if clock not in GOOD_CLOCKS:
        yield found("MC117", patient.name, f"the clock source is {clock}")


def _planned(patient: Patient) -> frozenset[int]:
    """CPUs that planned guests' vCPUs may use; all when there is no plan."""
    pins = frozenset(cpu for pin in patient.pinnings for cpu in pin.vcpu_pins)
    return pins or frozenset(cpu.id for cpu in patient.topology.cpus)


def _governor(patient: Patient) -> Iterator[Finding]:
    slow = {
        governor: cpus & _planned(patient)
        for governor, cpus in patient.facts.cpu.governors
        if governor != "performance" and cpus & _planned(patient)
    }
    if slow:
        yield found("MC111", patient.name, "; ".join(f"{name} on CPUs {cpu_list(cpus)}" for name, cpus in slow.items()))


def _idle(patient: Patient) -> Iterator[Finding]:
    cpu = patient.facts.cpu
    deep = [state for state in cpu.idle_states if state.latency_us > DEEP_US]
    allowed = [s for s in deep if cpu.latency_limit_us is None or s.latency_us <= cpu.latency_limit_us]
    if allowed:
        yield found("MC112", patient.name, ", ".join(f"{s.name} ({s.latency_us} µs to wake)" for s in allowed))


def _cores(patient: Patient) -> Iterator[Finding]:
    """Who sits on the sibling threads of guests' own CPUs."""
    if not patient.facts.cpu.smt:
        return
    cores, users = patient.cores(), _users(patient)
    told: dict[str, list[str]] = {}
    for pin in patient.pinnings:
        for cpu in pin.vcpu_pins if pin.exclusive else ():
            beside = {user for sibling in cores.get(cpu, frozenset()) - {cpu} for user in users.get(sibling, ())}
            for user in sorted(beside - {pin.node}):
                told.setdefault(pin.node, []).append(f"CPU {cpu} beside {user}")
    if told:
        seen = "; ".join(f"{node}: {', '.join(said)}" for node, said in told.items())
        yield found("MC113", patient.name, seen, nodes=", ".join(told))


def _users(patient: Patient) -> dict[int, set[str]]:
    users: dict[int, set[str]] = {}
    for pin in patient.pinnings:
        for cpu in pin.vcpu_pins:
            users.setdefault(cpu, set()).add(pin.node)
        for cpu in pin.emulator_cpus:
            users.setdefault(cpu, set()).add("emulator threads")
    return users


def _isolation(patient: Patient) -> Iterator[Finding]:
    cpu, dedicated = patient.facts.cpu, dedicated_cpus(patient.pinnings)
    bare = {"isolcpus": dedicated - cpu.isolated, "nohz_full": dedicated - cpu.nohz_full}
    lacking = {name: cpus for name, cpus in bare.items() if cpus}
    if patient.real and lacking:
        seen = "; ".join(f"CPUs {cpu_list(cpus)} are not in {name}" for name, cpus in lacking.items())
        yield found("MC114", patient.name, seen, cpus=cpu_list(dedicated))


def _stacked(patient: Patient) -> Iterator[Finding]:
    """Several threads may use several isolated CPUs."""
    floating = [
        *(pin.emulator_cpus for pin in patient.pinnings),
        *(pin.iothread_cpus for pin in patient.pinnings),
        *(pin.vcpu_pins for pin in patient.pinnings if not pin.exclusive),
    ]
    isolated = frozenset(cpu for cpus in floating for cpu in cpus) & patient.facts.cpu.isolated
    if isolated:
        yield found("MC115", patient.name, f"CPUs {cpu_list(isolated)}", cpus=cpu_list(isolated))


def _interrupts(patient: Patient) -> Iterator[Finding]:
    cpu = patient.facts.cpu
    # Without a list of its own irqbalance keeps off isolated and nohz_full CPUs.
    spared = cpu.irqbalance_banned or cpu.isolated | cpu.nohz_full
    hit = dedicated_cpus(patient.pinnings) - spared
    if cpu.irqbalance and hit:
        dedicated = cpu_list(dedicated_cpus(patient.pinnings))
        yield found("MC116", patient.name, f"irqbalance may use CPUs {cpu_list(hit)}", cpus=dedicated)
