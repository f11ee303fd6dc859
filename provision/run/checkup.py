"""`doctor`: looks at all hosts at once, places the planned guests on them as they are, and judges each. Reads only."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from provision.base.bounded import bounded
from provision.base.errors import HostUnfit, HypervisorError, MeshctlError
from provision.base.events import Failed, Found, StageFinished, StageStarted
from provision.base.interruption import Overdue, await_
from provision.base.parallel import begin, for_each, result_of
from provision.base.shell import Shell
from provision.base.visible import visible_line
from provision.doctor import (
    Facts,
    Finding,
    LibvirtFacts,
    Patient,
    found,
    gather,
    judge,
    read_facts,
    read_libvirt,
    walk,
)
from provision.hosts import Hypervisor, advice, observe_storage, with_core_kinds
from provision.inventory import Host
from provision.placement import (
    TWO_MACHINES,
    Placement,
    Topology,
    absent,
    foreign_architecture,
    one_machine,
    place,
    tenants,
)
from provision.plan import HostSeen
from provision.run.engine import World, reach_out
from provision.run.observe import observe_host, topology_of
from provision.storage import StorageSeen

NAME = "doctor"

ANSWER_S = 5.0
"""What libvirt has for its first answer, and the host's shell for what is read there: a daemon that hangs hangs for ever."""

SSH_FAILED = 255
"""The status with which ssh says that it has not reached the host (ssh(1)); any other is that of the command, here sudo's."""


@dataclass(frozen=True)
class Look:
    """What one look at a host gave in `seconds`; `refused` says why there is nothing else, `hint` what mends that."""

    host: Host
    seconds: float
    facts: Facts | None = None
    seen: HostSeen | None = None
    topology: Topology | None = None
    below: StorageSeen | None = None
    refused: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Checkup:
    """All findings, by host in the inventory's order, and how long the look at each host took."""

    cluster: str
    seconds: Mapping[str, float]
    findings: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that keep `provision` from beginning."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def as_data(self) -> dict[str, Any]:
        """For --json."""
        hosts = [{"name": name, "seconds": round(seconds, 2)} for name, seconds in self.seconds.items()]
        return {"cluster": self.cluster, "hosts": hosts, "findings": [finding.as_data() for finding in self.findings]}


def check_hosts(world: World) -> Checkup:
    """Looks at every host at once and judges what was seen."""
    looks = _walked(world, for_each(world.cluster.hosts, lambda host: _look(world, host)))
    placement = _placement(world, looks)
    findings = [finding for look in looks for finding in _judged(world, look, placement)]
    findings += _one_machine(looks)
    return Checkup(
        world.cluster.cluster, {look.host.name: look.seconds for look in looks}, (*findings, *_refusals(placement))
    )


def admit(world: World) -> None:
    """The check before `provision`: findings become events. Raises HostUnfit when one of them is an error.

    InventoryError or Unreachable when no guest could be logged in to with the key that the inventory names.
    """
    world.sessions.unlock()
    world.sessions.ask_now()  # for the former login's too, before sessions are opened in the background
    reach_out(world)
    world.emit(StageStarted(NAME, "hosts, before anything is changed"))
    started = time.monotonic()
    checkup = check_hosts(world)
    for finding in checkup.findings:
        world.emit(Found(finding.where, finding.id, finding.severity, finding.seen, finding.fix))
    if checkup.errors:
        error = HostUnfit(
            f"doctor found {len(checkup.errors)} error(s): {', '.join(f'{e.id} on {e.where}' for e in checkup.errors)}",
            hint="mend them as the findings say; `meshctl explain ID` says more",
        )
        world.emit(Failed(NAME, type(error).__name__, error.exit_code, error.message, error.hint))
        raise error
    world.emit(StageFinished(NAME, time.monotonic() - started))


def _look(world: World, host: Host) -> Look:
    started = time.monotonic()
    if host.name in world.silent:
        return Look(host, ANSWER_S, refused=_no_answer(world.hypervisors[host.name]))
    try:
        shell, no_shell = _shell(world, host)
        libvirt, topology = _asked(world.hypervisors[host.name])
        topology = with_core_kinds(topology, lambda: shell)
        # After libvirt was asked: its daemon may have been started by that, and its limits are looked at.
        facts = begin(partial(_facts, host, shell, libvirt, no_shell))
        below = begin(partial(_below, host, shell))
        seen = observe_host(world.cluster.owner, host, world.hypervisors[host.name], sized=bool)
    except MeshctlError as error:
        return Look(host, time.monotonic() - started, refused=error.message, hint=error.hint)
    found = _with_pool(result_of(facts), below)
    return Look(host, time.monotonic() - started, found, seen, topology, below.result() if below.done() else None)


def _asked(hypervisor: Hypervisor) -> tuple[LibvirtFacts, Topology]:
    """What libvirt says of itself and of the machine. Raises HypervisorError when it says nothing for too long."""

    def ask() -> tuple[LibvirtFacts, Topology]:
        capabilities = hypervisor.capabilities()
        return read_libvirt(hypervisor.versions(), capabilities), topology_of(hypervisor, capabilities)

    try:
        return bounded(ask, f"{hypervisor.host}: look at libvirt", within_s=ANSWER_S, changes=False)
    except Overdue as error:
        raise HypervisorError(_no_answer(hypervisor)) from error


