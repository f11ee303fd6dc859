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
_NAMERD_IMAGE = re.compile(r"(?:^|/)namerd(?::(?P<tag>[^@]*))?(?:@.*)?$")
_ROUTERS = re.compile(r"""^\s*(?:\{\s*)?["']?routers["']?\s*:""", re.MULTILINE)
"""linkerd's file, and not namerd's or another one."""

_TOP_KEY = re.compile(r"""^(?:\{\s*)?["']?([A-Za-z]+)["']?\s*:""", re.MULTILINE)
OWN_KEYS = frozenset(("routers", "namers", "admin", "telemetry", "tracers", "usage"))
"""Keys of linkerd's file. One of them may be another program's, two are linkerd's."""

_LIKE_ROUTERS = re.compile(r"ro\w{0,3}ter\w{0,2}|[Rr]outer[sS]?|routes")
"""`routers`, misspelt."""

NAMERD_KEYS = frozenset(("storage", "interfaces"))
_OWN_NAME = re.compile(r"(^|[-_.])(l5d|linkerd)([-_.]|$)")
"""What people call linkerd's ConfigMap."""

LOOKED_FOR = "ConfigMaps and Secrets with `routers:`, or of a name like l5d-config"


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
    owner: yaml.Node
    """The object that makes the pod, a DaemonSet most often, or the pod itself."""

    def arguments(self) -> list[str]:
        """What is no flag; flags of the JVM's programs begin with a dash, and `-` alone is stdin."""
        every = [scalar(item) or "" for item in items(get(self.node, "args"))]
        return [item for item in every if item == "-" or not item.startswith("-")]

    def release(self) -> str | None:
        """The release, when the image's tag is one."""
        return _tagged(_IMAGE, text(self.node, "image") or "")

    def place(self, known: Place) -> Place:
        """The network and the environment of the pod, and what is known otherwise."""
        host_network = (text(self.pod, "hostNetwork") or "").lower() == "true"
        names = frozenset(text(item, "name") or "" for item in items(get(self.node, "env")))
        environment = names if get(self.node, "envFrom") is None else None
        policy = text(self.pod, "dnsPolicy") or "ClusterFirst"
        return replace(known, host_network=host_network, environment=environment, dns_policy=policy)


@dataclass(frozen=True)
class Manifest:
    """Objects of Kubernetes."""

    objects: tuple[yaml.Node, ...]
    beside: tuple[yaml.Node, ...] = ()
    """Objects of other files that are checked at the same time: looked up, not judged."""

    def containers(self) -> Iterator[Container]:
        """All that run linkerd by its image's own command."""
        for one in self.objects:
            for pod in (find(one, "spec"), find(one, "spec", "template", "spec")):
                for node in items(get(pod, "containers")):
                    if pod is not None and _IMAGE.search(text(node, "image") or "") and get(node, "command") is None:
                        yield Container(node, pod, one)

    def every(self, kind: str) -> list[yaml.Node]:
        """The objects of a kind, of the files beside too."""
        return [one for one in (*self.objects, *self.beside) if text(one, "kind") == kind]

    def own(self, one: yaml.Node) -> bool:
        """Whether an object is of this file."""
        return any(one is other for other in self.objects)

    def maps(self) -> dict[str, yaml.Node]:
        """ConfigMaps by name."""
        return {text(one, "metadata", "name") or "": one for one in self.every("ConfigMap")}

    def secrets(self) -> dict[str, yaml.Node]:
        """Secrets by name."""
        return {text(one, "metadata", "name") or "": one for one in self.every("Secret")}

    def value(self, name: str, key: str) -> str | None:
        """What a key of a ConfigMap holds; of the first ConfigMap that has it when no name is given."""
        found = (text(get(one, "data"), key) for each, one in self.maps().items() if name in ("", each))
        return next((value for value in found if value is not None), None)

    def release(self) -> str | None:
        """The release that the first image names: linkerd's, whatever starts it, else namerd's, which is of the same releases."""
        images = [text(node, "image") or "" for one in self.objects for node in _containers(one)]
        for pattern in (_IMAGE, _NAMERD_IMAGE):
            found = next((release for image in images if (release := _tagged(pattern, image))), None)
            if found is not None:
                return found
        return None


def _containers(one: yaml.Node) -> list[yaml.Node]:
    """Every container of an object's pods."""
    pods = (find(one, "spec"), find(one, "spec", "template", "spec"))
    return [node for pod in pods for node in items(get(pod, "containers"))]


def _tagged(pattern: re.Pattern[str], image: str) -> str | None:
    """The release, when the image's tag is one."""
    found = pattern.search(image)
    tag = (found.group("tag") or "").partition("-")[0] if found else ""  # 0.8.5-32b is 0.8.5
    return tag if tag in RELEASES else None


def manifest(documents: list[yaml.Node]) -> Manifest | None:
    """The objects of all documents, None when they are none of Kubernetes."""
    if not documents or text(documents[0], "apiVersion") is None or text(documents[0], "kind") is None:
        return None
    return Manifest(tuple(one for document in documents for one in _listed(document)))


def _listed(document: yaml.Node) -> list[yaml.Node]:
    return items(get(document, "items")) if text(document, "kind") == "List" else [document]


