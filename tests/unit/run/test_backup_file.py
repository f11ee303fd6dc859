"""A backup as a file: whole or refused, for its owner and whoever it was encrypted for, and never written over another."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import io
import json
import os
import stat
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyrage
import pytest

from provision.base.errors import ConflictError, ImageError, InventoryError, KubernetesError, MeshctlError
from provision.base.shell import Local
from provision.kubernetes import ControlState
from provision.kubernetes.control_state import checked_snapshot
from provision.run.age import encrypted
from provision.run.backup import default_path
from provision.run.backup_file import Backup, described, packed, read, unpacked, write
from provision.run.restore import elapsed, opened_backup, refuse_strange
from tests.unit.sample import CLUSTER

NOW = datetime(2026, 11, 30, 2, 15, tzinfo=UTC)
OWNER = "0123456789abcdef"
IDENTITY, STRANGER = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
AUTHORITY = b"-----BEGIN CERTIFICATE-----\n"


def tar_gz(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    return content.getvalue()


def backup() -> Backup:
    conf = b"clusters:\n- cluster:\n    certificate-authority-data: " + base64.b64encode(AUTHORITY) + b"\n"
    files = tar_gz({"etc/kubernetes/kubelet.conf": conf, "etc/kubernetes/pki/ca.key": b"private" * 100})
    log = tar_gz({"member/wal/0.wal": os.urandom(5000)})
    state = ControlState("v1.20.2", os.urandom(4096), log, files)
    return described("lab", OWNER, "cp1", "10.77.0.11", state, NOW)


BACKUP = backup()
CONTENT = packed(BACKUP)


def test_what_was_written_is_read() -> None:
    assert unpacked("b", CONTENT) == BACKUP
    assert (BACKUP.manifest.taken, BACKUP.manifest.at) == ("2026-11-30T02:15:00Z", NOW)
    assert BACKUP.manifest.authority == hashlib.sha256(AUTHORITY).hexdigest()


def test_it_is_a_tar_that_other_programs_read(tmp_path: Path) -> None:
    here = Local(cwd=str(tmp_path))
    here.run(["tar", "-xf", "-"], stdin=CONTENT)
    here.read(["sha256sum", "-c", "manifest.sha256"])
    assert sorted(os.listdir(tmp_path)) == [
        "etcd-log.tar.gz",
        "etcd.db",
        "files.tar.gz",
        "manifest.json",
        "manifest.sha256",
    ]
    said = json.loads((tmp_path / "manifest.json").read_text())
    for name, part in said["parts"].items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == part["sha256"]
    with tarfile.open(fileobj=io.BytesIO(CONTENT)) as tar:
        assert {one.mode for one in tar} == {0o600}


def test_one_without_a_snapshot_of_the_api_has_none() -> None:
    state = dataclasses.replace(BACKUP.state, database=b"")
    found = unpacked("b", packed(described("lab", OWNER, "cp1", "10.77.0.11", state, NOW)))
    assert (found.state.database, "etcd.db" in found.manifest.parts) == (b"", False)


def flipped(at: int) -> bytes:
    return CONTENT[:at] + bytes([CONTENT[at] ^ 1]) + CONTENT[at + 1 :]


@pytest.mark.parametrize("name", ["manifest.json", "manifest.sha256", "etcd.db", "etcd-log.tar.gz", "files.tar.gz"])
def test_a_bit_that_turned_is_found_and_the_part_named(name: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(CONTENT)) as tar:
        at = tar.getmember(name).offset_data
    with pytest.raises(
        ImageError, match=r"b: the backup is damaged: (manifest\.json|" + name + ") is not what"
    ) as failure:
        unpacked("b", flipped(at + 30))
    assert failure.value.exit_code == 8


def test_one_that_is_cut_short_is_refused_wherever_that_was() -> None:
    end = len(CONTENT.rstrip(b"\0"))
    for length in range(0, end, 97):
        with pytest.raises(ImageError):
            unpacked("b", CONTENT[:length])


@pytest.mark.parametrize("content", [b"", b"\0" * 2048, b"hello", gzip.compress(b"hello"), tar_gz({"a": b"b"})])
def test_something_else_is_no_backup(content: bytes) -> None:
    with pytest.raises(ImageError):
        unpacked("b", content)


def again(manifest: object) -> bytes:
    text = json.dumps(manifest).encode()
    checksum = f"{hashlib.sha256(text).hexdigest()}  manifest.json\n".encode()
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        for name, part in {"manifest.json": text, "manifest.sha256": checksum}.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(part)
            tar.addfile(entry, io.BytesIO(part))
    return content.getvalue()


@pytest.mark.parametrize(
    ("manifest", "why"),
    [
        ({"format": 2, "parts": {}}, "of another format than 1"),
        ({"format": 1, "parts": {}}, "it lacks etcd-log.tar.gz or files.tar.gz"),
        ({"format": 1}, "manifest.json is not one"),
        ([1], "manifest.json is not one"),
    ],
)
def test_a_manifest_of_something_else_is_refused(manifest: object, why: str) -> None:
    with pytest.raises(ImageError, match=why):
        unpacked("b", again(manifest))


def kept(tmp_path: Path, content: bytes, *identities: object) -> tuple[Path, Path]:
    file, identity = tmp_path / "b", tmp_path / "identity"
    file.write_bytes(content)
    identity.write_text("# created: today\n# public key: …\n" + "".join(f"{one}\n" for one in identities))
    return file, identity


def test_each_of_the_recipients_opens_it_and_nobody_else(tmp_path: Path) -> None:
    sealed = encrypted(CONTENT, [str(IDENTITY.to_public()), str(pyrage.x25519.Identity.generate().to_public())])
    assert b"manifest" not in sealed
    file, identity = kept(tmp_path, sealed, STRANGER, IDENTITY)
    assert opened_backup(file, str(identity)) == BACKUP
    file, identity = kept(tmp_path, sealed, STRANGER)
    with pytest.raises(ImageError, match="cannot be decrypted by"):
        opened_backup(file, str(identity))
    with pytest.raises(InventoryError, match="is encrypted"):
        opened_backup(file, None)


def test_a_damaged_encrypted_one_is_refused(tmp_path: Path) -> None:
    sealed = encrypted(CONTENT, [str(IDENTITY.to_public())])
    for content in (sealed[:-1], sealed[:200], sealed[:-40] + b"x" + sealed[-39:]):
        file, identity = kept(tmp_path, content, IDENTITY)
        with pytest.raises(ImageError, match="cannot be decrypted"):
            opened_backup(file, str(identity))


@pytest.mark.parametrize("text", ["", "# nothing\n", "AGE-SECRET-KEY-1QQQ\n"])
def test_a_file_without_an_identity_is_said_to_be_that(tmp_path: Path, text: str) -> None:
    file, identity = kept(tmp_path, encrypted(CONTENT, [str(IDENTITY.to_public())]))
    identity.write_text(text)
    with pytest.raises(InventoryError, match="identity"):
        opened_backup(file, str(identity))
    with pytest.raises(InventoryError, match="cannot be used"):
        opened_backup(file, str(tmp_path / "none"))


def test_a_recipient_that_is_none_is_refused() -> None:
    with pytest.raises(InventoryError, match="'age1abc' is not a recipient"):
        encrypted(b"", ["age1abc"])


def test_the_file_is_for_its_owner_and_none_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "lab.meshctl-backup"
    write(path, b"one")
    assert (stat.S_IMODE(path.stat().st_mode), read(path)) == (0o600, b"one")
    with pytest.raises(ConflictError, match="it is there already"):
        write(path, b"two")
    assert path.read_bytes() == b"one"
    assert os.listdir(tmp_path) == [path.name]
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ConflictError):
        write(link, b"two")


def test_a_folder_that_is_not_there_and_a_file_that_is_not_are_said(tmp_path: Path) -> None:
    with pytest.raises(MeshctlError, match="cannot be written: No such file"):
        write(tmp_path / "no" / "b", b"")
    with pytest.raises(MeshctlError, match="cannot be read: No such file"):
        read(tmp_path / "b")


def test_the_default_name_says_cluster_and_time() -> None:
    assert str(default_path("lab", NOW)) == "lab-20261130T021500Z.meshctl-backup"


MINE = CLUSTER.model_copy(update={"id": OWNER})


def test_only_this_clusters_backup_of_this_version_goes_back() -> None:
    refuse_strange(MINE, BACKUP.manifest)
    for change, why in (
        ({"cluster": "prod"}, "a backup of cluster prod, the inventory's is lab"),
        ({"owner": "f" * 16}, "another cluster that is called lab: its owner's id is ffffffffffffffff"),
        ({"kubernetes": "v1.20.1"}, r"a backup of Kubernetes v1\.20\.1, inventory and bundle have v1\.20\.2"),
    ):
        with pytest.raises(ConflictError, match=why):
            refuse_strange(MINE, dataclasses.replace(BACKUP.manifest, **change))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (timedelta(seconds=-5), "0 min"),
        (timedelta(minutes=59), "59 min"),
        (timedelta(hours=3, minutes=12), "3 h 12 min"),
        (timedelta(days=2, hours=5), "2 days 5 h"),
    ],
)
def test_its_age_is_said_for_people(ago: timedelta, text: str) -> None:
    assert elapsed(ago.total_seconds()) == text


def gateway(content: bytes, size: int = 4096) -> str:
    """As etcd's gateway answers: an object a line, each with a piece in base64."""
    pieces = [content[at : at + size] for at in range(0, len(content), size)]
    lines = [json.dumps({"result": {"remaining_bytes": "1", "blob": base64.b64encode(one).decode()}}) for one in pieces]
    return "\n".join(lines) + "\n"


DATABASE = os.urandom(10_000)
SNAPSHOT = DATABASE + hashlib.sha256(DATABASE).digest()


def test_a_snapshot_of_the_gateway_is_put_together_and_proven() -> None:
    assert checked_snapshot("cp1", gateway(SNAPSHOT)) == SNAPSHOT


@pytest.mark.parametrize(
    "said",
    [
        "",
        gateway(SNAPSHOT[:-1]),
        gateway(SNAPSHOT)[:-60],
        gateway(b"x" + SNAPSHOT[1:]),
        '{"error": {"message": "no"}}\n',
    ],
)
def test_one_that_is_not_whole_is_refused(said: str) -> None:
    with pytest.raises(KubernetesError, match="cp1: etcd's snapshot"):
        checked_snapshot("cp1", said)
