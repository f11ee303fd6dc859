"""Reads the world: hosts in bulk over libvirt, all at once; guests over SSH, all at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from provision.base.errors import HypervisorError, KubernetesError, MeshError, ShellError, StageTimeout, cause
from provision.base.parallel import for_each
from provision.base.shell import Shell
from provision.base.units import MIB
from provision.base.waiting import NotYet, Ready, wait_until
from provision.bundle import Bundle, MeshImage
from provision.guests import Boot, KeyRefused, Sessions, Ssh, disk_sizes, observe_boot, target
from provision.guests.firewall import PROGRAM, Firewall
from provision.guests.ports import ZIPKIN, mesh_ports, opened_by
from provision.hosts import Hypervisor, abandoned, with_core_kinds
from provision.inventory import Cluster, Host, volume_of
from provision.kubernetes import (
    CONTROL_PLANE,
    Archive,
    Kubectl,
    NodeState,
    Program,
    Spec,
    first_serving,
    judge_pods,
    kubectl_for,
    observe,
    profile_for,
)
from provision.kubernetes.kubectl import EVERYWHERE, known_nodes, title
from provision.libvirt_xml import DomainSeen, judged_domains, judged_networks
from provision.linkerd.knowledge.versions import RELEASES
from provision.linkerd.wanted import Mesh
from provision.mesh import (
    POD_DIGEST,
    Keeper,
    Manifest,
    Platform,
    apps,
    configuration,
    former_pods,
    in_words,
    manifests,
    marks,
    places,
    pod_digests,
)
from provision.placement import Topology, check_machines, parse_capabilities
from provision.plan import HostSeen, NodeSeen, Observed
from provision.run.logins import login_change
from provision.run.site import Estate
from provision.specs import Desired, Member, Owner, domain_name, is_artifact, marked_copy, owned_volume


def kept_by_content(name: str) -> bool:
    """Whether a volume is a copy of a base image or bundle, or the mark of one."""
    return is_artifact(name) or bool(marked_copy(name))


def _sized(owner: Owner) -> Callable[[str], bool]:
    """By its name, whether a plan needs to know a volume's size: those that are sent, and disks of the cluster's own."""

    def wanted(name: str) -> bool:
        found = owned_volume(owner, name)
        return kept_by_content(name) or (found is not None and found[1] in ("root", "state", "data"))

    return wanted


def observe_hosts(cluster: Estate, hypervisors: Mapping[str, Hypervisor], *, probe: bool = True) -> dict[str, HostSeen]:
    """Every host as it is now. With `probe`, where no guest of ours shows whether KVM works, it is tried out."""
    seen = for_each(cluster.hosts, lambda host: observe_host(cluster.owner, host, hypervisors[host.name], probe=probe))
    return {host.name: one for host, one in zip(cluster.hosts, seen, strict=True)}


def all_domains(owner: Owner, hypervisors: Mapping[str, Hypervisor]) -> tuple[DomainSeen, ...]:
    """All domains of all hosts, one bulk read for each; only what is the owner's has his stamp."""
    return tuple(one for door in hypervisors.values() for one in judged_domains(owner, door.domains()))


def observe_host(
    owner: Owner,
    host: Host,
    hypervisor: Hypervisor,
    *,
    probe: bool = True,
    sized: Callable[[str], bool] | None = None,
) -> HostSeen:
    """One host as it is now; only what is the owner's has his stamp.

    `sized`: by its name, whether a volume's size and age are wanted; as a plan needs them without it.
    """
    domains = _at_rest(owner, hypervisor) if probe else judged_domains(owner, hypervisor.domains())
    ours = next((d for d in domains if owner.owns(d.stamp)), None)
    fault = hypervisor.kvm_fault() if ours is None and probe else ""
    kvm = ours.type == "kvm" if ours is not None else probe and not fault
    volumes = hypervisor.volumes(host.pool.name, sized=sized or _sized(owner))
    return HostSeen(
        domains=domains,
        networks=judged_networks(owner, hypervisor.networks()),
        pools=hypervisor.pools(),
        volumes=volumes,
        virtualization="kvm" if kvm else "qemu",
        abandoned=abandoned(hypervisor, volumes),
        kvm_fault=fault,
    )


PASSING_S = 30.0
"""A start takes seconds, with much memory a minute. What takes longer is the user's to wait for."""


