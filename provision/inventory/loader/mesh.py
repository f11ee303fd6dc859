"""Rules of `mesh:`: what linkerd's release cannot be told, dtabs, ports, and the user's own linkerd.yaml.

What is known of linkerd is read only where the inventory says more of the mesh than its release and where it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from provision.base.errors import Problem, cause
from provision.base.key_file import regular_content
from provision.base.units import MIB
from provision.inventory.loader.document import Document, Location, field_name
from provision.inventory.loader.rules import Parts
from provision.linkerd.knowledge.versions import RELEASES, UnknownRelease, known
from provision.linkerd.wanted import Mesh

if TYPE_CHECKING:
    import yaml

    from provision.linkerd.knowledge.place import Place

PLAIN = frozenset(
    {"version", "image", "config_file", "namespace", "namespaces", "port", "admin_port", "heap", "roll"},
)
"""Fields that every release can be told; the only ones that stand beside `config_file`."""

PROXY_PORT = 8001
"""kubectl's proxy, on the node's loopback."""

NODE_PORTS = {
    22: "sshd",
    2379: "etcd",
    2380: "etcd",
    6443: "the API server",
    10248: "the kubelet",
    10249: "kube-proxy",
    10250: "the kubelet",
    10251: "the scheduler",
    10252: "the controller manager",
    10255: "the kubelet",
    10256: "kube-proxy",
    10257: "the controller manager",
    10259: "the scheduler",
}
"""Who listens on a node, which is linkerd's network too (kubernetes.io/docs/reference/networking/ports-and-protocols)."""

OLD_PORTS = {4194: "the kubelet's cAdvisor", 8080: "the API server"}
"""Those of 1.5 only; 8080 is its port without TLS, on the control plane's loopback."""

NAMER = b"io.l5d.k8s"


def problems(parts: Parts) -> Iterator[Problem]:
    """Every violation of a rule of the mesh."""
    mesh = parts.mesh
    if mesh is None or not parts.document.has(("mesh",)):
        return
    try:
        known(mesh.version)
    except UnknownRelease as error:
        message, _, nearest = str(error).partition("; ")
        yield parts.document.problem(("mesh", "version"), message, nearest)
        return
    yield from _image(parts.document, mesh)
    old = parts.kubernetes is not None and parts.kubernetes.generation == "1.5"
    yield from _ports(parts.document, mesh, NODE_PORTS | (OLD_PORTS if old else {}))
    yield from _heap(parts, mesh)
    if mesh.config_file is not None:
        yield from _own_file(parts, mesh, mesh.config_file)
    elif not mesh.model_fields_set <= PLAIN:
        yield from _pairs(parts.document, mesh)
        yield from _dtabs(parts.document, mesh)
        yield from _tracer(parts, mesh)
        yield from _inexpressible(parts.document, mesh)


def _image(document: Document, mesh: Mesh) -> Iterator[Problem]:
    if mesh.image is not None and re.fullmatch(r"[a-z0-9][A-Za-z0-9_.:/@-]*", mesh.image) is None:
        yield document.problem(("mesh", "image"), f"{mesh.image!r} is not the name of an image", "REGISTRY/NAME:TAG")
    tag = (mesh.image or "").rpartition(":")[2]
    if tag in RELEASES and tag != mesh.version:
        message = f"{mesh.image} is linkerd {tag}, and mesh.version is {mesh.version}"
        yield document.problem(("mesh", "image"), message, f"mesh.version: {tag}, or another image")


def _ports(document: Document, mesh: Mesh, others: Mapping[int, str]) -> Iterator[Problem]:
    """All listen on the node's own addresses: its network is the pod's."""
    taken: dict[int, Location] = {}
    for location, port in _listening(mesh):
        other = taken.setdefault(port, location)
        if port in others:
            yield document.problem(location, f"{port} is the port of {others[port]} on each node", "another port")
        if port == PROXY_PORT:
            yield document.problem(location, f"{port} is the port of the kubectl proxy beside linkerd", "another port")
        elif other != location:
            # A default that clashes is reported where the user wrote something.
            here, there = (location, other) if document.has(location) else (other, location)
            yield document.problem(here, f"{port} is {field_name(there)} already", "another port")


