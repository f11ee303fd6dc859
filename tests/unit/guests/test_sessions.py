"""The way to the guests: through a jump host, by the system's own ssh, and no more at once than it bears."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provision.base.calls import Calls
from provision.base.errors import Unreachable
from provision.base.parallel import for_each
from provision.base.secret import Secret
from provision.base.shell import Local
from provision.guests.keys import nobody
from provision.guests.sessions import Sessions, proxy
from provision.guests.ssh import Patience, Ssh, Target
from provision.inventory.model import Cluster
from provision.inventory.model import Ssh as How
from tests.unit.guests.sshd import Sshd, key_of, make_key, public_of, running
from tests.unit.sample import CLUSTER


def cluster(key: Path, **ssh: object) -> Cluster:
    return CLUSTER.model_copy(update={"ssh": How.model_validate({"key_file": str(key)} | ssh)})


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running(tmp_path_factory.mktemp("guest"), "MaxStartups 100") as made:
        yield made


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Writes what the user's SSH configuration says: ssh(1) finds the home of its user by getpwuid, so it is wrapped."""
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    config, wrapper = tmp_path / "config", tmp_path / "bin" / "ssh"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec /usr/bin/ssh -F {config} "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")

    def write(text: str) -> None:
        config.write_text(text)

    return write


def alias(jump: Sshd, name: str) -> str:
    """What a user writes about a jump host; its identity has another name than the guests' key."""
    return (
        f"Host {name}\n HostName {jump.address}\n Port {jump.port}\n User {jump.target.user}\n"
        f" IdentityFile {jump.user}\n IdentitiesOnly yes\n UserKnownHostsFile {jump.known_hosts()}\n"
    )


def behind(guest: Sshd, whole: Cluster, name: str = "cp1") -> Target:
    target = guest.target
    return Target(
        name, target.address, target.host_key, target.user, target.port, proxy(whole, target.address, target.port)
    )


def test_a_jump_host_is_a_name_of_the_users_ssh_configuration(
    guest: Sshd, tmp_path: Path, configured: Callable[[str], None]
) -> None:
    with running(tmp_path / "jump") as jump:
        configured(alias(jump, "bastion"))
        sessions = Sessions(whole := cluster(guest.user, jump="bastion"), Calls(), nobody)
        assert sessions.to(behind(guest, whole)).read(["echo", "in"]).stdout == "in\n"
        assert "Accepted publickey" in jump.log
        sessions.close()


@pytest.mark.parametrize("spelling", ["{user}@[::1]:{port}", "[::1]:{port}"])
def test_a_jump_host_of_ipv6(guest: Sshd, tmp_path: Path, configured: Callable[[str], None], spelling: str) -> None:
    with running(tmp_path / "jump", address="::1") as jump:
        configured(
            f"Host ::1\n IdentityFile {jump.user}\n IdentitiesOnly yes\n UserKnownHostsFile {jump.known_hosts()}\n"
        )
        how = spelling.format(user=jump.target.user, port=jump.port)
        sessions = Sessions(whole := cluster(guest.user, jump=how), Calls(), nobody)
        assert sessions.to(behind(guest, whole)).read(["echo", "in"]).stdout == "in\n"
        sessions.close()


@pytest.mark.parametrize(
    ("jump", "words"),
    [
        ("2001:db8::1", ("-W", "10.0.0.5:22", "--", "2001:db8::1")),
        ("root@[2001:db8::1]:2222", ("-p", "2222", "-l", "root", "-W", "10.0.0.5:22", "--", "2001:db8::1")),
        ("root@hv1", ("-l", "root", "-W", "10.0.0.5:22", "--", "hv1")),
    ],
)
def test_words_for_ssh(tmp_path: Path, jump: str, words: tuple[str, ...]) -> None:
    whole = cluster(tmp_path / "key", jump=jump)
    assert proxy(whole, "10.0.0.5")[-len(words) :] == words
    assert proxy(whole, "2001:db8::5")[-3:-1] == ("[2001:db8::5]:22", "--")


def test_a_jump_host_that_refuses_says_so_in_the_error(
    guest: Sshd, tmp_path: Path, configured: Callable[[str], None]
) -> None:
    with running(tmp_path / "jump") as jump:
        jump.authorized.write_text("")
        configured(alias(jump, "bastion"))
        sessions = Sessions(whole := cluster(guest.user, jump="bastion"), Calls(), nobody)
        with pytest.raises(Unreachable, match=r"cp1: no SSH to .* \(ssh: .*Permission denied"):
            sessions.to(behind(guest, whole)).read(["true"])


def test_forty_sessions_through_a_jump_host_that_drops_the_eleventh_login(
    guest: Sshd, tmp_path: Path, configured: Callable[[str], None]
) -> None:
    with running(tmp_path / "jump", "MaxStartups 10:100:10") as jump:
        configured(alias(jump, "bastion"))
        sessions = Sessions(whole := cluster(guest.user, jump="bastion"), Calls(), nobody)
        targets = [behind(guest, whole, f"w{number}") for number in range(40)]
        for target in targets:
            sessions.begin(target, 0)
        said = for_each(targets, lambda target: sessions.to(target).read(["echo", target.name]).stdout)
        assert said == [f"{target.name}\n" for target in targets]
        assert "drop connection" not in jump.log
        sessions.close()


def test_a_jump_host_that_hangs_is_an_error_in_bounded_time_and_its_ssh_is_ended(
    guest: Sshd, tmp_path: Path, configured: Callable[[str], None]
) -> None:
    with running(tmp_path / "jump") as jump:
        configured(alias(jump, "bastion"))
        target = behind(guest, cluster(guest.user, jump="bastion"))
        jump.freeze()
        started = time.monotonic()
        with pytest.raises(Unreachable, match="cp1: no SSH to"):
            Ssh(target, lambda: key_of(guest.user), patience=Patience(open_s=2)).read(["true"])
        assert time.monotonic() - started < 10
        listed = Local().read(["ps", "-e", "-ww", "-o", "args="]).stdout
        assert f"-W 127.0.0.1:{guest.port} -- bastion" not in listed


def test_the_passphrase_is_asked_for_once_for_all_sessions(
    guest: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    key = make_key(tmp_path / "key", "ed25519", "open sesame")
    guest.authorized.write_text(f"{public_of(guest.user)}\n{public_of(key)}\n")
    asked: list[str] = []
    sessions = Sessions(whole := cluster(key), Calls(), lambda file: asked.append(file) or Secret("open sesame"))  # type: ignore[func-returns-value]
    targets = [behind(guest, whole, f"w{number}") for number in range(8)]
    assert for_each(targets, lambda target: sessions.to(target).read(["echo", "in"]).stdout) == ["in\n"] * 8
    assert asked == [str(key)]
    sessions.close()
