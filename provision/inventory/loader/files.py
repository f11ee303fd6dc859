"""Files of this machine that an inventory names: a name that cannot be is a problem, what lies there may change and is a warning."""

from __future__ import annotations

import os.path
from collections.abc import Iterator
from pathlib import Path

from provision.base import data
from provision.base.errors import Problem, cause
from provision.base.key_file import key_fault, regular_content
from provision.inventory.loader.document import Document, Location
from provision.inventory.model import Cluster
from provision.inventory.uri import parse_uri

BUNDLE = "debian-source, which `meshctl bundle build` makes, or the folder of a sealed bundle"
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
    yield from _recipe(document)
    bundle = document.written(("kubernetes", "bundle"))
    if bundle is not None and "://" in bundle:
        yield document.problem(("kubernetes", "bundle"), "a bundle is a folder of this machine, no address", BUNDLE)


def _recipe(document: Document) -> Iterator[Problem]:
    name = document.written(("image",))
    if name is not None and document.sound(("image",)) and name not in data.recipes():
        yield document.problem(("image",), f"there is no recipe {name}", f"there are: {', '.join(data.recipes())}")


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
    bundle = cluster.kubernetes.bundle
    if "/" in bundle and os.path.isfile(document.path(bundle)):
        yield document.warning(("kubernetes", "bundle"), f"{bundle} is a file", BUNDLE)
    if cluster.ssh.proxy_command and len(cluster.nodes) > 1 and "%h" not in " ".join(cluster.ssh.proxy_command):
        message = "nothing of it says %h, the guest's address: all guests are looked for at one place"
        yield document.warning(("ssh", "proxy_command"), message, "for example [nc, '%h', '%p']")
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
