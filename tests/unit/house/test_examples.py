"""Every shipped inventory is loaded, placed, planned and rendered, on hosts of two sockets with sixteen threads each."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from lxml import etree

from provision.base.data import folder
from provision.guests.hostkey import new_host_key
from provision.guests.seed import render, seed_digest
from provision.inventory import load
from provision.inventory.model import Cluster
from provision.kubernetes import profile_for
from provision.libvirt_xml.domain_xml import domain_xml, network_xml, pool_xml, volume_xml
from provision.libvirt_xml.libvirt_seen import parse_domain
from provision.mesh import Platform, configuration, manifests
from provision.placement import place
from provision.plan.compare import Verb, plan
from provision.plan.desired import desired
from provision.plan.observed import HostSeen, Observed
from provision.report.plan_text import as_data, as_text
from provision.specs import Owner
from provision.specs.objects import Desired, HostTraits, base_image, bundle_disk
from provision.specs.stamp import Stamp
from tests.unit.placement.test_placement import host

INVENTORIES = sorted(folder("inventories").glob("*.yaml"))
ARTIFACTS = (base_image("debian-12", "/c/i.qcow2", "1" * 64, 300), bundle_disk("v", "/c/b.iso", "2" * 64, 900))
KEY = "ssh-ed25519 AAAA ops"

by_name = pytest.mark.parametrize("path", INVENTORIES, ids=lambda path: path.stem)


def wanted(cluster: Cluster) -> Desired:
    topology = host(cells=2, cores=8, threads=2, memory_mib=65536)
    placement = place(cluster, {one.name: topology for one in cluster.hosts}, [])
    assert not placement.refusals
    kvm = {one.name: HostTraits("kvm", numa=True) for one in cluster.hosts}
    seeds = {node.name: "ab" * 32 for node in cluster.nodes}
    return desired(cluster, {pin.node: pin for pin in placement.pinnings}, kvm, {}, ARTIFACTS, seeds)


def test_the_three_examples_are_there() -> None:
    assert {path.stem for path in INVENTORIES} >= {"lab", "single-host", "oslo"}


@by_name
def test_it_is_planned_from_nothing(path: Path) -> None:
    cluster = load(str(path))
    empty = {one.name: HostSeen((), (), (), (), "kvm") for one in cluster.hosts}
    found = plan(wanted(cluster), Observed(empty))
    assert {action.verb for action in found.actions} == {Verb.CREATE}
    assert sum(action.kind == "guest" for action in found.actions) == len(cluster.nodes)
    text = as_text(found)
    assert all(node.name in text for node in cluster.nodes)
    assert as_data(found)["changes"] == len(found.actions)


@by_name
def test_it_is_rendered_for_libvirt(path: Path) -> None:
    found = wanted(load(str(path)))
    for guest in found.guests:
        seen = parse_domain(domain_xml(guest, Stamp(found.cluster, guest.node, "d")), active=False)
        assert seen.vcpu_cpus == tuple(map(str, guest.vcpu_pins))
        assert not seen.balloon
    texts = [
        *(network_xml(one, Owner(found.cluster)) for one in found.networks),
        *map(pool_xml, found.pools),
        *map(volume_xml, found.volumes),
    ]
    assert all(etree.fromstring(text) is not None for text in texts)


@by_name
def test_its_seeds_are_rendered(path: Path) -> None:
    cluster = load(str(path))
    places = wanted(cluster).members
    for member in places:
        files = render(cluster, member, places, KEY, new_host_key(member.name))
        said = yaml.safe_load(files.user_data.reveal())
        assert said["hostname"] == member.name
        network = yaml.safe_load(files.network_config)["ethernets"]["mesh0"]
        assert network["addresses"] == [f"{member.address}/{cluster.network.prefix_length}"]
        assert len(seed_digest(cluster, member, KEY)) == 64


@by_name
def test_its_mesh_is_rendered_for_its_kubernetes(path: Path) -> None:
    cluster = load(str(path))
    workloads = profile_for(cluster.kubernetes.generation).workloads
    platform = Platform(
        daemonset_api=workloads.daemonset_api,
        rbac_api=workloads.rbac_api,
        dns_policy=workloads.host_network_dns_policy,
        mesh_image="buoyantio/linkerd:0.8.5",
        standin=False,
        kubectl_image="buoyantio/kubectl:v1.4.0",
        echo_image="meshctl/echo:1",
        annotations=workloads.annotations,
        tolerations=workloads.tolerations,
    )
    kinds = [
        manifest["kind"] for manifest in manifests(cluster.cluster, cluster.mesh, configuration(cluster.mesh), platform)
    ]
    assert kinds.count("DaemonSet") == 2
    assert ("Role" in kinds) == (cluster.kubernetes.generation == "1.20")
