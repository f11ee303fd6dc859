"""The sha256 of a file's content, kept beside it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from provision.base.content import SUFFIX, content_sha256


def test_it_is_kept_and_believed_while_the_file_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(b"one")
    assert content_sha256(path) == hashlib.sha256(b"one").hexdigest()
    kept = path.with_name(f"image{SUFFIX}")
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "sha256": "kept"}))
    assert content_sha256(path) == "kept"


def test_another_file_of_the_same_size_and_name_is_read_again(tmp_path: Path) -> None:
    path, other = tmp_path / "image", tmp_path / "other"
    path.write_bytes(b"one")
    content_sha256(path)
    other.write_bytes(b"two")
    other.replace(path)
    assert content_sha256(path) == hashlib.sha256(b"two").hexdigest()


def test_what_is_kept_and_cannot_be_read_is_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "image"
    path.write_bytes(b"one")
    path.with_name(f"image{SUFFIX}").write_text("{")
    assert content_sha256(path) == content_sha256(path) == hashlib.sha256(b"one").hexdigest()
