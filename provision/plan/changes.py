"""What becomes of a change of the inventory on a cluster that lives: one row for each field, from which docs/changes.md is made. Pure data.

tests/unit/plan/test_changes.py walks the schema and finds no field without a row; tests/libvirt/test_changes.py changes each field on
libvirt's test driver and compares.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Becomes(StrEnum):
    """What becomes of a change."""

    LIVE = "applied live"
    RESTART = "applied by a restart"
    REBUILD = "applied by a rebuild"
    LATER = "for what is made later"
    LOOKS = "nothing is changed by it"
    REFUSED = "refused"


MEANS = {
    Becomes.LIVE: "`provision` does it while the guests run.",
    Becomes.RESTART: "`provision` writes it into the guest's definition and says that it waits; `provision --restart` then starts one"
    " guest after the other anew: drained, shut down, started, its mesh proven, uncordoned.",
    Becomes.REBUILD: "nodes that are there keep what they have, and the plan says so in a note; `meshctl rebuild` makes them anew with it.",
    Becomes.LATER: "it has a say when a guest is placed or made; guests that are there stay as they are, and nothing is pending.",
    Becomes.LOOKS: "it says how meshctl comes to the cluster, or what it accepts.",
    Becomes.REFUSED: "plan and provision end with 5 (the inventory itself: 3) and name it, with nothing done.",
}


@dataclass(frozen=True)
class Row:
    """`fields` are paths of the schema (`hosts[].uri`), `a.*` stands for all below a. `change` says which change of them, "" for each."""

    fields: tuple[str, ...]
    becomes: Becomes
    text: str
    change: str = ""

    def covers(self, field: str) -> bool:
        """Whether a leaf of the schema is one of the row's."""
        return any(field == one or (one.endswith(".*") and field.startswith(one[:-1])) for one in self.fields)


LIVE, RESTART, REBUILD, LATER, LOOKS, REFUSED = Becomes

