"""YAML to `Cluster`, or every problem at once with file, line, column, field and hint.

YAML is read strictly: only true and false are booleans, only plain decimal integers are numbers, a duplicate key is a
problem. What PyYAML would make of `no`, `1.30` or `52:54:00:12:34:56` is thereby the text that stands there.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import netaddr
import yaml
from pydantic import BaseModel, ValidationError

from provision.addresses import TooSmall, node_addresses, pod_prefix_length
from provision.errors import InventoryError, Problem
from provision.inventory import Cluster

Location = tuple[str | int, ...]


class _Loader(yaml.SafeLoader):
    """YAML's core schema, narrowed: true/false, null and decimal integers; all else is text, `1.30` too."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own form


for _tag, _pattern, _first in (
    ("bool", r"true|false", "tf"),
    ("null", r"null|~|", ["n", "~", ""]),
    ("int", r"0|-?[1-9][0-9]*", "-0123456789"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first))


@dataclass
class _Document:
    """The node tree of a file, its values, and where each stands."""

    file: str
    root: yaml.Node | None
    value: Any
    problems: list[Problem]

    def problem(self, location: Location, message: str, hint: str = "", *, key: bool = False) -> Problem:
        """A problem at a field; where the field is missing, at what should hold it."""
        line, column = self.position(location, key=key)
        return Problem(self.file, line, column, field_name(location), message, hint)

    def position(self, location: Location, *, key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of the deepest part of a location that exists."""
        node, found = self.root, self.root
        for step in location:
            pair = _step(node, step)
            if pair is None:
                break
            node = pair[1]
            found = pair[0] if key and step == location[-1] else pair[1]
        mark = found.start_mark if found is not None else None
        return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


def _step(node: yaml.Node | None, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((k, v) for k, v in node.value if k.value == str(step)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def field_name(location: Location) -> str:
    """`nodes[1].memory`."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def load(path: str, text: str | None = None) -> Cluster:
    """The inventory in a file (`-`: standard input), or in `text`. Raises InventoryError with every problem.

    Relative paths in the inventory (bundle folder, key file) are taken from the inventory's own folder.
    """
    document = _parse(path, _read(path) if text is None else text)
    cluster = _validated(document)
    if cluster is not None and not document.problems:
        document.problems += _across(cluster, document)
    if cluster is None or document.problems:
        count = len(document.problems)
        raise InventoryError(
            f"{path}: {count} problem{'s' if count != 1 else ''}; nothing was done",
            hint="docs/inventory.md explains every field; `meshctl schema` is for your editor",
            problems=sorted(set(document.problems)),
        )
    return _resolved(cluster, Path(path).resolve().parent if path != "-" else Path.cwd())


def _read(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InventoryError(f"{path}: is not UTF-8 text: {error.reason} at byte {error.start}") from error
    except OSError as error:
        raise InventoryError(
            f"{path}: cannot be read: {error.strerror}", hint="which inventory did you mean?"
        ) from error


def _parse(path: str, text: str) -> _Document:
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        document = _Document(path, root, None, [])
        document.problems += _duplicates(document, root, ())
        document.problems += _aliases(document, text)
        document.value = loader.construct_document(root) if root is not None else None
    except yaml.YAMLError as error:
        raise _syntax(path, error) from error
    return document


def _syntax(path: str, error: yaml.YAMLError) -> InventoryError:
    mark = getattr(error, "problem_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    message = getattr(error, "problem", None) or str(error)
    hint = "indent with spaces" if "\\t" in message else "quote text that holds : # { [ & * ! | > % @"
    problem = Problem(path, line, column, "", f"not YAML: {message}", hint)
    return InventoryError(f"{path}: 1 problem; nothing was done", problems=[problem])


def _duplicates(document: _Document, node: yaml.Node | None, location: Location) -> Iterator[Problem]:
    if isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            name, line, column = str(key.value), key.start_mark.line + 1, key.start_mark.column + 1
            if name in seen:
                message = f"duplicate key: it stands in line {seen[name]} already"
                yield Problem(
                    document.file, line, column, field_name((*location, name)), message, "keep one of the two"
                )
            seen.setdefault(name, line)
            yield from _duplicates(document, value, (*location, name))
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _duplicates(document, item, (*location, index))


def _aliases(document: _Document, text: str) -> Iterator[Problem]:
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) and event.start_mark is not None:
            line, column = event.start_mark.line + 1, event.start_mark.column + 1
            message = f"alias *{event.anchor}: aliases are not read here"
            yield Problem(document.file, line, column, "", message, "write the value out")


def _validated(document: _Document) -> Cluster | None:
    if not isinstance(document.value, dict):
        document.problems.append(
            document.problem((), "an inventory is a mapping", "it begins with `apiVersion: meshctl/v1`")
        )
        return None
    try:
        return Cluster.model_validate(document.value)
    except ValidationError as error:
        document.problems += [
            _problem(document, fault) for fault in error.errors(include_url=False) if not _echo(fault)
        ]
        return None


def _echo(fault: Any) -> bool:
    """Pydantic counts only the valid items of a list: too few of them is no problem of its own."""
    return fault["type"] == "too_short" and bool(fault["input"])


def _problem(document: _Document, fault: Any) -> Problem:
    location = tuple(
        step for step in fault["loc"] if not (isinstance(step, str) and step.startswith(("function-", "int", "str")))
    )
    kind, message, hint = fault["type"], str(fault["msg"]), ""
    if kind == "value_error":
        message, _, hint = message.removeprefix("Value error, ").partition("\n")
    elif kind == "extra_forbidden":
        return document.problem(location, "unknown field", _near(location), key=True)
    elif kind == "missing":
        message, hint = "is missing", "docs/inventory.md has an example"
    elif kind == "string_type":
        message, hint = f"{_shown(fault['input'])} is not text", f'put it in quotes: "{fault["input"]}"'
    elif kind == "literal_error":
        message, hint = f"{_shown(fault['input'])} is not one of {fault['ctx']['expected']}", ""
    elif kind == "string_pattern_mismatch":
        message, hint = (
            f"{_shown(fault['input'])} does not have the right form",
            f"it must match {fault['ctx']['pattern']}",
        )
    else:
        message = f"{message[0].lower()}{message[1:]}, not {_shown(fault['input'])}"
    return document.problem(location, message, hint)


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else str(value)


def _near(location: Location) -> str:
    model: Any = _model_at(location[:-1])
    names = list(model.model_fields) if model is not None else []
    near = difflib.get_close_matches(str(location[-1]), names, n=1)
    return f"did you mean {near[0]}?" if near else f"there are: {', '.join(names)}" if names else ""


def _model_at(location: Location) -> type[BaseModel] | None:
    model: type[BaseModel] = Cluster
    for step in location:
        if isinstance(step, int):
            continue
        field = model.model_fields.get(step)
        inner = _inner(field.annotation) if field is not None else None
        if inner is None:
            return None
        model = inner
    return model


def _inner(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((inner for part in getattr(annotation, "__args__", ()) if (inner := _inner(part)) is not None), None)


# ── rules between fields ─────────────────────────────────────────────────────────────────────────────────────────


def _across(cluster: Cluster, document: _Document) -> Iterator[Problem]:
    yield from _names(document, "hosts", [host.name for host in cluster.hosts])
    yield from _names(document, "nodes", [node.name for node in cluster.nodes])
    yield from _roles(cluster, document)
    yield from _hosts(cluster, document)
    yield from _overlaps(cluster, document)
    yield from _fixed_addresses(cluster, document)
    yield from _sizes(cluster, document)
    yield from _reserved(cluster, document)
    yield from _sysctl(cluster, document)


def _names(document: _Document, what: str, names: Sequence[str]) -> Iterator[Problem]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield document.problem(
                (what, index, "name"), f"{name} is taken by {what}[{names.index(name)}]", "names are unique"
            )


def _roles(cluster: Cluster, document: _Document) -> Iterator[Problem]:
    planes = [index for index, node in enumerate(cluster.nodes) if node.role == "control-plane"]
    if not planes:
        yield document.problem(("nodes",), "there is no control plane", "give one node `role: control-plane`", key=True)
    for index in planes[1:]:
        if cluster.kubernetes.generation == "1.5":
            message = "a second control plane: kubeadm of Kubernetes 1.5 cannot make one"
        else:
            message = "a second control plane: meshctl makes clusters with one"
        yield document.problem(("nodes", index, "role"), message, "make it a worker")
    for index, node in enumerate(cluster.nodes):
        if node.role == "control-plane" and node.memory_mib < 2048:
            yield document.problem(
                ("nodes", index, "memory"),
                f"{node.memory_mib} MiB is not enough for a control plane",
                "2GiB at the least",
            )


def _hosts(cluster: Cluster, document: _Document) -> Iterator[Problem]:
    names = [host.name for host in cluster.hosts]
    for index, node in enumerate(cluster.nodes):
        if node.host is not None and node.host not in names:
            yield document.problem(
                ("nodes", index, "host"), f"there is no host {node.host}", f"the hosts are {', '.join(names)}"
            )
    if cluster.network.mode == "nat" and len(cluster.hosts) > 1:
        hint = "mode bridge with a bridge on each host joins them"
        yield document.problem(("network", "mode"), "nodes on different hosts cannot reach each other under nat", hint)


def _overlaps(cluster: Cluster, document: _Document) -> Iterator[Problem]:
    ranges: list[tuple[Location, str]] = [
        (("network", "cidr"), cluster.network.cidr),
        (("kubernetes", "pod_cidr"), cluster.kubernetes.pod_cidr),
        (("kubernetes", "service_cidr"), cluster.kubernetes.service_cidr),
    ]
    for number, one in enumerate(ranges):
        for other in ranges[:number]:
            if _overlap(one[1], other[1]):
                # Reported where the user wrote something: one of the two may be a default.
                (here, ours), (there, theirs) = (one, other) if _written(document, one[0]) else (other, one)
                where = f"line {document.position(there)[0]}" if _written(document, there) else "the default"
                message = f"{ours} overlaps {field_name(there)} {theirs} ({where})"
                yield document.problem(here, message, "the three ranges must not share an address")


def _overlap(one: str, other: str) -> bool:
    first, second = netaddr.IPNetwork(one), netaddr.IPNetwork(other)
    return bool(first.first <= second.last and second.first <= first.last)


def _written(document: _Document, location: Location) -> bool:
    value = document.value
    for step in location:
        if not isinstance(value, dict) or step not in value:
            return False
        value = value[step]
    return True


def _fixed_addresses(cluster: Cluster, document: _Document) -> Iterator[Problem]:
    network = cluster.network
    seen: dict[str, str] = {network.gateway_address: "the gateway"}
    for index, node in enumerate(cluster.nodes):
        if node.address is None:
            continue
        location: Location = ("nodes", index, "address")
        first, last = network.node_range()
        if netaddr.IPAddress(node.address) not in netaddr.IPRange(first, last):
            yield document.problem(
                location, f"{node.address} is not within {first}-{last}", "see network.cidr and network.nodes"
            )
        elif node.address in seen:
            yield document.problem(
                location, f"{node.address} belongs to {seen[node.address]}", "leave `address` out to have one chosen"
            )
        seen.setdefault(node.address, node.name)


def _sizes(cluster: Cluster, document: _Document) -> Iterator[Problem]:
    try:
        node_addresses(cluster.network, cluster.nodes)
    except TooSmall as error:
        field = "nodes" if cluster.network.nodes else "cidr"
        yield document.problem(
            ("network", field), f"{error}, but there are {len(cluster.nodes)} nodes", "take a larger range"
        )
    try:
        pod_prefix_length(cluster.network, cluster.kubernetes.pod_cidr)
    except TooSmall as error:
        hint = "a larger pod_cidr, or a smaller range of addresses by network.nodes"
        yield document.problem(("kubernetes", "pod_cidr"), str(error), hint)
    if netaddr.IPNetwork(cluster.kubernetes.service_cidr).prefixlen > 24:
        yield document.problem(
            ("kubernetes", "service_cidr"), f"{cluster.kubernetes.service_cidr} is too small", "a /24 or larger"
        )


def _reserved(cluster: Cluster, document: _Document) -> Iterator[Problem]:
    for index, host in enumerate(cluster.hosts):
        reserved = host.reserved_cpus or ()
        if len(set(reserved)) != len(reserved):
            yield document.problem(("hosts", index, "reserved_cpus"), "a CPU stands there twice", "")


def _sysctl(cluster: Cluster, document: _Document) -> Iterator[Problem]:
    for key, value in cluster.sysctl.items():
        if re.fullmatch(r"[a-z0-9_-]+([./][A-Za-z0-9_*-]+)+", key) is None:
            yield document.problem(
                ("sysctl", key),
                f"{key!r} is not the name of a kernel setting",
                "for example net.core.somaxconn",
                key=True,
            )
        if isinstance(value, str) and re.fullmatch(r"[^\n#;]*", value) is None:
            yield document.problem(("sysctl", key), "a value is one line without # and ;", "")


def _resolved(cluster: Cluster, folder: Path) -> Cluster:
    ssh, kubernetes = cluster.ssh, cluster.kubernetes
    if ssh.key_file is not None:
        ssh = ssh.model_copy(update={"key_file": str(folder / Path(ssh.key_file).expanduser())})
    if "/" in kubernetes.bundle:
        kubernetes = kubernetes.model_copy(update={"bundle": str(folder / Path(kubernetes.bundle).expanduser())})
    return cluster.model_copy(update={"ssh": ssh, "kubernetes": kubernetes})


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the inventory (draft 2020-12), for editors."""
    schema = Cluster.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "meshctl inventory", **schema}
