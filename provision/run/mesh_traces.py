"""The slowest requests of the mesh, hop by hop, asked of Zipkin through a node of the cluster. Reads only."""

from __future__ import annotations

from collections.abc import Sequence

from provision.base.curl import answers
from provision.base.errors import MeshError
from provision.inventory import Cluster, Tracing
from provision.mesh import API_PORT, Hop, Trace, read_traces, traces_argv
from provision.run.access import node_target
from provision.run.engine import World

WITHIN_S = 120.0
"""One question of 60 s, on a guest that has no CPU left."""


def mesh_traces(world: World, *, slow_us: int, last_s: int, most: int) -> tuple[Trace, ...]:
    """The `most` slowest of the latest traces. Raises MeshError when nobody keeps traces, or who does does not answer."""
    cluster = world.cluster
    if cluster.tracing is None:
        raise MeshError(
            f"{cluster.cluster}: nobody keeps traces",
            hint="`tracing: {kind: zipkin}` in the inventory: docs/tracing.md",
        )
    node, address, port = _where(cluster, cluster.tracing)
    world.sessions.ask_now()
    shell = world.sessions.to(node_target(world, node))
    said = answers(
        shell.read(traces_argv(address, port, slow_us=slow_us, last_s=last_s), within_s=WITHIN_S, check=False).stdout
    )
    found = read_traces(said[0]) if said else "no answer at all"
    if isinstance(found, str):
        raise MeshError(f"Zipkin at {address}:{port}, asked from {node}: {found}", hint=_hint(cluster))
    return found[:most]


def _where(cluster: Cluster, tracing: Tracing) -> tuple[str, str, int]:
    """Which node asks, and whom: the node that Zipkin is on needs no other to carry the answer."""
    port = tracing.api_port if tracing.kind == "external" else API_PORT
    node = cluster.traces_home or cluster.control_plane
    return node.name, tracing.reached_at(cluster.kubernetes.service_cidr), port


def _hint(cluster: Cluster) -> str:
    if cluster.traces_home is None:
        return "tracing.address and tracing.api_port say where it is"
    return "`meshctl status --drift INVENTORY` says whether its pod is there; a JVM needs minutes on a slow host"


def as_text(traces: Sequence[Trace]) -> str:
    """Each trace with its hops below it, the slowest first."""
    if not traces:
        return "no traces: none was sampled (tracing.sample_rate), or none was as slow as that"
    return "\n\n".join("\n".join(_lines(trace)) for trace in traces)


def _lines(trace: Trace) -> list[str]:
    begun = trace.begun.strftime("%Y-%m-%d %H:%M:%S UTC")
    hops = f"{len(trace.hops)} hop{'s' if len(trace.hops) != 1 else ''}"
    return [f"{_ms(trace.took_ms)}  {begun}  trace {trace.id}, {hops}", *map(_line, trace.hops)]


def _line(hop: Hop) -> str:
    took = "no end" if hop.took_ms is None else _ms(hop.took_ms)
    words = (hop.kind, hop.service, hop.name, hop.request, hop.status, hop.fault)
    return f"  +{_ms(hop.after_ms):>10}  {took:>10}  {'  ' * hop.depth}{'  '.join(filter(None, words))}"


def _ms(value: float) -> str:
    return f"{value / 1000:.2f} s" if value >= 1000 else f"{value:.1f} ms"
