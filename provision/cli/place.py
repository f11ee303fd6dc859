"""meshctl place: what would fit on these machines? Offline, from recorded capabilities and domains."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from provision.cli.say import say

if TYPE_CHECKING:
    from provision.inventory import Cluster
    from provision.placement import Tenant, Topology

DUMPED = "it is the output of `virsh dumpxml`"


def _pairs(_ctx: click.Context, _param: click.Parameter, values: Iterable[str]) -> dict[str, str]:
    """`hv1=PATH` options by host."""
    pairs: dict[str, str] = {}
    for value in values:
        host, equals, path = value.partition("=")
        if not (host and equals and path):
            raise click.BadParameter(f"{value!r} is not HOST=PATH")
        if host in pairs:
            raise click.BadParameter(f"{host} is given twice")
        pairs[host] = path
    return pairs


@click.command()
@click.argument("inventory", type=click.Path())
@click.option(
    "--capabilities",
    metavar="HOST=FILE",
    multiple=True,
    callback=_pairs,
    help="What `virsh capabilities` says on a host; once per host.",
)
@click.option(
    "--domains",
    metavar="HOST=DIR",
    multiple=True,
    callback=_pairs,
    help="A folder of domain XML files (`virsh dumpxml`): the guests that a host already has.",
)
@click.option("--json", "as_json", is_flag=True, help="Placements and refusals as JSON on stdout.")
@click.option("--svg", metavar="FILE", type=click.Path(dir_okay=False), help="Writes a picture of it too.")
def place(
    inventory: str, capabilities: dict[str, str], domains: dict[str, str], as_json: bool, svg: str | None
) -> None:
    """Show where the guests of INVENTORY would go on given machines, without touching any. Exit code 4 with a refusal."""
    from provision.base.errors import PlacementError
    from provision.inventory import load
    from provision.placement import as_map, check_machines
    from provision.placement import place as find

    cluster = load(inventory, anywhere=True)
    _known(cluster, capabilities, domains)
    topologies = {host.name: _topology(capabilities[host.name]) for host in cluster.hosts}
    check_machines(topologies)
    current = [tenant for host, folder in domains.items() for tenant in _tenants(cluster, host, folder)]
    found = find(cluster, topologies, current)
    if svg:
        from provision.placement import draw

        _write(Path(svg), draw(found, cluster, topologies, current))
    say(json.dumps(found.as_data(), indent=2) if as_json else as_map(found, cluster, topologies, current))
    if found.refusals and as_json:
        sys.exit(PlacementError.exit_code)
    if found.refusals:
        refusals = "\n".join(f"  {refusal}" for refusal in found.refusals)
        raise PlacementError(
            f"{len(found.refusals)} of {len(cluster.nodes)} guests do not fit:\n{refusals}",
            hint="give them less, or the hosts more; docs/placement.md says how guests are placed",
        )


def _known(cluster: Cluster, capabilities: dict[str, str], domains: dict[str, str]) -> None:
    """Refuses hosts without capabilities and options for hosts that are not in the inventory."""
    names = [host.name for host in cluster.hosts]
    for host in (*capabilities, *domains):
        if host not in names:
            raise click.UsageError(f"there is no host {host} in the inventory; its hosts are {', '.join(names)}")
    lacking = [name for name in names if name not in capabilities]
    if lacking:
        wanted = " ".join(f"--capabilities {name}=FILE" for name in lacking)
        raise click.UsageError(f"no capabilities of {', '.join(lacking)}: add {wanted} (virsh capabilities > FILE)")


def _topology(path: str) -> Topology:
    from provision.base.errors import InventoryError, cause
    from provision.libvirt_xml import text_of
    from provision.placement import parse_capabilities

    try:
        found = parse_capabilities(text_of(_content(Path(path))))
    except ValueError as error:
        raise InventoryError(f"{path}: {cause(error)}", hint="it is the output of `virsh capabilities`") from error
    if not found.cpus:
        raise InventoryError(f"{path}: no CPUs in it", hint="libvirt's test driver reports none; take a real host's")
    if found.strayed:
        say(f"note: {path}: {found.stray_note}", err=True)
    return found


def _tenants(cluster: Cluster, host: str, folder: str) -> list[Tenant]:
    from provision.base.errors import InventoryError, cause
    from provision.libvirt_xml import check_domain, parse_domain
    from provision.placement import tenants

    if not Path(folder).is_dir():
        raise InventoryError(f"{folder}: there is no such folder", hint="it holds one domain XML a file")
    found: dict[str, Tenant] = {}
    files: dict[str, Path] = {}
    for path in _files(Path(folder)):
        text = _domain_in(path)
        if text is None:
            continue
        try:
            check_domain(text)
        except ValueError as error:
            raise InventoryError(f"{path}: is not a domain: {cause(error)}", hint=DUMPED) from error
        (tenant,) = tenants(cluster.cluster, host, [parse_domain(text, active=True)])
        if tenant.name in found:
            raise InventoryError(
                f"{files[tenant.name]} and {path} are both guest {tenant.name}", hint="keep one of the two files"
            )
        found[tenant.name], files[tenant.name] = tenant, path
    return list(found.values())


def _files(folder: Path) -> list[Path]:
    from provision.base.errors import InventoryError, cause

    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise InventoryError(f"{folder}: cannot be read: {cause(error)}") from error


def _domain_in(path: Path) -> str | None:
    """The text of a file that is to be read: those named *.xml must be domains, of others only those that begin like one."""
    from provision.libvirt_xml import first_tag, may_be_xml

    if path.exists() and not path.is_file():
        return None
    content = _content(path)
    if path.suffix == ".xml":
        return _text(path, content)
    text = _text(path, content) if may_be_xml(content) else ""
    return text if first_tag(text) == "domain" else None


def _content(path: Path) -> bytes:
    from provision.base.errors import InventoryError, cause

    try:
        return path.read_bytes()
    except OSError as error:
        raise InventoryError(f"{path}: cannot be read: {cause(error)}") from error


def _text(path: Path, content: bytes) -> str:
    from provision.base.errors import InventoryError, cause
    from provision.libvirt_xml import text_of

    try:
        return text_of(content)
    except ValueError as error:
        raise InventoryError(f"{path}: {cause(error)}", hint=DUMPED) from error


def _write(path: Path, text: str) -> None:
    from provision.base.errors import InventoryError, cause

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InventoryError(f"{path}: cannot be written: {cause(error)}") from error
