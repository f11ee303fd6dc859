"""The two container images of `tracing:`: Zipkin from Maven Central on Debian's Java, and its database, Debian's MariaDB.

Nothing is installed and no registry is used. Where Maven Central cannot be reached, an archive of `docker save` takes Zipkin's place.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from provision.base import data
from provision.base.errors import CommandFailed, ImageError
from provision.base.events import Changed, Emit, Output
from provision.base.shell import Local
from provision.bundle.archive import SUITE, Archive
from provision.bundle.containers import Container, Entry, references, write
from provision.bundle.once import kept, once
from provision.bundle.seal import DATABASE, ZIPKIN, last_part

REVISION = 1
"""Raised when this module would write other bytes from the same inputs: it is part of the cache's digest."""

VERSION = "3.5.1"
ARTIFACT = f"io.zipkin:zipkin-server:{VERSION}:jar:exec"
SHA256 = "7ac633a6832647e71e50012a5e3e91fbc7054414955261724526030faf271d8d"
"""Of the jar, as Maven Central had it on 1 December 2026."""

COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.0:copy"
"""Maven's own way to fetch one artifact; mirrors and proxies are those of the user's settings.xml."""

JAVA = "usr/lib/jvm/java-17-openjdk-amd64"
PACKAGES = (
    *("openjdk-17-jre-headless", "mariadb-server-core", "busybox-static"),
    *("libc6", "zlib1g", "libstdc++6", "libgcc-s1", "libpcre2-8-0", "libcrypt1", "liburing2", "libaio1", "libnuma1"),
    *("libsystemd0", "libssl3", "libcap2", "libgcrypt20", "libgpg-error0", "liblzma5", "libzstd1", "liblz4-1"),
)
"""What the two are made of. The libraries are what java and mariadbd are linked with (objdump -p, NEEDED), and those of libsystemd."""

_OF_JAVA = (
    *("libc.so.6", "ld-linux-x86-64.so.2", "libz.so.1", "libstdc++.so.6", "libm.so.6", "libgcc_s.so.1", "libdl.so.2"),
    *("libpthread.so.0", "librt.so.1"),
)
_OF_MARIADB = (
    *(
        "libc.so.6",
        "ld-linux-x86-64.so.2",
        "libz.so.1",
        "libstdc++.so.6",
        "libm.so.6",
        "libgcc_s.so.1",
        "libpcre2-8.so.0",
    ),
    *(
        "libcrypt.so.1",
        "liburing.so.2",
        "libaio.so.1",
        "libnuma.so.1",
        "libsystemd.so.0",
        "libssl.so.3",
        "libcrypto.so.3",
    ),
    *("libcap.so.2", "libgcrypt.so.20", "libgpg-error.so.0", "liblzma.so.5", "libzstd.so.1", "liblz4.so.1"),
)
TOOLS = ("sh", "cat", "chown", "mkdir", "mv", "rm", "stat", "sync")
"""Of busybox: what images/tracing/start uses."""

USERS = "root:x:0:0:root:/:/bin/sh\nmysql:x:10960:10960:Zipkin's database:/:/bin/false\n"
GROUPS = "root:x:0:\nmysql:x:10960:\n"

BUILD_S = 1800.0
"""How long another's build is waited for; it takes two minutes on two CPUs, most of it downloads."""


def digest() -> str:
    """Over all that decides the images' content and can be known without a network."""
    text = hashlib.sha256(repr((REVISION, ARTIFACT, SHA256, SUITE, PACKAGES, TOOLS, USERS, GROUPS)).encode())
    for path in sorted((data.folder("images") / "tracing").iterdir()):
        text.update(f"{path.name}\0".encode() + path.read_bytes())
    return text.hexdigest()


def cached() -> Path | None:
    """The folder with the two archives, None when they have not been built."""
    return kept(_target())


def _target() -> Path:
    return data.cache("parts", f"tracing-{digest()[:12]}")


def build(emit: Emit, zipkin: Path | None = None) -> Path:
    """Builds the images unless they are in the cache; gives the folder of their archives. `zipkin` is an archive of `docker save` that
    is taken instead of what Maven Central has; it takes the place of one that was built before.

    Raises ImageError.
    """
    target = _target()
    make, anew = partial(_build, target, emit, zipkin), zipkin is not None
    return once(target, make, what="Zipkin's images", within_s=BUILD_S, emit=emit, anew=anew)


def _build(target: Path, emit: Emit, zipkin: Path | None) -> None:
    started = time.monotonic()
    work, unfinished = data.cache("build", target.name), target.with_name(f".{target.name}.partial")
    for folder in (work, unfinished):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    _Build(work, unfinished, emit).run(zipkin)
    shutil.rmtree(target, ignore_errors=True)
    unfinished.rename(target)
    shutil.rmtree(work)
    emit(Changed("this machine", str(target), f"built in {time.monotonic() - started:.0f} s"))


