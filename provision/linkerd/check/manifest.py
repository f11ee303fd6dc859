"""linkerd.yaml inside Kubernetes manifests: ConfigMaps that hold one, and the pods that start linkerd with it.

linkerd's examples are published in this form, and the pod tells what the file alone does not: its network, its environment, its argument.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import yaml

from provision.linkerd.check.finding import Finding, found
from provision.linkerd.knowledge.place import Place
from provision.linkerd.knowledge.versions import RELEASES
from provision.linkerd.text import (
    Spot,
    find,
    get,
    is_null,
    items,
    scalar,
    spot,
    text,
)

_IMAGE = re.compile(r"(?:^|/)linkerd(?::(?P<tag>[^@]*))?(?:@.*)?$")
_ROUTERS = re.compile(r"""^\s*(?:\{\s*)?["']?routers["']?\s*:""", re.MULTILINE)
"""linkerd's file, and not namerd's or another one."""


@dataclass(frozen=True)
class Embedded:
    """A configuration within a manifest, and the place where it will run."""

    text: str
    place: Place
    begin: Spot
    indent: int | None
    """Columns before each of its lines; None where it is no literal block and its lines cannot be pointed at."""

    def outside(self, finding: Finding) -> Finding:
        """A finding in the configuration, as one in the manifest."""
        if self.indent is None:
            return replace(finding, line=self.begin.line, column=self.begin.column)
        return replace(finding, line=finding.line + self.begin.line, column=finding.column + self.indent)

    def rewritten(self, source: str, text: str) -> str:
        """The manifest with another configuration in the same literal block."""
        lines, indent = source.split("\n"), " " * (self.indent or 0)
        begin = stop = self.begin.line
        for index in range(begin, len(lines)):
            if lines[index].strip() and not lines[index].startswith(indent):
                break
            stop = index + 1 if lines[index].strip() else stop
        fresh = [indent + line if line.strip() else "" for line in text.rstrip("\n").split("\n")]
        return "\n".join([*lines[:begin], *fresh, *lines[stop:]])


@dataclass(frozen=True)
class Container:
    """A container that runs linkerd, in its pod."""

    node: yaml.Node
    pod: yaml.Node

    def arguments(self) -> list[str]:
        """What is no flag; flags of the JVM's programs begin with a dash, and `-` alone is stdin."""
        every = [scalar(item) or "" for item in items(get(self.node, "args"))]
        return [item for item in every if item == "-" or not item.startswith("-")]

    def release(self) -> str | None:
        """The release, when the image's tag is one."""
        found = _IMAGE.search(text(self.node, "image") or "")
        tag = (found.group("tag") or "").partition("-")[0] if found else ""  # 0.8.5-32b is 0.8.5
        return tag if tag in RELEASES else None

    def place(self, known: Place) -> Place:
        """The network and the environment of the pod, and what is known otherwise."""
        host_network = (text(self.pod, "hostNetwork") or "").lower() == "true"
        names = frozenset(text(item, "name") or "" for item in items(get(self.node, "env")))
        environment = names if get(self.node, "envFrom") is None else None
        return replace(known, host_network=host_network, environment=environment)


@dataclass(frozen=True)
class Manifest:
    """Objects of Kubernetes."""

    objects: tuple[yaml.Node, ...]

    def containers(self) -> Iterator[Container]:
        """All that run linkerd by its image's own command."""
        for one in self.objects:
            for pod in (find(one, "spec"), find(one, "spec", "template", "spec")):
                for node in items(get(pod, "containers")):
                    if pod is not None and _IMAGE.search(text(node, "image") or "") and get(node, "command") is None:
                        yield Container(node, pod)

    def maps(self) -> dict[str, yaml.Node]:
        """ConfigMaps by name."""
        return {text(one, "metadata", "name") or "": one for one in self.objects if text(one, "kind") == "ConfigMap"}

    def value(self, name: str, key: str) -> str | None:
        """What a key of a ConfigMap holds; of the first ConfigMap that has it when no name is given."""
        found = (text(get(one, "data"), key) for each, one in self.maps().items() if name in ("", each))
        return next((value for value in found if value is not None), None)

    def release(self) -> str | None:
        """The release that the first image names."""
        return next((one.release() for one in self.containers() if one.release()), None)


def manifest(documents: list[yaml.Node]) -> Manifest | None:
    """The objects of all documents, None when they are none of Kubernetes."""
    if not documents or text(documents[0], "apiVersion") is None or text(documents[0], "kind") is None:
        return None
    return Manifest(tuple(one for document in documents for one in _listed(document)))


def _listed(document: yaml.Node) -> list[yaml.Node]:
    return items(get(document, "items")) if text(document, "kind") == "List" else [document]


def embedded(objects: Manifest, source: str, known: Place) -> tuple[list[Embedded], list[Finding]]:
    """Every configuration of linkerd, and what is wrong with the way in which it is given to linkerd."""
    lines = source.split("\n")
    started: dict[int, Embedded] = {}
    findings: list[Finding] = []
    for container in objects.containers():
        node = _configuration(container, objects, findings)
        if node is not None:
            started[id(node)] = _embedded(node, container.place(known), lines)
    for one in objects.maps().values():
        for node in _values(get(one, "data")):
            if id(node) not in started and _ROUTERS.search(scalar(node) or ""):
                started[id(node)] = _embedded(node, known, lines)
    return list(started.values()), findings


def _configuration(container: Container, objects: Manifest, findings: list[Finding]) -> yaml.Node | None:
    """The value of the ConfigMap that a container's argument names; findings when it names none."""
    arguments = container.arguments()
    if len(arguments) != 1:
        message = f"linkerd takes one argument, and has {len(arguments)}"
        findings.append(found("ML301", container.node, ("args",), message, "usage: linkerd path/to/config"))
        return None
    mounted = _mounted(container, objects, arguments[0])
    if isinstance(mounted, str):
        where = get(container.node, "args") or container.node
        findings.append(found("ML302", where, ("args",), mounted, f"config is not a file: {arguments[0]}"))
        return None
    return mounted


def _mounted(container: Container, objects: Manifest, path: str) -> yaml.Node | str | None:
    """The ConfigMap's value at a path; a text when it has none there; None when what is mounted there is not in this manifest."""
    folder, name = posixpath.split(path)
    for mount in items(get(container.node, "volumeMounts")):
        at = text(mount, "mountPath") or ""
        key = name if at.rstrip("/") == folder else text(mount, "subPath") if at == path else None
        volumes = [one for one in items(get(container.pod, "volumes")) if text(one, "name") == text(mount, "name")]
        name_of_map = text(volumes[-1], "configMap", "name") if volumes else None
        one = objects.maps().get(name_of_map or "")
        if key is None or one is None:
            continue
        for item in items(find(volumes[-1], "configMap", "items")):
            key = text(item, "key") if text(item, "path") == key else key
        value = find(one, "data", key or "")
        have = ", ".join(_keys(get(one, "data"))) or "nothing"
        return value if value is not None else f"ConfigMap {name_of_map} has no {key}; it has {have}"
    return None


def _values(node: yaml.Node | None) -> list[yaml.Node]:
    return [value for _key, value in node.value] if isinstance(node, yaml.MappingNode) else []


def _keys(node: yaml.Node | None) -> list[str]:
    return [scalar(key) or "?" for key, _value in node.value] if isinstance(node, yaml.MappingNode) else []


def _embedded(node: yaml.Node, place: Place, lines: list[str]) -> Embedded:
    begin, inner = spot(node), scalar(node) or ""
    if is_null(node) or getattr(node, "style", None) != "|":
        return Embedded(inner, place, begin, None)
    first = next((row for row in lines[begin.line :] if row.strip()), "")
    return Embedded(inner, place, begin, len(first) - len(first.lstrip(" ")))
