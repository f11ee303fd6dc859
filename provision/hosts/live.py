"""Reads what of the hosts is not in libvirt's XML: pins that apply now, and what the kernel makes of them. In bulk."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from provision.base.cpu_lists import cpu_list, parse_cpu_list
from provision.base.errors import MeshctlError
from provision.base.parallel import for_each
from provision.base.shell import Shell
from provision.hosts.hypervisor import Hypervisor
from provision.libvirt_xml import EMULATOR_PIN, Settings, iothread_pin, vcpu_pin
from provision.plan import Live
from provision.specs import Desired, GuestSpec

# libvirt's pid file of each domain (/run/libvirt/qemu, /run/libvirt is the same for the modular daemon); a stale one names
# a process that is not this guest. A thread's name stands in its status too. Arguments: bridges, `--`, domains.
_LOOK = """
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  echo "mtu $(cat "/sys/class/net/$1/mtu" 2>/dev/null) $1"
  shift
done
shift
for name in "$@"; do
  pid=$(cat "/run/libvirt/qemu/$name.pid" 2>/dev/null) || continue
  grep -aqsF "guest=$name," "/proc/$pid/cmdline" || continue
  echo "domain $pid $name"
  grep -hsE '^(Name|Pid|Cpus_allowed_list):' /proc/"$pid"/task/*/status
done
exit 0
"""

_THREAD = re.compile(r"^Name:\s*(.*)\nPid:\s*(\d+)\nCpus_allowed_list:\s*(\S+)$", re.MULTILINE)
_VCPU = re.compile(r"CPU (\d+)/(?:KVM|TCG)")
_IOTHREAD = re.compile(r"IO iothread(\d+)")


def observe_live(
    wanted: Desired, hypervisors: Mapping[str, Hypervisor], shell: Callable[[str], Shell | None]
) -> dict[str, Live]:
    """Every host that has guests of ours: one round of calls to libvirt, one read over its shell."""
    hosts = tuple(dict.fromkeys(guest.host for guest in wanted.guests))
    found = for_each(hosts, lambda host: _host(wanted, host, hypervisors[host], shell))
    return dict(zip(hosts, found, strict=True))


def _host(wanted: Desired, host: str, hypervisor: Hypervisor, shell: Callable[[str], Shell | None]) -> Live:
    guests = [guest for guest in wanted.guests if guest.host == host]
    bridges = [network.bridge for network in wanted.networks if network.host == host and network.bridge]
    states = hypervisor.states(guest.domain for guest in guests)
    running = [guest for guest in guests if guest.domain in states and states[guest.domain].active]
    threads, mtus, unseen = _by_shell(lambda: shell(host), bridges, running)
    blind = [guest.domain for guest in running if not threads.get(guest.domain)]
    return Live(states, {**threads, **(hypervisor.affinities(blind) if blind else {})}, mtus, unseen)


def _by_shell(
    shell: Callable[[], Shell | None], bridges: Sequence[str], running: Sequence[GuestSpec]
) -> tuple[dict[str, Settings], dict[str, int], str]:
    """Threads' affinities, bridges' MTUs, and why something of that is missing."""
    try:
        door = shell()
        if door is None:
            return {}, {}, "its URI leads to no shell"
        text = look(door, bridges, [guest.domain for guest in running])
    except MeshctlError as error:
        return {}, {}, error.message
    threads = read_threads(text)
    return threads, read_mtus(text), _missing(running, threads)


def _missing(running: Iterable[GuestSpec], threads: Mapping[str, Settings]) -> str:
    names = [guest.node for guest in running if not threads.get(guest.domain)]
    return f"no process of {', '.join(names)} below /run/libvirt/qemu, or only root may look at it" if names else ""


def look(shell: Shell, bridges: Sequence[str], domains: Sequence[str]) -> str:
    """What the kernel says of bridges and of the threads of domains. Raises ShellError."""
    return shell.read(["sh", "-c", _LOOK, "look", *bridges, "--", *domains]).stdout


def read_mtus(text: str) -> dict[str, int]:
    """Bridges' MTUs; one that is not there has none."""
    return {name: int(mtu) for mtu, name in re.findall(r"^mtu (\d+) (\S+)$", text, re.MULTILINE)}


def read_threads(text: str) -> dict[str, Settings]:
    """By domain, the CPUs of its threads that have a pin: vCPUs, iothreads, and the main one for the emulator.

    Other threads of the emulator have the affinity of the one that made them: libvirt's pin goes to the main one.
    """
    _, *parts = re.split(r"^domain (?=\d+ )", text, flags=re.MULTILINE)
    heads = (part.partition("\n") for part in parts)
    return {head.partition(" ")[2]: _threads(head.partition(" ")[0], rest) for head, _, rest in heads}


def _threads(main: str, text: str) -> Settings:
    named = ((_pin_of(name, main == pid), cpus) for name, pid, cpus in _THREAD.findall(text))
    return {pin: cpu_list(parse_cpu_list(cpus)) for pin, cpus in named if pin}


def _pin_of(name: str, is_main: bool) -> str:
    """The setting that a thread's affinity belongs to, "" for none. QEMU names its threads where libvirt starts it."""
    if is_main:
        return EMULATOR_PIN
    if vcpu := _VCPU.fullmatch(name):
        return vcpu_pin(int(vcpu[1]))
    iothread = _IOTHREAD.fullmatch(name)
    return iothread_pin(int(iothread[1])) if iothread else ""
