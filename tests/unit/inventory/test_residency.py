"""`policy.residency`: a table of what is refused or passed, each with its reason; and who refuses it, and who only warns."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.base.errors import InventoryError, Problem
from provision.inventory import load
from provision.inventory.countries import MEMBERS, known
from provision.inventory.residency import Verdict, judged, said_by
from provision.inventory.residency.linkerds import linkerds_places

Said = dict[str, Any]
DOCS = Path(__file__).parents[3] / "docs"
TODAY = date(2026, 12, 1)

SAID: Said = {
    "apiVersion": "meshctl/v1",
    "cluster": "oslo",
    "hosts": [
        {"name": "osl1", "uri": "qemu+ssh://root@10.20.0.11/system", "jurisdiction": "NO"},
        {"name": "osl2", "uri": "qemu+ssh://root@osl2.example.no/system", "jurisdiction": "NO"},
    ],
    "network": {
        "mode": "bridge",
        "bridge": "br0",
        "cidr": "10.20.0.0/22",
        "nodes": "10.20.1.1-10.20.1.254",
        "nameservers": ["10.20.0.2"],
    },
    "nodes": [
        {"name": "cp1", "role": "control-plane", "vcpus": 2, "memory": "4GiB", "disk": "20GiB", "host": "osl1"},
        {"name": "w1", "role": "worker", "memory": "4GiB", "disk": "20GiB", "address": "10.20.1.7"},
    ],
    "ssh": {"public_key": "ssh-ed25519 AAAA ops"},
    "kubernetes": {"version": "v1.20.2"},
    "mesh": {"version": "0.8.5"},
    "policy": {
        "residency": "EEA",
        "operator": "SE",
        "networks": {
            "10.20.0.0/16": "NO",
            "10.20.3.0/24": "SE",
            "192.0.2.0/24": "US",
            "2001:db8::/32": "IS",
            "zipkin.example.no": "NO",
        },
    },
}
"""Two hosts in Norway, run from Sweden: nothing is refused."""


def host(**fields: object) -> Callable[[Said], object]:
    """The second host with other fields; None takes one out."""

    def change(new: Said) -> None:
        new["hosts"][1] = {key: value for key, value in (new["hosts"][1] | fields).items() if value is not None}

    return change


def policy(**fields: object) -> Callable[[Said], object]:
    def change(new: Said) -> None:
        new["policy"] = {key: value for key, value in (new["policy"] | fields).items() if value is not None}

    return change


def tracer(where: str) -> Callable[[Said], object]:
    return lambda new: new.update(mesh={"tracer": {"host": where}})


def keeper(where: str) -> Callable[[Said], object]:
    return lambda new: new.update(tracing={"kind": "external", "address": where})


def dtab(text: str) -> Callable[[Said], object]:
    return lambda new: new.update(mesh={"dtab": text})


def image(name: str) -> Callable[[Said], object]:
    return lambda new: new.update(mesh={"image": name})


def server(address: str) -> Callable[[Said], object]:
    return lambda new: new["network"].update(nameservers=[address])


def under_nat(new: Said) -> None:
    new["network"] = {"cidr": "10.77.0.0/24", "nameservers": ["10.77.0.1"]}
    new["nodes"][1].pop("address")
    new["hosts"].pop()


def nothing(_new: Said) -> None: ...


@dataclass(frozen=True)
class Case:
    """`field` is looked at after `change`; `reason` is part of what is said of it. `on` is the day."""

    name: str
    change: Callable[[Said], object]
    field: str
    allowed: bool
    reason: str
    on: date = TODAY


PASS, REFUSE = True, False
JURISDICTION, OPERATOR, TRACER, SERVER = (
    "hosts[1].jurisdiction",
    "policy.operator",
    "mesh.tracer.host",
    "network.nameservers[0]",
)

KEEPER = "tracing.address"

CASES = (
    Case("traces kept in Norway", keeper("10.20.0.9"), KEEPER, PASS, "NO (Norway) is in the EEA since 1994-01-01"),
    Case(
        "traces kept outside",
        keeper("192.0.2.9"),
        KEEPER,
        REFUSE,
        "US (United States of America) is outside of the EEA",
    ),
    Case("traces kept nobody knows where", keeper("198.51.100.9"), KEEPER, REFUSE, "nobody says in which country"),
    Case("a host in the EEA", nothing, JURISDICTION, PASS, "NO (Norway) is in the EEA since 1994-01-01"),
    Case(
        "a host that says nothing",
        host(jurisdiction=None),
        JURISDICTION,
        REFUSE,
        "nobody says in which country host osl2 is",
    ),
    Case(
        "a host outside",
        host(jurisdiction="US"),
        JURISDICTION,
        REFUSE,
        "US (United States of America) is outside of the EEA",
    ),
    Case(
        "a host in Switzerland, which is in EFTA only",
        host(jurisdiction="CH"),
        JURISDICTION,
        REFUSE,
        "CH (Switzerland) is outside of the EEA",
    ),
    Case(
        "a host in Britain today",
        host(jurisdiction="GB"),
        JURISDICTION,
        REFUSE,
        "outside of the EEA, which it left on 2020-12-31",
    ),
    Case(
        "a host in Britain in its last year",
        host(jurisdiction="GB"),
        JURISDICTION,
        PASS,
        "in the EEA since 1994-01-01",
        date(2020, 12, 31),
    ),
    Case(
        "a host in Croatia before its day",
        host(jurisdiction="HR"),
        JURISDICTION,
        REFUSE,
        "outside of the EEA",
        date(2014, 4, 11),
    ),
    Case(
        "a host in Croatia", host(jurisdiction="HR"), JURISDICTION, PASS, "HR (Croatia) is in the EEA since 2014-04-12"
    ),
    Case(
        "a territory with a code of its own",
        host(jurisdiction="SJ"),
        JURISDICTION,
        REFUSE,
        "SJ (Svalbard and Jan Mayen) is outside of the EEA",
    ),
    Case(
        "a member, but one country is allowed", policy(residency="NO"), OPERATOR, REFUSE, "SE (Sweden) is outside of NO"
    ),
    Case(
        "one country is allowed, and it is there",
        policy(residency="NO"),
        JURISDICTION,
        PASS,
        "NO (Norway) is allowed by name",
    ),
    Case(
        "a list",
        lambda new: (policy(residency=["EEA", "CH"])(new), host(jurisdiction="CH")(new)),
        JURISDICTION,
        PASS,
        "CH (Switzerland) is allowed by name",
    ),
    Case(
        "outside of a list",
        lambda new: (policy(residency=["EEA", "CH"])(new), host(jurisdiction="US")(new)),
        JURISDICTION,
        REFUSE,
        "outside of the EEA and CH",
    ),
    Case(
        "a host whose address is elsewhere",
        host(uri="qemu+ssh://root@192.0.2.9/system"),
        JURISDICTION,
        REFUSE,
        "jurisdiction says NO, and policy.networks has 192.0.2.9 in US (192.0.2.0/24)",
    ),
    Case(
        "backups to a machine that nobody places",
        policy(operator=None),
        OPERATOR,
        REFUSE,
        "nobody says in which country the machine that meshctl is run on is",
    ),
    Case(
        "backups to a machine outside",
        policy(operator="US"),
        OPERATOR,
        REFUSE,
        "US (United States of America) is outside of the EEA",
    ),
    Case("backups to a machine inside", nothing, OPERATOR, PASS, "SE (Sweden) is in the EEA since 1994-01-01"),
    Case("a tracer in a known network", tracer("10.20.0.9"), TRACER, PASS, "10.20.0.9 is in 10.20.0.0/16: NO (Norway)"),
    Case(
        "a tracer in the smaller of two networks",
        tracer("10.20.3.9"),
        TRACER,
        PASS,
        "10.20.3.9 is in 10.20.3.0/24: SE (Sweden)",
    ),
    Case(
        "a tracer outside",
        tracer("192.0.2.9"),
        TRACER,
        REFUSE,
        "192.0.2.9 is in 192.0.2.0/24: US (United States of America) is outside of the EEA",
    ),
    Case(
        "a tracer in an unknown network",
        tracer("198.51.100.9"),
        TRACER,
        REFUSE,
        "nobody says in which country 198.51.100.9 is",
    ),
    Case("a tracer by IPv6", tracer("2001:db8::9"), TRACER, PASS, "2001:db8::9 is in 2001:db8::/32: IS (Iceland)"),
    Case("a tracer by a name that is placed", tracer("zipkin.example.no"), TRACER, PASS, "NO (Norway) is in the EEA"),
    Case(
        "a tracer by a name that nobody places",
        tracer("zipkin.example.com"),
        TRACER,
        REFUSE,
        "nobody says in which country zipkin.example.com is",
    ),
    Case(
        "a tracer that is a Service, by address",
        tracer("10.96.3.4"),
        TRACER,
        PASS,
        "10.96.3.4 is a Service: on the cluster's hosts",
    ),
    Case(
        "a tracer that is a Service, by name",
        tracer("zipkin.tracing.svc.cluster.local"),
        TRACER,
        PASS,
        "a name of the cluster's own DNS",
    ),
    Case("a tracer on a node", tracer("10.20.1.7"), TRACER, PASS, "10.20.1.7 is node w1"),
    Case(
        "a tracer at one of the nodes' addresses",
        tracer("10.20.1.200"),
        TRACER,
        PASS,
        "10.20.1.200 is an address of nodes",
    ),
    Case("a tracer on the node itself", tracer("127.0.0.1"), TRACER, PASS, "127.0.0.1 is the node itself"),
    Case("a name server outside", server("192.0.2.53"), SERVER, REFUSE, "192.0.2.53 is in 192.0.2.0/24: US"),
    Case(
        "a name server that nobody places", server("8.8.8.8"), SERVER, REFUSE, "nobody says in which country 8.8.8.8 is"
    ),
    Case("a name server inside", nothing, SERVER, PASS, "10.20.0.2 is in 10.20.0.0/16: NO (Norway)"),
    Case("the host's own name server under nat", under_nat, SERVER, PASS, "the guests' network, inside their host"),
    Case(
        "a registry that nobody places",
        image("registry.example.com:5000/linkerd:0.8.5"),
        "mesh.image",
        REFUSE,
        "nobody says in which country registry.example.com is",
    ),
    Case(
        "a registry inside", image("10.20.0.5:5000/linkerd:0.8.5"), "mesh.image", PASS, "10.20.0.5 is in 10.20.0.0/16"
    ),
    Case(
        "a registry by a name that nodes look up",
        image("registry:5000/linkerd:0.8.5"),
        "mesh.image",
        REFUSE,
        "nobody says in which country registry is",
    ),
    Case(
        "requests that a dtab sends outside",
        dtab("/svc/pay => /$/inet/192.0.2.4/80 ;"),
        "mesh.dtab",
        REFUSE,
        "192.0.2.4 is in 192.0.2.0/24: US",
    ),
    Case(
        "requests that go wherever they say",
        dtab("/svc => /$/inet ;"),
        "mesh.dtab",
        REFUSE,
        "whatever machine it names",
    ),
)


def changed(change: Callable[[Said], object]) -> Said:
    new = copy.deepcopy(SAID)
    change(new)
    return new


def text_of(field: tuple[str | int, ...]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in field).lstrip(".")


def verdicts(case: Case) -> list[Verdict]:
    cluster = load("x.yaml", yaml.safe_dump(changed(case.change)), anywhere=True)
    return [one for one in judged(said_by(cluster), case.on) if text_of(one.place.field) == case.field]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_each_place_is_refused_or_passed_with_its_reason(case: Case) -> None:
    (verdict,) = verdicts(case)
    assert verdict.allowed is case.allowed
    assert case.reason in verdict.reason
    assert verdict.allowed or verdict.hint


@pytest.mark.parametrize("case", [case for case in CASES if case.on == TODAY], ids=lambda case: case.name)
def test_what_is_refused_is_a_problem_of_its_line(case: Case) -> None:
    found = [one for one in problems(changed(case.change)) if one.field == case.field]
    assert len(found) == (0 if case.allowed else 1)
    assert all(case.reason in one.message and one.hint and one.line > 1 for one in found)


def problems(said: Said) -> list[Problem]:
    try:
        load("x.yaml", yaml.safe_dump(said, sort_keys=False))
    except InventoryError as error:
        return list(error.problems)
    return []


def test_the_inventory_on_the_page_is_one() -> None:
    shown = yaml.safe_load((DOCS / "residency.md").read_text().split("```yaml\n")[1].split("```")[0])
    new = changed(lambda said: said.update(policy=shown["policy"]))
    assert shown["hosts"][0]["jurisdiction"] == "NO"
    assert problems(new) == []


def test_the_inventory_of_the_table_is_valid_itself() -> None:
    assert problems(SAID) == []


def test_all_at_once_beside_other_faults() -> None:
    new = changed(
        lambda said: (host(jurisdiction=None)(said), policy(operator="US")(said), tracer("198.51.100.1")(said))
    )
    new["nodes"][1]["disk"] = "1GiB"
    assert {one.field for one in problems(new)} == {
        "hosts[1].jurisdiction",
        "policy.operator",
        "mesh.tracer.host",
        "nodes[1].disk",
    }


def test_an_image_without_a_registry_is_the_bundles() -> None:
    found = load("x.yaml", yaml.safe_dump(changed(image("buoyantio/linkerd:0.8.5"))))
    assert [one for one in judged(said_by(found), TODAY) if "image" in one.place.field] == []


def test_without_a_policy_nothing_is_refused() -> None:
    new = changed(lambda said: (policy(residency=None)(said), host(jurisdiction=None)(said), tracer("192.0.2.9")(said)))
    assert problems(new) == []
    new.pop("policy")
    assert problems(new) == []


def test_who_looks_at_such_a_cluster_or_takes_it_away_is_warned() -> None:
    warnings: list[Problem] = []
    load("x.yaml", yaml.safe_dump(changed(host(jurisdiction="US"))), warnings.append, anywhere=True)
    assert [(one.field, one.severity) for one in warnings] == [("hosts[1].jurisdiction", "warning")]


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        (host(jurisdiction="NOR"), "hosts[1].jurisdiction", 'did you mean "NO"?'),
        (host(jurisdiction="UK"), "hosts[1].jurisdiction", 'did you mean "GB"?'),
        (host(jurisdiction="Norway"), "hosts[1].jurisdiction", 'did you mean "NO"?'),
        (host(jurisdiction="EEA"), "hosts[1].jurisdiction", "two capitals"),
        (policy(residency="EU"), "policy.residency", "EEA stands for all of the area"),
        (policy(residency=["EEA", "ZZ"]), "policy.residency[1]", "two capitals"),
        (policy(residency=[]), "policy.residency", "or the countries"),
        (policy(networks={"10.20.0.0/8": "NO"}), "policy.networks.10.20.0.0/8", "a network like"),
        (policy(networks={"10.20.0.0/16": "no"}), "policy.networks.10.20.0.0/16", 'did you mean "NO"?'),
        (policy(networks={"Zipkin!": "NO"}), "policy.networks.Zipkin!", "or a name"),
        (
            policy(networks={"10.0.0.1": "NO", "10.0.0.1/32": "SE"}),
            "policy.networks.10.0.0.1/32",
            "keep one of the two",
        ),
    ],
)
def test_what_is_no_country_or_network(change: Callable[[Said], object], field: str, words: str) -> None:
    found = problems(changed(change))
    assert [one.field for one in found if words in one.hint] == [field]


def test_norway_wants_quotes() -> None:
    text = yaml.safe_dump(SAID).replace("jurisdiction: 'NO'", "jurisdiction: NO")
    with pytest.raises(InventoryError) as refused:
        load("x.yaml", text)
    assert all("NO without quotes is a truth value" in one.message for one in refused.value.problems)


OWN = """\
admin: {ip: 127.0.0.1}
usage: {enabled: ENABLED}
telemetry:
- {kind: io.l5d.zipkin, host: 192.0.2.9}
- {kind: io.l5d.statsd, experimental: true, hostname: 10.20.0.7}
namers:
- {kind: io.l5d.consul, host: consul.example.com}
- {kind: io.l5d.k8s}
routers:
- protocol: http
  dtab: /svc/a => /$/inet/198.51.100.7/80 ; /svc/b => /#/io.l5d.k8s/default/http/b ;
  servers: [{port: 4140, ip: 0.0.0.0}]