def _heap(parts: Parts, mesh: Mesh) -> Iterator[Problem]:
    """The container's limit is half as much again, and a node that has less takes no such pod."""
    wanted = mesh.heap * 3 // 2
    small = min(parts.nodes.values(), key=lambda node: node.memory, default=None)
    if small is not None and wanted > small.memory:
        message = f"linkerd's container wants {wanted // MIB} MiB, and node {small.name} has {small.memory_mib}"
        yield parts.document.problem(("mesh", "heap"), message, "a smaller heap, or more memory for the node")


def _listening(mesh: Mesh) -> Iterator[tuple[Location, int]]:
    yield ("mesh", "port"), mesh.port
    yield ("mesh", "admin_port"), mesh.admin_port
    paired = mesh.topology == "linker-to-linker"
    if paired:
        yield ("mesh", "incoming_port"), mesh.incoming_port
    for index, one in enumerate(mesh.protocols):
        yield ("mesh", "protocols", index, "port"), one.port
        if paired and one.incoming_port is not None:
            yield ("mesh", "protocols", index, "incoming_port"), one.incoming_port


def _pairs(document: Document, mesh: Mesh) -> Iterator[Problem]:
    """An incoming port for each router in the topology that has incoming ones, and in that one only."""
    paired, seen = mesh.topology == "linker-to-linker", dict[str, int]()
    message, hint = "the topology outgoing has no incoming router", "topology: linker-to-linker, or take it out"
    if not paired and document.has(("mesh", "incoming_port")):
        yield document.problem(("mesh", "incoming_port"), message, hint)
    for index, one in enumerate(mesh.protocols):
        here: Location = ("mesh", "protocols", index)
        if not paired and one.incoming_port is not None:
            yield document.problem((*here, "incoming_port"), message, hint)
        if paired and one.incoming_port is None:
            lacking = "linker-to-linker needs a second port for each protocol"
            yield document.problem((*here, "incoming_port"), lacking, "add incoming_port:")
        if one.protocol in seen:
            twice = f"{one.protocol} stands in mesh.protocols[{seen[one.protocol]}] already"
            yield document.problem((*here, "protocol"), twice, "one router a protocol")
        seen.setdefault(one.protocol, index)


def _dtabs(document: Document, mesh: Mesh) -> Iterator[Problem]:
    texts: list[tuple[Location, str | None]] = [(("mesh", "dtab"), mesh.dtab)]
    texts += [(("mesh", "protocols", index, "dtab"), one.dtab) for index, one in enumerate(mesh.protocols)]
    for location, text in texts:
        if text is not None:
            yield from _dtab(document, mesh, location, text)


def _dtab(document: Document, mesh: Mesh, location: Location, text: str) -> Iterator[Problem]:
    from provision.linkerd.routing import dtab

    try:
        entries = dtab.parse(text)
    except dtab.DtabError as error:
        message = error.message.partition(" at '")[0]
        hint = "entries are parted by ; and names begin with /"
        yield _inside(document, location, error.offset, f"linkerd cannot read it: {message}", hint)
        return
    for entry in entries:
        for leaf in dtab.leaves(entry.tree):
            said = _unbound(mesh, leaf)
            if said is not None:
                yield _inside(document, location, entry.start, f"{dtab.show_path(leaf)}: {said[0]}", said[1])


def _unbound(mesh: Mesh, leaf: tuple[bytes, ...]) -> tuple[str, str] | None:
    """Why a name below /#/ leads nowhere in this mesh, and what to do."""
    if leaf[:1] != (b"#",):
        return None
    if leaf[1:2] != (NAMER,):
        return "no such namer is configured", f"the mesh has {NAMER.decode()} only; mesh.config_file may have others"
    namespace = leaf[2].decode("utf-8", "replace") if len(leaf) > 2 else mesh.namespace
    if namespace not in (mesh.namespace, *mesh.namespaces):
        return f"linkerd may not read the namespace {namespace}", f"mesh.namespaces: [{namespace}]"
    if leaf[3:4] and leaf[3].isdigit() and RELEASES.index(mesh.version) < RELEASES.index("0.9.1"):
        return "before 0.9.1 a port is the name of a Service's port, never a number", "the port's name"
    return None


def _inside(document: Document, location: Location, offset: int, message: str, hint: str) -> Problem:
    """A problem within a text of the inventory."""
    from provision.linkerd.text import Inside

    node = document.node(location)
    if node is None:
        return document.problem(location, message, hint)
    spot = Inside(node, document.text.split("\n")).spot(offset)
    return Problem(document.file, spot.line, spot.column, field_name(location), message, hint)


