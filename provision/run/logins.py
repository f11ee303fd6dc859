"""Who may log in to guests that run: what there is to be changed of it, and those that let nobody of ours in, said once for all."""

from __future__ import annotations

from collections.abc import Mapping

from provision.guests import REFUSED, KeyRefused, Login, first_boot_over
from provision.hosts import Hypervisor
from provision.plan import NodeSeen, Observed
from provision.specs import Desired, GuestSpec

CONSOLE_BYTES = 2 << 20
"""As much as virtlogd keeps in a file (virtlogd.conf, max_size): the end of the first boot may be far back."""


def login_change(wanted: Login, let_in: Login | None, left: tuple[Login, ...]) -> str:
    """What is to be changed of who may log in; `let_in` is the former login where the wanted one is refused, `left` what a change has not
    finished with.
    """
    if let_in is not None:
        return f"{let_in} → {wanted} (added through the old one, proven, then the old one removed)"
    leaving = ", ".join(str(one) for one in left if not one.is_(wanted))
    if not left:
        return ""
    return f"{wanted} is let in; {f'removed: {leaving}' if leaving else 'to be proven again'}"


def require_login(observed: Observed, wanted: Desired, hypervisors: Mapping[str, Hypervisor]) -> None:
    """Raises KeyRefused with every guest of those wanted that refuses the login and whose first boot, which makes the user, is over."""
    refused = [guest for guest in wanted.guests if observed.nodes.get(guest.node, NodeSeen()).refused]
    locked_out = [guest.node for guest in refused if first_boot_over(_console(guest, hypervisors[guest.host]))]
    if locked_out:
        lines = "\n".join(f"  {observed.nodes[node].unreachable}" for node in sorted(locked_out))
        raise KeyRefused(
            f"{len(locked_out)} guest(s) refuse the login that the inventory names:\n{lines}", hint=REFUSED
        )


def _console(guest: GuestSpec, hypervisor: Hypervisor) -> str:
    return hypervisor.console(guest.pool, guest.console_path.rpartition("/")[2], CONSOLE_BYTES)
