"""Files of this machine that an inventory names: a name that cannot be is a problem, what lies there may change and is a warning."""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from pathlib import Path

from provision.base.errors import Problem, cause
from provision.base.key_file import key_fault, regular_content
from provision.inventory.loader.document import Document, Location
from provision.inventory.model import Cluster
from provision.inventory.uri import parse_uri

NAMED: tuple[Location, ...] = (("id_file",), ("ssh", "key_file"), ("kubernetes", "bundle"), ("mesh", "config_file"))


def problems(document: Document) -> Iterator[Problem]:
    """Every name that names no file of this machine, whatever lies there."""
    for location in NAMED:
        text = document.written(location)
        if text is None or not document.sound(location):
            continue
        try:
            document.path(text)
        except ValueError as error:
            message, _, hint = str(error).partition("\n")
            yield document.problem(location, message, hint)


def doubts(document: Document, cluster: Cluster) -> Iterator[Problem]:
    """Keys and programs that are not there, or not as ssh(1) takes them. `guests.keys` refuses them before anything is made."""
    if cluster.ssh.key_file is not None:
        key = document.path(cluster.ssh.key_file)
        yield from _key(document, ("ssh", "key_file"), key)
        if os.path.isfile(key) and cluster.ssh.public_key is None and not os.path.isfile(f"{key}.pub"):
            message = f"there is no {key}.pub here"
            yield document.warning(
                ("ssh", "key_file"), message, f"ssh-keygen -y -f {key} > {key}.pub, or ssh.public_key"
            )
    for index, host in enumerate(cluster.hosts):
        said = parse_uri(host.uri).parameters
        if said.get("keyfile"):
            yield from _key(document, ("hosts", index, "uri"), Path(said["keyfile"]))
        command = said.get("command", "")
        if "/" in command and not os.path.isfile(command):
            lab = "`meshctl lab up --hosts 3` makes the lab's" if "/meshctl/" in command else ""
            yield document.warning(("hosts", index, "uri"), f"there is no {command} here", lab)


def _key(document: Document, location: Location, path: Path) -> Iterator[Problem]:
    try:
        content = regular_content(path)
    except OSError as error:
        lab = "`meshctl lab up` makes the lab's" if "/meshctl/" in str(path) else "ssh-keygen -t ed25519 makes a pair"
        yield document.warning(location, f"{path}: cannot be read: {cause(error)}", lab)
        return
    fault = key_fault(path, content)
    if fault is None and b"PRIVATE KEY-----" not in content:
        fault = ("this is not a private key", "ssh-keygen -t ed25519 makes a pair")
    if fault is not None:
        yield document.warning(location, f"{path}: {fault[0]}", fault[1])
