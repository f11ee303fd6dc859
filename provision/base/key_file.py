"""The file of a private SSH key, as far as a look at it tells whether ssh(1) would take it."""

from __future__ import annotations

import os
from pathlib import Path

PUBLIC = (b"ssh-", b"ecdsa-", b"sk-")
"""How the type of a public key begins, and with it its line (RFC 4253 §6.6, OpenSSH's PROTOCOL.u2f)."""


def regular_content(path: Path) -> bytes:
    """What a file holds. Raises OSError, also for what is no regular file: a device may have no end, and a pipe wait for ever."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OSError("it is not a file")
    return path.read_bytes()


def key_fault(path: Path, content: bytes) -> tuple[str, str] | None:
    """What is wrong with a private key's file, and what mends it; None when nothing shows."""
    status = path.stat()
    # As OpenSSH's sshkey_perm_ok: a file of somebody else's is theirs to mend.
    if status.st_uid == os.geteuid() and status.st_mode & 0o077:
        return f"others may read it (mode {status.st_mode & 0o777:04o})", f"chmod 600 {path}"
    if content.split(b" ")[0].startswith(PUBLIC):
        return "this is a public key", f"name the private half: {path.with_suffix('')}"
    return None
