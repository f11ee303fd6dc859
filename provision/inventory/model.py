r"""The inventory as typed, frozen data: what a user may write, field by field.

`loader` makes it from YAML and knows the positions; this module knows the fields and the rules that hold
within and between them. Rules raise ValueError with a message and, behind ``\n``, a hint: pydantic collects
them all. Sizes are bytes inside; `8GiB` outside.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, Self

import netaddr
from pydantic import Field, field_validator, model_validator

from provision.base.scalars import (
    HUGEPAGE_KIB,
    Address,
    Cidr,
    HugePages,
    Name,
    NumaCells,
    Setting,
    Size,
    SizeOrNone,
    Version,
)
from provision.base.strict import FieldFault, Strict
from provision.base.units import KIB, MIB, TIB, format_size
from provision.inventory.jump import parse_jump
from provision.inventory.policy import Country, Policy
from provision.inventory.tracing import Tracing, home
from provision.inventory.uri import is_test, parse_uri
from provision.linkerd.wanted import Mesh
from provision.storage import BOUND, STATE_KIND, STATE_MOUNT, STATE_VOLUME_SIZE, Pool, Storage, Volume

if TYPE_CHECKING:
    from provision.specs import Owner

SEED_SYSCTL: dict[str, int | str] = {
    "net.ipv4.tcp_tw_reuse": 1,
    "net.ipv4.ip_local_port_range": "1024 65000",
    "net.core.somaxconn": 4096,
}
"""The article's three settings, the default of `sysctl:`."""


OTHERS_NAMES = (
    "localhost",
    "localhost4",
    "localhost6",
    "ip6-localhost",
    "ip6-loopback",
    "ip6-allnodes",
    "ip6-allrouters",
)
"""What Debian's /etc/hosts calls the machine itself and its link."""

LARGEST_MEMORY = 64 * TIB
"""What Linux maps with page tables of four levels (46 bits: Documentation/arch/x86/x86_64/mm.rst)."""


BUILT = ("debian-source", "debian-source+tracing")
"""The bundles that `meshctl bundle build` makes, as the inventory calls them."""


class HostCpu(Strict):
    """How a host's CPUs are given to guests."""

    policy: Literal["dedicated", "shared"] = Field(
        "dedicated", description="dedicated: a CPU serves one vCPU; shared: pins may overlap"
    )
    ratio: float = Field(4.0, ge=1.0, strict=False, description="shared only: vCPUs per CPU at the most, on average")


class Host(Strict):
    """A physical machine with libvirt and QEMU."""

    name: Name = Field(description="how the inventory and all messages call the host")
    uri: str = Field(description="libvirt's connection URI, for example qemu+ssh://root@hv1/system")
    jurisdiction: Country | None = Field(
        None, description="the country that the machine stands in; needed under `policy.residency`"
    )
    pool: Pool = Field(default_factory=Pool, description="the storage pool")
    cpu: HostCpu = Field(default_factory=HostCpu, description="how the host's CPUs are given out")
    reserved_cpus: tuple[Annotated[int, Field(ge=0, le=8191)], ...] | None = Field(
        None,
        strict=False,
        description="CPUs left to the host, emulator and iothreads; default: the first core of each NUMA node; may be empty",
    )
    reserved_memory: Size = Field(1024 * MIB, description="memory left to the host; 0MiB is allowed")
    hugepages: HugePages = Field("none", description="size of the huge pages that guests' memory comes from")
    locked: bool = Field(
        False,
        description="guests and their QEMU are never swapped out; libvirtd must be allowed to lock that much memory",
    )
    require: Literal["kvm", "any"] = Field(
        "kvm",
        description="kvm: a host on which KVM does not start a guest is refused; any: guests are emulated there, many times slower",
    )
    nosharepages: bool = Field(True, description="guests' pages are kept from KSM, which merges like ones")
    allocation_threads: Annotated[int, Field(ge=1, le=64)] | None = Field(
        None,
        description="threads that touch a guest's memory at its start, all of it in any case (libvirt 8.2 or newer); default: QEMU's one",
    )

    @field_validator("reserved_cpus")
    @classmethod
    def _once(cls, value: tuple[int, ...] | None) -> tuple[int, ...] | None:
        cpus = value or ()
        twice = [index for index, cpu in enumerate(cpus) if cpu in cpus[:index]]
        if twice:
            raise FieldFault(f"CPU {cpus[twice[0]]} stands there twice\nkeep one of the two", twice[0])
        return value

    @field_validator("uri")
    @classmethod
    def _libvirt(cls, value: str) -> str:
        parse_uri(value)
        return value

    @property
    def real(self) -> bool:
        """Whether there is a machine behind it: libvirt's test driver has none."""
        return not is_test(self.uri)


