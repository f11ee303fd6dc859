"""Bundles: sealed from a folder laid out by hand, refused with everything that is missing, verified by hash."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest
import yaml

from provision.base.errors import ImageError
from provision.base.events import Event, Warned
from provision.bundle import find, load, make_disk, seal, verify
from provision.bundle.containers import Container, Entry, references, write
from provision.bundle.seal import required_images

# The head of a 64-bit little-endian ELF file for x86-64 (elf(5)): enough to be told from a script or an arm64 program.
ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00" + bytes(44)
VERSION = "v1.5.8"


def lay_out(folder: Path, version: str = VERSION, *more: str) -> Path:
    """A folder as a person makes it: binaries, CNI plugins, one archive per image."""
    for path in ("bin/kubeadm", "bin/kubelet", "bin/kubectl", "cni/bridge", "cni/host-local", "cni/loopback"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(ELF)
    (folder / "images").mkdir()
    for reference in (*required_images(version), *more):
        name = reference.rpartition("/")[2].replace(":", "_")
        write(folder / "images" / f"{name}.tar", Container((reference,), (Entry("/program", folder / "bin/kubectl"),)))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return lay_out(
        tmp_path / "bundle", VERSION, "buoyantio/linkerd:0.8.5", "buoyantio/kubectl:v1.4.0", "meshctl/echo:1"
    )


@pytest.mark.parametrize("version", ["v1.5.8", "v1.20.2"])
def test_a_folder_laid_out_by_hand_is_sealed_and_verified(tmp_path: Path, version: str) -> None:
    sealed = seal(lay_out(tmp_path / "b", version), version)
    assert {image.reference for image in sealed.images} == set(required_images(version))
    assert verify(tmp_path / "b") == sealed == load(tmp_path / "b")


def test_bundle_yaml_has_the_documented_form(folder: Path) -> None:
    seal(folder, VERSION)
    said = yaml.safe_load((folder / "bundle.yaml").read_text())
    assert (said["format"], said["kubernetes"], said["architecture"]) == (1, VERSION, "amd64")
    assert said["mesh"] == {"image": "buoyantio/linkerd:0.8.5", "standin": False}
    assert set(said["files"][0]) == {"path", "sha256", "size"}
    assert {"reference": "meshctl/echo:1", "archive": "images/echo_1.tar"} in said["images"]


def test_the_same_folder_gives_the_same_digest(folder: Path) -> None:
    assert seal(folder, VERSION).digest == seal(folder, VERSION).digest


def test_everything_missing_is_named_at_once(folder: Path) -> None:
    (folder / "images/kube-proxy-amd64_v1.5.8.tar").unlink()
    (folder / "images/pause-amd64_3.0.tar").unlink()
    (folder / "cni/bridge").unlink()
    with pytest.raises(ImageError) as caught:
        seal(folder, VERSION)
    for part in (
        "gcr.io/google_containers/kube-proxy-amd64:v1.5.8",
        "gcr.io/google_containers/pause-amd64:3.0",
        "cni/bridge is missing",
    ):
        assert part in caught.value.message
    assert not (folder / "bundle.yaml").exists()


def test_another_tag_of_a_missing_image_is_named(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "b", "v1.5.7")
    with pytest.raises(
        ImageError, match=r"holds gcr.io/google_containers/kube-proxy-amd64:v1.5.8 \(there is .*:v1.5.7\)"
    ):
        seal(folder, "v1.5.8")


@pytest.mark.parametrize(
    ("content", "fault"),
    [(b"#!/bin/sh\n", "not a program"), (ELF.replace(b"\x3e", b"\xb7"), "not a program for amd64")],
)
def test_a_script_or_a_foreign_program_is_refused(folder: Path, content: bytes, fault: str) -> None:
    (folder / "bin/kubelet").write_bytes(content)
    with pytest.raises(ImageError, match=f"bin/kubelet: {fault}"):
        seal(folder, VERSION)


def test_what_only_the_mesh_needs_is_a_warning(tmp_path: Path) -> None:
    events: list[Event] = []
    sealed = seal(lay_out(tmp_path / "b"), VERSION, events.append)
    assert (sealed.mesh, sealed.kubectl, sealed.echo) == (None, None, None)
    warnings = [event.message for event in events if isinstance(event, Warned)]
    assert [message.partition(" (")[0].split(":")[0] for message in warnings] == [
        "no image of linkerd", "no image of kubectl", "no image of the echo app",
    ]  # fmt: skip


def test_a_stand_in_is_called_one(tmp_path: Path) -> None:
    sealed = seal(lay_out(tmp_path / "b", VERSION, "meshctl/l5d-standin:0.8.5"), VERSION)
    assert sealed.mesh is not None
    assert sealed.mesh.standin


def test_linkerd_itself_goes_before_its_stand_in(tmp_path: Path) -> None:
    sealed = seal(lay_out(tmp_path / "b", VERSION, "meshctl/l5d-standin:0.8.5", "buoyantio/linkerd:0.8.5"), VERSION)
    assert sealed.mesh is not None
    assert (sealed.mesh.image, sealed.mesh.standin) == ("buoyantio/linkerd:0.8.5", False)


def test_a_changed_and_a_missing_file_are_both_named(folder: Path) -> None:
    seal(folder, VERSION)
    (folder / "bin/kubelet").write_bytes(ELF + b"x")
    (folder / "cni/loopback").unlink()
    with pytest.raises(ImageError) as caught:
        verify(folder)
    assert "bin/kubelet is not what was sealed" in caught.value.message
    assert "cni/loopback is missing" in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "format: 2\n",
        "[]",
        "a: {",
        "format: 1\nkubernetes: v1.5.8\narchitecture: amd64\nfiles: [{path: ../x}]\nimages: []\n",
    ],
)
def test_a_foreign_bundle_yaml_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bundle.yaml").write_text(text)
    with pytest.raises(ImageError, match="not a bundle of format 1"):
        load(tmp_path)


def test_a_folder_that_is_not_sealed_says_how(tmp_path: Path) -> None:
    with pytest.raises(ImageError) as caught:
        load(tmp_path)
    assert "meshctl bundle seal" in caught.value.hint


def test_a_bundle_that_was_not_built_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHCTL_CACHE", str(tmp_path))
    with pytest.raises(ImageError) as caught:
        find("debian-source")
    assert caught.value.hint == "meshctl bundle build --from debian-source"
    with pytest.raises(ImageError, match="no such folder"):
        find(str(tmp_path / "x"))


def test_an_archive_has_no_time_owner_or_order_of_its_own(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(ELF)
    program.chmod(0o755)
    entries = (Entry("/usr/bin/b", program), Entry("/usr/bin/a", link="/usr/bin/b"))
    for name, order in (("one", entries), ("two", entries[::-1])):
        write(tmp_path / f"{name}.tar", Container(("x/y:1",), order, ("/usr/bin/b",)))
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        layer = tar.extractfile(manifest[0]["Layers"][0])
        with tarfile.open(fileobj=layer) as inner:
            found = {member.name: member for member in inner}
    assert (found["usr/bin/b"].mode, found["usr/bin/b"].mtime, found["usr/bin/b"].uid) == (0o755, 0, 0)
    assert found["usr/bin/a"].linkname == "/usr/bin/b"


def test_references_are_read_from_gzipped_and_from_old_archives(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(ELF)
    write(tmp_path / "x.tar", Container(("a/b:1", "c/d:2"), (Entry("/p", program),)))
    with (tmp_path / "x.tar").open("rb") as plain, gzip.open(tmp_path / "x.tar.gz", "wb") as packed:
        shutil.copyfileobj(plain, packed)
    assert references(tmp_path / "x.tar.gz") == references(tmp_path / "x.tar") == ("a/b:1", "c/d:2")
    (tmp_path / "repositories").write_text(json.dumps({"old/image": {"3": "id"}}))
    with tarfile.open(tmp_path / "old.tar", "w") as tar:
        tar.add(tmp_path / "repositories", "repositories")
    assert references(tmp_path / "old.tar") == ("old/image:3",)


def test_what_is_no_archive_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"not a tar")
    with pytest.raises(ImageError, match=r"x.tar: not an archive of `docker save`"):
        references(tmp_path / "x.tar")


def test_equal_bundles_give_equal_disks(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Laid out elsewhere, by somebody else, at another time."""
    seal(folder, VERSION)
    copied = shutil.copytree(folder, tmp_path / "copied")
    for path in copied.rglob("*"):
        os.utime(path, (1_500_000_000, 1_500_000_000))
        if path.is_file():
            path.chmod(path.stat().st_mode & 0o755 & ~0o044)
    sums = set()
    for number, (laid_out, zone) in enumerate(((folder, "UTC"), (copied, "Asia/Tokyo"))):
        monkeypatch.setenv("MESHCTL_CACHE", str(tmp_path / f"cache{number}"))
        monkeypatch.setenv("TZ", zone)
        sums.add(hashlib.sha256(make_disk(laid_out).read_bytes()).hexdigest())
    assert len(sums) == 1
