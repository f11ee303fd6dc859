"""meshctl mesh route: where a request goes, step by step, without a cluster."""

from __future__ import annotations

import os.path
import sys
from typing import TYPE_CHECKING

import click

from provision.cli.mesh_validate import DEFAULT_RELEASE, known_release
from provision.cli.say import say

if TYPE_CHECKING:
    from provision.linkerd.routing import Config, Delegation, End, Entry, Identified, Path, Routing

SHOWN = 60
"""Steps that are printed; a dtab that branches makes thousands of them."""


@click.command()
@click.argument("file", type=click.Path())
@click.option("--linkerd", "release", help="The release of linkerd; default: the one that the file names, else 0.8.5.")
@click.option("--router", "label", help="The router's label; default: the first one.")
@click.option("--host", default="", help="The request's Host, of h2 its :authority.")
@click.option("--method", default="GET", show_default=True, help="The request's method.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header of the request; repeat it.")
@click.option("--path", default="/", show_default=True, help="The request's path.")
@click.option("--http", "http", default="1.1", type=click.Choice(["1.0", "1.1"]), help="The version of HTTP.")
@click.option(
    "--dtab", "dtab", metavar="FILE", help="The dtab that the router's interpreter reads elsewhere (namerd's)."
)
@click.option("--folder", help="Where linkerd is started: a dtabFile is looked for there; default: FILE's folder.")
def route(
    file: str,
    release: str | None,
    label: str | None,
    host: str,
    method: str,
    headers: tuple[str, ...],
    path: str,
    http: str,
    dtab: str | None,
    folder: str | None,
) -> None:
    """Show step by step what linkerd makes of a request, and where it ends. Exit code 1 when it ends in nothing.

    FILE is a linkerd.yaml (or JSON), a Kubernetes manifest that holds one, or - for stdin. Where the router's dtab is namerd's,
    a ConfigMap's or another file's, give that with --dtab: without it the answer is not known here, which is exit code 1 too.
    """
    from provision.linkerd.check import release_of
    from provision.linkerd.routing import DtabError, Request, delegate, identify, show_path

    text = _read(file)
    known = known_release(release) if release is not None else release_of(text) or DEFAULT_RELEASE
    config, routing = _chosen(file, text, known, label)
    try:
        named = identify(routing.router, Request(host, method, path, http, _headers(headers)))
    except DtabError as error:
        raise click.ClickException(f"router {routing.router.label}: {error.message}") from error
    name = _said(routing, named)
    found = delegate(_entries(file, text, routing, dtab, folder), name, () if routing.remote else config.bindable)
    _say_steps(found)
    _say_ends(config, routing, found, f"No hosts are available for {show_path(name)}")


def _headers(written: tuple[str, ...]) -> dict[str, str]:
    pairs = [one[1:].partition(":") if one.startswith(":") else one.partition(":") for one in written]
    return {
        (":" if one.startswith(":") else "") + name.strip().lower(): value.strip()
        for one, (name, _, value) in zip(written, pairs, strict=True)
    }


def _said(routing: Routing, named: Identified) -> Path:
    """The name, said. Raises ClickException where there is none."""
    from provision.linkerd.routing import show_path

    for line in named.before:
        say(f"{line}; the next identifier is asked")
    if named.path is None:
        raise click.ClickException(f"router {routing.router.label} gives the request no name: {named.reason}")
    say(f"{named.identifier} names it {show_path(named.path)}")
    return named.path


def _say_steps(found: Delegation) -> None:
    from provision.linkerd.routing import show_path, show_tree

    for step in found.steps[:SHOWN]:
        say(f"{'  ' * (step.depth + 1)}{show_path(step.path)}  by {step.rule}  becomes {show_tree(step.became)}")
    if len(found.steps) > SHOWN or found.unfinished:
        say(f"  … {'at least ' if found.unfinished else ''}{len(found.steps) - SHOWN} steps more")


def _say_ends(config: Config, routing: Routing, found: Delegation, nothing: str) -> None:
    """The ends in the order in which they are tried. Raises ClickException when the request gets no endpoint for certain."""
    from provision.linkerd.routing import TOO_DEEP, show_path

    hopes = 0
    for end in found.ends:
        why = _hopeless(config, routing, end)
        if end.what == "circle":
            said = f"runs in a circle at {show_path(end.path)}: the request fails (linkerd says: {TOO_DEEP})"
            if not hopes:
                raise click.ClickException(said)
            say(f"else {said}")
            return
        if why and end.what != "leaf":
            if not hopes:
                raise click.ClickException(f"{nothing}: {why}")
            say(f"else {why}")
            return
        if why:
            say(f"nothing at {show_path(end.path)}: {why}")
        else:
            say(f"{'else in' if hopes else 'ends in'} {show_path(end.path)}{_service(config, end.path)}")
            hopes += 1
    if not hopes:
        raise click.ClickException(f"{nothing}: {_why_nothing(routing, found)}")


def _why_nothing(routing: Routing, found: Delegation) -> str:
    if found.ends:
        return "nothing that it leads to can be bound"
    if not routing.router.dtab and not found.steps:
        return "the router has no dtab"
    return "no entry of the dtab leads on to a namer"


