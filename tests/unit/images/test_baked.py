"""Baked images in the cache: made of a guest's disk over a base image, found by what they were made of, refused when changed."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from provision.base.content import content_sha256
from provision.base.errors import ImageError
from provision.base.shell import Local
from provision.images import Baked, Origin, all_baked, baked_folder, baked_of, check_room, keep, place_to_bake
from provision.specs import (
    baked_image,
    base_digits,
    base_image,
    bundle_disk,
    complete_copy,
    copy_name,
    is_artifact,
    is_bundle,
    mark_name,
    marked_copy,
)

ORIGIN = Origin("debian-12", "a" * 64, "v1.20.2", "b" * 64)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MESHCTL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def qemu_img(*words: str | Path) -> str:
    return Local().run(["qemu-img", *map(str, words)]).stdout


def content(path: Path) -> bytes:
    """All that a guest sees on a disk, by its sha256."""
    flat = path.with_suffix(".flat")
    qemu_img("convert", "-O", "raw", path, flat)
    return hashlib.sha256(flat.read_bytes()).digest()


def disk(tmp_path: Path, written: str) -> tuple[Path, Path]:
    """A base image, and a disk over it as it comes from a host: its header names a file that is not here."""
    base = tmp_path / "base.qcow2"
    if not base.exists():
        raw = tmp_path / "base.raw"
        raw.write_bytes(os.urandom(1 << 20) + bytes(1 << 20))
        qemu_img("convert", "-c", "-O", "qcow2", raw, base)
    over = tmp_path / "over.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", base, over, "8M")
    Local().run(["qemu-io", "-c", f"write -P {written} 5M 1M", str(over)])
    expected = tmp_path / f"expected-{written}"
    expected.write_bytes(content(over))
    qemu_img("rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", "/pool/of/the/host.qcow2", over)
    return over, base


def made(tmp_path: Path, written: str, origin: Origin = ORIGIN) -> Baked:
    over, base = disk(tmp_path, written)
    check_room(0)
    with place_to_bake(origin) as place:
        return keep(over.rename(place / "disk.qcow2"), base, origin)


def test_it_stands_alone_and_is_what_the_guest_saw(tmp_path: Path) -> None:
    found = made(tmp_path, "0x42")
    said = json.loads(qemu_img("info", "--output", "json", found.path))
    assert "backing-filename" not in said
    assert said["virtual-size"] == 8 << 20
    assert content(found.path) == (tmp_path / "expected-0x42").read_bytes()
    assert found.sha256 == content_sha256(found.path)
    assert found.sha256[:12] in found.path.name
    assert [path.name for path in baked_folder().glob(".*.partial-*")] == []


def test_it_is_found_by_exactly_what_it_was_made_of(tmp_path: Path) -> None:
    found = made(tmp_path, "0x42")
    assert baked_of("a" * 64, "b" * 64) == found
    assert baked_of("c" * 64, "b" * 64) is None
    assert baked_of("a" * 64, "c" * 64) is None
    assert all_baked() == (found,)


def test_of_two_the_younger_is_taken(tmp_path: Path) -> None:
    old, new = made(tmp_path, "0x42"), made(tmp_path, "0x43")
    said = old.path.with_suffix(".json")
    said.write_text(said.read_text().replace(old.at, "2020-01-01T00:00:00Z"))
    assert baked_of("a" * 64, "b" * 64) == new
    assert [one.path for one in all_baked()] == [new.path, old.path]


def test_one_that_was_changed_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    found = made(tmp_path, "0x42")
    found.path.write_bytes(found.path.read_bytes() + b"x")
    with pytest.raises(ImageError, match="was changed since it was baked") as caught:
        baked_of("a" * 64, "b" * 64)
    assert "image bake" in caught.value.hint


def test_an_image_without_its_word_or_a_word_without_an_image_is_none(tmp_path: Path) -> None:
    found = made(tmp_path, "0x42")
    said = found.path.with_suffix(".json")
    text = said.read_text()
    said.unlink()  # killed before it was written
    assert all_baked() == ()
    for odd in ("", "[]", "{}", text.replace('"format": 1', '"format": 2')):
        said.write_text(odd)
        assert all_baked() == ()
    said.write_text(text)
    found.path.unlink()
    assert all_baked() == ()


def test_a_damaged_disk_is_refused(tmp_path: Path) -> None:
    over, base = disk(tmp_path, "0x42")
    over.write_bytes(over.read_bytes()[:300_000])
    with pytest.raises(ImageError, match="cannot be made an image"):
        keep(over, base, ORIGIN)
    assert all_baked() == ()


def test_room_is_asked_for_before_anything_is_made() -> None:
    check_room(1)
    with pytest.raises(ImageError, match=r"are free, baking needs 1024\.0 PiB|are free, baking needs") as caught:
        check_room(1 << 60)
    assert "MESHCTL_CACHE" in caught.value.hint


def test_in_pools_it_is_an_artifact_as_any_other() -> None:
    base = base_image("debian-12", "/cache/base", "c" * 64, 5)
    found = baked_image(base, "v1.20.2", "/cache/x", "d" * 64, 5)
    copy = copy_name(found.volume, "0123abcd")
    assert found.volume == f"meshctl.debian-12-baked-cccccccc.{'d' * 32}.qcow2"
    assert is_artifact(copy)
    assert not is_bundle(copy)
    assert marked_copy(mark_name(copy)) == copy
    assert complete_copy(found.volume, [copy, mark_name(copy)]) == copy


def test_its_name_says_of_which_base_image_it_is() -> None:
    base = base_image("debian-12", "/cache/base", "c" * 64, 5)
    found = baked_image(base, "v1.20.2", "/cache/x", "d" * 64, 5)
    names = (base.volume, copy_name(base.volume, "0123abcd"), found.volume, copy_name(found.volume, "0123abcd"))
    assert {base_digits(name) for name in names} == {"cccccccc"}
    others = ("meshctl.debian-12.0123456789ab.qcow2", bundle_disk("v1.20.2", "/x", "c" * 64, 5).volume, "theirs.qcow2")
    assert {base_digits(name) for name in others} == {""}