def _at_rest(owner: Owner, hypervisor: Hypervisor) -> tuple[DomainSeen, ...]:
    """A host's domains, as soon as none of ours is about to start: the last run may have been ended a moment ago."""

    def look() -> Ready[tuple[DomainSeen, ...]] | NotYet:
        seen = judged_domains(owner, hypervisor.domains())
        passing = [one.halted for one in seen if one.passing and owner.owns(one.stamp)]
        return NotYet(passing[0]) if passing else Ready(seen)

    try:
        return wait_until(look, what=f"{hypervisor.host}: guests", within_s=PASSING_S, every_s=0.5)
    except StageTimeout:
        return judged_domains(owner, hypervisor.domains())  # whoever needs them says what they wait for


def observe_topologies(
    cluster: Cluster, hypervisors: Mapping[str, Hypervisor], shell: Callable[[str], Shell | None]
) -> dict[str, Topology]:
    """CPUs and memory of every host. Raises PlacementError for hosts that are one machine."""

    def look(host: Host) -> Topology:
        door = hypervisors[host.name]
        return with_core_kinds(topology_of(door, door.capabilities()), lambda: shell(host.name))

    found = for_each(cluster.hosts, look)
    topologies = {host.name: topology for host, topology in zip(cluster.hosts, found, strict=True)}
    check_machines(topologies)
    return topologies


def topology_of(hypervisor: Hypervisor, capabilities: str) -> Topology:
    """CPUs and memory of a host. Raises HypervisorError when its capabilities cannot be read."""
    cpus, memory_mib = hypervisor.size()
    try:
        return parse_capabilities(capabilities, cpus=cpus, memory_mib=memory_mib)
    except ValueError as error:
        raise HypervisorError(
            f"{hypervisor.host}: its capabilities cannot be read: {cause(error)}",
            hint="`virsh capabilities` shows them",
        ) from error


def kubernetes_spec(cluster: Cluster, wanted: Desired, sealed: Bundle) -> Spec:
    """The cluster as the room `kubernetes` wants it, from the inventory and the bundle."""
    archives: dict[str, list[str]] = defaultdict(list)
    for image in sealed.images:
        archives[image.archive].append(image.reference)
    digests = {file.path: file.sha256 for file in sealed.files}
    network, emulated = cluster.network, any(guest.virtualization != "kvm" for guest in wanted.guests)
    return Spec(
        version=cluster.kubernetes.version,
        members=wanted.members,
        leaving=wanted.leaving,
        pod_cidr=cluster.kubernetes.pod_cidr,
        service_cidr=cluster.kubernetes.service_cidr,
        nameservers=network.nameservers or ((network.gateway_address,) if network.mode == "nat" else ()),
        bundle_digest=sealed.digest,
        programs=tuple(Program(path, digest) for path, digest in digests.items() if path.startswith(("bin/", "cni/"))),
        endpoint=wanted.endpoint,
        firewall=replace(_firewall(cluster, wanted), paced=emulated) if cluster.firewall else None,
        emulated=emulated,
        archives=tuple(
            Archive(path, digests[path], tuple(refs), _loaded_on(refs, cluster, sealed))
            for path, refs in sorted(archives.items())
        ),
    )


def _firewall(cluster: Cluster, wanted: Desired) -> Firewall:
    """Who may reach what on every node: those that leave are let in until they have."""
    routers = configuration(cluster.traced_mesh).ports.values()
    return Firewall(
        nodes=tuple(member.address for member in (*wanted.members, *wanted.leaving)),
        pods=cluster.kubernetes.pod_cidr,
        services=cluster.kubernetes.service_cidr,
        admins=cluster.network.admins,
        ports=(
            *opened_by(cluster.kubernetes.generation),
            *mesh_ports(routers, cluster.mesh.admin_port),
            *([ZIPKIN] if cluster.traces_home is not None else []),
        ),
    )


def _loaded_on(references: Iterable[str], cluster: Cluster, sealed: Bundle) -> frozenset[str] | None:
    """The nodes that an archive is for: Zipkin's images are 380 MB, and loaded where Zipkin is to run alone."""
    if sealed.tracing is None or not {sealed.tracing.zipkin, sealed.tracing.database}.issuperset(references):
        return None
    return frozenset([cluster.traces_home.name] if cluster.traces_home is not None else [])


