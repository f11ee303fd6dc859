"""The shipped inventories load; the schema and the document say what the model says."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.base import data
from provision.inventory import json_schema, load
from provision.inventory.loader.reference import reference

SHIPPED = sorted(data.folder("inventories").glob("*.yaml"))


def test_the_shipped_inventories_are_there() -> None:
    assert {path.name for path in SHIPPED} >= {"lab.yaml", "single-host.yaml", "oslo.yaml"}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_each_shipped_inventory_loads_and_satisfies_the_schema(path: Path) -> None:
    assert load(str(path)).apiVersion == "meshctl/v1"
    schema = json_schema()
    assert list(faults(yaml.safe_load(path.read_text()), schema, schema)) == []


def test_oslo_is_the_articles_case() -> None:
    oslo = load(str(data.folder("inventories") / "oslo.yaml"))
    assert len(oslo.hosts) == 3
    assert all(host.uri.startswith("qemu+ssh://") for host in oslo.hosts)
    assert (oslo.network.mode, oslo.network.bridge, oslo.kubernetes.version) == ("bridge", "br0", "v1.5.8")
    assert oslo.sysctl == {
        "net.ipv4.tcp_tw_reuse": 1,
        "net.ipv4.ip_local_port_range": "1024 65000",
        "net.core.somaxconn": 4096,
    }


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda v: v["nodes"][0].update(memory=3), "nodes[0].memory"),
        (lambda v: v["nodes"][0].update(memory="3G"), "nodes[0].memory"),
        (lambda v: v["nodes"][0].update(memoy="3GiB"), "nodes[0].memoy"),
        (lambda v: v["nodes"][0].pop("role"), "nodes[0].role"),
        (lambda v: v["nodes"][0].update(role="boss"), "nodes[0].role"),
        (lambda v: v["nodes"][0].update(numa_cells="two"), "nodes[0].numa_cells"),
        (lambda v: v["kubernetes"].update(version="v1.21.0"), "kubernetes.version"),
        (lambda v: v["network"].update(mtu=10), "network.mtu"),
        (lambda v: v.update(apiVersion="v2"), "apiVersion"),
        (lambda v: v.update(hosts=[]), "hosts"),
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(change: Any, fault: str) -> None:
    value = copy.deepcopy(yaml.safe_load((data.folder("inventories") / "lab.yaml").read_text()))
    change(value)
    schema = json_schema()
    assert fault in list(faults(value, schema, schema))


def test_every_field_has_a_description_and_sizes_are_text() -> None:
    schema = json_schema()
    for model in (schema, *schema["$defs"].values()):
        assert all(field.get("description") for field in model["properties"].values()), model
    assert schema["$defs"]["Host"]["properties"]["reserved_memory"]["default"] == "1GiB"


def test_the_document_is_what_the_model_says() -> None:
    document = Path(__file__).parents[3] / "docs" / "inventory.md"
    assert document.read_text() == reference(), "python -m provision.inventory.loader.reference > docs/inventory.md"


def test_the_shipped_inventories_name_no_field_that_the_document_lacks() -> None:
    named = set(re.findall(r"^\| `([^`]+)`", reference(), re.MULTILINE))
    assert {"nodes[].memory", "hosts[].pool.path", "kubernetes.bundle", "mesh.version"} < named


TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,), "integer": (int,), "number": (int, float), "array": (list,), "object": (dict,), "null": (type(None),),
    "boolean": (bool,),
}  # fmt: skip


def faults(value: Any, schema: dict[str, Any], root: dict[str, Any], at: str = "") -> Any:
    """The part of JSON Schema that ours uses; yields where a value violates it."""
    if "$ref" in schema:
        yield from faults(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, at)
    if "anyOf" in schema and all(list(faults(value, part, root, at)) for part in schema["anyOf"]):
        yield at
    if "type" in schema and (
        not isinstance(value, TYPES[schema["type"]]) or (isinstance(value, bool) and schema["type"] != "boolean")
    ):
        yield at
        return
    if value not in schema.get("enum", [value]) or value != schema.get("const", value):
        yield at
    if isinstance(value, str) and re.search(schema.get("pattern", ""), value) is None:
        yield at
    if isinstance(value, int | float) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        yield at
    if isinstance(value, list):
        if len(value) < schema.get("minItems", 0):
            yield at
        for index, item in enumerate(value):
            yield from faults(item, schema.get("items", {}), root, f"{at}[{index}]")
    if isinstance(value, dict):
        yield from _object_faults(value, schema, root, at)


def _object_faults(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], at: str) -> Any:
    prefix = f"{at}." if at else ""
    properties, rest = schema.get("properties", {}), schema.get("additionalProperties", {})
    yield from (prefix + name for name in schema.get("required", ()) if name not in value)
    for name, item in value.items():
        if name in properties:
            yield from faults(item, properties[name], root, prefix + name)
        elif rest is False:
            yield prefix + name
        else:
            yield from faults(item, rest, root, prefix + name)
