r"""`tracing:` of the inventory: who keeps the traces that linkerd sends, on which node and volume, and for how long.

Rules raise ValueError with a message and, behind ``\n``, a hint; what must hold between it and other fields is the loader's.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, Protocol, Self, TypeVar

import netaddr
from pydantic import Field, field_validator, model_validator

from provision.base.scalars import Address, Name, Size
from provision.base.strict import FieldFault, Strict
from provision.base.units import MIB, format_size
from provision.linkerd.wanted import ZIPKIN_PORT, Port, Share, Tracer
from provision.storage import Volume

API_PORT = 9411
"""Zipkin's own port for HTTP: its page, and what `mesh traces` asks."""

SERVICE_OFFSET = 11
"""Which address of the service range Zipkin gets: kubeadm gives the tenth to DNS, and the first to the API server."""

LEAST_MEMORY = 512 * MIB
"""Measured: Zipkin 345 MiB with a heap of 256 MiB, mariadbd 111 MiB (facts of 29 November 2026: 400 spans)."""

LEAST_SIZE = 64 * MIB
"""InnoDB's tables of Zipkin are about 1 MiB when they are empty, and grow by 1 to 4 MiB at once."""

RESERVE = 256 * MIB
"""What the database needs of the volume beside the traces: its logs, its own tables, undo; measured empty: 130 MiB."""

ROOM = 2
"""How often the volume must hold `max_size`: what is left after the older half went is written anew beside what is there."""

OF_ZIPKIN = ("node", "volume", "max_age_h", "max_size", "memory", "service_address")
OF_EXTERNAL = ("address", "port", "api_port")


class Tracing(Strict):
    """Who keeps traces: a Zipkin in the cluster, with its storage on a data volume, or one elsewhere."""

    kind: Literal["zipkin", "external"] = Field(
        "zipkin", description="zipkin: one in the cluster, from the bundle; external: one that is there already"
    )
    sample_rate: Share = Field(0.001, description="the share of requests that are traced, 0 to 1")
    node: Name | None = Field(
        None,
        description="zipkin: the node that keeps the traces; default: the first worker that has the volume, else the first node",
    )
    volume: Name = Field("traces", description="zipkin: the data volume of that node that they are kept on")
    max_age_h: Annotated[int, Field(ge=1, le=8760)] = Field(
        168, description="zipkin: after how many hours a trace is deleted"
    )
    max_size: Size | None = Field(
        None,
        description="zipkin: how large the traces' tables may be, then the older half goes; default: what the volume has room for",
    )
    memory: Size = Field(
        768 * MIB, description="zipkin: the memory limit of Zipkin and its database together; a third is the database's"
    )
    service_address: Address | None = Field(
        None,
        description="zipkin: the Service's address, which linkerd sends to; default: the eleventh of kubernetes.service_cidr",
    )
    address: Address | None = Field(
        None, description="external: its address; linkerd cannot ask the cluster's DNS on Kubernetes 1.5"
    )
    port: Port = Field(ZIPKIN_PORT, description="external: its Scribe port")
    api_port: Port = Field(API_PORT, description="external: its HTTP port, which `mesh traces` asks")

    @field_validator("memory")
    @classmethod
    def _enough_memory(cls, value: int) -> int:
        if value < LEAST_MEMORY or value % MIB:
            raise ValueError(
                f"{format_size(value)} is not enough for Zipkin and its database, or not whole MiB"
                f"\n{format_size(LEAST_MEMORY)} at the least"
            )
        return value

    @field_validator("max_size")
    @classmethod
    def _enough_size(cls, value: int | None) -> int | None:
        if value is not None and (value < LEAST_SIZE or value % MIB):
            raise ValueError(
                f"{format_size(value)} is too small for traces, or not whole MiB\n{format_size(LEAST_SIZE)} at the least"
            )
        return value

    @model_validator(mode="after")
    def _fields_of_kind(self) -> Self:
        others = OF_EXTERNAL if self.kind == "zipkin" else OF_ZIPKIN
        misplaced = [name for name in others if name in self.model_fields_set]
        if misplaced:
            raise FieldFault(
                f"`{misplaced[0]}` means nothing for kind {self.kind}\ntake it out, or another kind", misplaced[0]
            )
        if self.kind == "external" and self.address is None:
            raise FieldFault("external needs address\nadd address:", "kind")
        return self

    def room(self, volume_bytes: int) -> int:
        """Bytes that the traces' tables may have on a volume of that size."""
        return self.max_size or max(0, volume_bytes - RESERVE) // ROOM // MIB * MIB

    def fits(self, volume_bytes: int) -> bool:
        """Whether a volume of that size has room for it."""
        return self.room(volume_bytes) >= LEAST_SIZE and self.room(volume_bytes) * ROOM + RESERVE <= volume_bytes

    def reached_at(self, service_cidr: str) -> str:
        """The address that spans are sent to."""
        given = self.address if self.kind == "external" else self.service_address
        return given or default_address(service_cidr)

    def tracer(self, service_cidr: str) -> Tracer:
        """What linkerd is told of it."""
        port = self.port if self.kind == "external" else ZIPKIN_PORT
        host = self.reached_at(service_cidr)
        return Tracer(kind="zipkin", host=host, port=port, sample_rate=self.sample_rate)


def default_address(service_cidr: str) -> str:
    """The address of Zipkin's Service where the inventory names none."""
    return str(netaddr.IPNetwork(service_cidr)[SERVICE_OFFSET])


class Keeps(Protocol):
    """A node, as far as it may keep traces."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def role(self) -> str:
        """control-plane or worker."""

    @property
    def volumes(self) -> tuple[Volume, ...]:
        """Its data volumes."""


AnyNode = TypeVar("AnyNode", bound=Keeps)


def volume_of(tracing: Tracing, node: Keeps) -> Volume | None:
    """The data volume of a node that traces are kept on, None when it has none."""
    return next((volume for volume in node.volumes if volume.name == tracing.volume), None)


def home(tracing: Tracing, nodes: Iterable[AnyNode]) -> AnyNode | None:
    """The node that keeps the traces. Nodes that come later take nothing over: of several the first is it."""
    able = [node for node in nodes if volume_of(tracing, node) and tracing.node in (None, node.name)]
    return next((node for node in able if node.role == "worker"), next(iter(able), None))