def observe_inside(
    cluster: Cluster, wanted: Desired, hosts: Mapping[str, HostSeen], sealed: Bundle, sessions: Sessions
) -> Observed:
    """Every running guest from inside, all at once, and the mesh through the control plane."""
    spec = kubernetes_spec(cluster, wanted, sealed)
    domains = [domain for seen in hosts.values() for domain in seen.domains]
    ours = {d.name: d for d in domains if d.active and d.stamp is not None}
    there = {m.name: ours.get(domain_name(cluster.cluster, m.name)) for m in spec.members}
    halts = {name: domain.halted for name, domain in there.items() if domain is not None and domain.halted}
    running = [m for m in spec.members if there[m.name] is not None and m.name not in halts]
    shells = {m.name: sessions.to(target(cluster, m.name, domains)) for m in running}
    found = {name: NodeSeen(unreachable=f"its guest is {why}") for name, why in halts.items()}
    stale: list[tuple[str, ...]] = []
    planes = [m.name for m in running if m.role == CONTROL_PLANE]

    def look(member: Member | None) -> None:
        if member is None:
            stale.append(_observe_mesh(shells[asked], cluster, sealed))
        else:
            found[member.name] = _observe_node(shells[member.name], spec, member, cluster, sessions)

    if running:
        sessions.ask_now()
    asked = first_serving(planes, shells.__getitem__) if planes else ""
    # The mesh is asked for beside the nodes: on an emulated CPU each of these takes seconds.
    for_each([*running, *([None] if asked else [])], look)
    made = found.get(asked, NodeSeen()).member
    guestless = None in there.values() or any(seen.strays for seen in found.values())
    known = _known(shells[asked], cluster) if made and guestless else {}
    return Observed(hosts, found, stale[0] if made else None, known=known)


def _known(shell: Ssh, cluster: Cluster) -> Mapping[str, bool]:
    """The nodes that Kubernetes knows, and whether each is Ready; none where it cannot be asked, which is found out by who needs it."""
    try:
        return known_nodes(kubectl_for(cluster.kubernetes.generation, shell))
    except (KubernetesError, ShellError):
        return {}


def _observe_node(shell: Ssh, spec: Spec, member: Member, cluster: Cluster, sessions: Sessions) -> NodeSeen:
    former, wanted = sessions.former, sessions.wanted
    try:
        node = cluster.node(member.name)
        boot = observe_boot(shell, cluster.sysctl, node.mounts, disk_sizes(node), former)
        state = observe(shell, profile_for(spec.generation), spec, member)
    except ShellError as error:
        return NodeSeen(unreachable=error.message, refused=isinstance(error, KeyRefused))
    login = login_change(wanted, former if shell.by_former else None, boot.logins)
    return replace(node_seen(boot, state, spec), login=login)


def node_seen(boot: Boot, state: NodeState, spec: Spec) -> NodeSeen:
    """A guest as the plan wants to know it, from what was read of its first boot and of its node."""
    return NodeSeen(
        unsettled=boot.faults,
        unprepared=state.unprepared,
        member=state.joined,
        drained=state.drained,
        role=state.role,
        service_cidr=state.first("service-cidr"),
        strays=state.strays(spec),
        version=state.version,
        bundle_wanted=state.bundle_wanted,
        led=state.led,
        open=spec.firewall is not None and not state.has(PROGRAM),
    )


def _observe_mesh(shell: Ssh, cluster: Cluster, sealed: Bundle) -> tuple[str, ...]:
    """What is stale in the mesh, or why nobody can tell: that must not hide the rest of the plan."""
    try:
        kubectl, wanted = kubectl_for(cluster.kubernetes.generation, shell), mesh_manifests(cluster, sealed)
        stale = kubectl.outdated(wanted, marks(cluster.cluster))
        said = [f"{title(manifest)} differs or is absent" for manifest in stale.all]
        said += [f"{in_words(one)} is ours and no longer wanted: pruned" for one in stale.unwanted]
        return tuple(said) or _lacking(kubectl, wanted, cluster)
    except (KubernetesError, ShellError, MeshError) as error:
        return (error.message,)