def _tracer(parts: Parts, mesh: Mesh) -> Iterator[Problem]:
    from provision.linkerd.check import cluster_name

    host = mesh.tracer.host if mesh.tracer is not None else None
    old = parts.kubernetes is not None and parts.kubernetes.generation == "1.5"
    if host is not None and old and cluster_name(host):
        message = (
            f"{host} is a name of the cluster's DNS, which a pod on the node's network cannot ask before Kubernetes 1.6"
        )
        yield parts.document.problem(("mesh", "tracer", "host"), message, "the address of the Service or of a node")


def _inexpressible(document: Document, mesh: Mesh) -> Iterator[Problem]:
    from provision.linkerd.render import inexpressible

    for one in inexpressible(mesh):
        yield document.problem(("mesh", *one.field), one.message, one.hint)


def _own_file(parts: Parts, mesh: Mesh, path: str) -> Iterator[Problem]:
    document, here = parts.document, ("mesh", "config_file")
    for name in sorted(mesh.model_fields_set - PLAIN):
        yield document.problem(("mesh", name), f"{path} says it instead", "take it out, or mesh.config_file")
    try:
        file = document.path(path)
    except ValueError:
        return  # loader.files says it
    try:
        text = regular_content(file).decode()
    except OSError as error:
        yield document.problem(here, f"{file}: cannot be read: {cause(error)}", "relative paths begin at the inventory")
    except UnicodeDecodeError:
        yield document.problem(here, f"{file}: not UTF-8 text", "save it as UTF-8")
    else:
        yield from _validated(parts, mesh, str(file), text)


def _validated(parts: Parts, mesh: Mesh, file: str, text: str) -> Iterator[Problem]:
    """What the release would refuse, each with its line of that file; and what does not fit the inventory."""
    from provision.linkerd.check import release_of, validate
    from provision.linkerd.text import compose

    if release_of(text) is not None or re.search(r"^apiVersion\s*:", text, re.MULTILINE):
        yield Problem(
            file, 1, 1, "", "this is a Kubernetes manifest", "write linkerd.yaml itself: what its ConfigMap holds"
        )
        return
    errors = [one for one in validate(text, mesh.version, _place(parts)) if one.severity == "error"]
    for one in errors:
        yield Problem(file, one.line, one.column, one.field, f"{one.id}: {one.message}", one.fix)
    root = compose(text) if not errors else None
    if root is not None:
        yield from _fitting(parts.document, mesh, file, root)


def _place(parts: Parts) -> Place:
    from provision.linkerd.knowledge.place import Place
    from provision.linkerd.render import ENVIRONMENT, HOST_NETWORK

    kubernetes = None if parts.kubernetes is None else parts.kubernetes.generation
    return Place(HOST_NETWORK, kubernetes, ENVIRONMENT)


def _fitting(document: Document, mesh: Mesh, file: str, root: yaml.Node) -> Iterator[Problem]:
    """The ports that meshctl probes have to be those of the file, and be open on the node's loopback."""
    from provision.linkerd.routing import routers
    from provision.linkerd.text import text

    every = [(one, *listener.address) for one in routers(root, mesh.version) for listener in one.listeners]
    open_ports = [port for one, ip, port in every if one.protocol == "http" and ip in ("0.0.0.0", "127.0.0.1", "::")]
    if str(mesh.port) not in open_ports:
        have = f"they listen on {', '.join(open_ports)}" if open_ports else "there is none"
        message = f"no http router of {file} listens on port {mesh.port}: {have}"
        yield document.problem(("mesh", "port"), message, "mesh.port: where applications send their requests")
    admin = text(root, "admin", "port") or "9990"
    if admin != str(mesh.admin_port):
        message = f"the admin port of {file} is {admin}, not {mesh.admin_port}"
        yield document.problem(("mesh", "admin_port"), message, f"mesh.admin_port: {admin}")
    ip = text(root, "admin", "ip")
    if ip is not None and ip not in ("0.0.0.0", "127.0.0.1"):
        message = f"admin.ip of {file} is {ip}: the kubelet's probes come to 127.0.0.1"
        yield document.problem(("mesh", "config_file"), message, "admin.ip: 127.0.0.1")
