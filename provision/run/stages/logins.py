"""Who may log in to a guest: the inventory's login is added by the one that is let in, proven by a session of its own, and then the
other is removed. Killed anywhere, one of them is let in, and the guest remembers what is left.
"""

from __future__ import annotations

from provision.base.events import Changed, Warned
from provision.guests import Login, Ssh, add_login, finish_logins, observe_boot, remove_login
from provision.run.stages.doors import Ways


def change_login(node: str, doors: Ways) -> None:
    """Gives a guest the inventory's login. Raises KeyRefused or CommandFailed, with the old one still there, when that does not let in."""
    shell, wanted = doors.shells()[node], doors.sessions.wanted
    leaving = _leaving(shell, wanted, doors)
    new_user = shell.by_former and all(one.user != wanted.user for one in leaving)
    add_login(shell, wanted, leaving, make=new_user)
    doors.emit(Changed(node, f"login {wanted}", "add"))
    proof = doors.sessions.proof(shell.target)
    try:
        proof.read(["true"])
        shell.close()  # its next use is by the wanted login
        _remove(leaving, wanted, proof, doors)
        finish_logins(proof)
    finally:
        proof.close()


def _leaving(shell: Ssh, wanted: Login, doors: Ways) -> tuple[Login, ...]:
    """The logins of ours that go: what an unfinished change left, and the one that was let in instead of the wanted one."""
    former = doors.sessions.former
    left = observe_boot(shell, {}, former=former).logins
    if former is not None and shell.by_former:
        left = (former, *(one for one in left if not one.is_(former)))
    return tuple(one for one in left if not one.is_(wanted))


def _remove(leaving: tuple[Login, ...], wanted: Login, shell: Ssh, doors: Ways) -> None:
    for login in leaving:
        stays = remove_login(shell, login, wanted)
        doors.emit(Changed(shell.where, f"login {login}", "remove"))
        if stays:
            doors.emit(Warned(f"{shell.where}: user {login.user} stays, without this key: {stays}"))
