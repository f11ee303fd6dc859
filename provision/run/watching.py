"""`watch`: a process that stays on each guest and tells each tick, one bulk read of libvirt for each host and tick. Reads only."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

from provision.base.errors import MeshctlError, Unreachable
from provision.base.moments import moment
from provision.base.parallel import begin
from provision.diagnose import ticking_argv
from provision.kubernetes import kubectl_for
from provision.kubernetes.kubectl import EVERYWHERE
from provision.mesh import configuration
from provision.run.access import asked, node_target
from provision.run.diagnosis import Running, guests_among, planned, read_inside
from provision.run.engine import World
from provision.run.watched import MOST_CPU, Heard, HostHeard, Names, Times, Watched, told, watched

EVERY_S = 5.0
"""Between two ticks, where their cost allows it: an emulated guest was seen to tick every 50 to 140 s."""

GUESTS_SHARE, HOSTS_SHARE = 0.6 * MOST_CPU, 0.3 * MOST_CPU
"""Of a CPU: what all guests may take, and all hosts. The rest is for a tick that costs more than the one before."""

DOMAIN_S = 0.003
"""CPU time that a look at a domain costs its host: libvirtd 0.6 ms and QEMU 2.1 ms, as measured with libvirt 9.0 and QEMU 7.2."""

RETRY_S = 10.0
"""After which who said nothing is asked again."""


class Watching:
    """Threads that hear guests and ask hosts, and what they have heard. Nothing that they meet ends the others."""

    def __init__(self, world: World, interval_s: float | None) -> None:
        """Nothing has begun yet. `interval_s` is what somebody wants whatever it costs; None: EVERY_S, or longer to take little CPU."""
        self._world, self._every_s = world, interval_s or EVERY_S
        names = [node.name for node in world.cluster.nodes]
        self._share = 0.0 if interval_s else GUESTS_SHARE / len(names)
        self._guests = dict.fromkeys(names, Heard())
        self._hosts = {name: HostHeard() for name in world.hypervisors}
        self._there = {name: _Guests(world, name) for name in world.hypervisors}
        self._names = Names()
        self._lock, self._over = threading.Lock(), threading.Event()
        self._label = configuration(world.cluster.mesh).label

    @property
    def every_s(self) -> float:
        """Between two ticks at the least."""
        return self._every_s

    def begin(self) -> None:
        """Begins to hear and to ask, all at once."""
        for host in self._hosts:
            begin(partial(self._ask_host, host))
        for node in self._guests:
            begin(partial(self._hear_guest, node))
        begin(self._ask_names)

    def end(self) -> None:
        """Nothing is asked any longer; processes on guests end when their connections do."""
        self._over.set()

    def now(self) -> Watched:
        """All that is known now."""
        with self._lock:
            guests, hosts, names = dict(self._guests), dict(self._hosts), self._names
        at, cluster = moment(time.time()), self._world.cluster.cluster
        return watched(cluster, at, time.monotonic(), guests, hosts, names)

    def complete(self) -> bool:
        """Whether of every guest there are two samples, or a reason why not."""
        with self._lock:
            return all(one.fault or (one.seen and one.seen.before) for one in self._guests.values())

    # ── hosts ────────────────────────────────────────────────────────────────────────────────────────────────

    def _ask_host(self, host: str) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            try:
                ours = self._there[host].known or self._there[host].now()
                domains = self._world.hypervisors[host].vcpu_times(one.domain.name for one in ours)
                self._note_host(host, Times(began, domains))
            except MeshctlError as error:
                with self._lock:
                    self._hosts[host] = replace(self._hosts[host], fault=error.message)
            self._over.wait(max(self._host_every_s(host) - (time.monotonic() - began), self._every_s / 2))

    def _host_every_s(self, host: str) -> float:
        """Between two looks at a host, so that all of them together take no more than their share."""
        cost_s = DOMAIN_S * len(self._there[host].known)
        return max(self._every_s, cost_s * len(self._hosts) / HOSTS_SHARE if self._share else 0.0)

    def _note_host(self, host: str, times: Times) -> None:
        running = [one for one in self._there[host].known if one.domain.active]
        plan = planned(self._world, host, running)
        with self._lock:
            self._hosts[host] = HostHeard(times, self._hosts[host].last, plan)

    # ── guests ───────────────────────────────────────────────────────────────────────────────────────────────

    def _hear_guest(self, node: str) -> None:
        while not self._over.is_set():
            try:
                self._follow(node)
                self._note_fault(node, "its script has ended")
            except MeshctlError as error:
                self._note_fault(node, error.message)
            self._over.wait(RETRY_S)

    def _follow(self, node: str) -> None:
        """Hears a guest's lines until they end. Raises MeshctlError when they do."""
        found = self._find(node)
        with self._lock:
            self._guests[node] = replace(self._guests[node], host=found.host)
        if not found.domain.active:
            raise Unreachable(f"{node}: its guest does not run")
        port = self._world.cluster.mesh.admin_port
        command = ticking_argv(every_s=self._every_s, share=self._share, admin_port=port)
        shell = self._world.sessions.to(node_target(self._world, node, [found.domain]))
        hear = _Lines(partial(self._note_line, node))
        shell.follow(command, hear)

    def _find(self, node: str) -> Running:
        """Where a guest is now. Raises Unreachable where no host that answers has it."""
        silent = {host for host, one in self._hosts.items() if one.fault} | self._world.silent
        for host in sorted(self._there, key=lambda one: one in silent):  # who says nothing keeps all waiting who ask
            for one in self._there[host].now():
                if one.node == node:
                    return one
        hint = f"it may be on {' or '.join(sorted(silent))}, from which there is no answer" if silent else ""
        raise Unreachable(f"{node}: no host that answers has its guest", hint=hint)

    def _note_line(self, node: str, line: str, first: bool) -> None:
        heard = self._guests[node]
        before = Heard(heard.host) if first else heard
        now = told(before, node, line, time.monotonic(), self._names, self._label)
        with self._lock:
            self._guests[node] = now

    def _note_fault(self, node: str, why: str) -> None:
        with self._lock:
            self._guests[node] = replace(self._guests[node], fault=why)

    # ── Kubernetes ───────────────────────────────────────────────────────────────────────────────────────────

    def _ask_names(self) -> None:
        """Once: kubectl on a control plane costs more than a minute of ticks."""
        try:
            domains = [one.domain for there in self._there.values() for one in there.now()]
            shell = self._world.sessions.to(node_target(self._world, asked(self._world, domains), domains))
            pods = kubectl_for(self._world.cluster.kubernetes.generation, shell).items("pods", namespace=EVERYWHERE)
            inside = read_inside(pods, (), (), self._world.cluster.mesh.namespace)
            names = Names(inside.pods, inside.routers)
        except MeshctlError as error:
            names = Names(fault=error.message)
        with self._lock:
            self._names = names