def _no_answer(hypervisor: Hypervisor) -> str:
    return f"{hypervisor.host}: {hypervisor.uri} gives no answer within {ANSWER_S:g} s"


def _with_pool(facts: Facts, below: Future[StorageSeen | None]) -> Facts:
    """The facts, and whether nobody could look below the pool in time though there is a shell."""
    with suppress(Overdue):
        await_(below, ANSWER_S, changes=False)
    unseen = not facts.shell_error and (not below.done() or below.result() is None)
    return replace(facts, unread=(*facts.unread, "what lies below the pool")) if unseen else facts


def _shell(world: World, host: Host) -> tuple[Shell | None, str]:
    """The host's shell, or why there is none. Raises HypervisorError where libvirt takes the same way and it is closed."""
    shell = world.shell(host.name)
    if shell is None:
        return None, f"{host.uri} leads to libvirt only, not to a shell"
    if "+ssh" in host.uri and (tried := shell.read(["true"], within_s=ANSWER_S, check=False)).status != 0:
        said = " ".join(tried.last_lines) or f"ssh ended with status {tried.status}"
        if tried.status != SSH_FAILED:
            return None, f"libvirt may be reached, but nothing be run as root: {said}"
        raise HypervisorError(f"{host.name}: no SSH to the host: {said}", hint=advice(host.uri, said))
    return shell, ""


def _facts(host: Host, shell: Shell | None, libvirt: LibvirtFacts, no_shell: str) -> Facts:
    if shell is None:
        return Facts(libvirt, shell_error=no_shell)
    before = time.time()
    try:
        sections = gather(shell, host)
    except MeshctlError as error:
        return Facts(libvirt, shell_error=error.message)
    return read_facts(sections, libvirt, (before, time.time()))


def _below(host: Host, shell: Shell | None) -> StorageSeen | None:
    """What lies below the pool; None when nobody can look, which the facts then say."""
    try:
        return observe_storage(shell, host.pool) if shell else None
    except MeshctlError:
        return None


def _walked(world: World, looks: list[Look]) -> list[Look]:
    """The same looks, each with the way to the next host over the bridge: all ways are gone once, not all pairs."""
    if world.cluster.network.mode != "bridge" or len(looks) < 2:
        return looks
    return for_each(zip(looks, [*looks[1:], looks[0]], strict=True), lambda pair: _walk(world, *pair))


def _walk(world: World, look: Look, following: Look) -> Look:
    started, shell = time.monotonic(), world.shell(look.host.name) if look.facts else None
    address = _bridge_address(world, following)
    if look.facts is None or shell is None or not address:
        return look
    try:
        way = walk(shell, following.host.name, address, world.cluster.network.mtu)
    except MeshctlError:
        return look
    facts = replace(look.facts, network=replace(look.facts.network, ways=(way,)))
    return replace(look, facts=facts, seconds=look.seconds + time.monotonic() - started)


def _bridge_address(world: World, look: Look) -> str:
    known = look.facts.network.addresses if look.facts else ()
    return next((address.partition("/")[0] for link, address in known if link == world.cluster.network.bridge), "")


def _placement(world: World, looks: Sequence[Look]) -> Placement:
    """Where the guests would go: only known when every host could be looked at, can run them, and has what the inventory names."""
    topologies = _topologies(looks)
    if len(topologies) < len(looks) or any(_unfit(look.host, topologies[look.host.name]) for look in looks):
        return Placement((), ())
    cluster = world.cluster
    current = [t for look in looks if look.seen for t in tenants(cluster.cluster, look.host.name, look.seen.domains)]
    return place(cluster, topologies, current)


def _topologies(looks: Sequence[Look]) -> dict[str, Topology]:
    return {look.host.name: look.topology for look in looks if look.topology is not None}


def _unfit(host: Host, topology: Topology) -> bool:
    return bool(foreign_architecture(host, topology) or absent(host, topology))


def _one_machine(looks: Sequence[Look]) -> list[Finding]:
    return [found("MC164", name, why, fix=TWO_MACHINES) for name, why in one_machine(_topologies(looks)).items()]


def _judged(world: World, look: Look, placement: Placement) -> tuple[Finding, ...]:
    if look.facts is None or look.seen is None or look.topology is None:
        fix = look.hint or f"try: virsh -c '{look.host.uri}' version"
        return (found("MC101", look.host.name, look.refused, fix=fix),)
    pinnings = tuple(pin for pin in placement.pinnings if pin.host == look.host.name)
    return judge(Patient(world.cluster, look.host, look.facts, look.seen, look.topology, pinnings, look.below))


def _refusals(placement: Placement) -> tuple[Finding, ...]:
    return tuple(found("MC161", refusal.node, str(refusal)) for refusal in placement.refusals)


def as_text(checkup: Checkup) -> str:
    """The findings of each host, one after the other, and their number at the end."""
    lines = [line for finding in checkup.findings for line in _lines(finding)]
    errors = len(checkup.errors)
    times = ", ".join(f"{name} in {seconds:.1f} s" for name, seconds in checkup.seconds.items())
    return "\n".join([*lines, f"{errors} error(s), {len(checkup.findings) - errors} warning(s); looked at {times}"])


def _lines(finding: Finding) -> list[str]:
    lines = (
        f"{finding.where}: {finding.severity} {finding.id}: {finding.seen}",
        f"    why: {finding.why}",
        f"    fix: {finding.fix}",
        f"    see: {finding.docs}",
    )
    return [visible_line(line) for line in lines]
