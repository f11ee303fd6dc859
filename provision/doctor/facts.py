"""What a host is like, as `doctor` saw it. None, or an empty tuple, stands for what could not be read or is not there."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class IdleState:
    """A C-state that at least one CPU may enter; `latency_us` is what waking from it takes."""

    name: str
    latency_us: int


@dataclass(frozen=True)
class CpuFacts:
    """CPUs as the kernel runs them. `governors` are pairs of governor and its CPUs.

    `latency_limit_us` is the wake-up latency that somebody asked the kernel to keep (/dev/cpu_dma_latency).
    """

    virtual: bool = False
    hardware_virtualization: bool | None = None
    dev_kvm: bool = True
    dev_vhost_net: bool = True
    governors: tuple[tuple[str, frozenset[int]], ...] = ()
    idle_states: tuple[IdleState, ...] = ()
    latency_limit_us: int | None = None
    smt: bool = False
    isolated: frozenset[int] = frozenset()
    nohz_full: frozenset[int] = frozenset()
    clocksource: str = ""
    irqbalance: bool = False
    irqbalance_banned: frozenset[int] = frozenset()


@dataclass(frozen=True)
class HugePages:
    """Huge pages of one size on one NUMA node: all, and those that nobody uses."""

    cell: int
    size_kib: int
    total: int
    free: int


@dataclass(frozen=True)
class MemoryFacts:
    """Memory in MiB; `memlock_bytes` is libvirtd's limit for locked memory: None when unknown, -1 for unlimited.

    `may_raise_limits`: libvirtd has CAP_SYS_RESOURCE and raises the limit itself. `hugetlbfs_kib` are the page sizes that are mounted.
    """

    available_mib: int | None = None
    thp: str = ""
    ksm_running: bool = False
    ksm_sharing_pages: int = 0
    ksm_tuned: bool = False
    hugepages: tuple[HugePages, ...] = ()
    hugetlbfs_kib: frozenset[int] = frozenset({2048, 1048576})
    memlock_bytes: int | None = None
    may_raise_limits: bool = True
    swap_mib: int = 0
    numa_balancing: bool = False


@dataclass(frozen=True)
class Disk:
    """A disk of the host, by the kernel's name. `discard_max` in bytes: 0 when it cannot forget blocks; `cell` is its NUMA node."""

    name: str
    rotational: bool = False
    scheduler: str = "none"
    discard_max: int = 2**41
    cell: int | None = None


@dataclass(frozen=True)
class ThinPool:
    """An LVM thin pool and how full it is, in percent."""

    name: str
    data_percent: float
    metadata_percent: float


@dataclass(frozen=True)
class Folder:
    """A folder on the way to the pool: its mode (octal digits) and its owners."""

    path: str
    mode: int
    uid: int
    gid: int


@dataclass(frozen=True)
class StorageFacts:
    """The filesystem that holds (or will hold) the pool, in bytes and inodes; `inodes` is 0 where it counts none. `disks` are all
    of the host's.
    """

    device: str = ""
    filesystem: str = ""
    size: int | None = None
    available: int | None = None
    inodes: int = 0
    inodes_free: int = 0
    options: frozenset[str] = frozenset()
    parents: tuple[Folder, ...] = ()
    disks: tuple[Disk, ...] = ()
    thin_pools: tuple[ThinPool, ...] = ()
    fstrim_enabled: bool | None = None
    selinux_enforcing: bool = False
    label: str = ""


@dataclass(frozen=True)
class Link:
    """A network interface; `kind` is iproute2's (`bridge`, `tun`, `veth`, "" for hardware), `master` its bridge."""

    name: str
    mtu: int
    up: bool = True
    carrier: bool = True
    kind: str = ""
    master: str = ""


@dataclass(frozen=True)
class Route:
    """A route of the main table: destination in CIDR notation, and the interface."""

    destination: str
    device: str


@dataclass(frozen=True)
class Way:
    """From this host to another one's address on the bridge: whether a whole packet and a small one came back."""

    to: str
    address: str
    whole: bool
    small: bool


@dataclass(frozen=True)
class NetworkFacts:
    """The host's network. `addresses` are pairs of interface and address with prefix length.

    `rules` are those of iptables' filter table as `iptables -S` says them, policies included; `nft_drops` are the hooks
    of nftables' own base chains that drop by default; `ways` lead to other hosts.
    """

    links: tuple[Link, ...] = ()
    addresses: tuple[tuple[str, str], ...] = ()
    routes: tuple[Route, ...] = ()
    forwarding: bool | None = None
    bridge_nf: bool = False
    rules: tuple[str, ...] = ()
    nft_drops: tuple[str, ...] = ()
    ways: tuple[Way, ...] = ()

    def link(self, name: str | None) -> Link | None:
        """The interface called `name`."""
        return next((link for link in self.links if link.name == name), None)


@dataclass(frozen=True)
class ServiceFacts:
    """Clock and sshd. `clock_ahead_s` is the host's clock against ours, as exactly as the read was quick."""

    synchronized: bool | None = None
    clock_ahead_s: float | None = None
    clock_error_s: float = 0.0
    max_startups: str = ""
    max_sessions: int | None = None


@dataclass(frozen=True)
class LibvirtFacts:
    """What libvirt says of itself: versions as numbers, and the security drivers that confine QEMU.

    `qemu_uid` and `qemu_gid` are the user and group that QEMU runs as.
    """

    libvirt: tuple[int, ...] = ()
    qemu: tuple[int, ...] = ()
    security: frozenset[str] = frozenset()
    qemu_uid: int | None = None
    qemu_gid: int | None = None


@dataclass(frozen=True)
class Facts:
    """All of them. `unread` are the parts of the read over the shell that gave nothing; `shell_error` why there is none."""

    libvirt: LibvirtFacts = field(default_factory=LibvirtFacts)
    cpu: CpuFacts = field(default_factory=CpuFacts)
    memory: MemoryFacts = field(default_factory=MemoryFacts)
    storage: StorageFacts = field(default_factory=StorageFacts)
    network: NetworkFacts = field(default_factory=NetworkFacts)
    services: ServiceFacts = field(default_factory=ServiceFacts)
    unread: tuple[str, ...] = ()
    shell_error: str = ""
