"""Inventories: all problems at once, each where it stands; the traps of YAML; what the shipped examples say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.data import folder
from provision.errors import InventoryError, Problem
from provision.inventory import Cluster
from provision.loader import json_schema, load

GOOD = """\
apiVersion: meshctl/v1
cluster: demo
hosts:
- {name: hv1, uri: qemu:///system}
network: {cidr: 10.77.0.0/24}
nodes:
- {name: cp1, role: control-plane, memory: 4GiB, disk: 20GiB}
- {name: w1, role: worker, memory: 8GiB, disk: 20GiB}
ssh: {key_file: keys/id}
kubernetes: {version: v1.20.2}
"""


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(InventoryError) as caught:
        load("x.yaml", text)
    return caught.value.problems


def only(text: str) -> Problem:
    found = problems(text)
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


def test_a_good_inventory_is_read_with_its_defaults() -> None:
    cluster = load("x.yaml", GOOD)
    assert cluster.nodes[1].memory_mib == 8192
    assert cluster.sysctl["net.core.somaxconn"] == 4096
    assert cluster.hosts[0].cpu.policy == "dedicated"
    assert cluster.mesh.version == "0.8.5"


def test_relative_paths_are_the_inventorys_own(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(GOOD.replace("v1.20.2}", "v1.20.2, bundle: ./b}"))
    cluster = load(str(path))
    assert cluster.ssh.key_file == str(tmp_path / "keys/id")
    assert cluster.kubernetes.bundle == str(tmp_path / "b")


@pytest.mark.parametrize(
    ("old", "new", "field", "message", "hint"),
    [
        ("cluster: demo", "cluster: NO", "cluster", "'NO' is not a name", "lower-case"),
        ("cluster: demo", "cluster: true", "cluster", "True is not a name", "lower-case"),
        ("name: w1", "name: 52:54:00:12:34:56", "nodes[1].name", "'52:54:00:12:34:56' is not a name", "DNS label"),
        ("v1.20.2", "1.30", "kubernetes.version", "'1.30' does not have the right form", "match"),
        ("v1.20.2", "v1.19.3", "kubernetes.version", "does not have the right form", "match"),
        ("memory: 8GiB", "memory: 8", "nodes[1].memory", "8 has no unit", "8GiB"),
        ("memory: 8GiB", "memory: 8GB", "nodes[1].memory", "'8GB' is not a size", ""),
        ("memory: 4GiB", "memory: 1GiB", "nodes[0].memory", "not enough for a control plane", "2GiB"),
        ("disk: 20GiB}\n- ", "dsk: 20GiB, disk: 20GiB}\n- ", "nodes[0].dsk", "unknown field", "did you mean disk?"),
        ("role: worker", "role: master", "nodes[1].role", "'master' is not one of", ""),
        ("role: worker", "role: control-plane", "nodes[1].role", "a second control plane", "worker"),
        ("role: control-plane", "role: worker", "nodes", "there is no control plane", "role: control-plane"),
        ("name: w1", "name: cp1", "nodes[1].name", "cp1 is taken by nodes[0]", "unique"),
        ("role: worker", "role: worker, host: hv9", "nodes[1].host", "there is no host hv9", "hv1"),
        ("10.77.0.0/24", "10.77.0.5/24", "network.cidr", "has bits set behind its prefix", "10.77.0.0/24"),
        ("10.77.0.0/24", "10.244.7.0/24", "network.cidr", "overlaps kubernetes.pod_cidr", "must not share"),
        ("10.77.0.0/24", "10.77.0.0/30", "network", "too small", "/29"),
        ("10.77.0.0/24", "10.0.0.0/12", "kubernetes.pod_cidr", "cannot give each", "larger pod_cidr"),
        ("10.77.0.0/24}", "10.77.0.0/24, mode: bridge}", "network", "mode bridge needs `bridge`", "br0"),
        ("role: worker", "role: worker, address: 10.77.0.1", "nodes[1].address", "belongs to the gateway", "leave"),
        ("role: worker", "role: worker, address: 10.9.0.1", "nodes[1].address", "is not within", "network.cidr"),
        ("qemu:///system", "http://hv1", "hosts[0].uri", "not a libvirt URI", "qemu+ssh"),
        ("{key_file: keys/id}", "{user: mesh}", "ssh", "which key may log in?", "key_file"),
        ("ssh:", "sysctl: {somaxconn: 1}\nssh:", "sysctl.somaxconn", "not the name of a kernel setting", "net.core"),
        ("cluster: demo", "cluster: demo\ncluster: other", "cluster", "duplicate key: it stands in line 2", "keep one"),
    ],
)  # fmt: skip
def test_one_fault_is_one_problem_at_its_place(old: str, new: str, field: str, message: str, hint: str) -> None:
    found = only(GOOD.replace(old, new, 1))
    assert found.field == field
    assert message in found.message
    assert hint in found.hint


def test_two_control_planes_on_1_5_are_refused_with_the_reason() -> None:
    text = GOOD.replace("role: worker", "role: control-plane").replace("v1.20.2", "v1.5.8")
    assert "Kubernetes 1.5 cannot" in only(text).message


def test_positions_are_lines_and_columns_from_one() -> None:
    found = only(GOOD.replace("memory: 8GiB", "memory: 8GB"))
    assert (found.line, found.column) == (8, 36)
    assert str(found).startswith("x.yaml:8:36: nodes[1].memory: ")


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    text = GOOD.replace("demo", "Demo").replace("8GiB", "8GB").replace("qemu:///system", "x").replace("v1.20.2", "1.5")
    found = problems(text)
    assert [problem.line for problem in found] == [2, 4, 8, 10]


@pytest.mark.parametrize("text", ["", "- a\n", "just text", "a: [1, 2", "a: b: c", "\t- x", "a: &x 1\nb: *x\n", "{}"])
def test_whatever_is_no_inventory_is_a_problem_and_no_traceback(text: str) -> None:
    assert problems(text)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="cannot be read: No such file"):
        load(str(tmp_path / "none.yaml"))


def test_nat_does_not_join_two_hosts() -> None:
    text = GOOD.replace(
        "- {name: hv1, uri: qemu:///system}",
        "- {name: hv1, uri: qemu:///system}\n- {name: hv2, uri: qemu+ssh://root@hv2/system}",
    )
    assert "cannot reach each other under nat" in only(text).message


@pytest.mark.parametrize("path", sorted(folder("inventories").glob("*.yaml")), ids=lambda path: path.stem)
def test_shipped_inventories_load(path: Path) -> None:
    assert load(str(path)).control_plane.role == "control-plane"


def test_the_schema_knows_every_field_and_takes_sizes_as_text() -> None:
    schema = json_schema()
    assert schema["$schema"].startswith("https://json-schema.org/draft/2020-12")
    assert set(schema["properties"]) == set(Cluster.model_fields)
    node = schema["$defs"]["Node"]["properties"]
    assert node["memory"]["type"] == "string"
    for path in folder("inventories").glob("*.yaml"):
        assert not unknown(yaml.safe_load(path.read_text()), schema, schema), path


def unknown(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> list[str]:
    """Keys of a document that the schema does not have."""
    for reference in [schema, *schema.get("anyOf", ())]:
        if "$ref" in reference:
            schema = root["$defs"][reference["$ref"].rpartition("/")[2]]
    found: list[str] = []
    if isinstance(value, dict) and "properties" in schema:
        for key, inner in value.items():
            known = schema["properties"].get(key)
            found += [key] if known is None else unknown(inner, known, root)
    elif isinstance(value, list):
        for inner in value:
            found += unknown(inner, schema.get("items", {}), root)
    return found


def test_every_field_is_documented_and_every_documented_field_exists() -> None:
    text = (Path(__file__).parents[2] / "docs" / "inventory.md").read_text()
    documented = set(re.findall(r"^\| `([a-zA-Z_.\[\]]+)` \|", text, re.MULTILINE))
    assert documented == set(fields(Cluster))


def fields(model: Any, prefix: str = "") -> list[str]:
    from provision.loader import _inner

    found = []
    for name, field in model.model_fields.items():
        inner = _inner(field.annotation)
        many = "[]" if "tuple" in str(field.annotation) and inner else ""
        found += fields(inner, f"{prefix}{name}{many}.") if inner else [f"{prefix}{name}"]
    return found