@dataclass(frozen=True)
class Found:
    """What a manifest holds of linkerd."""

    configurations: tuple[Embedded, ...]
    containers: tuple[tuple[Container, Embedded | None], ...]
    """Each container that runs linkerd, with the configuration that it is given, when that is in the files."""
    findings: tuple[Finding, ...]


def embedded(objects: Manifest, source: str, known: Place) -> Found:
    """Every configuration of linkerd, and what is wrong with the way in which it is given to linkerd."""
    lines = source.split("\n")
    started: dict[int, Embedded] = {}
    containers: list[tuple[Container, Embedded | None]] = []
    findings: list[Finding] = []
    own = {id(value) for one in objects.objects for value in _held(one)}
    for container in objects.containers():
        node = _configuration(container, objects, findings)
        mounted = None if node is None else _embedded(node, container.place(known), lines)
        containers.append((container, mounted))
        if node is not None and mounted is not None and id(node) in own:
            started[id(node)] = mounted
    for one in objects.objects:
        for node in _held(one):
            if id(node) not in started and _is_configuration(scalar(node) or "", text(one, "metadata", "name") or ""):
                started[id(node)] = _embedded(node, known, lines)
    return Found(tuple(started.values()), tuple(containers), tuple(findings))


def _held(one: yaml.Node) -> list[yaml.Node]:
    """The texts that a ConfigMap or a Secret holds as they are."""
    return _values(get(one, {"ConfigMap": "data", "Secret": "stringData"}.get(text(one, "kind") or "", "")))


def _is_configuration(value: str, name: str) -> bool:
    """Whether a text is linkerd's file, or namerd's; a misspelt `routers` is no reason to pass one by."""
    keys = set(_TOP_KEY.findall(value))
    if _ROUTERS.search(value) or keys >= NAMERD_KEYS:
        return True
    misspelt = any(_LIKE_ROUTERS.fullmatch(key) for key in keys)
    return len(keys & OWN_KEYS) + misspelt >= (1 if _OWN_NAME.search(name) else 2)


def nothing_found(objects: Manifest) -> Finding:
    """That a manifest holds no configuration: what was looked for, and what there is."""
    have = [f"{text(one, 'kind') or '?'} {text(one, 'metadata', 'name') or ''}".strip() for one in objects.objects]
    encoded = any(text(one, "kind") == "Secret" and get(one, "data") is not None for one in objects.objects)
    message = f"no linkerd configuration in it: looked for {LOOKED_FOR}; there is {', '.join(have[:8]) or 'no object'}"
    given = dict.fromkeys(name for container in objects.containers() for name in _given(container))
    whose = f"ConfigMap {', '.join(given)}" if given else "the ConfigMap"
    fix = "write a Secret's file as stringData" if encoded else f"give the file with {whose} too"
    return found("ML300", objects.objects[0] if objects.objects else Spot(1, 1), (), message, "", fix)


def _given(container: Container) -> list[str]:
    """The ConfigMaps of a container's pod."""
    names = [text(one, "configMap", "name") for one in items(get(container.pod, "volumes"))]
    return [name for name in names if name]


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
    """The value at a path; a text when there is none; None when what is mounted there is not in these files."""
    folder, name = posixpath.split(path)
    mounts = items(get(container.node, "volumeMounts"))
    for mount in mounts:
        at = text(mount, "mountPath") or ""
        key = name if at.rstrip("/") == folder else text(mount, "subPath") if at == path else None
        volumes = [one for one in items(get(container.pod, "volumes")) if text(one, "name") == text(mount, "name")]
        if key is None or not volumes:
            continue
        kind, source, one, data = _source(volumes[-1], objects)
        if one is None:
            return None
        for item in items(get(source, "items")):
            key = text(item, "key") if text(item, "path") == key else key
        value = find(one, data, key or "")
        encoded = kind == "Secret" and find(one, "data", key or "") is not None
        have = ", ".join(_keys(get(one, data))) or "nothing"
        missing = f"{kind} {text(one, 'metadata', 'name')} has no {key}; it has {have}"
        return value if value is not None else None if encoded else missing
    return _unmounted(container, mounts, path)


def _source(volume: yaml.Node, objects: Manifest) -> tuple[str, yaml.Node | None, yaml.Node | None, str]:
    """What a volume is made of: its kind, how it is mounted, the object, and the key of its texts."""
    secret = get(volume, "secret")
    if secret is not None:
        return "Secret", secret, objects.secrets().get(text(secret, "secretName") or ""), "stringData"
    source = get(volume, "configMap")
    return "ConfigMap", source, objects.maps().get(text(source, "name") or ""), "data"


def _unmounted(container: Container, mounts: list[yaml.Node], path: str) -> str | None:
    """That ConfigMaps are mounted, but none of them where the argument looks; None when the image may hold the file itself."""
    volumes = {text(one, "name"): one for one in items(get(container.pod, "volumes"))}
    files = [
        text(mount, "mountPath") or ""
        for mount in mounts
        if (volume := volumes.get(text(mount, "name"))) is not None
        and (get(volume, "configMap") is not None or get(volume, "secret") is not None)
    ]
    around = [text(mount, "mountPath") or "/" for mount in mounts]
    if not files or any(path == one or path.startswith(one.rstrip("/") + "/") for one in around) or path == "-":
        return None
    return f"nothing is mounted at {posixpath.dirname(path) or path}; mounted are {', '.join(files)}"


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