def _hopeless(config: Config, routing: Routing, end: End) -> str:
    """Why an end gives no endpoint for certain; empty when it may. With another's namers only its own names can be judged."""
    from provision.linkerd.routing import NAMERS, fault, show_path

    if end.what == "fail":
        return f"`!` ends the search at {show_path(end.path)}"
    if end.what == "empty":
        return f"`$` at {show_path(end.path)} is bound to no endpoint"
    if end.what == "circle" or (routing.remote and end.path[:1] == (NAMERS,)):
        return ""
    found = fault(end.path, config.bindable, config.release)
    return "" if found is None else f"{found.why}{f' ({found.fix})' if found.fix else ''}"


def _service(config: Config, leaf: Path) -> str:
    """Namespace, port name and service of a leaf of a Kubernetes namer."""
    from provision.linkerd.routing import NAMERS, owner

    namer = owner(leaf, config.bindable) if leaf[:1] == (NAMERS,) else None
    kind = "io.l5d.k8s" if leaf[:2] == (NAMERS, b"io.l5d.k8s") else "" if namer is None else namer.kind
    if kind != "io.l5d.k8s":
        return ""
    behind = 1 + (1 if namer is None else len(namer.prefix))
    return "  (namespace / port / service: " + " / ".join(_text(part) for part in leaf[behind : behind + 3]) + ")"


def _text(label: bytes) -> str:
    from provision.linkerd.routing import show_path

    return show_path((label,))[1:]


def _chosen(file: str, text: str, release: str, label: str | None) -> tuple[Config, Routing]:
    """The first router, or the one of a label, with the configuration that it stands in."""
    from provision.linkerd.knowledge.place import ANYWHERE
    from provision.linkerd.mend import configurations
    from provision.linkerd.routing import Config
    from provision.linkerd.text import Unreadable, compose

    labels = []
    template = _template(text)
    if template and ("{{" in text or "<%" in text):
        raise click.ClickException(template)
    try:
        for inner in configurations(text):
            root = compose(inner)
            config = None if root is None else Config(root, inner, release, ANYWHERE)
            for routing in () if config is None else config.routings:
                if config is not None and label in (None, routing.router.label):
                    return config, routing
                labels.append(routing.router.label)
    except Unreadable as error:
        raise click.ClickException(template or f"{file}:{error.line}:{error.column}: {error.message}") from error
    raise click.ClickException(f"there is no router {label or ''} in {file}; there are: {labels}")


def _entries(file: str, text: str, routing: Routing, dtab: str | None, folder: str | None) -> tuple[Entry, ...]:
    """The dtab that the router's interpreter reads, and behind it the router's own, whose entries are tried first."""
    from provision.linkerd.routing.dtab import DtabError, parse

    sources = [(f"router {routing.router.label}", routing.router.dtab)]
    if dtab is not None:
        sources.insert(0, (dtab, _read(dtab)))
    elif routing.interpreter != "default":
        sources.insert(0, _elsewhere(file, text, routing, folder))
    entries: tuple[Entry, ...] = ()
    for name, written in sources:
        try:
            entries += parse(written)
        except DtabError as error:
            raise click.ClickException(_template(text) or f"{name}: {error.message}") from error
    return entries


def _template(text: str) -> str:
    """That a text is a template, which nobody can follow a request through; empty when it is none."""
    from provision.linkerd.check import placeholder

    first = placeholder(text)
    return f"{first} is a template's placeholder: render the template first" if first else ""


def _elsewhere(file: str, text: str, routing: Routing, folder: str | None) -> tuple[str, str]:
    """The dtab of an interpreter that does not take the router's, with its name. Raises ClickException where it is not at hand."""
    from provision.linkerd.check import config_map
    from provision.linkerd.text import text as value

    kind, node = routing.interpreter, routing.router.fields.get("interpreter")
    if kind == "io.l5d.fs":
        name = value(node, "dtabFile") or ""
        inside = config_map(text, "", os.path.basename(name)) if name else None
        folders = [folder] if folder is not None else [os.path.dirname(file) if file != "-" else "", "."]
        for path in [os.path.join(one, name) for one in folders]:
            if name and "\0" not in name and os.path.isfile(path):
                return path, _read(path)
        if inside is not None:
            return name, inside
    if kind == "io.l5d.k8s.configMap":
        inside = config_map(text, value(node, "name") or "", value(node, "filename") or "")
        if inside is not None:
            return f"ConfigMap {value(node, 'name')}", inside
    raise click.ClickException(
        f"router {routing.router.label} asks {routing.asked}: its dtab is not in this file; give it with --dtab FILE"
    )


def _read(file: str) -> str:
    from provision.base.errors import MeshError

    try:
        if file == "-":
            return sys.stdin.read()
        with open(file, encoding="utf-8") as stream:
            return stream.read()
    except OSError as error:
        raise MeshError(f"config is not a file: {file}", hint="a linkerd.yaml, or - for stdin") from error
    except UnicodeDecodeError as error:
        raise MeshError(f"{file}: is not UTF-8 text") from error
