"""Nobody shuts himself out: a firewall is put up on a node only where it lets in whoever does it."""

from __future__ import annotations

import netaddr

from provision.base.errors import KubernetesError
from provision.base.shell import Shell
from provision.guests.firewall import Firewall

# sudo keeps nothing of a session's settings, so they are looked for in the processes above. Prints the address that sshd says it is
# asked from, nothing where no sshd is above.
_CAME_FROM = """
process=$$
while [ "$process" -gt 1 ]; do
    from=$(tr '\\0' '\\n' < "/proc/$process/environ" | sed -n 's/^SSH_CONNECTION=\\([^ ]*\\) .*/\\1/p')
    if [ -n "$from" ]; then echo "$from"; exit 0; fi
    process=$(sed -n 's/^PPid:[[:space:]]*//p' "/proc/$process/status")
done
"""


def require_way_in(shell: Shell, firewall: Firewall) -> None:
    """Raises KubernetesError when the firewall would not let in the address that this very session comes from."""
    came = shell.read(["sh", "-c", _CAME_FROM]).stdout.strip()
    if came and not firewall.lets_in(netaddr.IPAddress(came)):
        raise KubernetesError(
            f"{shell.where}: its firewall would shut you out: SSH comes from {came}, which network.admin_cidrs does not name",
            hint=f"add {came}/32, or its network, to network.admin_cidrs; nothing of the firewall was changed on the node",
        )
