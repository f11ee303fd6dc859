"""A second patch version where there is only one: a bundle of 1.20.2 relabelled as 1.20.3, or as another one.

A stand-in. Debian's source has one version of Kubernetes, and its programs say which by two strings that the linker put into each
(`-X …version.gitVersion`). Here those bytes are others, in the programs and in the images, and nothing else differs: kubeadm, the kubelet
and the API server do all that they do for a new version, and say that they are of it.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import sys
import tarfile
from pathlib import Path

from provision.bundle import seal

OLD, NEW = "v1.20.2", "v1.20.3"


def relabel(bundle: Path, target: Path, version: str = NEW) -> Path:
    """Makes the relabelled bundle of a sealed one, and seals it. Two of its files are others for every program that says a version."""
    if len(version) != len(OLD):
        raise ValueError(f"{version} is not as long as {OLD}")
    shutil.copytree(bundle, target)
    (target / "bundle.yaml").unlink()
    for program in (target / "bin").iterdir():
        program.write_bytes(program.read_bytes().replace(OLD.encode(), version.encode()))
    for archive in (target / "images").glob("*.tar"):
        _image(archive, version)
    seal(target, version)
    return target


def after(version: str) -> str:
    """The next patch version: `v1.20.3` after `v1.20.2`."""
    minor, _, patch = version.rpartition(".")
    return f"{minor}.{int(patch) + 1}"


def _image(archive: Path, version: str) -> None:
    """A docker-save archive of one image with one layer, as `bundle.containers` writes it; left alone where nothing says the version."""
    content = archive.read_bytes()
    if OLD.encode() not in content:
        return
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        (said,) = json.loads(_member(tar, "manifest.json"))
        config = json.loads(_member(tar, said["Config"]))
        layer = _member(tar, said["Layers"][0]).replace(
            OLD.encode(), version.encode()
        )  # as long as before: the tar within stays whole
    diff_id = hashlib.sha256(layer).hexdigest()
    config["rootfs"]["diff_ids"] = [f"sha256:{diff_id}"]
    text = json.dumps(config, sort_keys=True).encode()
    name = f"{hashlib.sha256(text).hexdigest()}.json"
    tags = [tag.replace(OLD, version) for tag in said["RepoTags"]]
    manifest = [{"Config": name, "RepoTags": tags, "Layers": [f"{diff_id}/layer.tar"]}]
    parts = {name: text, f"{diff_id}/layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as tar:
        for path, part in parts.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(part)
            tar.addfile(entry, io.BytesIO(part))


def _member(tar: tarfile.TarFile, name: str) -> bytes:
    found = tar.extractfile(name)
    assert found is not None, name
    return found.read()


if __name__ == "__main__":
    print(relabel(Path(sys.argv[1]), Path(sys.argv[2])))
