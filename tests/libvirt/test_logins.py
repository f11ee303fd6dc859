"""Who may log in, changed on a guest that runs: real sshd, sudo and useradd, in a mount namespace with an /etc and a /home of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from provision.base.calls import Calls
from provision.base.errors import CommandFailed, InventoryError, MeshctlError
from provision.base.events import Changed, Event, Warned
from provision.base.waiting import NotYet, Ready, wait_until
from provision.guests import KeyRefused, Login, OldLogin, Sessions, nobody, observe_boot
from provision.guests.logins import RECORD
from provision.hosts import Hypervisor
from provision.inventory.model import Cluster
from provision.libvirt_xml import domain_xml
from provision.plan import NodeSeen, Observed, limits
from provision.run.logins import login_change, require_login
from provision.run.stages.doors import Ways
from provision.run.stages.logins import change_login
from provision.specs import Stamp
from tests.libvirt import test_killed
from tests.libvirt.killing import build, raze
from tests.libvirt.test_access import FINISHED
from tests.unit.guests.sshd import SSHD, free_port, make_key, public_of
from tests.unit.sample import CLUSTER, wanted

# $1: the folder, $2: the seed's key. What cloud-init does with a seed; then sshd. PAM lets in whom sshd lets in.
_GUEST = """
set -eu
mount --make-rprivate /
mkdir "$1/home" "$1/lib"
cp -a /etc "$1/etc"
for part in etc:/etc home:/home lib:/var/lib; do mount --bind "$1/${part%%:*}" "${part#*:}"; done
for program in sshd sudo; do
  for kind in auth account session; do echo "$kind required pam_permit.so"; done > /etc/pam.d/$program