def _lacking(kubectl: Kubectl, wanted: tuple[Manifest, ...], cluster: Cluster) -> tuple[str, ...]:
    """Nodes without a ready pod of the wanted template, and pods of a former mesh: a run may have been ended before all were replaced."""
    everywhere = kubectl.items("pods", namespace=EVERYWHERE, labels=marks(cluster.cluster))
    pods = [pod for pod in everywhere if pod["metadata"]["namespace"] == cluster.mesh.namespace]
    nodes = [node.name for node in cluster.nodes]
    found = [f"{in_words({'kind': 'Pod', **pod})} is replaced" for pod in former_pods(everywhere, apps(wanted))]
    at = places(wanted)
    for app, digest in pod_digests(wanted).items():
        own = [pod for pod in pods if pod["metadata"].get("labels", {}).get("app") == app]
        here = [at[app]] if app in at else nodes
        # One that was restarted is ready or not: nothing is to be done about it in its first half minute.
        answer = judge_pods(own, here, {POD_DIGEST: digest}, kubectl.now, steady_s=0)
        found += [f"pods {app}: {answer.seen}"] if isinstance(answer, NotYet) else []
    return tuple(found)


def fits(mesh: Mesh, image: MeshImage | None) -> None:
    """Raises MeshError when the bundle's image of the mesh cannot run what the inventory says."""
    if image is None or mesh.image not in (None, image.image):
        return
    tag = image.image.rpartition(":")[2]
    if image.standin and mesh.protocols:
        raise MeshError(
            f"{image.image} stands in for linkerd for HTTP/1.1 only, the inventory has mesh.protocols too",
            hint="put an image of linkerd into the bundle's images/ and seal it again, or take mesh.protocols out",
        )
    if not image.standin and tag in RELEASES and tag != mesh.version:
        raise MeshError(
            f"the bundle holds linkerd {tag}, the inventory wants {mesh.version}",
            hint=f"mesh.version: {tag}, or put another image into the bundle's images/ and seal it again",
        )


def traces_keeper(cluster: Cluster, sealed: Bundle) -> Keeper | None:
    """Who is to keep traces in the cluster, None for nobody. Raises MeshError when the bundle lacks the images."""
    tracing, home = cluster.tracing, cluster.traces_home
    volume = volume_of(tracing, home) if tracing is not None and home is not None else None
    if tracing is None or home is None or volume is None:
        return None
    if sealed.tracing is None:
        raise MeshError(
            "the bundle holds no images of Zipkin and its database",
            hint="`meshctl bundle build --with tracing` writes them; for a bundle of your own copy both archives into its images/ and seal"
            " it again",
        )
    return Keeper(
        zipkin_image=sealed.tracing.zipkin,
        database_image=sealed.tracing.database,
        node=home.name,
        folder=volume.mount,
        address=tracing.reached_at(cluster.kubernetes.service_cidr),
        max_age_h=tracing.max_age_h,
        max_bytes=tracing.room(volume.size),
        memory_mib=tracing.memory // MIB,
    )


def mesh_manifests(cluster: Cluster, sealed: Bundle) -> tuple[Manifest, ...]:
    """The mesh's objects for this inventory and bundle. Raises MeshError when the bundle lacks an image for them."""
    lacking = [name for name, image in (("linkerd", sealed.mesh), ("kubectl", sealed.kubectl)) if image is None]
    if sealed.mesh is None or sealed.kubectl is None:
        raise MeshError(
            f"the bundle holds no image of {' and '.join(lacking)}",
            hint="put `docker save` archives into its images/ and seal it again",
        )
    workloads = profile_for(cluster.kubernetes.generation).workloads
    platform = Platform(
        daemonset_api=workloads.daemonset_api,
        rbac_api=workloads.rbac_api,
        dns_policy=workloads.host_network_dns_policy,
        mesh_image=cluster.mesh.image or sealed.mesh.image,
        standin=sealed.mesh.standin and cluster.mesh.image in (None, sealed.mesh.image),
        kubectl_image=sealed.kubectl,
        echo_image=sealed.echo,
        annotations=workloads.annotations,
        tolerations=workloads.tolerations,
        server_rolls=workloads.rolls_daemonsets,
    )
    return manifests(
        cluster.cluster,
        cluster.traced_mesh,
        configuration(cluster.traced_mesh),
        platform,
        traces_keeper(cluster, sealed),
    )
