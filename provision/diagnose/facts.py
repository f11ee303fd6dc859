"""What a look at a cluster saw, as data that can be sent to somebody: `Recording`, in JSON and back.

Units are in the names; a share is 0 to 1. None, or an empty tuple, stands for what could not be read or is not there. Nothing in it is
secret: no environment, no payload, no configuration; names, addresses and numbers only.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError

from provision.base.errors import InventoryError
from provision.base.units import MIB

VERSION = 1
"""Of the format. Raised when another meshctl could take a recording for something else than was seen."""

LARGEST_FILE = 64 * MIB
"""Bytes: a recording of 100 guests that ask 250 endpoints has 7 MiB."""

NODE = "node"
"""The name of a guest's own network namespace; others go by their pod."""


class Fact(BaseModel):
    """The base of all facts: frozen, and neither taken from nor written as anything else than what it says."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Pressure(Fact):
    """The share of time in which some task stood still for want of CPU, memory or disk (PSI)."""

    cpu: float | None = None
    memory: float | None = None
    io: float | None = None


class Disk(Fact):
    """A disk between two reads. `queue` is how many requests were in it on average, `busy` the share of time with at least one."""

    name: str
    ios_per_s: float
    await_ms: float
    queue: float
    busy: float


class Vcpu(Fact):
    """A thread of a guest's vCPU. `planned` and `live` are CPU lists; `own`: no other guest is planned there.

    `ran` and `waited` are shares of the look; `wait_ms` is how long it waited each time before it was put on a CPU.
    """

    guest: str
    vcpu: int
    planned: str
    live: str
    own: bool = True
    ran: float = 0.0
    waited: float = 0.0
    wait_ms: float = 0.0


class Other(Fact):
    """Somebody who is none of our guests and ran: the CPU that it was last on, and its share of one."""

    cpu: int
    who: str
    share: float


class HostCpu(Fact):
    """A CPU of a host. `deep` is the share of time in idle states that wake in more than 20 µs, `deep_us` the longest of them."""

    cpu: int
    mhz: float | None = None
    max_mhz: float | None = None
    deep: float | None = None
    deep_us: int = 0
    irqs_per_s: float = 0.0
    softirq: float = 0.0


class Host(Fact):
    """A hypervisor. `unread`: what could not be looked at."""

    name: str
    vcpus: tuple[Vcpu, ...] = ()
    others: tuple[Other, ...] = ()
    cpus: tuple[HostCpu, ...] = ()
    pressure: Pressure = Pressure()
    numa_misses_per_s: float = 0.0
    ksm_scans: int = 0
    ksm_pages: int = 0
    thp: str = ""
    compact_stalls_per_s: float = 0.0
    disks: tuple[Disk, ...] = ()
    unread: tuple[str, ...] = ()


class Path(Fact):
    """Probes from one machine to another, `kind` guest, host, or pod: from a pod of the one to a pod of the other. Times are of rounds;
    `jitter_ms` is the mean difference of two that follow each other. `whole_…`: packets of the network's MTU that must not be cut.
    `clock_ahead_s`: the other's clock against ours.
    """

    kind: str
    start: str
    end: str
    sent: int
    lost: int
    median_ms: float | None = None
    p99_ms: float | None = None
    jitter_ms: float = 0.0
    whole_sent: int = 0
    whole_lost: int = 0
    clock_ahead_s: float | None = None


class Listener(Fact):
    """A listening socket: the backlog in effect (what its program asked for, at most somaxconn), and who waits to be accepted now."""

    address: str
    port: int
    backlog: int
    waiting: int = 0


class Destination(Fact):
    """Another end, and this side's connections to it: those in TIME_WAIT and those that are open."""

    address: str
    time_wait: int = 0
    open: int = 0


class Space(Fact):
    """A network namespace: NODE, or a pod's. Counters are differences over the look. `ports`: how many outgoing connections may have."""

    name: str
    ports: int = 28232
    tw_reuse: int = 2
    somaxconn: int = 4096
    destinations: tuple[Destination, ...] = ()
    listeners: tuple[Listener, ...] = ()
    listen_overflows: int = 0
    listen_drops: int = 0
    segments_sent: int = 0
    retransmitted: int = 0
    syn_retries: int = 0
    opened: int = 0
    accepted: int = 0


class Throttled(Fact):
    """A pod or container under a CPU quota: periods of 0.1 s in the look, those in which it was stopped, and for how long together."""

    pod: str
    periods: int
    stopped: int
    stopped_s: float


