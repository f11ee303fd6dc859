"""Every field of the inventory is changed on a cluster that lives, and what plan and provision make of it is what the table says.

Hosts are libvirt's own test driver. What the guests would say of themselves is worked out from the inventory that they were made by, and
judged as what a real one says: nothing runs here that could be asked.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision import bundle, images
from provision.base.calls import Calls
from provision.base.errors import ConflictError, ImageError, InventoryError, PlacementError
from provision.bundle import seal
from provision.guests import Login, public_key, settings
from provision.guests.boot import judge
from provision.guests.hostkey import new_host_key
from provision.hosts import Hypervisor
from provision.images.builder import path as image_path
from provision.inventory import Cluster, load
from provision.kubernetes import Spec, profile_for
from provision.kubernetes.kubectl import digest, title
from provision.kubernetes.node import compare, parse
from provision.mesh import configuration
from provision.plan import NodeSeen, Observed, Plan, departure, plan, repaired
from provision.plan.changes import Becomes, Row, rows_for
from provision.run import Identity
from provision.run.engine import World, drifted, intent, opened, provision
from provision.run.logins import login_change
from provision.run.observe import kubernetes_spec, mesh_manifests, node_seen
from provision.run.stages.guests import _bring_up, put_back
from tests.libvirt.conftest import NODE
from tests.unit.bundle.test_bundle import ELF, lay_out
from tests.unit.kubernetes.test_kubernetes import answer
from tests.unit.plan.test_changes import LEAVES, LISTS

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f test"
Said = dict[str, Any]
Change = Callable[[Said, Path], object]


def said(folder: Path) -> Said:
    """Two hosts, three nodes, and something of everything."""
    return {
        "apiVersion": "meshctl/v1",
        "cluster": "demo",
        "id": "0123456789abcdef",
        "hosts": [
            {"name": name, "uri": f"test://{folder}/{name}.xml", "pool": {"path": f"{folder}/pool-{name}"}, "reserved_memory": "0MiB"}
            for name in ("hv1", "hv2")
        ],
        "network": {"mode": "bridge", "bridge": "meshbr9", "cidr": "10.77.0.0/24"},
        "nodes": [
            {"name": "cp1", "role": "control-plane", "vcpus": 2, "memory": "2GiB", "disk": "10GiB", "host": "hv1"},
            {
                "name": "w1", "role": "worker", "vcpus": 2, "memory": "2GiB", "disk": "10GiB", "host": "hv1",
                "volumes": [{"name": "d", "size": "1GiB", "mount": "/srv/d"}],
            },
            {"name": "w2", "role": "worker", "vcpus": 2, "memory": "2GiB", "disk": "10GiB", "host": "hv2"},
        ],
        "storage": {"require": "any"},
        "ssh": {"public_key": KEY, "proxy_command": ["false"]},
        "kubernetes": {
            "version": "v1.20.2", "bundle": str(folder / "bundle"), "control_plane_endpoint": "10.77.0.250",
        },
    }  # fmt: skip


@dataclass(frozen=True)
class Living:
    """A cluster that lives: its world, its inventory, and what its nodes were made by."""

    world: World
    folder: Path
    said: Said
    spec: Spec

    def changed(self, change: Change) -> Cluster:
        """The inventory with a change. Raises InventoryError."""
        new = copy.deepcopy(self.said)
        change(new, self.folder)
        return load(str(self.folder / "x.yaml"), yaml.safe_dump(new))

    def of(self, cluster: Cluster) -> World:
        """The world as a run with that inventory would see it: the test driver's hosts live as long as their connections."""
        doors = {
            key: self.world.hypervisors[one.name] for one in self.world.cluster.hosts for key in (one.name, one.uri)
        }
        hypervisors = {
            h.name: doors.get(h.name) or doors.get(h.uri) or Hypervisor(h.name, h.uri, Calls()) for h in cluster.hosts
        }
        cluster = cluster.model_copy(update={"id": cluster.id or Identity(cluster, "x.yaml").known()})
        return replace(self.world, cluster=cluster, hypervisors=hypervisors)

    def plan(self, world: World, restart: bool = False, ready: bool = True) -> Plan:
        """As `make_plan`, with the guests' words in place of what nobody can ask here."""
        meant = intent(world)
        spec = kubernetes_spec(world.cluster, meant.wanted, meant.sealed)
        nodes = {member.name: self._node(member.name, spec, world.cluster) for member in self.spec.members}
        there = {name: seen for name, seen in nodes.items() if seen is not None}
        made = {title(one): digest(one) for one in mesh_manifests(self.world.cluster, meant.sealed)}
        stale = [
            title(one) for one in mesh_manifests(world.cluster, meant.sealed) if made.get(title(one)) != digest(one)
        ]
        known = dict.fromkeys((member.name for member in self.spec.members), ready)
        observed = Observed(meant.hosts, there, tuple(f"{one} differs" for one in stale), known=known)
        found = departure.taking_away(plan(meant.wanted, observed), world.cluster, observed, ())
        return repaired(found, drifted(world, meant)[0], restart=restart)

    def _node(self, name: str, spec: Spec, cluster: Cluster) -> NodeSeen | None:
        was = next(member for member in self.spec.members if member.name == name)
        member = next((member for member in spec.members if member.name == name), None)
        if member is None:
            return None
        files = (
            "/etc/kubernetes/kubelet.conf",
            *(["/etc/kubernetes/admin.conf"] if was.role == "control-plane" else []),
        )
        service = {"service-cidr": self.spec.service_cidr} if was.role == "control-plane" else {}
        text = answer(self.spec, was, **{"kubeadm-file": "\n".join(files)}, **service)
        state = compare(profile_for(spec.generation), spec, member, parse(text))
        boot = judge(SETTLED, kernel(self.world.cluster, name), cluster.sysctl, cluster.node(name).mounts)
        return replace(node_seen(boot, state, spec), login=self._login(cluster))

    def _login(self, cluster: Cluster) -> str:
        """What there is to be changed of it where the login that the guests were made with lets in."""
        now, was = (Login(one.ssh.user, public_key(one)) for one in (cluster, self.world.cluster))
        return "" if now.is_(was) else login_change(now, was, ())


