"""What is wrong with a key is found in its files, before anything is made."""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from provision.base.errors import InventoryError, Unreachable
from provision.guests.keys import identity, nobody, unlocked
from provision.inventory.model import Cluster, Ssh
from tests.unit.guests.sshd import make_key, public_of
from tests.unit.sample import CLUSTER


def cluster(key: Path | None, public: str | None = None) -> Cluster:
    ssh = Ssh(key_file=str(key) if key else None, public_key=public)
    return CLUSTER.model_copy(update={"ssh": ssh})


def break_nothing(key: Path) -> None:
    pass


def world_readable(key: Path) -> None:
    key.chmod(0o644)


def public(key: Path) -> None:
    key.write_bytes(key.with_name("key.pub").read_bytes())


def garbage(key: Path) -> None:
    key.write_text("garbage\n")


def broken_off(key: Path) -> None:
    key.write_text("".join(key.read_text().splitlines(keepends=True)[:3]))


def missing(key: Path) -> None:
    key.unlink()


def a_folder(key: Path) -> None:
    key.unlink()
    key.mkdir()


def another_public_half(key: Path) -> None:
    key.with_name("key.pub").write_text(public_of(make_key(key.with_name("other"))))


def no_public_half(key: Path) -> None:
    key.with_name("key.pub").unlink()


def garbage_for_a_public_half(key: Path) -> None:
    key.with_name("key.pub").write_text("ssh-ed25519 AAAA me\n")


def two_public_halves(key: Path) -> None:
    key.with_name("key.pub").write_text(f"{public_of(key)}\n{public_of(key)}\n")


@pytest.mark.parametrize(
    ("fault", "message", "hint"),
    [
        (world_readable, r"key: others may read it \(mode 0644\)", "chmod 600 "),
        (public, "key: this is a public key", "name the private half"),
        (garbage, "key: this is not a private key that can be used: ", "ssh-keygen"),
        (broken_off, "key: this is not a private key that can be used: ", "ssh-keygen"),
        (missing, "key: cannot be read: No such file", "ssh-keygen"),
        (a_folder, "key: cannot be read: Is a directory", "ssh-keygen"),
        (another_public_half, r"key: it does not belong to the public key in .*key\.pub", "ssh-keygen -y"),
        (no_public_half, r"key\.pub: cannot be read: No such file", "ssh-keygen"),
        (garbage_for_a_public_half, r"key\.pub: not a public key", "ssh-keygen -y"),
        (two_public_halves, r"key\.pub: not a public key", "ssh-keygen -y"),
    ],
)
@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_a_file_that_no_session_could_be_opened_with_is_refused(
    tmp_path: Path, fault: Callable[[Path], None], message: str, hint: str, passphrase: str
) -> None:
    key = make_key(tmp_path / "key", "ed25519", passphrase)
    fault(key)
    with pytest.raises(InventoryError, match=message) as caught:
        identity(cluster(key))
    assert hint in caught.value.hint


@pytest.mark.parametrize("options", [("ed25519",), ("ecdsa",), ("rsa",), ("rsa", "-m", "PEM"), ("rsa", "-m", "PKCS8")])
@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_every_kind_of_pair_is_taken(tmp_path: Path, options: tuple[str, ...], passphrase: str) -> None:
    key = make_key(tmp_path / "key", options[0], passphrase, *options[1:])
    found = identity(cluster(key))
    assert (found.public, found.file) == (public_of(key), str(key))
    assert found.blob == base64.b64decode(public_of(key).split()[1])


def test_the_inventorys_public_key_must_belong_to_the_file_too(tmp_path: Path) -> None:
    key, other = make_key(tmp_path / "key"), make_key(tmp_path / "other")
    (tmp_path / "key.pub").unlink()
    with pytest.raises(InventoryError, match=r"does not belong to the public key in ssh\.public_key"):
        identity(cluster(key, public_of(other)))
    with pytest.raises(InventoryError, match=r"ssh\.public_key: not a public key"):
        identity(cluster(None, "ssh-ed25519 AAAA me"))


def test_a_key_in_hardware_is_the_agents_alone(tmp_path: Path) -> None:
    """PROTOCOL.key and PROTOCOL.u2f of OpenSSH: the file names the key, its private half is in the token."""

    def string(*parts: bytes) -> bytes:
        return b"".join(len(part).to_bytes(4) + part for part in parts)

    blob = string(b"sk-ssh-ed25519@openssh.com", bytes(32), b"ssh:")
    body = b"openssh-key-v1\0" + string(b"none", b"none", b"") + (1).to_bytes(4) + string(blob, bytes(64))
    text = base64.encodebytes(body).decode()
    key = tmp_path / "key"
    key.write_text(f"-----BEGIN OPENSSH PRIVATE KEY-----\n{text}-----END OPENSSH PRIVATE KEY-----\n")
    key.chmod(0o600)
    key.with_name("key.pub").write_text(f"sk-ssh-ed25519@openssh.com {base64.b64encode(blob).decode()} me\n")
    listed = subprocess.run(["ssh-keygen", "-l", "-f", str(key) + ".pub"], capture_output=True, text=True, check=True)
    assert "(ED25519-SK)" in listed.stdout
    found = identity(cluster(key))
    assert unlocked(found, True, nobody).file is None
    with pytest.raises(Unreachable, match="the SSH agent does not hold the key") as caught:
        unlocked(found, False, nobody)
    assert caught.value.hint.endswith(f"ssh-add {key} adds a key")