"""


def of_own_file(folder: Path, text: str, version: str = "1.0.0") -> list[Problem]:
    (folder / "l5d.yaml").write_text(text)
    new = changed(lambda said: said.update(mesh={"version": version, "config_file": "l5d.yaml"}))
    try:
        load(str(folder / "x.yaml"), yaml.safe_dump(new))
    except InventoryError as error:
        return list(error.problems)
    return []


def test_what_a_linkerd_yaml_of_ones_own_names_is_judged_at_its_line_there(tmp_path: Path) -> None:
    found = of_own_file(tmp_path, OWN.replace("ENABLED", "true"))
    assert {(one.line, one.field) for one in found} == {
        (2, "usage"),
        (4, "telemetry[0].host"),
        (7, "namers[0].host"),
        (11, "routers[0].dtab"),
    }
    assert {one.file for one in found} == {str(tmp_path / "l5d.yaml")}
    assert "is outside of the EEA" in next(one.message for one in found if one.line == 4)


def test_reports_of_usage_are_refused_wherever_they_go(tmp_path: Path) -> None:
    router = "routers: [{protocol: http, servers: [{port: 4140, ip: 0.0.0.0}]}]\n"
    (found,) = of_own_file(tmp_path, router)
    assert "stats.buoyant.io" in found.message
    assert found.hint == "usage: {enabled: false}"
    assert of_own_file(tmp_path, f"usage: {{enabled: false}}\n{router}") == []
    assert of_own_file(tmp_path, router, "0.8.5") == []  # it reports nothing


def test_a_linkerd_yaml_that_cannot_be_read_names_no_place() -> None:
    assert list(linkerds_places("routers: [", "1.0.0", "x")) == []
    assert list(linkerds_places("", "1.0.0", "x")) == []


def test_the_area_has_thirty_members_and_each_is_a_country() -> None:
    members = {code for code, one in MEMBERS.items() if one.holds(TODAY)}
    assert len(members) == 27 + 3
    assert all(map(known, MEMBERS))
    assert {"IS", "LI", "NO"} <= members
    assert "GB" not in members
