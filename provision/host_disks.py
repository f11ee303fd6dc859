"""A host's disks, over its shell: what is there."""

from __future__ import annotations

import json

from provision.errors import ShellError
from provision.shell import Shell
from provision.storage import Pool
from provision.storage.seen import SCRIPT, StorageSeen, parse

READ_S = 30.0
"""A disk that spins up takes ten seconds to say who it is."""


def observe_storage(shell: Shell, pool: Pool) -> StorageSeen:
    """What lies below a pool. Reads only, in one round trip. Raises ShellError when the host's tools give no answer."""
    done = shell.read(["sh", "-c", SCRIPT, "meshctl", pool.path, *pool.devices], within_s=READ_S)
    try:
        return parse(done.stdout)
    except (json.JSONDecodeError, KeyError, StopIteration, ValueError) as error:
        raise ShellError(
            f"{shell.where}: cannot read what lsblk says: {type(error).__name__}: {error}",
            hint="util-linux 2.37 or later must be there, and the login be root: try `lsblk --json --bytes` on the host",
        ) from error
