"""Sessions to a real sshd on loopback: which key is offered, what is refused, and how long a silent one is waited for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from provision.base.errors import CommandFailed, Unreachable
from provision.base.secret import Secret
from provision.guests.hostkey import new_host_key
from provision.guests.keys import Identity, nobody, unlocked
from provision.guests.ssh import HostKeyMismatch, KeyRefused, Patience, Ssh, in_agent
from tests.doubles.security_key import SecurityKey
from tests.unit.guests.sshd import Sshd, agent, key_of, make_key, public_of, running

QUICK = Patience(open_s=3.0, begin_s=1.0, ask_s=0.3, silent_s=1.0)


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with running(tmp_path_factory.mktemp("sshd"), "MaxAuthTries 3") as made:
        yield made


@pytest.fixture
def no_agent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)


def session(sshd: Sshd, key: Identity | None = None, patience: Patience | None = None) -> Ssh:
    found = key or key_of(sshd.user)
    return Ssh(sshd.target, lambda: found, patience=patience or Patience())


def test_words_reach_the_guest_as_they_are_and_one_connection_serves_all(sshd: Sshd, no_agent: None) -> None:
    shell = session(sshd)
    assert shell.read(["printf", "%s", "$(id) 'x'"]).stdout == "$(id) 'x'"
    assert shell.run(["cat"], stdin=b"in").stdout == "in"
    assert shell.read(["sh", "-c", "exit 3"], check=False).status == 3
    assert sshd.log.count("Accepted publickey") == 1
    shell.close()


@pytest.mark.usefixtures("no_agent")
@pytest.mark.parametrize("options", [("ed25519",), ("ecdsa",), ("rsa", "-m", "PEM"), ("rsa",)])
def test_a_key_with_a_passphrase_opens_a_session(sshd: Sshd, tmp_path: Path, options: tuple[str, ...]) -> None:
    path = make_key(tmp_path / "key", options[0], "open sesame", *options[1:])
    sshd.authorized.write_text(f"{public_of(sshd.user)}\n{public_of(path)}\n")
    asked: list[str] = []

    def ask(file: str) -> Secret:
        asked.append(file)
        return Secret("open sesame" if len(asked) > 1 else "wrong")

    key = unlocked(key_of(path), in_agent(key_of(path)), ask)
    shell = session(sshd, key)
    assert shell.read(["echo", "in"]).stdout == "in\n"
    assert asked == [str(path)] * 2
    assert "sesame" not in repr(key)
    shell.close()


@pytest.mark.usefixtures("no_agent")
def test_without_a_terminal_or_with_wrong_words_a_passphrase_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    key = key_of(make_key(tmp_path / "key", "ed25519", "open sesame"))
    with pytest.raises(Unreachable, match="no terminal to ask") as caught:
        unlocked(key, False, nobody)
    assert caught.value.hint.startswith(f"ssh-add {tmp_path / 'key'} ")
    with pytest.raises(Unreachable, match="the passphrase is wrong"):
        unlocked(key, False, lambda _file: Secret("wrong"))


def test_of_seven_keys_in_the_agent_only_the_named_one_is_offered(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [make_key(tmp_path / f"other{number}") for number in range(6)]
    with agent(tmp_path, *others, sshd.user) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        key = unlocked(Identity(public_of(sshd.user)), in_agent(key_of(sshd.user)), nobody)
        shell = session(sshd, key)
        before = len(sshd.log)
        assert shell.read(["echo", "in"]).stdout == "in\n"
        assert "Failed publickey" not in sshd.log[before:]
        shell.close()


def test_the_agent_is_asked_before_a_file_whose_passphrase_nobody_knows(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = make_key(tmp_path / "locked")
    sshd.authorized.write_text(f"{public_of(sshd.user)}\n{public_of(locked)}\n")
    with agent(tmp_path, locked) as path:
        subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(locked)], check=True)
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        shell = session(sshd, unlocked(key_of(locked), in_agent(key_of(locked)), nobody))
        assert shell.read(["echo", "in"]).stdout == "in\n"
        shell.close()


def test_a_key_in_hardware_logs_in_by_the_agent(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = SecurityKey(tmp_path / "sk.sock")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "sk.sock"))
    sshd.authorized.write_text(f"{public_of(sshd.user)}\n{held.public}\n")
    named = Identity(held.public)
    shell = session(sshd, unlocked(named, in_agent(named), nobody))
    assert shell.read(["echo", "in"]).stdout == "in\n"
    assert held.signed == 1
    assert "Accepted publickey for" in sshd.log
    assert "ED25519-SK" in sshd.log
    shell.close()
    held.close()


def test_a_key_that_the_agent_does_not_hold_is_said_before_any_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = make_key(tmp_path / "stranger")
    with agent(tmp_path, make_key(tmp_path / "other")) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        named = Identity(public_of(stranger))
        with pytest.raises(Unreachable, match="does not hold the key that the inventory names"):
            unlocked(named, in_agent(named), nobody)


def test_a_refused_key_is_told_from_all_other_failures(sshd: Sshd, tmp_path: Path, no_agent: None) -> None:
    with pytest.raises(KeyRefused, match=f"refused the key {tmp_path / 'stranger'}"):
        session(sshd, key_of(make_key(tmp_path / "stranger"))).read(["true"])


def test_another_host_key_is_refused_before_a_key_is_offered(sshd: Sshd, no_agent: None) -> None:
    before = len(sshd.log)
    other = replace(sshd.target, host_key=new_host_key("x").public)
    with pytest.raises(HostKeyMismatch, match="cp1: the host key of"):
        Ssh(other, lambda: key_of(sshd.user)).read(["true"])
    assert "publickey" not in sshd.log[before:]


@pytest.fixture
def own(tmp_path: Path, no_agent: None) -> Iterator[Sshd]:
    """An sshd that may be broken."""
    with running(tmp_path / "own") as made:
        yield made


def test_a_guest_that_takes_connections_and_says_nothing_is_named_in_bounded_time(own: Sshd) -> None:
    own.freeze()
    started = time.monotonic()
    with pytest.raises(Unreachable, match=r"cp1: no SSH to 127\.0\.0\.1") as caught:
        session(own, patience=QUICK).read(["true"])
    assert time.monotonic() - started < 3 * QUICK.open_s
    assert type(caught.value) is Unreachable


@pytest.mark.parametrize("read", [True, False], ids=["read", "run"])
def test_a_command_in_a_guest_that_hangs_ends_long_before_its_own_time(own: Sshd, read: bool) -> None:
    shell = session(own, patience=QUICK)
    shell.read(["true"])
    threading.Timer(0.5, own.freeze).start()
    started = time.monotonic()
    with pytest.raises(
        Unreachable, match=r"cp1: the SSH connection to 127\.0\.0\.1 was lost: no sign of life for 1 s"
    ) as caught:
        (shell.read if read else shell.run)(["sleep", "300"], within_s=300)
    assert time.monotonic() - started < 20
    assert "hangs" in caught.value.hint


def test_a_command_that_a_hung_guest_never_begins_is_given_up(own: Sshd) -> None:
    shell = session(own, patience=replace(QUICK, ask_s=60))
    shell.run(["true"])
    own.freeze()
    started = time.monotonic()
    with pytest.raises(Unreachable, match="cp1: "):
        shell.run(["true"])
    assert time.monotonic() - started < 10


def test_a_guest_that_is_slow_but_there_is_not_given_up(own: Sshd) -> None:
    shell = session(own, patience=QUICK)
    assert shell.run(["sh", "-c", "sleep 3; echo done"]).stdout == "done\n"
    with pytest.raises(CommandFailed, match="was ended by signal"):
        shell.run(["sleep", "60"], within_s=0.5)
    assert shell.run(["echo", "still there"]).stdout == "still there\n"
    shell.close()


def test_large_input_to_a_guest_that_hangs_blocks_nobody(own: Sshd) -> None:
    shell = session(own, patience=replace(QUICK, ask_s=60))
    shell.run(["true"])
    started = time.monotonic()
    threading.Timer(1.0, own.freeze).start()
    with pytest.raises(CommandFailed, match="was ended by signal"):
        shell.run(["sh", "-c", "sleep 2; cat > /dev/null"], stdin=bytes(80_000_000), within_s=4)
    shell.close()
    assert time.monotonic() - started < 12


def test_closing_does_not_wait_for_a_session_that_is_being_opened(own: Sshd) -> None:
    own.freeze()
    shell = session(own, patience=replace(QUICK, open_s=60))
    failed: list[BaseException] = []

    def read() -> None:
        try:
            shell.read(["true"])
        except Unreachable as error:
            failed.append(error)

    opening = threading.Thread(target=read)
    opening.start()
    time.sleep(0.5)  # it is at sshd's banner by now, which never comes
    started = time.monotonic()
    shell.close()
    assert time.monotonic() - started < 2
    opening.join(10)
    assert failed


def test_an_agent_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("provision.guests.ssh.AGENT_S", 1.0)
    key = make_key(tmp_path / "key")
    with agent(tmp_path, key) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", path)
        listed = subprocess.run(
            ["ps", "-e", "-ww", "-o", "pid=,args="], capture_output=True, text=True, check=True
        ).stdout
        (pid,) = (int(line.split()[0]) for line in listed.splitlines() if line.endswith(f"ssh-agent -D -a {path}"))
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(Unreachable, match="the SSH agent has not answered for 1 s"):
            in_agent(key_of(key))


# Who starts the tests in the background has them ignore Ctrl-C.
WAITER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from provision.guests.keys import Identity
from provision.guests.ssh import Ssh, Target
address, port, host_key, user, public, file, step = sys.argv[1:]
shell = Ssh(Target("cp1", address, host_key, user, int(port)), lambda: Identity(public, file))
try:
    if step == "command":
        shell.read(["true"])
        print("waits", flush=True)
        shell.run(["sleep", "300"], within_s=300)
    print("waits", flush=True)
    shell.read(["true"])
finally:
    shell.close()
"""


@pytest.mark.parametrize("step", ["command", "banner"])
def test_ctrl_c_ends_it_whatever_a_guest_that_hangs_is_waited_for(own: Sshd, step: str) -> None:
    if step == "banner":
        own.freeze()
    target = own.target
    words = [target.address, str(target.port), target.host_key, target.user, public_of(own.user), str(own.user), step]
    waiter = subprocess.Popen([sys.executable, "-c", WAITER, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert waiter.stdout is not None
    assert waiter.stdout.readline() == b"waits\n"
    if step == "command":
        own.freeze()
    time.sleep(1)  # it is deep in paramiko by then
    waiter.send_signal(signal.SIGINT)
    started = time.monotonic()
    _, errors = waiter.communicate(timeout=30)
    assert time.monotonic() - started < 5
    assert b"KeyboardInterrupt" in errors