@dataclass(frozen=True)
class _Build:
    """One build: `work` holds what was downloaded, `out` gets the archives."""

    work: Path
    out: Path
    emit: Emit

    @property
    def root(self) -> Path:
        return self.work / "root"

    def run(self, zipkin: Path | None) -> None:
        archive = Archive(self.work, self.emit)
        archive.update()
        archive.unpack(PACKAGES, self.root)
        self._write(DATABASE, self._database())
        if zipkin is None:
            self._write(ZIPKIN, self._zipkin(self._jar()))
        else:
            _check_archive(zipkin)
            shutil.copyfile(zipkin, self.out / f"{ZIPKIN}.tar")

    def _write(self, name: str, container: Container) -> None:
        self.emit(Output("bundle", f"image {container.references[0]}"))
        write(self.out / f"{name}.tar", container)

    def _jar(self) -> Path:
        """The jar from Maven Central. Raises ImageError when it cannot be had, or is another."""
        argv = ["mvn", "--batch-mode", "--quiet", f"-Dmaven.repo.local={self.work / 'm2'}", COPY]
        argv += [f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={self.work / 'jar'}"]
        try:
            Local().run(argv, within_s=1200, on_line=lambda line: self.emit(Output("mvn", line)))
        except CommandFailed as error:
            raise ImageError(f"Zipkin could not be had from Maven Central: {error.message}", hint=OTHERWISE) from error
        jar = self.work / "jar" / f"zipkin-server-{VERSION}-exec.jar"
        with jar.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if found != SHA256:
            raise ImageError(f"{ARTIFACT} has the sha256 {found}, not {SHA256}", hint=OTHERWISE)
        return jar

    def _zipkin(self, jar: Path) -> Container:
        entries = (Entry("/zipkin/zipkin.jar", jar), *self._java(), *self._libraries(_OF_JAVA))
        return Container((f"meshctl/{ZIPKIN}:{VERSION}",), entries, (f"/{JAVA}/bin/java", "-jar", "/zipkin/zipkin.jar"))

    def _java(self) -> Iterator[Entry]:
        for top in (JAVA, "etc/java-17-openjdk"):
            yield from _tree(self.root, top)

    def _database(self) -> Container:
        for name, text in (("passwd", USERS), ("group", GROUPS)):
            (self.work / name).write_text(text)
        own = data.folder("images") / "tracing"
        entries = (
            Entry("/usr/local/bin/start", own / "start"),
            *(Entry(f"/usr/share/zipkin/{name}", own / name) for name in ("schema.sql", "retention.sql")),
            *(Entry(f"/etc/{name}", self.work / name) for name in ("passwd", "group")),
            Entry("/bin/busybox", self.root / "bin/busybox"),
            *(Entry(f"/bin/{name}", link="/bin/busybox") for name in TOOLS),
            Entry("/usr/sbin/mariadbd", self.root / "usr/sbin/mariadbd"),
            *_tree(self.root, "usr/share/mysql"),
            *self._libraries(_OF_MARIADB),
        )
        return Container((f"meshctl/{DATABASE}:{VERSION}",), entries, ("/usr/local/bin/start",))

    def _libraries(self, names: tuple[str, ...]) -> Iterator[Entry]:
        for name in names:
            found = next(self.root.rglob(name), None)
            if found is None:
                raise ImageError(f"{name} is in none of the packages {', '.join(PACKAGES)}")
            target = f"/lib64/{name}" if name.startswith("ld-linux") else f"/lib/x86_64-linux-gnu/{name}"
            yield Entry(target, found.resolve())


OTHERWISE = "`meshctl bundle build --zipkin FILE` takes an archive of `docker save` instead, made where it can be had"


def _check_archive(path: Path) -> None:
    """Raises ImageError when an archive holds no image called zipkin."""
    held = references(path)
    if not any(last_part(one) == ZIPKIN for one in held):
        raise ImageError(
            f"{path} holds no image of Zipkin, but {', '.join(held) or 'none at all'}",
            hint=f"its name must end in {ZIPKIN}, as openzipkin/{ZIPKIN}:{VERSION} does",
        )


def _tree(root: Path, top: str) -> Iterator[Entry]:
    """All files and links below a folder of a root filesystem, at the same places."""
    for folder, names, files in os.walk(root / top):
        for name in sorted([*files, *(one for one in names if Path(folder, one).is_symlink())]):
            path = Path(folder, name)
            target = f"/{path.relative_to(root)}"
            yield Entry(target, link=os.readlink(path)) if path.is_symlink() else Entry(target, path)
