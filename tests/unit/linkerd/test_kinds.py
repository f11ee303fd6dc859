"""Other instances of the kinds in tests/data/linkerd/cases: keys below an empty part, namerd's manifest, keys of other releases."""

from __future__ import annotations

import re
from textwrap import indent

import pytest

from provision.linkerd.check import validate
from provision.linkerd.mend import mend
from provision.linkerd.migrate import migrate

ROUTER = "routers:\n- protocol: http\n  servers: [{port: 4140, ip: 0.0.0.0}]\n"
ADMIN = "usage: {enabled: false}\nadmin: {ip: 127.0.0.1}\n"


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        (f"{ADMIN}{ROUTER}  service:\n  totalTimeoutMs: 500\n  retries: {{budget: {{ttlSecs: 5}}}}\n",
         ["routers[0].totalTimeoutMs", "routers[0].retries"]),
        (f"usage:\nenabled: false\nadmin:\nip: 127.0.0.1\nport: 9990\n{ROUTER}", ["enabled", "ip", "port"]),
        (f"{ADMIN}{ROUTER}  bindingCache:\n  clients: 1000\n", ["routers[0].clients"]),
    ],
)  # fmt: skip
def test_c12_kind_keys_of_a_part_of_which_nothing_is_left(text: str, fields: list[str]) -> None:
    slipped = [one for one in validate(text, "1.3.6") if "slipped out of" in one.message]
    assert [one.field for one in slipped] == fields
    mended = mend(text, "1.3.6")
    assert [one for one in mended.left if one.severity == "error"] == []
    assert {part for key in fields for part in [key.rpartition(".")[2]]} <= set(mended.text.replace(":", " ").split())


def test_c10_kind_a_manifest_of_namerd_alone_is_said_to_be_that() -> None:
    def config_map(name: str, text: str) -> str:
        return (
            f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n  c.yaml: |\n{indent(text, '    ')}"
        )

    namerd = config_map("namerd", "storage: {kind: io.l5d.inMemory}\ninterfaces: [{kind: io.l5d.httpController}]\n")
    assert "ML393" in {one.id for one in validate(namerd, "1.3.6")}
    both = f"{namerd}---\n{config_map('l5d', ADMIN + ROUTER)}"
    assert "ML393" not in {one.id for one in validate(both, "1.3.6")}


def test_c06_kind_a_service_without_the_prefix_of_names() -> None:
    text = (
        f"{ADMIN}{ROUTER}  service: {{kind: io.l5d.static, configs: [{{prefix: /web, totalTimeoutMs: 5}}]}}\n"
        "  dtab: /svc => /$/inet/a/1;\n"
    )
    (one,) = [each for each in validate(text, "1.3.6") if each.id == "ML368"]
    assert one.fix == "prefix: /svc/web"
    assert "prefix: /svc/web," in mend(text, "1.3.6").text


def _of_other_releases() -> list[tuple[str, str, str]]:
    return [
        ("admin: {ip: 127.0.0.1, workerThreads: 4}\n", "0.8.5", "there from 1.4.4"),
        ("telemetry: [{kind: io.l5d.influxdb}]\n", "0.8.5", "there from 1.0.0"),
        ("telemetry: [{kind: io.l5d.prometheus}]\n", "0.8.6", "there from 0.9.0"),
        ("tracers: [{kind: io.l5d.zipkin}]\n", "1.3.6", "there from 0.8.5 to before 0.9.0"),
        ("namers: [{kind: io.l5d.rancher}]\n", "1.3.0", "there from 1.3.5"),
    ]


@pytest.mark.parametrize(("top", "release", "span"), _of_other_releases())
def test_what_other_releases_know_names_them_and_the_migration(top: str, release: str, span: str) -> None:
    every = [one for one in validate(top + ROUTER, release) if span in one.message]
    assert len(every) == 1
    assert re.search(
        rf"`meshctl mesh migrate FILE --from [\d.]+ --to {re.escape(release)}` does (it|the rest)", every[0].fix
    )


@pytest.mark.parametrize(
    ("text", "target", "field"),
    [
        (f"admin: {{workerThreads: 4}}\n{ROUTER}", "1.3.6", "admin.workerThreads"),
        (f"telemetry: [{{kind: io.l5d.influxdb}}]\n{ROUTER}", "0.8.5", "telemetry[0].kind"),
        (f"{ROUTER}  tracePropagator: {{kind: io.l5d.zipkin}}\n", "0.9.1", "routers[0].tracePropagator"),
        (f"{ROUTER}  client: {{clientSession: {{idleTimeMs: 5}}}}\n", "1.0.0", "routers[0].client.clientSession"),
        (f"{ROUTER}  client: {{loadBalancer: {{kind: roundRobin}}}}\n", "0.8.6", "routers[0].client.loadBalancer.kind"),
    ],
)  # fmt: skip
def test_on_the_way_back_what_has_no_place_is_named(text: str, target: str, field: str) -> None:
    done = migrate(text, "1.7.5", target)
    (left,) = done.left
    assert left.field == field
    assert f"nothing in {target} means the same" in left.why
    assert re.search(r"is there from [\d.]+", left.why)
