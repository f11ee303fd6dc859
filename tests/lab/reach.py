"""Which ports are reached from where: many connections tried at once, from a shell wherever it stands."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence

from provision.base.shell import Shell

OPEN, REFUSED, SILENT = "open", "refused", "silent"

# stdin: [[SOURCE, ADDRESS, PORT], …]; SOURCE "" is whatever the kernel chooses. Silent is who has not answered for $1 seconds.
_TRY = """
import concurrent.futures, json, socket, sys
def tried(way):
    source, address, port = way
    try:
        socket.create_connection((address, port), timeout=float(sys.argv[1]), source_address=(source, 0) if source else None).close()
        return "open"
    except ConnectionRefusedError:
        return "refused"
    except TimeoutError:
        return "silent"
ways = json.load(sys.stdin)
with concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
    json.dump(list(pool.map(tried, ways)), sys.stdout)
"""


def reach(
    shell: Shell, ways: Sequence[tuple[str, str, int]], *, inside: Sequence[str] = (), patience_s: float = 3.0
) -> dict[tuple[str, str], dict[int, str]]:
    """What becomes of each (source, address, port), by source and address; `inside` goes before the program (nsenter)."""
    said = shell.run(
        [*inside, "python3", "-c", _TRY, str(patience_s)], stdin=json.dumps(ways).encode(), within_s=120
    ).stdout
    found: dict[tuple[str, str], dict[int, str]] = defaultdict(dict)
    for (source, address, port), outcome in zip(ways, json.loads(said), strict=True):
        found[source, address][port] = outcome
    return dict(found)