class _Lines:
    """Hands lines of standard output on, and whether each is the first of its connection. What sudo or python3 complain of on the other
    stream are no such lines, and come again in the failure of the command.
    """

    def __init__(self, note: Callable[[str, bool], None]) -> None:
        self._note, self._first = note, True

    def __call__(self, line: str) -> None:
        if not line.startswith("{"):
            return
        first, self._first = self._first, False
        self._note(line, first)


class _Guests:
    """Our guests on one host, looked up again at the earliest after RETRY_S."""

    def __init__(self, world: World, host: str) -> None:
        self._world, self._host, self._at_s = world, host, -RETRY_S
        self._lock = threading.Lock()
        self.known: tuple[Running, ...] = ()

    def now(self) -> tuple[Running, ...]:
        """Those that are there; of a host that does not answer, those that were."""
        with self._lock:
            if time.monotonic() - self._at_s >= RETRY_S:
                with suppress(MeshctlError):  # the host's own thread says so
                    self.known = guests_among(self._world, self._host, self._world.hypervisors[self._host].domains())
                self._at_s = time.monotonic()
            return self.known


@contextmanager
def watching(world: World, interval_s: float | None) -> Iterator[Watching]:
    """Watches the world's cluster while this lasts. Asks for passphrases first, on this thread."""
    world.sessions.ask_now()
    made = Watching(world, interval_s)
    made.begin()
    try:
        yield made
    finally:
        made.end()