SETTLED = '{"v1": {"modules-final": {"finished": 1.0}}}'


def kernel(cluster: Cluster, node: str) -> str:
    """What a guest's kernel says that was set as the inventory has it."""
    file = "".join(f"{settings.SETTINGS}:{line}\n" for line in settings.sysctl_file(cluster.sysctl).splitlines())
    now = "".join(f"/proc/sys/{key.replace('.', '/')}:{value}\n" for key, value in cluster.sysctl.items())
    mounts = "".join(f"/proc/self/mounts:/dev/vdd {mount} ext4 rw 0 0\n" for mount in cluster.node(node).mounts)
    return file + now + mounts


@contextmanager
def furnished(folder: Path) -> Iterator[None]:
    """A folder with all that a cluster on three hosts is made of, and nobody's cache or state but its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MESHCTL_CACHE", str(folder / "cache"))
        patch.setenv("MESHCTL_STATE", str(folder / "state"))
        for name in ("hv1", "hv2", "hv3"):
            (folder / f"{name}.xml").write_text(NODE)
        sealed_in(folder / "bundle")
        image = image_path(images.recipe("debian-12"))
        image.parent.mkdir(parents=True)
        image.write_bytes(b"an image")
        yield


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Living]:
    folder = tmp_path_factory.mktemp("living")
    with furnished(folder):
        text = said(folder)
        with opened(load(str(folder / "x.yaml"), yaml.safe_dump(text)), lambda _: None) as world:
            yield made(world, folder, text)


def sealed_in(folder: Path, version: str = "v1.20.2", kubelet: bytes = b"") -> None:
    lay_out(
        folder,
        version,
        "buoyantio/linkerd:ours",
        f"meshctl/kubectl:{version}",
        "meshctl/echo:1",
        "meshctl/zipkin:3.5.1",
        "meshctl/zipkin-database:3.5.1",
    )
    if kubelet:
        (folder / "bin/kubelet").write_bytes(kubelet)
    seal(folder, version)


def made(world: World, folder: Path, text: Said) -> Living:
    from provision.run.engine import make_plan

    provision(world, make_plan(world), "volumes")
    found = make_plan(world)
    doors = world.doors(bundle.load(folder / "bundle"))
    for action in found.of("guests", "guest"):
        _bring_up(action, found, doors)
    return Living(world, folder, text, kubernetes_spec(world.cluster, found.desired, doors.bundle))


# ── a change of each field ───────────────────────────────────────────────────────────────────────────────────────


def put(*path: Any, to: object) -> Change:
    """Sets a value, making the mappings on the way to it."""

    def change(new: Said, _folder: Path) -> None:
        place: Any = new
        for step in path[:-1]:
            place = place[step] if isinstance(place, list) else place.setdefault(step, {})
        place[path[-1]] = to

    return change


def mesh(**values: object) -> Change:
    return put("mesh", to=values)


def second_key(new: Said, folder: Path) -> None:
    key = new_host_key("x")
    (folder / "key").write_text(key.private.reveal())
    (folder / "key").chmod(0o600)
    (folder / "key.pub").write_text(f"{key.public}\n")
    new["ssh"] = {"key_file": str(folder / "key"), "proxy_command": ["false"]}


def two_more_control_planes(new: Said, _folder: Path) -> None:
    first = new["nodes"][0]
    new["nodes"] += [first | {"name": name, "host": "hv2"} for name in ("cp2", "cp3")]


def another_host(new: Said, folder: Path) -> None:
    new["hosts"].append({"name": "hv3", "uri": f"test://{folder}/hv3.xml", "reserved_memory": "0MiB"})


def id_in_a_file(new: Said, folder: Path) -> None:
    (folder / "id").write_text(f"{new.pop('id')}\n")
    new["id_file"] = str(folder / "id")


def one_host_with_nat(new: Said, _folder: Path) -> None:
    new["network"]["mode"] = "nat"
    new["hosts"].pop()
    new["nodes"].pop()


def host_taken_out(new: Said, _folder: Path) -> None:
    new["hosts"].pop()
    new["nodes"][2].pop("host")


def host_renamed(new: Said, _folder: Path) -> None:
    new["hosts"][1]["name"] = new["nodes"][2]["host"] = "hvx"


def other_linkerd(new: Said, folder: Path) -> None:
    now = configuration(load("x.yaml", yaml.safe_dump(new)).mesh).text
    (folder / "l5d.yaml").write_text(f"# by hand\n{now}")
    new["mesh"] = {"config_file": str(folder / "l5d.yaml")}


def resealed(new: Said, folder: Path) -> None:
    if not (folder / "other").exists():
        sealed_in(folder / "other", kubelet=ELF + b"another")
    new["kubernetes"]["bundle"] = str(folder / "other")


def of_version(version: str) -> Change:
    def change(new: Said, folder: Path) -> None:
        if not (folder / version).exists():
            sealed_in(folder / version, version)
        new["kubernetes"].update(version=version, bundle=str(folder / version))

    return change


def worker(**more: object) -> Said:
    return {"name": "w3", "role": "worker", "vcpus": 2, "memory": "2GiB", "disk": "10GiB"} | more


def in_norway(new: Said, _folder: Path) -> None:
    for host in new["hosts"]:
        host["jurisdiction"] = "NO"
    new["policy"] = {"residency": "EEA", "operator": "NO"}


def roles_swapped(new: Said, _folder: Path) -> None:
    new["nodes"][0]["role"], new["nodes"][1]["role"] = "worker", "control-plane"


ACCRUAL, BACKOFF = "failure_accrual", {"kind": "constant", "ms": 100}
JITTERED = {"kind": "jittered", "min_ms": 100, "max_ms": 2000}
LATE = {"version": "1.1.1"}
"""Some fields are for later releases of linkerd only, so the release changes with them."""
H2, THRIFT = {"protocol": "h2", "port": 4142}, {"protocol": "thrift", "port": 4144, "service": "calc"}

CHANGES: dict[tuple[str, str], Change] = {
    ("apiVersion", ""): put("apiVersion", to="meshctl/v2"),
    ("cluster", ""): put("cluster", to="other"),
    ("id", ""): put("id", to="f" * 16),
    ("id_file", ""): id_in_a_file,
    ("hosts", "added"): another_host,
    ("hosts", "removed"): host_taken_out,
    ("hosts[].name", ""): host_renamed,
    ("hosts[].uri", ""): lambda new, folder: new["hosts"][1].update(uri=f"test://{folder}//hv2.xml"),
    ("hosts[].pool.name", ""): put("hosts", 0, "pool", "name", to="other"),
    ("hosts[].pool.path", ""): put("hosts", 0, "pool", "path", to="/srv/elsewhere"),
    ("hosts[].pool.type", ""): put("hosts", 0, "pool", to={"type": "logical", "volume_group": "vg", "path": "/srv/pool"}),
    ("hosts[].pool.volume_group", ""): put("hosts", 0, "pool", to={"type": "logical", "volume_group": "other", "path": "/srv/pool"}),
    ("hosts[].pool.numa_node", ""): put("hosts", 0, "pool", "numa_node", to=0),
    ("hosts[].cpu.ratio", ""): put("hosts", 1, "cpu", to={"ratio": 2.0}),
    ("hosts[].reserved_cpus", ""): put("hosts", 0, "reserved_cpus", to=[7]),
    ("hosts[].reserved_memory", ""): put("hosts", 0, "reserved_memory", to="2GiB"),
    ("hosts[].locked", ""): put("hosts", 0, "locked", to=True),
    ("hosts[].nosharepages", ""): put("hosts", 0, "nosharepages", to=False),
    ("hosts[].allocation_threads", ""): put("hosts", 0, "allocation_threads", to=2),
    ("hosts[].require", ""): put("hosts", 0, "require", to="any"),
    ("network.name", ""): put("network", "name", to="other"),
    ("network.mode", ""): one_host_with_nat,
    ("network.bridge", ""): put("network", "bridge", to="br7"),
    ("network.cidr", ""): put("network", "cidr", to="10.78.0.0/24"),
    ("network.gateway", ""): put("network", "gateway", to="10.77.0.200"),
    ("network.mtu", ""): put("network", "mtu", to=1400),
    ("network.nodes", ""): put("network", "nodes", to="10.77.0.2-10.77.0.20"),
    ("network.admin_cidrs", ""): put("network", "admin_cidrs", to=["10.99.0.0/24"]),
    ("firewall", ""): put("firewall", to=False),
    ("network.nameservers", ""): put("network", "nameservers", to=["10.99.0.53"]),
    ("nodes", "added"): lambda new, _: new["nodes"].append(worker()),
    ("nodes", "removed"): lambda new, _: new["nodes"].pop(),
    ("nodes", "control planes added"): two_more_control_planes,
    ("kubernetes.control_plane_endpoint", ""): put("kubernetes", "control_plane_endpoint", to="10.77.0.251"),
    ("nodes[].name", ""): put("nodes", 2, "name", to="w9"),
    ("nodes[].role", ""): roles_swapped,
    ("nodes[].vcpus", ""): put("nodes", 1, "vcpus", to=3),
    ("nodes[].memory", ""): put("nodes", 1, "memory", to="3GiB"),
    ("nodes[].disk", "larger"): put("nodes", 1, "disk", to="20GiB"),
    ("nodes[].disk", "smaller"): put("nodes", 1, "disk", to="9GiB"),
    ("nodes[].state", "larger"): put("nodes", 0, "state", to="16GiB"),
    ("nodes[].state", "smaller"): put("nodes", 0, "state", to="4GiB"),
    ("nodes[].state", "none, where there is one"): put("nodes", 0, "state", to="none"),
    ("nodes[].host", ""): put("nodes", 2, "host", to="hv1"),
    ("nodes[].address", ""): put("nodes", 2, "address", to="10.77.0.99"),
    ("nodes[].cpu.emulator", ""): put("nodes", 1, "cpu", to={"emulator": "isolated"}),
    ("nodes[].group", ""): put("nodes", 1, "group", to="g"),
    ("nodes[].volumes", "added"): put("nodes", 2, "volumes", to=[{"name": "d", "size": "1GiB", "mount": "/srv/d"}]),
    ("nodes[].volumes", "removed"): put("nodes", 1, "volumes", to=[]),
    ("nodes[].volumes[].name", ""): put("nodes", 1, "volumes", 0, "name", to="e"),
    ("nodes[].volumes[].size", "larger"): put("nodes", 1, "volumes", 0, "size", to="2GiB"),
    ("nodes[].volumes[].size", "smaller"): put("nodes", 1, "volumes", 0, "size", to="512MiB"),
    ("nodes[].volumes[].mount", ""): put("nodes", 1, "volumes", 0, "mount", to="/srv/e"),
    ("nodes[].volumes[].filesystem", ""): put("nodes", 1, "volumes", 0, "filesystem", to="xfs"),
    ("storage.require", ""): put("storage", "require", to="ssd"),
    ("storage.wipe", ""): put("storage", "wipe", to=["S123"]),
    ("placement.hosts", ""): put("placement", "hosts", to="pack"),
    ("placement.cells", ""): put("placement", "cells", to="pack"),
    ("ssh.user", ""): put("ssh", "user", to="other"),
    ("ssh.key_file", ""): second_key,
    ("ssh.public_key", ""): put("ssh", "public_key", to=KEY.replace("HR4f", "HR4e")),
    ("ssh.jump", ""): put("ssh", to={"public_key": KEY, "jump": "root@127.0.0.1:1"}),
    ("ssh.proxy_command", ""): put("ssh", "proxy_command", to=["false", "%h"]),
    ("sysctl", ""): put("sysctl", to={"net.core.somaxconn": 1024}),
    ("kubernetes.version", "a later patch version"): of_version("v1.20.3"),
    ("kubernetes.version", "any other"): of_version("v1.20.1"),
    ("kubernetes.bundle", ""): resealed,
    ("kubernetes.max_unavailable", ""): put("kubernetes", "max_unavailable", to=2),
    ("kubernetes.pod_cidr", ""): put("kubernetes", "pod_cidr", to="10.245.0.0/16"),
    ("kubernetes.service_cidr", ""): put("kubernetes", "service_cidr", to="10.112.0.0/12"),
    ("hosts[].jurisdiction", ""): put("hosts", 0, "jurisdiction", to="SE"),
    ("policy.residency", ""): in_norway,
    ("policy.networks", ""): put("policy", "networks", to={"10.77.0.0/24": "NO"}),
    ("policy.operator", ""): put("policy", "operator", to="NO"),
    ("policy.controller", ""): put("policy", "controller", to="Example AS, dpo@example.no"),
    ("policy.purpose", ""): put("policy", "purpose", to="orders"),
    ("backup.recipients", ""): put("backup", to={"recipients": ["age1deqm9tmq4lemlqhxwm0ng69uzsnvyn3rng0c732ej5x224r3jcesfd7fss"]}),
    ("mesh.version", ""): mesh(version="1.0.0"),
    ("mesh.image", ""): mesh(image="registry.example/linkerd:0.8.5"),
    ("mesh.config_file", ""): other_linkerd,
    ("mesh.namespace", ""): mesh(namespace="mesh"),
    ("mesh.namespaces", ""): mesh(namespaces=["shop"]),
    ("mesh.port", ""): mesh(port=4150),
    ("mesh.admin_port", ""): mesh(admin_port=9991),
    ("mesh.heap", ""): mesh(heap="512MiB"),
    ("mesh.admin_address", ""): mesh(admin_address="0.0.0.0"),
    ("mesh.topology", ""): mesh(topology="linker-to-linker"),
    ("mesh.incoming_port", ""): mesh(topology="linker-to-linker", incoming_port=4151),
    ("mesh.dtab", ""): mesh(dtab="/svc/shop => /#/io.l5d.k8s/default/http/echo"),
    ("mesh.classifier", ""): mesh(classifier="retryableRead5XX"),
    ("mesh.balancer.kind", ""): mesh(balancer={"kind": "p2c"}),
    ("mesh.balancer.max_effort", ""): mesh(balancer={"max_effort": 7}),
    ("mesh.balancer.decay_time_ms", ""): mesh(balancer={"decay_time_ms": 5000}),
    **{
        (f"mesh.balancer.{name}", ""): mesh(balancer={"kind": "aperture", name: value})
        for name, value in (("smooth_window_ms", 9000), ("low_load", 0.4), ("high_load", 3.0), ("min_aperture", 2))
    },
    ("mesh.balancer.enable_probation", ""): mesh(balancer={"enable_probation": True}),
    ("mesh.failure_accrual.kind", ""): mesh(version="1.0.0", failure_accrual={"kind": "none"}),
    ("mesh.failure_accrual.failures", ""): mesh(failure_accrual={"failures": 9}),
    ("mesh.failure_accrual.success_rate", ""): mesh(failure_accrual={"kind": "successRate", "success_rate": 0.9, "requests": 10}),
    ("mesh.failure_accrual.requests", ""): mesh(failure_accrual={"kind": "successRate", "success_rate": 0.9, "requests": 20}),
    ("mesh.failure_accrual.window_s", ""): mesh(
        failure_accrual={"kind": "successRateWindowed", "success_rate": 0.9, "window_s": 20}
    ),
    **{
        (f"mesh.{place}.backoff.{name}", ""): mesh(**LATE, **{place: {"backoff": BACKOFF if name in BACKOFF else JITTERED}})
        for place in (ACCRUAL, "retries")
        for name in ("kind", "ms", "min_ms", "max_ms")
    },
    **{
        (f"mesh.retries.budget.{name}", ""): mesh(retries={"budget": {name: value}})
        for name, value in (("ttl_s", 12), ("min_retries_per_s", 3), ("percent_can_retry", 0.3))
    },
    **{
        (f"mesh.requeues.{name}", ""): mesh(version="1.0.0", requeues={name: value})
        for name, value in (("ttl_s", 12), ("min_retries_per_s", 3), ("percent_can_retry", 0.3))
    },
    ("mesh.timeouts.total_ms", ""): mesh(timeouts={"total_ms": 900}),
    ("mesh.timeouts.attempt_ms", ""): mesh(version="1.0.0", timeouts={"attempt_ms": 300}),
    ("mesh.timeouts.binding_ms", ""): mesh(timeouts={"binding_ms": 300}),
    **{(f"mesh.binding_cache.{name}", ""): mesh(binding_cache={name: 50}) for name in ("paths", "trees", "bounds", "clients")},
    ("mesh.binding_cache.idle_ttl_s", ""): mesh(**LATE, binding_cache={"idle_ttl_s": 600}),
    ("mesh.protocols[].protocol", ""): mesh(protocols=[H2]),
    ("mesh.protocols[].port", ""): mesh(protocols=[H2 | {"port": 4149}]),
    ("mesh.protocols[].incoming_port", ""): mesh(topology="linker-to-linker", protocols=[H2 | {"incoming_port": 4148}]),
    ("mesh.protocols[].port_name", ""): mesh(protocols=[H2 | {"port_name": "grpc"}]),
    ("mesh.protocols[].service", ""): mesh(protocols=[THRIFT]),
    ("mesh.protocols[].dtab", ""): mesh(protocols=[H2 | {"dtab": "/svc/shop => /#/io.l5d.k8s/default/h2/echo"}]),
    **{(f"mesh.roll.{name}", ""): mesh(roll={name: value}) for name, value in {"drain_s": 3, "steady_s": 3, "gap": True}.items()},
    ("mesh.tracer.kind", ""): mesh(tracer={"kind": "tracelog"}),
    ("mesh.tracer.host", ""): mesh(tracer={"host": "10.20.0.9"}),
    ("mesh.tracer.port", ""): mesh(tracer={"host": "10.20.0.9", "port": 9999}),
    ("mesh.tracer.sample_rate", ""): mesh(tracer={"kind": "tracelog", "sample_rate": 0.5}),
}  # fmt: skip

OF_ZIPKIN = {
    "node": "w1",
    "volume": "d",
    "max_age_h": 24,
    "max_size": "128MiB",
    "memory": "512MiB",
    "service_address": "10.96.0.99",
}
OF_EXTERNAL = {"kind": "external", "address": "10.20.0.9", "sample_rate": 0.5, "port": 9999}

CHANGES |= {
    **{(f"tracing.{name}", ""): put("tracing", to={"volume": "d", name: value}) for name, value in OF_ZIPKIN.items()},
    **{
        (f"tracing.{name}", ""): put("tracing", to={"kind": "external", "address": "10.20.0.9", name: value})
        for name, value in OF_EXTERNAL.items()
    },
}

UNTRIED = {
    "hosts[].pool.thin": "logical pools have a shell, which the test driver's hosts lack: tests/unit/hosts, tests/lab/test_storage",
    "hosts[].pool.devices": "likewise",
    "hosts[].hugepages": "the test driver's host has none: tests/unit/placement, tests/libvirt/test_hardware_xml",
    "nodes[].hugepages": "likewise",
    "hosts[].cpu.policy": "what a guest is told of its CPUs it is told under KVM only: tests/unit/libvirt_xml",
    "nodes[].cpu.policy": "likewise",
    "image": "there is one recipe; an image of other content: tests/libvirt/test_artifacts",
    "nodes[].numa_cells": "it has one cell: likewise",
    "nodes[].cpu.threads": "its cores have one thread: likewise",
    "nodes[].cpu.cores": "its cores are of one kind: likewise",
    "tracing.api_port": "only `mesh traces` asks there: tests/unit/run/test_mesh_traces",
    "storage.io": "it has no io_uring: tests/unit/libvirt_xml",
}
"""Fields that the test driver has nothing to show for, and where they are tried."""

ELSEWHERE = {("nodes[].state", "where there is none"): "this cluster has one: tests/libvirt/test_rebuild.py"}
"""Changes of a field whose others are tried here."""


def test_every_field_is_tried_or_it_is_said_where() -> None:
    wanted = {(field, row.change) for field in (*LEAVES, *LISTS) for row in rows_for(field) if field not in UNTRIED}
    assert wanted - ELSEWHERE.keys() == set(CHANGES)
    assert ELSEWHERE.keys() < wanted
    assert set(UNTRIED) <= set(LEAVES)


def row_of(field: str, change: str) -> Row:
    return next(row for row in rows_for(field) if row.change == change)


@pytest.mark.parametrize(("field", "change"), CHANGES, ids=lambda value: value or "x")
def test_plan_and_provision_do_what_the_table_says(living: Living, field: str, change: str) -> None:
    row = row_of(field, change)
    before = living.world.calls.mutations
    if row.becomes is Becomes.REFUSED:
        with pytest.raises((InventoryError, PlacementError, ConflictError, ImageError)):
            living.plan(living.of(living.changed(CHANGES[field, change])))
        assert living.world.calls.mutations == before
        return
    world = living.of(living.changed(CHANGES[field, change]))
    found = living.plan(world)
    assert outcome(found) is _shown(row), [str(action) for action in found.changes]
    carried_out(living, world, found)


def _shown(row: Row) -> Becomes:
    """What of a row a plan can show: nothing is to be done now for the two that change nothing of what is there."""
    return Becomes.LOOKS if row.becomes is Becomes.LATER else row.becomes


def outcome(found: Plan) -> Becomes:
    """What the plan makes of the change."""
    if found.pending:
        return Becomes.RESTART
    if found.changes or any("not in the inventory" in note for note in found.notes):
        return Becomes.LIVE
    older = any("older" in note for note in found.notes)
    return Becomes.REBUILD if older else Becomes.LOOKS


def waiting(found: Plan) -> set[str]:
    """Who waits for a restart."""
    return {text.partition(" goes on")[0] for text in found.pending}


def carried_out(living: Living, world: World, found: Plan) -> None:
    """What the plan says of guests that are there is done on the hosts; none of them is started anew, and nothing of it is left."""
    guests = [action for action in found.of("guests", "guest") if action.verb == "change"]
    pins = found.of("guests", "pins")
    if not guests and not pins:
        return
    doors = world.doors(bundle.load(living.folder / "bundle"))
    running = {name: door.runs(domain.name) for name, door in world.hypervisors.items() for domain in door.domains()}
    volumes = found.of("volumes")
    for action in guests:
        _bring_up(action, found, doors)
    for action in pins:
        put_back(action, found, doors)
    again = living.plan(world)
    assert [action for action in again.of("guests", "guest") if action.verb == "change"] == []
    assert waiting(again) == waiting(found)
    assert {
        name: door.runs(domain.name) for name, door in world.hypervisors.items() for domain in door.domains()
    } == running
    assert {one.name for one in again.of("volumes")} == {one.name for one in volumes}
    back = living.plan(living.world)
    for action in back.of("guests", "guest"):
        _bring_up(action, back, living.world.doors(doors.bundle))
    for action in back.of("guests", "pins"):
        put_back(action, back, living.world.doors(doors.bundle))
    assert living.plan(living.world).changes == ()


def test_nothing_is_to_be_done_while_nothing_is_changed(living: Living) -> None:
    found = living.plan(living.world)
    assert (found.changes, found.pending) == ((), ())


@pytest.mark.parametrize("nodes", [2, 3])
def test_a_host_is_missed_by_nodes_that_do_not_answer_whether_they_left_with_it_or_not(
    living: Living, nodes: int
) -> None:
    def change(new: Said, folder: Path) -> None:
        host_taken_out(new, folder)
        new["nodes"] = [node | {"host": "hv1"} for node in living.said["nodes"][:nodes]]

    with pytest.raises(ConflictError, match="w2 is a node of the cluster, NotReady, and its guest is on no host"):
        living.plan(living.of(living.changed(change)), ready=False)


def test_a_restart_is_what_makes_a_pending_change_whole(living: Living) -> None:
    world = living.of(living.changed(CHANGES["nodes[].memory", ""]))
    assert [action.name for action in living.plan(world, restart=True).of("guests", "restart")] == ["w1"]
