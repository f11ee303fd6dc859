"""Zipkin's images as parts of a bundle: sealed by name, joined with the plain one, refused when they are others; what starts them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from provision.base import data
from provision.base.errors import ImageError
from provision.base.events import Event, Warned, nowhere
from provision.bundle import extended, find, load, seal, source, verify, zipkin
from provision.bundle.containers import Container, Entry, write
from provision.bundle.model import TracingImages
from provision.cli import meshctl
from tests.unit.bundle.test_bundle import VERSION, lay_out

BOTH = ("meshctl/zipkin:3.5.1", "meshctl/zipkin-database:3.5.1")
START = data.folder("images") / "tracing" / "start"
WELL = {"MAX_AGE_H": "1", "MAX_BYTES": "67108864", "PASSWORD_FILE": "password"}


def test_a_bundle_with_both_images_has_tracing(tmp_path: Path) -> None:
    sealed = seal(lay_out(tmp_path / "b", VERSION, *BOTH), VERSION)
    assert sealed.tracing == TracingImages(*BOTH)
    assert load(tmp_path / "b") == sealed
    shown = CliRunner().invoke(meshctl, ["bundle", "show", str(tmp_path / "b")]).stdout
    assert "tracing: meshctl/zipkin:3.5.1, meshctl/zipkin-database:3.5.1" in shown


def test_openzipkins_own_is_taken_by_its_name(tmp_path: Path) -> None:
    sealed = seal(lay_out(tmp_path / "b", VERSION, "openzipkin/zipkin:3.5.1", BOTH[1]), VERSION)
    assert sealed.tracing == TracingImages("openzipkin/zipkin:3.5.1", BOTH[1])


@pytest.mark.parametrize("one", BOTH)
def test_one_of_the_two_is_none_and_is_said(tmp_path: Path, one: str) -> None:
    events: list[Event] = []
    sealed = seal(lay_out(tmp_path / "b", VERSION, one), VERSION, events.append)
    assert sealed.tracing is None
    name = one.partition("/")[2].partition(":")[0]
    assert [event for event in events if isinstance(event, Warned) and f"there is {name} only" in event.message]


def test_a_bundle_without_it_has_the_bytes_that_it_always_had(tmp_path: Path) -> None:
    seal(lay_out(tmp_path / "b"), VERSION)
    assert "tracing" not in yaml.safe_load((tmp_path / "b" / "bundle.yaml").read_text())


def test_both_parts_become_one_bundle_without_a_second_copy(tmp_path: Path) -> None:
    plain = lay_out(tmp_path / "plain", source.KUBERNETES)
    seal(plain, source.KUBERNETES)
    images = tmp_path / "parts"
    images.mkdir()
    for reference, name in zip(BOTH, ("zipkin", "zipkin-database"), strict=True):
        write(images / f"{name}.tar", Container((reference,), (Entry("/x", plain / "bin/kubectl"),)))
    target = tmp_path / "joined"
    extended._join(plain, images, target, nowhere)
    assert verify(target).tracing == TracingImages(*BOTH)
    assert os.path.samefile(target / "bin/kubelet", plain / "bin/kubelet")
    assert load(plain).tracing is None  # its seal is its own still


def test_what_was_not_built_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHCTL_CACHE", str(tmp_path))
    with pytest.raises(ImageError) as caught:
        find("debian-source+tracing")
    assert caught.value.hint == "meshctl bundle build --from debian-source --with tracing"


def test_another_image_in_the_archive_is_refused_before_it_is_taken(tmp_path: Path) -> None:
    archive = tmp_path / "x.tar"
    write(archive, Container(("example/jaeger:1",), (Entry("/x", START),)))
    with pytest.raises(ImageError, match="holds no image of Zipkin, but example/jaeger:1"):
        zipkin._check_archive(archive)


def test_an_archive_without_tracing_is_a_word_too_many(tmp_path: Path) -> None:
    done = CliRunner().invoke(meshctl, ["bundle", "build", "--from", "debian-source", "--zipkin", str(START)])
    assert (done.exit_code, "--zipkin is for --with tracing" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"MAX_BYTES": "1; DROP DATABASE zipkin"}, "MAX_BYTES is not a whole number"),
        ({"MAX_AGE_H": "-1"}, "MAX_AGE_H is not a whole number"),
        ({"PASSWORD_FILE": "other"}, "holds no password of ours"),
    ],
)
def test_what_is_no_number_or_password_never_reaches_the_database(
    tmp_path: Path, changed: dict[str, str], words: str
) -> None:
    (tmp_path / "password").write_text("c0ffee")
    (tmp_path / "other").write_text("x' OR '1")
    environment = {"PATH": "/usr/bin:/bin"} | WELL | changed
    done = subprocess.run(
        ["sh", str(START)], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert words in done.stderr
    assert "OR '1" not in done.stdout + done.stderr


def test_each_time_key_of_retention_is_in_the_schema() -> None:
    schema = (START.parent / "schema.sql").read_text()
    assert schema.count("INDEX `by_time`") == 2
    assert "COMPRESSED" not in schema.replace("ROW_FORMAT=COMPRESSED: deleting", "")
