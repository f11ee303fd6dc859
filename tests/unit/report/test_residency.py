"""The record of processing: what is in it, as text, as JSON and as a page that nothing of an inventory can write into."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from html.parser import HTMLParser

from provision.guests.residue import Key, Residue
from provision.inventory import Cluster
from provision.inventory.policy import Policy
from provision.inventory.residency import judged, said_by
from provision.inventory.tracing import Tracing
from provision.kubernetes.abroad import Abroad, Kept
from provision.linkerd.wanted import Mesh, Tracer
from provision.report.residency import Record, record
from provision.report.residency_text import as_html, as_text
from provision.run.residency import Disk, Whereabouts
from provision.storage import Volume
from tests.unit.sample import CLUSTER

NOW = datetime(2026, 12, 1, 9, 30, tzinfo=UTC)
INSIDE = Residue(
    "3 files of 10m for each container", "256M of the node's journal", 51, (Key("mesh", "SHA256:abc", "anna"),)
)
DISKS = (
    Disk("cp1", "hv1", "root", "/srv/pool/lab.cp1.root.1a2b3c4d.qcow2", 12288),
    Disk("cp1", "hv1", "state", "/srv/pool/lab.cp1.state.1a2b3c4d.qcow2", 8192),
    Disk("w1", "hv1", "data", "/srv/pool/lab.w1.data-x.1a2b3c4d.qcow2", 0, used=False),
    Disk("w1", "hv1", "console", "/srv/pool/lab.w1.console.1a2b3c4d.log", 0, used=False),
)
OBJECTS = Abroad((Kept("orders", "nfs", ("192.0.2.8",), "5Gi", "shop/db", "Delete"),), {}, ("Group system:masters",))


def inventory(**policy: object) -> Cluster:
    host = CLUSTER.hosts[0].model_copy(update={"jurisdiction": "NO"})
    said = Policy.model_validate({"residency": "EEA", "operator": "SE", "networks": {"192.0.2.0/24": "US"}} | policy)
    return CLUSTER.model_copy(update={"hosts": (host,), "policy": said, "mesh": Mesh(tracer=Tracer(host="192.0.2.9"))})


def seen(cluster: Cluster, *blind: str) -> Whereabouts:
    return Whereabouts(DISKS, {"cp1": INSIDE}, OBJECTS, judged(said_by(cluster), date(2026, 12, 1)), blind)


def made(*blind: str, **policy: object) -> Record:
    cluster = inventory(**policy)
    return record(cluster, seen(cluster, *blind), NOW)


def test_traces_in_the_cluster_are_kept_for_a_time_and_up_to_a_size() -> None:
    volume = Volume.model_validate({"name": "traces", "size": "32GiB", "mount": "/srv/traces"})
    cluster = inventory()
    nodes = (cluster.nodes[0].model_copy(update={"volumes": (volume,)}), *cluster.nodes[1:])
    cluster = cluster.model_copy(update={"nodes": nodes, "tracing": Tracing(kind="zipkin", node="cp1", max_age_h=24)})
    found = {one.where: one for one in record(cluster, seen(cluster), NOW).stored}["node cp1, /srv/traces/zipkin"]
    assert found.what.startswith("traces of 0.001 of all requests")
    assert (found.country, found.kept) == ("NO (Norway)", "24 h, and 15.9 GiB at the most: then the older half goes")
    assert not any("/zipkin" in one.where for one in made().stored)


def test_what_is_stored_has_a_place_a_country_a_time_and_who_reaches_it() -> None:
    found = {one.where: one for one in made().stored}
    state = found["host hv1, /srv/pool/lab.cp1.state.1a2b3c4d.qcow2, 8.0 GiB: state of cp1"]
    assert state.what.startswith("etcd: every object of Kubernetes, its Secrets too")
    assert state.country == "NO (Norway)"
    assert state.kept.startswith("until the cluster is destroyed")
    assert "root of hv1" in state.reach
    assert "host hv1, /srv/pool/lab.w1.data-x.1a2b3c4d.qcow2: data of w1 (no guest has it)" in found
    console = found["host hv1, /srv/pool/lab.w1.console.1a2b3c4d.log: console of w1"]
    assert console.what == "what the node's console has said: its kernel and its boot, nothing of applications"
    logs = found["node cp1, /var/log and /var/lib/docker/containers, 51 MiB now"]
    assert logs.kept == "by size, not by time: 3 files of 10m for each container; 256M of the node's journal"
    assert logs.country == "NO (Norway)"
    volume = found["nfs of 192.0.2.8, 5Gi"]
    assert volume.country == "not said"  # of its server nobody spoke here
    assert (volume.what, volume.kept) == ("what shop/db keeps on the volume orders", "as long as its claim (Delete)")
    backups = next(one for one in made().stored if one.what.startswith("backups"))
    assert backups.country == "SE (Sweden)"
    assert all(one.what and one.where and one.country and one.kept and one.reach for one in made().stored)


def test_to_whom_data_go_and_what_the_policy_says_of_it() -> None:
    (refused,) = made().refused
    assert (refused.who, refused.country, refused.said) == (
        "the Zipkin at 192.0.2.9",
        "US (United States of America)",
        "mesh.tracer.host",
    )
    assert {one.allowed for one in made(residency=None).recipients} == {None}
    assert made(residency=None).policy == "not said"


def test_who_can_reach_it() -> None:
    found = made().access
    assert "node cp1: mesh by SHA256:abc (anna)" in found
    assert "Kubernetes, all of it: Group system:masters (cluster-admin)" in found
    assert "host hv1: root there, and who may use libvirt by its socket at this machine" in found


def test_who_is_responsible_and_what_for_is_the_inventorys_word() -> None:
    assert (made().controller, made().purpose) == ("not said", "not said")
    found = made(controller="Example AS", purpose="orders")
    assert (found.controller, found.purpose) == ("Example AS", "orders")


def test_the_text_has_the_letters_of_the_article_and_fits_a_terminal() -> None:
    text = as_text(made("w1: no answer"))
    for letter in ("(a) controller", "(b) purpose", "(c), (f)", "(d), (e)", "(g)", "GDPR art. 30 (1)"):
        assert letter in text
    assert "  - REFUSED the Zipkin at 192.0.2.9" in text
    assert text.splitlines()[-1] == "not seen: w1: no answer"
    assert max(map(len, text.splitlines())) <= 120


def test_it_is_data_too() -> None:
    data = json.loads(json.dumps(made("w1: no answer").as_data()))
    assert (data["cluster"], data["taken"], data["blind"]) == ("lab", "2026-12-01T09:30:00Z", ["w1: no answer"])
    assert [one["allowed"] for one in data["recipients"] if one["said"] == "mesh.tracer.host"] == [False]


class Reader(HTMLParser):
    """Elements that are open at the end or closed in the wrong order, and all text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        assert all(name not in ("src", "href", "onload") for name, _ in attrs)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(found: Record) -> Reader:
    reader = Reader()
    reader.feed(as_html(found))
    assert reader.open == []
    return reader


def test_the_page_is_whole_and_fetches_nothing() -> None:
    found = page(made("w1: no answer"))
    assert "script" not in found.tags
    for said in ("Record of processing activities: cluster lab", "This record is not whole", "the Zipkin at 192.0.2.9"):
        assert said in found.text
    assert "This record is not whole" not in page(made()).text


def test_what_somebody_wrote_into_an_inventory_or_a_key_is_text_on_the_page() -> None:
    evil = "<script>alert(1)</script>&\"'"
    text = as_html(made(evil, controller=evil, purpose=evil))
    assert "<script" not in text
    assert page(made(evil, controller=evil)).text.count(evil) == 2
