"""Sends traces of one span: PORT COUNT TAG_BYTES AGE_S; prints the ids of those that were taken, in hexadecimal."""

from __future__ import annotations

import base64
import random
import sys
import time

from tests.doubles.scribe import Span, send

AT_ONCE = 50


def main(port: int, count: int, tag_bytes: int, age_s: int) -> None:
    """Messages of 50 spans, each a trace of its own, `age_s` seconds ago."""
    for first in range(0, count, AT_ONCE):
        now_us = int((time.time() - age_s) * 1e6)
        tag = base64.b85encode(random.randbytes(tag_bytes)).decode()
        ids = [random.getrandbits(63) | 1 for _ in range(min(AT_ONCE, count - first))]
        spans = [Span(id_, id_, "get", "filler", now_us, 1000, "client", tags={"x": tag} if tag else {}) for id_ in ids]
        if send(("127.0.0.1", port), spans):
            print(*(f"{id_:016x}" for id_ in ids), sep="\n", flush=True)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
