"""docs/inventory.md, from the model itself: `python -m provision.inventory.loader.reference > docs/inventory.md`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from provision.base.scalars import NAME_PATTERN
from provision.base.units import format_size
from provision.inventory.loader.faults import inner_model
from provision.inventory.loader.schema import json_schema
from provision.inventory.model import Cluster

_HEAD = """# The inventory

One YAML file says everything about a cluster. `meshctl validate FILE` checks it and names every problem at once, with line, column
and a hint; `meshctl schema` prints the JSON Schema for your editor. `inventories/` holds examples: `lab.yaml` (the embedded lab),
`single-host.yaml` (one machine, dedicated CPUs) and `oslo.yaml` (three machines, Kubernetes 1.5).

YAML is read strictly: `true` and `false` are the only truth values, only plain decimals are numbers, and what other YAML readers
take for something else than the text that stands there (`no`, `010`, `52:54:00:12:34:56`, `2017-01-01`) is a problem until
it is quoted. Duplicate keys, aliases, merge keys and tags are problems, and so are characters that show nothing themselves. Sizes
are written `512MiB`, `8GiB`, `1.5TiB`; `8G` is refused.
Relative paths start at the inventory's folder, `~` is your home.

What cannot work is a problem, and nothing is done. What can work and is unwise (a program in `command=`, a key file that is not there,
addresses of the Internet for pods) is a warning of `validate`, `plan` and `provision`. Inventories of kubespray, k0sctl, kcli, kubeadm and
RKE are recognised: `meshctl init --from FILE` writes the nearest one of ours, `meshctl init` alone one to fill in.
"""

_TAIL = """
## Rules between fields

- One node has `role: control-plane`; it needs 2 GiB or more, and on 1.20 two vCPUs. A second one is refused (kubeadm 1.5 cannot make it).
- Names of hosts are unique, and names of nodes are; a node may be called like a host.
- Each host is a machine of its own: `uri`s that lead to one machine are refused, whatever user, transport or default port they name.
- `network.cidr`, `kubernetes.pod_cidr` and `kubernetes.service_cidr` share no address. Each address that a node may get must find a
  /28 or larger in the pod CIDR: a /24 of nodes in a /16 of pods gives each node a /24.
- None of the three is loopback, link-local, multicast or docker0's (172.17.0.0/16, in each guest). Under nat `network.cidr` is no
  part of the Internet and holds no host's address; under bridge, nodes get none of these.
- Volumes that are mounted within one another are listed from the outside in.
- A kernel setting is one that the guests' kernel has, and that meshctl, the kubelet or kube-proxy do not set to something else.
- `network.mode: nat` is for one host: nodes behind two NATs could not reach each other.
- Nodes of one `group` run on different hosts, so there are as many hosts as a group has nodes.
- The bundles `debian-source` and `debian-source+tracing` hold Kubernetes 1.20; a cluster of 1.5 needs the folder of a sealed bundle.
- What `mesh.version` cannot be told is refused, with the releases that can: nothing is left out silently. All its ports differ, and
  none is 8001 (the kubectl proxy beside linkerd) or another of a node's own. `docs/linkerd/model.md` says more.
- `mesh.config_file` is checked as `meshctl mesh validate` does: what that release would refuse is a problem with its line in that file.
  `mesh.port` and `mesh.admin_port` are those of the file.
- Under `policy.residency` every place that the inventory names is in one of its countries, and somebody says in which: hosts by
  `jurisdiction`, the machine that meshctl runs on by `policy.operator`, all others by `policy.networks` ([residency.md](residency.md)).
- A dtab of `mesh` names the namer `io.l5d.k8s` and namespaces that are in `mesh.namespace` or `mesh.namespaces`.
- `tracing` of kind zipkin needs a data volume called `tracing.volume` on its node, twice as large as `tracing.max_size` and
  256MiB more, and a bundle with Zipkin in it. `mesh.tracer` and `mesh.config_file` do not stand beside `tracing`: one of them says
  where traces go.
- On Kubernetes 1.5 `mesh.tracer.host` is no name of the cluster's DNS.
"""


def reference() -> str:
    """The document."""
    return _HEAD + "".join(_section(path, model) for path, model in _models("", Cluster)) + _TAIL


def _models(path: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    yield path, model
    for name, field in model.model_fields.items():
        inner = inner_model(field.annotation)
        if inner is not None:
            yield from _models(f"{path}{name}{'[]' if _many(field) else ''}.", inner)


def _many(field: FieldInfo) -> bool:
    return getattr(field.annotation, "__origin__", None) is tuple


def _section(path: str, model: type[BaseModel]) -> str:
    title = f"`{path.rstrip('.')}`" if path else "The file"
    rows = "".join(
        f"| `{path}{name}` | {_type(model, name)} | {_default(field)} | {field.description} |\n"
        for name, field in model.model_fields.items()
    )
    doc = (model.__doc__ or "").strip()
    return f"\n## {title}\n\n{doc}\n\n| field | type | default | meaning |\n|---|---|---|---|\n{rows}"


def _type(model: type[BaseModel], name: str) -> str:
    """A field's type, from the JSON Schema: what a user may write."""
    schema = json_schema()
    properties = schema["properties"] if model is Cluster else schema["$defs"][model.__name__]["properties"]
    return _schema_type(properties[name]).replace("|", "\\|")


def _schema_type(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_schema_type(part) for part in schema["anyOf"] if part.get("type") != "null")
    if "const" in schema or "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if "$ref" in schema:
        return "mapping"
    if schema.get("type") == "array":
        return f"list: {_schema_type(schema['items'])}"
    if schema.get("pattern") == f"^{NAME_PATTERN}$":
        return "name"
    if schema.get("type") == "string" and "examples" in schema:
        return f"text like `{schema['examples'][0]}`"
    return {"string": "text", "integer": "whole number", "number": "number", "boolean": "`true`, `false`"}.get(
        str(schema.get("type")), "mapping"
    )


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.default
    if value is PydanticUndefined:
        made = field.default_factory() if field.default_factory is not None else None  # type: ignore[call-arg]
        return "see below" if isinstance(made, BaseModel) else _mapping(made) or "–"
    if value is None or value == ():
        return "–"
    if isinstance(value, bool):
        return f"`{value}`".lower()
    if isinstance(value, int) and value >= 1 << 20:
        return f"`{format_size(value)}`"
    return f"`{value}`"


def _mapping(value: Any) -> str:
    return ", ".join(f"`{key}: {item}`" for key, item in dict(value).items())


if __name__ == "__main__":
    print(reference(), end="")