class Filesystem(Fact):
    """A filesystem on a disk of the guest, and the shares of bytes and inodes that are used."""

    point: str
    bytes_used: float
    inodes_used: float = 0.0


class Dns(Fact):
    """A DNS server as asked by this guest. `searches` is how many names a pod tries for one of few dots, 0 where no pod is known."""

    server: str
    name: str
    sent: int
    lost: int
    median_ms: float | None = None
    p99_ms: float | None = None
    searches: int = 0


class Connections(Fact):
    """Connections of a guest to another end. `waiting` is how many waited for an answer on average, `rtt_ms` the kernel's word."""

    end: str
    connections: float
    waiting: float
    answers_per_s: float
    rtt_ms: float
    retransmits: int = 0

    @property
    def answer_ms(self) -> float | None:
        """How long an answer took: those that wait, by how many come (Little's law). None where too few came to say."""
        return self.waiting / self.answers_per_s * 1000 if self.answers_per_s > 0.2 else None


class Guest(Fact):
    """A guest from inside. `host` is where it runs."""

    name: str
    host: str = ""
    seconds: float = 60.0
    cpus: int = 2
    steal: float = 0.0
    idle: float = 1.0
    iowait: float = 0.0
    pressure: Pressure = Pressure()
    swap_ins_per_s: float = 0.0
    spaces: tuple[Space, ...] = ()
    conntrack: int = 0
    conntrack_max: int = 0
    conntrack_drops: int = 0
    packets: int = 0
    softnet_drops: int = 0
    softnet_squeezes: int = 0
    neighbours: int = 0
    neighbours_max: int = 0
    disks: tuple[Disk, ...] = ()
    filesystems: tuple[Filesystem, ...] = ()
    throttled: tuple[Throttled, ...] = ()
    dns: tuple[Dns, ...] = ()
    connections: tuple[Connections, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def own(self) -> Space:
        """Its own network namespace."""
        return next((one for one in self.spaces if one.name == NODE), Space(name=NODE))


class Service(Fact):
    """A service as one linkerd reached it: `router` is the router's label. Counts are differences; percentiles of the last whole minute."""

    router: str
    name: str
    requests: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None
    connect_p99_ms: float | None = None
    acquire_p99_ms: float | None = None
    size: int = 0
    available: int = 0
    removals: int = 0
    retries: int = 0
    budget_exhausted: int = 0
    waiters: int = 0
    waited: int = 0


class Cache(Fact):
    """One of a router's binding caches (path, tree, bound, client)."""

    router: str
    name: str
    misses: int = 0
    evicts: int = 0
    oneshots: int = 0


class Router(Fact):
    """A node's linkerd between two scrapes. `fault`: why it said nothing. The percentiles are its outgoing server's."""

    node: str
    fault: str = ""
    seconds: float = 60.0
    requests: int = 0
    p50_ms: float | None = None
    p99_ms: float | None = None
    services: tuple[Service, ...] = ()
    caches: tuple[Cache, ...] = ()
    gc_ms: float = 0.0
    gc_cycles: int = 0
    safepoint_ms: float = 0.0
    heap_used_mib: float | None = None
    heap_max_mib: float | None = None
    files: int | None = None
    files_max: int | None = None


class Endpoint(Fact):
    """An address behind a service, and whose it is."""

    service: str
    address: str
    pod: str = ""
    node: str = ""


class Recording(Fact):
    """All of one look. `service` is the one that was asked about, "" for all; `unseen` are pairs of a place and why it was not seen."""

    version: int = VERSION
    cluster: str
    at: str = ""
    seconds: float = 60.0
    service: str = ""
    mtu: int = 1500
    hosts: tuple[Host, ...] = ()
    guests: tuple[Guest, ...] = ()
    paths: tuple[Path, ...] = ()
    routers: tuple[Router, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    router_pods: tuple[str, ...] = ()
    unseen: tuple[tuple[str, str], ...] = ()


def written(recording: Recording) -> str:
    """A recording as the text of a file."""
    return recording.model_dump_json(indent=1) + "\n"


def read_recording(text: str, source: str) -> Recording:
    """A recording from a file's text. Raises InventoryError for what is none, or of another version."""
    hint = "`meshctl diagnose INVENTORY --record FILE` makes one"
    try:
        found = Recording.model_validate_json(text, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InventoryError(f"{source}: no recording of this meshctl: {where}: {first['msg']}", hint=hint) from error
    if found.version != VERSION:
        raise InventoryError(f"{source}: a recording of format {found.version}, not {VERSION}", hint=hint)
    return found
