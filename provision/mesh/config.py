"""What linkerd is given to read: meshctl's own rendering of the inventory, or the user's own file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from provision.base.errors import MeshError, cause
from provision.linkerd.render import render
from provision.linkerd.routing import routers
from provision.linkerd.text import compose
from provision.linkerd.wanted import Mesh

_PORT_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")
"""What Kubernetes takes for the name of a port; linkerd's labels are any text."""


LOCAL = "io.l5d.k8s.localnode"
"""The transformer that leaves of a service's endpoints those on linkerd's own node."""


@dataclass(frozen=True)
class Configuration:
    """The text, and what the pod and the checks have to know of it."""

    text: str
    label: str
    """The label of the router that listens on `mesh.port`: its metrics prove the requests."""
    ports: Mapping[str, int]
    """Of the routers, by their labels."""
    incoming: frozenset[int] = frozenset()
    """Those of them whose routers know the pods of their own node only: what other nodes' linkerds send goes there."""

    @property
    def led(self) -> tuple[int, ...]:
        """The ports that a neighbour can serve as well: an incoming router would find none of this node's pods there (ADR 0037)."""
        return tuple(port for port in self.ports.values() if port not in self.incoming)


def configuration(mesh: Mesh) -> Configuration:
    """The configuration of a mesh that the loader found no fault in. Raises MeshError when its file cannot be read any more."""
    text = (
        yaml.dump(render(mesh), Dumper=_Dumper, sort_keys=False) if mesh.config_file is None else _own(mesh.config_file)
    )
    found = tuple(_ports(text, mesh.version))
    ports = {label: port for label, port, _ in found}
    incoming = frozenset(port for _, port, own in found if own)
    return Configuration(text, next(name for name, port in ports.items() if port == mesh.port), ports, incoming)


def _own(path: str) -> str:
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise MeshError(f"{path}: cannot be read: {cause(error)}", hint="mesh.config_file names it") from error


def _ports(text: str, release: str) -> Iterator[tuple[str, int, bool]]:
    """Label, port, and whether the router is one for the node's own pods."""
    root = compose(text)
    for router in routers(root, release) if root is not None else ():
        own = LOCAL in yaml.serialize(router.node)
        for index, listener in enumerate(router.listeners):
            yield f"{router.label}{f'-{index}' if index else ''}", int(listener.port), own


def port_names(ports: Mapping[str, int]) -> dict[str, int]:
    """Ports by names that Kubernetes takes: the labels, where they are such names."""
    return {
        label if _PORT_NAME.fullmatch(label) and not label.isdigit() else f"router-{number}": port
        for number, (label, port) in enumerate(ports.items())
    }


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks: dtabs are read by people."""


def _text(dumper: yaml.SafeDumper, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
