"""Which of several control planes is asked: one whose API server serves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from provision.base.errors import ShellError
from provision.base.events import Emit
from provision.base.parallel import for_each
from provision.base.shell import Shell
from provision.base.waiting import NotYet, Ready
from provision.kubernetes.lookout import Watched, wait_on
from provision.kubernetes.places import STATE

SERVES, MEMBER, ABSENT = 0, 1, 2
"""How well a control plane can be asked; by these numbers the best comes first."""

# Status 3: it is no member. Whose certificate it is does not matter: nothing is told to him.
_LOOK = f"""
[ -e {STATE}/kubeadm.done ] && [ -e /etc/kubernetes/admin.conf ] || exit 3
exec curl --silent --fail --insecure --noproxy '*' --max-time 10 --output /dev/null https://127.0.0.1:6443/healthz
"""

LOOK_S = 30.0


def first_serving(names: Sequence[str], shell: Callable[[str], Shell]) -> str:
    """Of these control planes, the first whose API server serves; else the first that is one; else the first. Who is alone is not asked.

    `shell` gives the way to each, and may raise ShellError.
    """
    if len(names) == 1:
        return names[0]
    found = for_each(names, lambda name: _how_well(name, shell))
    return min(zip(found, range(len(names)), names, strict=True))[2]


def await_serving(shell: Shell, generation: str, emit: Emit, *, within_s: float) -> None:
    """Waits until a control plane's own API server says that it serves, which it does not without its etcd. Raises StageTimeout."""

    def look() -> Ready[None] | NotYet:
        well = _how_well(shell.where, lambda _: shell)
        return Ready(None) if well == SERVES else NotYet("its API server does not serve yet")

    what = f"{shell.where}: its own API server"
    wait_on(Watched.by(generation, shell), look, what=what, within_s=within_s, every_s=3.0, emit=emit)


def _how_well(name: str, shell: Callable[[str], Shell]) -> int:
    try:
        status = shell(name).read(["sh", "-c", _LOOK, "serving"], within_s=LOOK_S, check=False).status
    except ShellError:
        return ABSENT
    return {0: SERVES, 3: ABSENT}.get(status, MEMBER)
