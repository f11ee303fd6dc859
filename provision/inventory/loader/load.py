"""YAML to `Cluster`, or every problem at once with file, line, column, field and hint."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from itertools import chain
from pathlib import Path

from pydantic import ValidationError

from provision.base.errors import InventoryError, Problem, cause
from provision.base.units import MIB, format_size
from provision.base.visible import visible_line
from provision.inventory.loader import (
    characters,
    doubts,
    faults,
    files,
    mesh,
    networks,
    residency,
    rules,
    sysctl,
    tracing,
)
from provision.inventory.loader.document import Document, parse
from provision.inventory.loader.foreign import Foreign, recognise
from provision.inventory.loader.schema import json_schema
from provision.inventory.model import Cluster

OURS = "apiVersion: meshctl/"

LARGEST_FILE = 4 * MIB
"""Bytes of an inventory: 10,000 nodes have 1 MiB. A device such as /dev/zero has no end."""

__all__ = ["json_schema", "load", "read"]


def load(
    path: str,
    text: str | None = None,
    warn: Callable[[Problem], object] = lambda _: None,
    *,
    anywhere: bool = False,
) -> Cluster:
    """The inventory in a file (`-`: standard input), or in `text`. Raises InventoryError with every problem.

    `warn` gets what can work and is unwise, of an inventory that has no problem. Relative paths in the inventory (bundle
    folder, key file, linkerd.yaml) are taken from the inventory's own folder. `anywhere`: what breaks `policy.residency` is
    warned of only, for commands that look at such a cluster or take it away.
    """
    document = parse(path, read(path) if text is None else text)
    cluster, abroad = _checked(document)
    document.problems += () if anywhere else abroad
    foreign = recognise(document.text) if document.problems and not document.text.lstrip().startswith(OURS) else None
    if foreign is not None:
        raise _refusal(path, [_not_ours(path, foreign)])
    if cluster is None or document.problems:
        raise _refusal(path, document.problems)
    warnings = [*doubts.doubts(document, cluster), *(replace(one, severity="warning") for one in abroad)]
    for warning in sorted(set(warnings)):
        warn(warning)
    return _resolved(cluster, document)


def _not_ours(path: str, foreign: Foreign) -> Problem:
    message = f"this is {foreign.tool}, not meshctl's: begin with inventories/single-host.yaml"
    hint = "`meshctl init` prints that" + (
        f"; `meshctl init --from {shlex.quote(path)}` the nearest to this" if foreign.machines else ""
    )
    return Problem(path, 1, 1, "", message, hint)


def read(path: str) -> str:
    """An inventory's text, from a file or (`-`) standard input. Raises InventoryError."""
    try:
        data = _bytes(path)
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        column = error.start - (data[: error.start].rfind(b"\n") + 1) + 1
        problem = Problem(path, line, column, "", f"not UTF-8 text: byte 0x{data[error.start]:02x}", "save it as UTF-8")
        raise _refusal(path, [problem]) from error
    except OSError as error:
        raise InventoryError(
            f"{visible_line(path)}: cannot be read: {cause(error)}", hint="which inventory did you mean?"
        ) from error


def _bytes(path: str) -> bytes:
    with nullcontext(sys.stdin.buffer) if path == "-" else Path(path).open("rb") as file:
        data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise InventoryError(
            f"{visible_line(path)}: is larger than {format_size(LARGEST_FILE)}", hint="which inventory did you mean?"
        )
    return data


def _refusal(path: str, problems: list[Problem]) -> InventoryError:
    count = len(set(problems))
    return InventoryError(
        f"{visible_line(path)}: {count} problem{'s' if count != 1 else ''}; nothing was done",
        hint="docs/inventory.md explains every field; `meshctl schema` is for your editor",
        problems=sorted(set(problems)),
    )


def _checked(document: Document) -> tuple[Cluster | None, list[Problem]]:
    """The cluster where it is valid, and what breaks its policy; adds all else to the document's problems."""
    if document.root is None and document.problems:
        return None, []
    if not isinstance(document.value, dict):
        hint = "it begins with `apiVersion: meshctl/v1`"
        document.problems.append(document.problem((), "an inventory is a mapping", hint))
        return None, []
    document.problems += characters.problems(document)
    cluster = None
    try:
        cluster = Cluster.model_validate(document.value)
    except ValidationError as error:
        document.problems += faults.problems(document, error)
    parts = rules.parts_of(document, None if document.faulty else cluster)
    document.problems += chain(
        rules.problems(parts),
        sysctl.problems(document),
        files.problems(document),
        mesh.problems(parts),
        networks.problems(parts),
        tracing.problems(parts),
    )
    return cluster, list(residency.problems(parts))


def _resolved(cluster: Cluster, document: Document) -> Cluster:
    """The cluster with its files named from the root."""
    ssh, kubernetes, linkerd = cluster.ssh, cluster.kubernetes, cluster.mesh
    if ssh.key_file is not None:
        ssh = ssh.model_copy(update={"key_file": str(document.path(ssh.key_file))})
    if "/" in kubernetes.bundle:
        kubernetes = kubernetes.model_copy(update={"bundle": str(document.path(kubernetes.bundle))})
    if linkerd.config_file is not None:
        linkerd = linkerd.model_copy(update={"config_file": str(document.path(linkerd.config_file))})
    id_file = cluster.id_file and str(document.path(cluster.id_file))
    return cluster.model_copy(update={"ssh": ssh, "kubernetes": kubernetes, "mesh": linkerd, "id_file": id_file})
