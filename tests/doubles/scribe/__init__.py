"""Spans by scribe, as linkerd 0.8.5 sends them, over a real socket: Thrift's binary protocol in frames, without a library for it.

zipkinCore.thrift and scribe.thrift of Zipkin 1.x say the fields and their numbers.
"""

from __future__ import annotations

import base64
import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

STOP, I16, I32, I64, STRING, STRUCT, LIST = 0, 6, 8, 10, 11, 12, 15
"""Thrift's types (thrift/doc/specs/thrift-binary-protocol.md)."""

STRINGS = 6
"""zipkinCore's AnnotationType.STRING."""


@dataclass(frozen=True)
class Span:
    """A span: ids of 64 bits, times in microseconds."""

    trace: int
    id: int
    name: str
    service: str
    start_us: int
    duration_us: int
    kind: str = "server"
    """server: sr and ss; client: cs and cr."""
    parent: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


def _text(value: str | bytes) -> bytes:
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">i", len(data)) + data


def _field(kind: int, number: int, value: bytes) -> bytes:
    return struct.pack(">bh", kind, number) + value


def _list(kind: int, items: Iterable[bytes]) -> bytes:
    found = list(items)
    return struct.pack(">bi", kind, len(found)) + b"".join(found)


def _endpoint(service: str) -> bytes:
    ipv4 = _field(I32, 1, struct.pack(">i", 0x7F000001))
    return ipv4 + _field(I16, 2, struct.pack(">h", 0)) + _field(STRING, 3, _text(service)) + bytes((STOP,))


def _annotation(at_us: int, value: str, service: str) -> bytes:
    host = _field(STRUCT, 3, _endpoint(service))
    return _field(I64, 1, struct.pack(">q", at_us)) + _field(STRING, 2, _text(value)) + host + bytes((STOP,))


def _tag(key: str, value: str, service: str) -> bytes:
    kind, host = _field(I32, 3, struct.pack(">i", STRINGS)), _field(STRUCT, 4, _endpoint(service))
    return _field(STRING, 1, _text(key)) + _field(STRING, 2, _text(value)) + kind + host + bytes((STOP,))


def encoded(span: Span) -> bytes:
    """A span as zipkinCore.thrift has it."""
    first, last = ("cs", "cr") if span.kind == "client" else ("sr", "ss")
    events = ((span.start_us, first), (span.start_us + span.duration_us, last))
    marks = (_annotation(at, value, span.service) for at, value in events)
    tags = (_tag(key, value, span.service) for key, value in span.tags.items())
    parent = b"" if span.parent is None else _field(I64, 5, struct.pack(">q", span.parent))
    return (
        _field(I64, 1, struct.pack(">q", span.trace))
        + _field(STRING, 3, _text(span.name))
        + _field(I64, 4, struct.pack(">q", span.id))
        + parent
        + _field(LIST, 6, _list(STRUCT, marks))
        + _field(LIST, 8, _list(STRUCT, tags))
        + bytes((STOP,))
    )


def _call(spans: Iterable[Span]) -> bytes:
    """`Log(messages)` of scribe.thrift, each message a span in base64, in one frame."""
    entries = (
        _field(STRING, 1, _text("zipkin")) + _field(STRING, 2, _text(base64.b64encode(encoded(span)))) + bytes((STOP,))
        for span in spans
    )
    body = struct.pack(">I", 0x80010001) + _text("Log") + struct.pack(">i", 1)
    body += _field(LIST, 1, _list(STRUCT, entries)) + bytes((STOP,))
    return struct.pack(">i", len(body)) + body


def send(address: tuple[str, int], spans: Iterable[Span], *, within_s: float = 60.0) -> bool:
    """Sends spans in one message; whether the collector says that it has taken them. Raises OSError."""
    with socket.create_connection(address, timeout=within_s) as connection:
        connection.sendall(_call(spans))
        return _taken(_read(connection))


def _read(connection: socket.socket) -> bytes:
    (size,) = struct.unpack(">i", _exactly(connection, 4))
    return _exactly(connection, size)


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        chunk = connection.recv(count - len(found))
        if not chunk:
            raise ConnectionError("the collector closed the connection")
        found += chunk
    return found


def _taken(answer: bytes) -> bool:
    """ResultCode OK (0) in the field `success` (0) of a reply (2)."""
    version, length = struct.unpack(">Ii", answer[:8])
    rest = answer[8 + length + 4 :]
    return version == 0x80010002 and rest[:3] == struct.pack(">bh", I32, 0) and rest[3:7] == bytes(4)