TABLE: dict[str, tuple[Row, ...]] = {
    "The cluster": (
        Row(("apiVersion",), REFUSED, "there is one format, meshctl/v1"),
        Row(("cluster",), REFUSED, "stamps, volumes and certificates carry the name: put it back, or destroy it under that name first"),
        Row(("id",), REFUSED, "another id is another owner: the cluster's guests are somebody else's then, and in the way"),
        Row(("id_file",), LOOKS, "where the id is kept: the same id in another file is the same owner, another one is as a changed `id`"),
    ),
    "Hosts": (
        Row(("hosts",), LATER, "takes guests of nodes that are added; guests that are there stay where they are", "added"),
        Row(
            ("hosts",),
            REFUSED,
            "as long as it carries guests: Kubernetes knows their nodes, Ready or not, and no host of the inventory has them. Put it back,"
            " take its nodes out of `nodes`, `provision --remove` them, then take the host out. Of a host that is lost with its guests,"
            " `meshctl rebuild` makes the nodes anew on another, and `kubectl delete node` forgets those that are no longer in `nodes`",
            "removed",
        ),
        Row(("hosts[].name",), REFUSED, "networks and guests are known by their host's name: put it back"),
        Row(
            ("hosts[].uri",),
            LOOKS,
            "another way to the same machine changes nothing; another machine is as the host removed and one added",
        ),
        Row(
            ("hosts[].pool.name", "hosts[].pool.path", "hosts[].pool.type", "hosts[].pool.volume_group"),
            REFUSED,
            "volumes are not moved: put it back, or remove the node and add it again",
        ),
        Row(("hosts[].pool.thin",), LATER, "of volumes made later; those that are there stay thick or thin until `meshctl rebuild`"),
        Row(("hosts[].pool.devices",), LATER, "further devices are handed out to volumes made later; one in use must stay in the list"),
        Row(("hosts[].pool.numa_node",), LATER, "where new guests are put"),
        Row(
            ("hosts[].cpu.policy",),
            RESTART,
            "under KVM, where guests know whether their CPUs are theirs alone; CPUs that are given stay given as long as the policy allows",
        ),
        Row(("hosts[].cpu.ratio",), LATER, "how many guests may come"),
        Row(
            ("hosts[].reserved_cpus",),
            LIVE,
            "emulator and iothreads are moved at once; a guest whose own CPUs become the host's needs a restart",
        ),
        Row(("hosts[].reserved_memory",), LATER, "how many guests may come"),
        Row(("hosts[].hugepages",), RESTART, "as long as the host has the pages"),
        Row(("hosts[].locked", "hosts[].nosharepages", "hosts[].allocation_threads"), RESTART, "how the guest's memory is got"),
        Row(("hosts[].require",), LOOKS, "what is accepted as a hypervisor"),
    ),
    "The guests' network": (
        Row(
            ("network.name", "network.mode", "network.bridge", "network.cidr", "network.gateway", "network.mtu"),
            REFUSED,
            "guests' links, addresses and routes hang on it: put it back, or destroy the cluster to change it",
        ),
        Row(("network.nodes",), LATER, "addresses of nodes that are added; nodes keep theirs"),
        Row(
            ("network.admin_cidrs", "firewall"),
            LIVE,
            "the rules of every node are exchanged at once; refused (10) where SSH itself comes from an address that they would shut out",
        ),
        Row(("network.nameservers",), LIVE, "new pods get it at once, the nodes' own resolver by `meshctl rebuild`"),
    ),
    "Nodes": (
        Row(("nodes",), LIVE, "a guest is made, joins, and gets its routes; the other guests are left alone", "added"),
        Row(
            ("nodes",),
            LIVE,
            "it goes on as a member, and the plan says so; `provision --remove NODE` drains it if it is Ready, deletes it from Kubernetes,"
            " and takes away guest, volumes and routes",
            "removed",
        ),
        Row(
            ("nodes",),
            LIVE,
            "with `kubernetes.control_plane_endpoint`: one control plane becomes three, each joins after the one before; back to one the"
            " same way, by `provision --remove`; without it refused (3)",
            "control planes added",
        ),
        Row(("nodes[].name",), LIVE, "one node is added and one removed"),
        Row(("nodes[].role",), REFUSED, "put it back, or remove the node and add it again"),
        Row(("nodes[].vcpus", "nodes[].memory"), RESTART, "where it fits"),
        Row(
            ("nodes[].disk", "nodes[].volumes[].size"),
            LIVE,
            "the volume grows under the guest, then partition and filesystem; a pool of type block gives whole devices: refused (13) when"
            " the device is smaller",
            "larger",
        ),
        Row(
            ("nodes[].disk", "nodes[].volumes[].size"),
            REFUSED,
            "a filesystem is not made smaller: put it back, or `meshctl rebuild` the node, with the loss of what is on it",
            "smaller",
        ),
        Row(
            ("nodes[].state",),
            LIVE,
            "as a data volume; one of a pool of type block is a whole device: refused (13) when that is smaller",
            "larger",
        ),
        Row(("nodes[].state",), REFUSED, "a filesystem is not made smaller: put it back", "smaller"),
        Row(("nodes[].state",), REFUSED, "the cluster is on it: put it back", "none, where there is one"),
        Row(
            ("nodes[].state",),
            REBUILD,
            "a control plane that was made without a state volume goes on without: `meshctl rebuild` copies its state one last time, and"
            " puts it on the volume that the new guest gets; one of several joins anew with it",
            "where there is none",
        ),
        Row(("nodes[].host",), REFUSED, "a guest is not moved: remove the node, and add it again"),
        Row(("nodes[].address",), REFUSED, "routes and certificates hang on it: put it back, or give the node another name"),
        Row(("nodes[].cpu.policy",), RESTART, "as of the host"),
        Row(("nodes[].cpu.threads", "nodes[].cpu.cores", "nodes[].numa_cells"), RESTART, "where other CPUs follow from it"),
        Row(("nodes[].cpu.emulator",), LIVE, "QEMU's own threads are moved at once"),
        Row(("nodes[].hugepages",), RESTART, "as long as the host has the pages"),
        Row(("nodes[].group",), LATER, "where new guests are put; a group that its guests' places break is refused"),
        Row(("nodes[].volumes",), RESTART, "the volume is made at once, the guest gets the disk at its restart", "added"),
        Row(("nodes[].volumes",), RESTART, "the guest loses the disk; the volume stays until the node goes", "removed"),
        Row(("nodes[].volumes[].name",), RESTART, "one volume is added and one removed: data are not moved"),
        Row(("nodes[].volumes[].mount",), LIVE, "mounted at the new place, and at the former one until its line in /etc/fstab goes"),
        Row(("nodes[].volumes[].filesystem",), REFUSED, "there is one, ext4"),
    ),
    "Storage and placement": (
        Row(("storage.require",), LOOKS, "what is accepted below a pool"),
        Row(("storage.io",), RESTART, "how QEMU writes"),
        Row(("storage.wipe",), LOOKS, "what may be wiped when a volume needs the device, and the command says --wipe"),
        Row(("placement.hosts", "placement.cells"), LATER, "where new guests are put; CPUs that are given stay given"),
        Row(("image",), REBUILD, "the base image of nodes that are made later; `meshctl rebuild` makes one after the other anew"),
    ),
    "Access": (
        Row(
            ("ssh.user", "ssh.key_file", "ssh.public_key"),
            LIVE,
            "by `provision --old-key FILE --old-user NAME`: added through the login that lets in, proven, then that one is removed; without"
            " these words guests refuse the new one (7)",
        ),
        Row(("ssh.jump", "ssh.proxy_command"), LOOKS, "the way to the guests"),
    ),
    "Where data live": (
        Row(
            ("hosts[].jurisdiction", "policy.residency", "policy.networks", "policy.operator"),
            LOOKS,
            "what is accepted: under `policy.residency` plan, provision, rebuild, restore and backup end with 3 for each place that is not"
            " in one of its countries, or that nobody says the country of; what is there already is not moved",
        ),
        Row(("policy.controller", "policy.purpose"), LOOKS, "what `meshctl report residency` says of the data"),
    ),
    "Backups": (Row(("backup.recipients",), LOOKS, "for whom later backups are encrypted; those that there are stay as they are"),),
    "In the guests": (
        Row(("sysctl",), LIVE, "set on every node and for each start, and read back; what is no longer named keeps its value until then"),
        Row(("kubernetes.max_unavailable",), LOOKS, "how many workers may be down at once in the next restart or rebuild"),
        Row(
            ("kubernetes.version",),
            LIVE,
            "with its bundle: a rolling upgrade, the control plane first, each worker drained and routing again before the next",
            "a later patch version",
        ),
        Row(
            ("kubernetes.version",),
            REFUSED,
            "another minor version, or an older one: put it back, or make another cluster and move what runs there",
            "any other",
        ),
        Row(
            ("kubernetes.bundle",),
            LIVE,
            "what of it a node lacks is installed from its disk, which is exchanged while the guest runs; who lacks nothing keeps the"
            " disk that it has, and the plan says so in a note",
        ),
        Row(
            ("kubernetes.pod_cidr", "kubernetes.service_cidr"),
            REFUSED,
            "every pod, Service and certificate has addresses of it: put it back, or destroy the cluster to change it",
        ),
        Row(
            ("kubernetes.control_plane_endpoint",),
            REFUSED,
            "certificates, every node's kubeconfig and kubeadm's own settings have it: put it back, or make another cluster with it and"
            " move what runs there",
        ),
    ),
    "The mesh": (
        Row(
            ("mesh.version", "mesh.image"),
            LIVE,
            "as long as the bundle holds that image: configuration and pods are replaced, one node after the other",
        ),
        Row(
            ("mesh.namespace",),
            LIVE,
            "everything of the mesh is made in the new namespace, its pods are replaced node by node, and what is left in the former one by"
            " our label is pruned",
        ),
        Row(
            (
                "mesh.config_file", "mesh.namespaces", "mesh.port", "mesh.admin_port", "mesh.heap", "mesh.admin_address", "mesh.topology",
                "mesh.incoming_port", "mesh.dtab", "mesh.classifier", "mesh.balancer.*", "mesh.failure_accrual.*", "mesh.retries.*",
                "mesh.requeues.*", "mesh.timeouts.*", "mesh.binding_cache.*", "mesh.protocols[].*", "mesh.tracer.*",
            ),
            LIVE,
            "configuration and pods are replaced, one node after the other; meanwhile a neighbour's linkerd serves the node's requests",
        ),
        Row(
            ("tracing.kind", "tracing.sample_rate", "tracing.service_address", "tracing.address", "tracing.port"),
            LIVE,
            "linkerd's configuration and pods are replaced, as for a changed mesh; a Zipkin that is no longer wanted goes, and what it has"
            " stored stays on the volume",
        ),
        Row(
            ("tracing.node", "tracing.volume"),
            LIVE,
            "Zipkin begins there with nothing; what it had stored stays on the former volume until somebody deletes it",
        ),
        Row(
            ("tracing.max_age_h", "tracing.max_size", "tracing.memory"),
            LIVE,
            "Zipkin's pod is replaced; spans that are sent meanwhile are lost, what is stored stays",
        ),
        Row(("tracing.api_port",), LOOKS, "where `mesh traces` asks"),
        Row(("mesh.roll.*",), LOOKS, "how the next change of the mesh comes onto the nodes"),
    ),
}  # fmt: skip
"""By headline, the rows in the order of the inventory."""


def rows_for(field: str) -> Iterator[Row]:
    """The rows of a leaf of the schema; of a list (`nodes`), those of its entries coming and going."""
    return (row for rows in TABLE.values() for row in rows if row.covers(field))


_HEAD = """# When the inventory changes

What `plan` says and `provision` does when a field of the inventory is changed on a cluster that lives. Of every field: tests hold this
table to the inventory's schema, and to what happens when each field is changed on a host.

"""


def changes_page() -> str:
    """docs/changes.md."""
    words = "".join(f"- **{word}**: {MEANS[word]}\n" for word in Becomes)
    return _HEAD + words + "".join(_section(title, rows) for title, rows in TABLE.items())


def _section(title: str, rows: tuple[Row, ...]) -> str:
    lines = "".join(f"| {_fields(row)} | {row.becomes} | {row.text} |\n" for row in rows)
    return f"\n## {title}\n\n| field | becomes | |\n|---|---|---|\n{lines}"


def _fields(row: Row) -> str:
    return ", ".join(f"`{field}`" for field in row.fields) + (f" ({row.change})" if row.change else "")