done
rm -f /etc/sudoers.d/*
useradd --create-home --shell /bin/bash --comment meshctl mesh
echo 'mesh ALL=(ALL) NOPASSWD:ALL' > /etc/sudoers.d/90-cloud-init-users
install -d -m 700 -o mesh -g mesh /home/mesh/.ssh
echo "$2" > /home/mesh/.ssh/authorized_keys
chown mesh: /home/mesh/.ssh/authorized_keys
exec "$3" -D -e -f "$1/sshd_config"
"""


@dataclass
class Guest:
    """A machine as a seed makes it, and what reaches it."""

    folder: Path
    port: int
    pid: int
    uri: str

    def key(self, name: str) -> Path:
        path = self.folder / name
        return path if path.exists() else make_key(path)

    def login(self, user: str, key: str) -> Login:
        return Login(user, public_of(self.key(key)), str(self.key(key)))

    def inside(self, *argv: str) -> str:
        enter = ["nsenter", "-t", str(self.pid), "-m", *argv]
        return subprocess.run(enter, capture_output=True, text=True, check=True, timeout=60).stdout

    def keys(self, user: str) -> list[str]:
        return self.inside("cat", f"/home/{user}/.ssh/authorized_keys").splitlines()

    def cluster(self, user: str, key: str) -> Cluster:
        way = {
            "proxy_command": ["socat", "-", f"TCP:127.0.0.1:{self.port}"],
            "user": user,
            "key_file": str(self.key(key)),
        }
        host = CLUSTER.hosts[0].model_copy(update={"uri": self.uri})
        update = {"hosts": (host,), "nodes": CLUSTER.nodes[:1], "ssh": type(CLUSTER.ssh).model_validate(way)}
        return CLUSTER.model_copy(update=update)


@pytest.fixture
def guest(tmp_path: Path, uri: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guest]:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    tmp_path.chmod(0o755)
    folder, port = tmp_path / "guest", free_port()
    folder.mkdir(mode=0o755)
    made = Guest(folder, port, 0, uri)
    make_key(folder / "host")
    lines = (
        f"ListenAddress 127.0.0.1:{port}",
        f"HostKey {folder / 'host'}",
        "UsePAM yes",
        "PidFile none",
        "StrictModes no",
    )
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")
    Path("/run/sshd").mkdir(exist_ok=True)
    argv = ["unshare", "--mount", "sh", "-c", _GUEST, "guest", str(folder), public_of(made.key("old")), SSHD]
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)

    def listens() -> Ready[None] | NotYet:
        assert process.poll() is None, (folder / "log").read_text()
        said = (folder / "log").read_text()
        return Ready(None) if "Server listening" in said else NotYet(said)

    try:
        wait_until(listens, what="sshd", within_s=30, every_s=0.05)
        yield replace(made, pid=process.pid)
    finally:
        process.kill()
        process.wait()


@dataclass
class Place:
    """The doors of one run, and what it said."""

    doors: Ways
    said: list[Event]

    def change(self) -> None:
        change_login("cp1", self.doors)

    def plan(self) -> str:
        """What a plan says of the login."""
        sessions, (shell,) = self.doors.sessions, self.doors.shells().values()
        former = sessions.former
        left = observe_boot(shell, {}, former=former)
        return login_change(sessions.wanted, former if shell.by_former else None, left.logins)


Open = Callable[..., Place]


@pytest.fixture
def open_(guest: Guest) -> Iterator[Open]:
    """Opens the doors for an inventory with this user and key; `old` and `calls` as for Sessions."""
    opened: list[Sessions] = []
    door = Hypervisor("hv1", guest.uri)
    made = wanted().guest("cp1")
    stamp = Stamp("lab", "cp1", "0123456789abcdef", made.address, public_of(guest.folder / "host"), "seed.iso")
    door.define_domain(domain_xml(made, stamp))

    def begin(user: str, key: str, old: OldLogin | None = None, calls: Calls | None = None) -> Place:
        cluster = guest.cluster(user, key)
        said: list[Event] = []
        sessions = Sessions(cluster, calls or Calls(), nobody, old)
        opened.append(sessions)
        doors = Ways(cluster, {"hv1": door}, sessions, said.append, lambda _: pytest.fail("no host is asked"))
        return Place(doors, said)

    yield begin
    for one in opened:
        one.close()
    door.close()


def refused(place: Place) -> bool:
    try:
        place.doors.shells()["cp1"].read(["true"])
    except KeyRefused:
        return True
    return False


def test_a_refused_key_says_what_changes_it(open_: Open) -> None:
    with pytest.raises(KeyRefused) as caught:
        open_("mesh", "new").doors.shells()["cp1"].read(["true"])
    assert "--old-key FILE" in caught.value.hint


def test_a_key_is_added_through_the_old_one_proven_and_then_the_old_one_is_removed(guest: Guest, open_: Open) -> None:
    guest.inside("sh", "-c", "printf 'ssh-ed25519 AAAAtheirs somebody' >> /home/mesh/.ssh/authorized_keys")
    old = OldLogin(str(guest.key("old")))
    place = open_("mesh", "new", old)
    new = f"mesh by {guest.key('new')}"
    assert place.plan() == (
        f"mesh by {guest.key('old')} → {new} (added through the old one, proven, then the old one removed)"
    )
    place.change()
    assert [one.change for one in place.said if isinstance(one, Changed)] == ["add", "remove"]
    assert guest.keys("mesh") == ["ssh-ed25519 AAAAtheirs somebody", public_of(guest.key("new"))]
    assert place.doors.shells()["cp1"].read(["id", "-un"]).stdout == "root\n"
    assert not place.doors.shells()["cp1"].by_former
    assert refused(open_("mesh", "old"))
    assert [again.plan() for again in (open_("mesh", "new", old), open_("mesh", "new"))] == ["", ""]
    assert guest.inside("ls", "/var/lib/meshctl") == ""


def test_another_user_is_made_as_the_seed_does_and_the_old_one_goes(guest: Guest, open_: Open) -> None:
    place = open_("ops", "new", OldLogin(str(guest.key("old")), "mesh"))
    place.change()
    passwd = guest.inside("cat", "/etc/passwd")
    assert ":meshctl:/home/ops:/bin/bash\n" in passwd
    assert "mesh:" not in passwd
    assert guest.inside("cat", "/etc/sudoers.d/90-cloud-init-users") == ""
    assert place.doors.shells()["cp1"].read(["id", "-un"]).stdout == "root\n"
    back = open_("mesh", "old", OldLogin(str(guest.key("new")), "ops"))
    back.change()
    assert not refused(open_("mesh", "old"))
    assert "ops:" not in guest.inside("cat", "/etc/passwd")


def test_another_user_by_the_same_key(guest: Guest, open_: Open) -> None:
    open_("ops", "old", OldLogin(user="mesh")).change()
    assert not refused(open_("ops", "old"))
    assert refused(open_("mesh", "old"))


def test_a_user_whom_others_have_keys_for_stays_without_ours(guest: Guest, open_: Open) -> None:
    guest.inside("sh", "-c", "echo 'ssh-ed25519 AAAAtheirs somebody' >> /home/mesh/.ssh/authorized_keys")
    place = open_("ops", "new", OldLogin(str(guest.key("old")), "mesh"))
    place.change()
    assert guest.keys("mesh") == ["ssh-ed25519 AAAAtheirs somebody"]
    assert [one.message for one in place.said if isinstance(one, Warned)] == [
        "cp1: user mesh stays, without this key: others have keys for it"
    ]


def test_a_user_of_somebody_is_given_no_rights(guest: Guest, open_: Open) -> None:
    guest.inside("useradd", "--create-home", "--comment", "theirs", "ops")
    with pytest.raises(CommandFailed, match="there is a user ops already that meshctl did not make"):
        open_("ops", "new", OldLogin(str(guest.key("old")), "mesh")).change()
    assert guest.inside("ls", "/etc/sudoers.d") == "90-cloud-init-users\n"
    assert refused(open_("ops", "new"))


def test_both_in_leaves_the_removal_only(guest: Guest, open_: Open) -> None:
    guest.inside("sh", "-c", f"echo '{public_of(guest.key('new'))}' >> /home/mesh/.ssh/authorized_keys")
    assert open_("mesh", "new").plan() == ""  # whose the other key is nobody has said
    place = open_("mesh", "new", OldLogin(str(guest.key("old"))))
    assert place.plan() == f"mesh by {guest.key('new')} is let in; removed: mesh by {guest.key('old')}"
    place.change()
    assert guest.keys("mesh") == [public_of(guest.key("new"))]


class Ended(MeshctlError):
    """As if the process was gone."""


class Until(Calls):
    """Lets so many changes through."""

    def __init__(self, changes: int) -> None:
        super().__init__()
        self._left = changes

    def count(self, *, changes: bool) -> None:
        if changes and self._left == 0:
            raise Ended("ended")
        self._left -= changes
        super().count(changes=changes)


@pytest.mark.parametrize(("changes", "said"), [(0, True), (1, True), (2, True), (2, False), (3, True), (3, False)])
def test_ended_before_any_of_its_steps_the_next_run_goes_on(
    guest: Guest, open_: Open, changes: int, said: bool
) -> None:
    """The same command; or one without --old-key, once the wanted login is let in."""
    login = OldLogin(str(guest.key("old")), "mesh")
    with pytest.raises(Ended):
        open_("ops", "new", login, Until(changes)).change()
    again = open_("ops", "new", login if said else None)
    assert again.plan()
    again.change()
    assert again.plan() == ""
    assert guest.keys("ops") == [public_of(guest.key("new"))]
    assert "mesh:" not in guest.inside("cat", "/etc/passwd")
    assert refused(open_("mesh", "old"))


def test_who_goes_back_half_way_keeps_the_key_that_he_had(guest: Guest, open_: Open) -> None:
    with pytest.raises(Ended):
        open_("mesh", "new", OldLogin(str(guest.key("old"))), Until(2)).change()
    assert RECORD.rpartition("/")[2] in guest.inside("ls", "/var/lib/meshctl")
    back = open_("mesh", "old")
    assert "removed: mesh by ssh-ed25519 …" in back.plan()
    back.change()
    assert guest.keys("mesh") == [public_of(guest.key("old"))]
    assert back.plan() == ""


def test_a_key_that_does_not_get_in_costs_nobody_the_old_one(guest: Guest, open_: Open) -> None:
    deny = "account requisite pam_succeed_if.so user != ops"
    guest.inside("sed", "-i", f"1i {deny}", "/etc/pam.d/sshd")
    with pytest.raises(MeshctlError):
        open_("ops", "new", OldLogin(str(guest.key("old")), "mesh")).change()
    assert not refused(open_("mesh", "old"))
    assert guest.keys("mesh") == [public_of(guest.key("old"))]


def test_the_wanted_login_is_not_one_that_leaves(guest: Guest, open_: Open) -> None:
    with pytest.raises(InventoryError, match="--old-key and --old-user name the login that the inventory wants"):
        open_("mesh", "old", OldLogin(str(guest.key("old")))).doors.shells()["cp1"]
    with pytest.raises(InventoryError, match=r"--old-key: .*/none.*: cannot be read"):
        open_("mesh", "old", OldLogin("/none")).doors.shells()["cp1"]


killed = test_killed.place
"""A real libvirtd, whose guests have consoles."""


def test_guests_that_refuse_the_login_are_one_error_once_their_first_boot_is_over(killed: test_killed.Place) -> None:
    build(killed.inventory)
    door, desired = Hypervisor("hv1", killed.uri), killed.plan().desired
    seen = Observed({}, {"cp1": NodeSeen(unreachable="cp1: mesh@10.77.0.11 refused the key K", refused=True)})
    require_login(seen, desired, {"hv1": door})  # its user may still be made
    (console,) = killed.pool.glob("*.console.*.log")
    with console.open("a") as log:
        log.write(FINISHED + "cni0: port 1(veth) entered blocking state\n" * 1000)
    with pytest.raises(KeyRefused) as caught:
        require_login(seen, desired, {"hv1": door})
    require_login(seen, limits.narrowed(desired, ["w1"]), {"hv1": door})  # nothing is to be done to it
    door.close()
    raze(killed.inventory)
    assert "1 guest(s) refuse the login" in caught.value.message
    assert "refused the key K" in caught.value.message
    assert "--old-key FILE" in caught.value.hint