class Network(Strict):
    """The guests' network, one on each host."""

    name: Name = Field("meshctl", description="the network's name in libvirt")
    mode: Literal["nat", "bridge"] = Field(
        "nat", description="nat: made by libvirt, for one host; bridge: the hosts' own bridge, for several"
    )
    bridge: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_.-]{1,15}$",
        description="mode bridge: the bridge that exists on each host; mode nat: the name to give to the one that is made",
    )
    cidr: Cidr = Field(description="the network that the nodes' addresses come from")
    gateway: Address | None = Field(None, description="the default route; default: the first address")
    nodes: str | None = Field(
        None, description="the part of the network that nodes get addresses from, FIRST-LAST; default: all of it"
    )
    nameservers: tuple[Address, ...] = Field(
        (), strict=False, description="DNS servers of the guests; default: the gateway under nat, none under bridge"
    )
    mtu: int = Field(1500, ge=576, le=9216, description="largest packet in bytes")
    admin_cidrs: tuple[Cidr, ...] = Field(
        (),
        strict=False,
        description="networks of those who run the cluster: besides nodes and pods only they reach the nodes' ports (docs/security.md), "
        "and only they SSH; default: the network's cidr",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        network = netaddr.IPNetwork(self.cidr)
        if self.mode == "bridge" and self.bridge is None:
            raise FieldFault(
                "mode bridge needs `bridge`\nthe name of the bridge that exists on each host, for example br0", "mode"
            )
        if network.prefixlen > 29:
            raise FieldFault(f"{self.cidr} is too small\na /29 or larger holds a gateway and nodes", "cidr")
        if self.gateway is not None and (
            netaddr.IPAddress(self.gateway) not in network or self.gateway in (str(network[0]), str(network[-1]))
        ):
            message = f"{self.gateway} is not a host address of {self.cidr}\nfor example {network[1]}"
            raise FieldFault(message, "gateway")
        self.node_range()
        return self

    @property
    def gateway_address(self) -> str:
        """The gateway as written, else the network's first address."""
        return self.gateway or str(netaddr.IPNetwork(self.cidr)[1])

    @property
    def prefix_length(self) -> int:
        """24 of 10.77.0.0/24."""
        return int(netaddr.IPNetwork(self.cidr).prefixlen)

    @property
    def admins(self) -> tuple[str, ...]:
        """The networks that administrators come from."""
        return self.admin_cidrs or (self.cidr,)

    def node_range(self) -> tuple[str, str]:
        """First and last address that nodes may get. Raises ValueError when `nodes` is not such a range."""
        network = netaddr.IPNetwork(self.cidr)
        if self.nodes is None:
            return str(network[1]), str(network[-2])
        first, _, last = self.nodes.partition("-")
        if not all(netaddr.valid_ipv4(part, netaddr.INET_PTON) for part in (first, last)):
            raise FieldFault(f"{self.nodes!r} is not a range\nwrite it like {network[2]}-{network[-2]}", "nodes")
        low, high = netaddr.IPAddress(first), netaddr.IPAddress(last)
        if low > high or low not in network or high not in network or low == network[0] or high == network[-1]:
            raise FieldFault(
                f"{self.nodes} is not a range within {self.cidr}\nfor example {network[2]}-{network[-2]}", "nodes"
            )
        return first, last


class NodeCpu(Strict):
    """What a guest asks of its CPUs."""

    policy: Literal["dedicated", "shared"] | None = Field(
        None, description="dedicated or shared, as for a host; default: the host's"
    )
    threads: Literal["prefer", "require", "isolate"] = Field(
        "prefer",
        description="dedicated only. prefer: whole cores first; require: only cores that give two threads or more;"
        " isolate: one thread of a core, the others stay idle",
    )
    emulator: Literal["shared", "isolated"] = Field(
        "shared", description="shared: QEMU's own threads run on the reserved CPUs; isolated: on one CPU of their own"
    )
    cores: Literal["alike", "performance", "efficient", "any"] = Field(
        "alike",
        description="hybrid hosts only. alike: cores of one kind, performance cores first; performance, efficient: that kind alone;"
        " any: both in one guest",
    )

    @model_validator(mode="after")
    def _threads_of_dedicated(self) -> Self:
        if self.policy == "shared" and self.threads != "prefer":
            message = f"{self.threads} needs dedicated CPUs\ntake `policy: shared` or `threads` out"
            raise FieldFault(message, "threads")
        return self


SMALLEST_STATE = 1024 * MIB


class Node(Strict):
    """A guest that becomes a member of the cluster."""

    name: Name = Field(description="the guest's name and host name")
    role: Literal["control-plane", "worker"] = Field(description="control-plane runs the API server; worker runs pods")
    vcpus: int = Field(2, ge=1, le=512, description="virtual CPUs, each pinned")
    memory: Size = Field(description="memory, allocated at start, never ballooned")
    disk: Size = Field(description="size of the root volume; a larger one is grown live, a smaller one refused")
    host: Name | None = Field(None, description="the host to run on; default: chosen by placement")
    address: Address | None = Field(
        None, description="a fixed address; default: derived from the name, and kept when nodes come and go"
    )
    cpu: NodeCpu = Field(default_factory=NodeCpu, description="what the guest asks of its CPUs")
    numa_cells: NumaCells = Field(
        "auto", description="over how many NUMA nodes the guest is split, evenly; auto: one, more if it exceeds one"
    )
    hugepages: HugePages | None = Field(None, description="size of its huge pages; default: the host's")
    group: Name | None = Field(None, description="nodes of one group run on different hosts")
    volumes: tuple[Volume, ...] = Field((), strict=False, description="data volumes, on the pool of the node's host")
    state: SizeOrNone | None = Field(
        None,
        description="control plane only: size of its state volume, on the pool of its host, with the cluster's data and keys, which "
        "outlive its guest; a larger one is grown live, a smaller one refused; none: no such volume; default: 8GiB",
    )

    @field_validator("name")
    @classmethod
    def _a_name_of_its_own(cls, value: str) -> str:
        if value in OTHERS_NAMES:
            raise ValueError(f"{value} is each machine's name for itself or its network\nanother name")
        if re.fullmatch(r"[0-9]+|0x[0-9a-f]+", value):
            raise ValueError(
                f"{value} is taken for an IPv4 address wherever it is looked up\na name with a letter: n{value}"
            )
        return value

    @field_validator("volumes")
    @classmethod
    def _volumes_apart(cls, value: tuple[Volume, ...]) -> tuple[Volume, ...]:
        for what in ("name", "mount"):
            said = [str(getattr(volume, what)) for volume in value]
            twice = [index for index, one in enumerate(said) if one in said[:index]]
            if twice:
                message = f"two volumes have the {what} {said[twice[0]]}\neach needs its own"
                raise FieldFault(message, twice[0], what)
        mounts = [volume.mount for volume in value]
        for index, mount in enumerate(mounts):
            over = next((one for one in mounts[:index] if one.startswith(f"{mount}/")), None)
            if over is not None:
                raise FieldFault(
                    f"{mount} is mounted after {over}, and hides it\nlist {mount} before it", index, "mount"
                )
        return value

    @field_validator("state")
    @classmethod
    def _enough_state(cls, value: int | None) -> int | None:
        if value and (value < SMALLEST_STATE or value % MIB):
            raise ValueError(
                f"{value // MIB} MiB is too small, or not whole MiB\n1GiB at the least: etcd's log alone has 384 MiB"
            )
        return value

    @field_validator("memory")
    @classmethod
    def _enough_memory(cls, value: int) -> int:
        if value > LARGEST_MEMORY:
            raise ValueError(
                f"no machine has {format_size(value)} of memory\n{format_size(LARGEST_MEMORY)} at the most"
            )
        if value < 1024 * MIB or value % MIB:
            raise ValueError(
                f"{value // MIB} MiB is not enough, or not whole MiB\na node needs 1GiB at the least, a control plane 2GiB"
            )
        return value

    @field_validator("disk")
    @classmethod
    def _enough_disk(cls, value: int) -> int:
        if value < 8192 * MIB or value % MIB:
            raise ValueError(
                f"{value // MIB} MiB is too small, or not whole MiB\nimage, containers and logs need 8GiB at the least"
            )
        return value

    @model_validator(mode="after")
    def _state_of_a_control_plane(self) -> Self:
        if self.state and self.role != "control-plane":
            raise FieldFault("a worker has no state that a cluster hangs on\ntake `state` out", "state")
        for index, mount in enumerate(self.mounts if self.state_mib else ()):
            over = [one for one in (STATE_MOUNT, *BOUND.values()) if f"{mount}/".startswith(f"{one}/")]
            if over:
                message = f"{over[0]} is on the node's state volume\ntake the volume out, or say `state: none`"
                raise FieldFault(message, "volumes", index, "mount")
        return self

    @model_validator(mode="after")
    def _divisible(self) -> Self:
        parts = 1 if self.numa_cells == "auto" else self.numa_cells
        if self.vcpus % parts or self.memory_mib % parts:
            raise FieldFault(
                f"{self.vcpus} vCPUs and {self.memory_mib} MiB cannot be split evenly over {parts} NUMA nodes"
                "\nboth must be multiples of numa_cells",
                "numa_cells",
            )
        if self.memory_mib // parts * KIB % HUGEPAGE_KIB.get(self.hugepages or "none", 1):
            raise FieldFault(
                f"{self.memory_mib} MiB is not a whole number of huge pages of {self.hugepages}"
                f"{f' on each of {parts} NUMA nodes' if parts > 1 else ''}\ntake more memory, or smaller pages",
                "memory",
            )
        if self.cpu.threads == "require" and self.vcpus // parts == 1:
            message = "require needs two vCPUs or more on each NUMA node\nor take threads: prefer"
            raise FieldFault(message, "cpu", "threads")
        return self

    @property
    def memory_mib(self) -> int:
        """Memory in MiB."""
        return self.memory // MIB

    @property
    def state_mib(self) -> int:
        """Size of its state volume in MiB, 0 for a node without one."""
        if self.role != "control-plane":
            return 0
        return (STATE_VOLUME_SIZE if self.state is None else self.state) // MIB

    @property
    def sizes_mib(self) -> dict[str, int]:
        """The sizes of its volumes by their kind, which is their disk's serial number too: root first, then state, then data."""
        state = {STATE_KIND: self.state_mib} if self.state_mib else {}
        return {"root": self.disk // MIB, **state, **{f"data-{one.name}": one.size // MIB for one in self.volumes}}

    @property
    def mounts(self) -> tuple[str, ...]:
        """Where its data volumes are mounted."""
        return tuple(volume.mount for volume in self.volumes)


class Ssh(Strict):
    """How meshctl reaches the guests."""

    user: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")] = Field(
        "mesh", description="the login user made in each guest, with sudo; to change it: `provision --old-user`"
    )
    key_file: str | None = Field(
        None,
        description="the private key, its public half beside it as .pub; the SSH agent is asked for it first, "
        "and without key_file it is asked for public_key; to change it: `provision --old-key`",
    )
    public_key: str | None = Field(
        None,
        pattern=r"^(ssh-|ecdsa-|sk-)\S+ \S+( .*)?$",
        description="the public key; default: the content of key_file + .pub",
    )
    jump: str | None = Field(
        None,
        description="USER@HOST[:PORT] to go through, by the system's ssh, so HOST may be a name of your SSH configuration; "
        "IPv6 with a port: [2001:db8::1]:22",
    )
    proxy_command: tuple[str, ...] = Field(
        (), strict=False, description="argv of a program that connects; %h and %p stand for address and port"
    )

    @field_validator("jump")
    @classmethod
    def _a_host(cls, value: str | None) -> str | None:
        if value is not None:
            parse_jump(value)
        return value

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.jump and self.proxy_command:
            raise FieldFault("jump and proxy_command are two ways to the same place\nkeep one of them", "proxy_command")
        if self.key_file is None and self.public_key is None:
            raise ValueError(
                "which key may log in?\ngive key_file, or public_key with the private half in the SSH agent"
            )
        return self


class Kubernetes(Strict):
    """The cluster that kubeadm makes."""

    version: Version = Field(description="v1.5.x or v1.20.x, as the bundle holds it")
    bundle: str = Field(
        "debian-source",
        description="debian-source or debian-source+tracing (built by `meshctl bundle build`), or the folder of a sealed bundle",
    )
    pod_cidr: Cidr = Field(
        "10.244.0.0/16",
        description="where pods get their addresses; each node has a subnet of its own, derived from its address",
    )
    service_cidr: Cidr = Field("10.96.0.0/12", description="where Services get their addresses")
    control_plane_endpoint: Address | None = Field(
        None,
        description="the virtual address at which the API server is reached, whichever control plane has it; a free one of the network; "
        "needed by several control planes, and what lets one become several later",
    )
    max_unavailable: int = Field(
        1, ge=1, description="how many workers may be down at once while nodes are restarted one after the other"
    )

    @field_validator("bundle")
    @classmethod
    def _known_bundle(cls, value: str) -> str:
        if value not in BUILT and "/" not in value:
            raise ValueError(f"{value!r} is not a known bundle\n{' or '.join(BUILT)}; a folder is written ./{value}")
        return value

    @property
    def generation(self) -> str:
        """``1.5`` of v1.5.8."""
        return ".".join(self.version.lstrip("v").split(".")[:2])


class Spread(Strict):
    """How guests are laid over hosts and NUMA nodes when there is a choice."""

    hosts: Literal["spread", "pack"] = Field(
        "spread", description="spread: the host with most CPUs free; pack: the fullest that still fits"
    )
    cells: Literal["spread", "pack"] = Field("spread", description="the same for the NUMA nodes of a host")


RECIPIENT = r"^age1[02-9ac-hj-np-z]{58}$"
"""bech32 of 32 bytes (age-encryption.org/v1, "The X25519 recipient type")."""


class Backup(Strict):
    """How `meshctl backup` keeps what it takes."""

    recipients: tuple[Annotated[str, Field(pattern=RECIPIENT)], ...] = Field(
        (),
        strict=False,
        description="age's public keys (age1…): each one's identity opens a backup; none: not encrypted",
    )


class Cluster(Strict):
    """An inventory: everything that meshctl knows about a cluster."""

    apiVersion: Literal["meshctl/v1"] = Field(description="the format of this file")
    cluster: Name = Field(description="the cluster's name, part of the stamp on everything made for it")
    id: str | None = Field(
        None,
        pattern=r"^(old-)?[0-9a-f]{16}$",
        description="the id of the cluster's owner, which tells two clusters of one name apart; default: drawn at the first provision",
    )
    id_file: str | None = Field(
        None, description="where the drawn id is kept; default: a file of this inventory in meshctl's state folder"
    )
    hosts: tuple[Host, ...] = Field(min_length=1, strict=False, description="the physical machines")
    network: Network = Field(description="the guests' network")
    image: Name = Field("debian-12", description="the base image: a recipe of images/, built by `meshctl image build`")
    nodes: tuple[Node, ...] = Field(min_length=1, strict=False, description="the guests")
    storage: Storage = Field(
        default_factory=Storage, description="what the devices below the pools must be, and which may be wiped"
    )
    placement: Spread = Field(default_factory=Spread, description="how guests are laid over hosts and NUMA nodes")
    ssh: Ssh = Field(description="how to reach the guests")
    sysctl: dict[str, Setting] = Field(
        default_factory=lambda: dict(SEED_SYSCTL),
        description="kernel settings of the guests, read back and compared; given, it replaces the default",
    )
    kubernetes: Kubernetes = Field(description="Kubernetes")
    mesh: Mesh = Field(default_factory=Mesh, description="Linkerd")
    firewall: bool = Field(
        True, description="whether the nodes' ports are closed to everybody but nodes, pods and network.admin_cidrs"
    )
    tracing: Tracing | None = Field(None, description="who keeps traces of the mesh's requests; default: nobody")
    backup: Backup = Field(default_factory=Backup, description="what `meshctl backup` writes")
    policy: Policy = Field(default_factory=Policy, description="where the cluster's data may be")

    @model_validator(mode="after")
    def _one_id(self) -> Self:
        if self.id and self.id_file:
            raise FieldFault("id and id_file say the same\nkeep one of them", "id_file")
        return self

    @property
    def owner(self) -> Owner:
        """The owner of all that is made for this cluster."""
        from provision.specs import Owner  # not above: checking an inventory does without

        return Owner(self.cluster, self.id or "")

    @property
    def traced_mesh(self) -> Mesh:
        """Linkerd as it is to run: with the tracer that `tracing` makes of it."""
        if self.tracing is None:
            return self.mesh
        tracer = self.tracing.tracer(self.kubernetes.service_cidr)
        return self.mesh.model_copy(update={"tracer": tracer})

    @property
    def traces_home(self) -> Node | None:
        """The node whose Zipkin keeps the traces, None where there is none in the cluster."""
        if self.tracing is None or self.tracing.kind != "zipkin":
            return None
        return home(self.tracing, self.nodes)

    def host(self, name: str) -> Host:
        """The host called `name`."""
        return next(host for host in self.hosts if host.name == name)

    def node(self, name: str) -> Node:
        """The node called `name`. Raises KeyError when there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)

    @property
    def control_plane(self) -> Node:
        """The node that runs the API server; of several the first, with which the cluster begins."""
        return self.control_planes[0]

    @property
    def control_planes(self) -> tuple[Node, ...]:
        """All nodes that run an API server, in the inventory's order."""
        return tuple(node for node in self.nodes if node.role == "control-plane")

    @property
    def workers(self) -> tuple[Node, ...]:
        """All nodes but the control planes."""
        return tuple(node for node in self.nodes if node.role == "worker")
