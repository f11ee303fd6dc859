"""Bootstrap tokens: made, and kept out of what people read."""

from __future__ import annotations

import re
import secrets

from provision.base.secret import Secret

_TOKEN = re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b")


def new_token() -> Secret:
    """`<6>.<16>` lower-case hex: right for every kubeadm (1.5 checks only the first part)."""
    return Secret(f"{secrets.token_hex(3)}.{secrets.token_hex(8)}")


def redacted(line: str) -> str:
    """A line of kubeadm's with tokens blotted out: it prints the token it works with."""
    return _TOKEN.sub("***", line)
