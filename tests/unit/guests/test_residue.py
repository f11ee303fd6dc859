"""What stays in a guest: the script's words, and the script itself in a real shell."""

from __future__ import annotations

from pathlib import Path

from provision.base.shell import Local
from provision.guests.residue import Key, parsed, residue
from tests.unit.guests.sshd import make_key, public_of

SAID = """\
== docker
{"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3"}}
== journal
SystemMaxUse=256M
MaxRetentionSec=1month
== used
51200\t/var/log
1024\t/var/lib/docker/containers
== keys
# a comment
mesh no-pty ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f anna at work
mesh ssh-ed25519 AAAA=broken= x
root
"""


def test_limits_use_and_keys_are_read() -> None:
    found = parsed(SAID)
    assert found.containers == "3 files of 10m for each container"
    assert found.journal == "256M of the node's journal and 1month of time"
    assert found.used_mib == 51
    (key,) = found.keys
    assert (key.user, key.comment) == ("mesh", "anna at work")


def test_logs_without_a_limit_are_said_to_have_none() -> None:
    for said in ("", "{}", "not JSON", '{"log-opts": {}}', '{"log-opts": null}'):
        assert parsed(f"== docker\n{said}\n== journal\n== used\n== keys\n").containers == ""
    assert parsed("") == parsed("== docker\n")


def test_the_fingerprint_is_as_ssh_keygen_has_it(tmp_path: Path) -> None:
    make_key(tmp_path / "key")
    line = Local().read(["ssh-keygen", "-l", "-f", str(tmp_path / "key.pub")]).stdout
    (key,) = parsed(f"== keys\nmesh {public_of(tmp_path / 'key')}\n").keys
    assert key.fingerprint == line.split()[1]


def test_a_real_shell_answers() -> None:
    assert isinstance(residue(Local()).used_mib, int)


def test_a_key_is_shown_with_its_comment_where_it_has_one() -> None:
    assert str(Key("mesh", "SHA256:x", "anna")) == "mesh by SHA256:x (anna)"
    assert str(Key("mesh", "SHA256:x", "")) == "mesh by SHA256:x"
