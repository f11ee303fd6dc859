"""A bundle of Kubernetes 1.20.2, built from Debian 12's source package `kubernetes` with Debian's Go 1.19.

Debian packages no kubeadm and no kubelet, but this source package holds both and vendors what they need. The
container images are written from static programs. Nothing is installed, no registry and no Docker are used.

Two defects of a plain build with Go 1.19 are mended here (both found by running it):
- the version's `-X` flags need the vendor prefix in a GOPATH build, else every program says v0.0.0-master;
- reflect2 1.0.1 declares reflect.mapiterinit with two parameters, Go 1.19's has three: the overlay gives it the third.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from provision.base import data
from provision.base.errors import ImageError
from provision.base.events import Changed, Emit, Output, Progress, nowhere
from provision.base.shell import Local
from provision.bundle.archive import SUITE, Archive
from provision.bundle.containers import Container, Entry, write
from provision.bundle.once import kept, once
from provision.bundle.seal import STANDIN, seal

NAME = "debian-source"
KUBERNETES = "v1.20.2"
COMMIT = "faecb196815e248d3ecfb03c680a4507229c2a56"
"""The commit of v1.20.2, for `--version`."""

REVISION = 2
"""Raised when this module would write other bytes from the same inputs: it is part of the cache's digest."""

BUILD_S = 5400.0
"""How long another's build is waited for; it takes 10 to 25 minutes on two CPUs."""

GO = ("golang-1.19-go", "golang-1.19-src")
NODE_PROGRAMS = ("kubeadm", "kubelet", "kubectl")
CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
MULTI_CALL = "kube-control-plane"
"""One program for the three of them: docker load costs a second per 2.4 MB on an emulated CPU, and this halves it."""

CNI = ("bridge", "host-local", "loopback", "portmap")
OWN = ("pause", "echo", STANDIN, MULTI_CALL)

RUNTIME = (
    "etcd-server",
    "containernetworking-plugins",
    "iptables",
    "conntrack",
    "libc6",
    "libxtables12",
    "libnftnl11",
    "libmnl0",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
)
"""Packages whose files go into the bundle: etcd and kube-proxy's iptables are dynamic programs."""

BUILD_S = 5400.0
"""One program takes up to four minutes of two busy CPUs; a slow machine may need ten times that."""

_MAP_ITERATOR = """type hiter struct {
	key         unsafe.Pointer
	value       unsafe.Pointer
	t           unsafe.Pointer
	h           unsafe.Pointer
	buckets     unsafe.Pointer
	bptr        unsafe.Pointer
	overflow    *[]unsafe.Pointer
	oldoverflow *[]unsafe.Pointer
	startBucket uintptr
	offset      uint8
	wrapped     bool
	B           uint8
	i           uint8
	bucket      uintptr
	checkBucket uintptr
}
"""
"""reflect.hiter of Go 1.19 (src/reflect/value.go), whole: the iterator writes all of it."""


def digest() -> str:
    """Over all that decides the bundle's content and can be known without a network."""
    text = hashlib.sha256(
        repr((REVISION, KUBERNETES, COMMIT, SUITE, GO, RUNTIME, NODE_PROGRAMS, CONTROL_PLANE, CNI, OWN)).encode()
    )
    for path in sorted((data.folder("images") / "containers").rglob("*")):
        if path.is_file():
            text.update(f"{path.name}\0".encode() + path.read_bytes())
    return text.hexdigest()


def cached() -> Path | None:
    """The folder of the built bundle, None when it has not been built."""
    return kept(_target())


def _target() -> Path:
    return data.cache("bundles", f"{NAME}-{digest()[:12]}")


def build(emit: Emit = nowhere) -> Path:
    """Builds the bundle unless it is in the cache; about 15 minutes on two CPUs. Gives its folder.

    An interrupted build resumes from its compiler cache; a half-built bundle is never found under the final name.
    """
    target = _target()
    return once(target, partial(_build, target, emit), what="the bundle", within_s=BUILD_S, emit=emit)


def _build(target: Path, emit: Emit) -> None:
    _check_machine()
    started = time.monotonic()
    unfinished = target.with_name(f".{target.name}.partial")
    shutil.rmtree(unfinished, ignore_errors=True)
    work = data.cache("build", target.name)
    work.mkdir(parents=True, exist_ok=True)
    _Build(work, unfinished, emit).run()
    seal(unfinished, KUBERNETES, emit)
    unfinished.rename(target)
    shutil.rmtree(work)
    emit(Changed("this machine", str(target), f"built in {time.monotonic() - started:.0f} s"))


def _check_machine() -> None:
    missing = [program for program in ("apt-get", "dpkg-deb", "tar") if shutil.which(program) is None]
    if missing:
        raise ImageError(
            f"a bundle is built on Debian 12: {', '.join(missing)} is missing here",
            hint="build it there and copy the folder",
        )


@dataclass(frozen=True)
class _Build:
    """One build: `work` holds sources and the compiler's cache, `bundle` becomes the bundle."""

    work: Path
    bundle: Path
    emit: Emit

    @property
    def tree(self) -> Path:
        return self.work / "gopath" / "src" / "k8s.io" / "kubernetes"

    @property
    def out(self) -> Path:
        return self.work / "out"

    @property
    def root(self) -> Path:
        return self.work / "root"

    def run(self) -> None:
        with self._step("sources and tools from Debian"):
            self._fetch()
        with self._step("OpenAPI code"):
            self._openapi()
        programs = (*NODE_PROGRAMS, "kube-proxy", *OWN)
        for number, program in enumerate(programs):
            self.emit(Progress("bundle: programs", number, len(programs), "programs"))
            with self._step(f"compile {program}"):
                self._compile(f"./cmd/{program}", program)
        with self._step("container images"):
            self._programs()
            self._images()

    @contextmanager
    def _step(self, title: str) -> Iterator[None]:
        started = time.monotonic()
        yield
        self.emit(Output("bundle", f"{title}: {time.monotonic() - started:.0f} s"))

    def _fetch(self) -> None:
        if (self.work / "fetched").exists():
            self._own_sources()
            return
        archive = Archive(self.work, self.emit)
        archive.update()
        archive.unpack(GO, self.work / "go")
        archive.unpack(RUNTIME, self.root)
        archive.source("kubernetes", self.tree)
        self._overlay()
        self._own_sources()
        (self.work / "fetched").touch()

    def _own_sources(self) -> None:
        # Beside Kubernetes' own commands: there the vendored YAML package is found.
        for name in OWN:
            shutil.copytree(data.folder("images") / "containers" / name, self.tree / "cmd" / name, dirs_exist_ok=True)

    def _overlay(self) -> None:
        source = self.tree / "vendor/github.com/modern-go/reflect2"
        link = (source / "unsafe_link.go").read_text()
        link = _replaced(
            link,
            "func mapiterinit(rtype unsafe.Pointer, m unsafe.Pointer) *hiter",
            "func mapiterinit(rtype unsafe.Pointer, m unsafe.Pointer, it *hiter)",
        )
        start = link.index("type hiter struct")
        link = link[:start] + _MAP_ITERATOR + link[link.index("}\n", start) + 2 :]
        maps = (source / "unsafe_map.go").read_text()
        maps = _replaced(
            maps,
            "\treturn &UnsafeMapIterator{\n\t\thiter:      mapiterinit(type2.rtype, *(*unsafe.Pointer)(obj)),",
            "\tvar it hiter\n\tmapiterinit(type2.rtype, *(*unsafe.Pointer)(obj), &it)\n\treturn &UnsafeMapIterator{\n\t\thiter:      &it,",
        )
        replaced = {}
        for name, text in (("unsafe_link.go", link), ("unsafe_map.go", maps)):
            (self.work / name).write_text(text)
            replaced[str(source / name)] = str(self.work / name)
        (self.work / "overlay.json").write_text(json.dumps({"Replace": replaced}))

    def _openapi(self) -> None:
        """What the package's own makefile generates for the API server: its OpenAPI definitions."""
        output = "pkg/generated/openapi"
        if (self.tree / output / "zz_generated.openapi.go").exists():
            return
        self._compile("./vendor/k8s.io/kube-openapi/cmd/openapi-gen", "openapi-gen")
        packages = ",".join(f"k8s.io/kubernetes/{folder}" for folder in _openapi_folders(self.tree))
        argv = [
            str(self.out / "openapi-gen"), "--logtostderr", "-v", "1", "-i", packages,
            "-p", f"k8s.io/kubernetes/{output}", "-O", "zz_generated.openapi",
            "-h", "hack/boilerplate/boilerplate.generatego.txt", "-r", str(self.work / "violations"),
        ]  # fmt: skip
        self._go().run(argv, within_s=BUILD_S, on_line=lambda line: self.emit(Output("openapi-gen", line)))

    def _go(self) -> Local:
        goroot = self.work / "go/usr/lib/go-1.19"
        environment = {
            "GOROOT": str(goroot),
            "GOPATH": str(self.work / "gopath"),
            "GOCACHE": str(self.work / "go-cache"),
            "GO111MODULE": "off",
            "CGO_ENABLED": "0",
            "GOFLAGS": "",
            "PATH": f"{goroot}/bin:/usr/bin:/bin",
        }
        return Local(env=environment, cwd=str(self.tree))

    def _compile(self, package: str, name: str) -> None:
        prefix = "k8s.io/kubernetes/vendor/k8s.io"
        major, minor, _ = KUBERNETES.lstrip("v").split(".")
        stamps = {
            "gitVersion": KUBERNETES,
            "gitMajor": major,
            "gitMinor": minor,
            "gitTreeState": "clean",
            "gitCommit": COMMIT,
        }
        flags = [
            f"-X {prefix}/{where}.{key}={value}"
            for where in ("component-base/version", "client-go/pkg/version")
            for key, value in stamps.items()
        ]
        # -s -w: without symbol tables a program is a quarter smaller, and every byte is loaded into every node's Docker.
        argv = [
            "go",
            "build",
            "-trimpath",
            "-overlay",
            str(self.work / "overlay.json"),
            "-ldflags",
            " ".join(["-s", "-w", *flags]),
        ]
        self.out.mkdir(exist_ok=True)
        self._go().run(
            [*argv, "-o", str(self.out / name), package],
            within_s=BUILD_S,
            on_line=lambda line: self.emit(Output("go", line)),
        )

    def _programs(self) -> None:
        for folder in ("bin", "cni", "images"):
            (self.bundle / folder).mkdir(parents=True)
        for name in NODE_PROGRAMS:
            shutil.copy2(self.out / name, self.bundle / "bin" / name)
        for name in CNI:
            shutil.copy2(self.root / "usr/lib/cni" / name, self.bundle / "cni" / name)

    def _images(self) -> None:
        for name, container in self._containers().items():
            self.emit(Output("bundle", f"image {container.references[0]}"))
            write(self.bundle / "images" / f"{name}.tar", container)

    def _containers(self) -> dict[str, Container]:
        def plain(reference: str, program: str, *more: str, **labels: str) -> Container:
            entry = Entry(f"/usr/local/bin/{program}", self.out / program)
            return Container((reference, *more), (entry,), (f"/usr/local/bin/{program}",), labels=labels)

        return {
            MULTI_CALL: self._control_plane(),
            # coredns is skipped by kubeadm, but its image is looked for: the pause image answers to both names.
            "pause": plain("k8s.gcr.io/pause:3.2", "pause", "k8s.gcr.io/coredns:1.7.0"),
            "etcd": Container(
                ("k8s.gcr.io/etcd:3.4.13-0",),
                (
                    Entry("/usr/local/bin/etcd", self.root / "usr/bin/etcd"),
                    *self._libraries("libc.so.6", "ld-linux-x86-64.so.2", "libpthread.so.0"),
                ),
            ),
            "kube-proxy": Container((f"k8s.gcr.io/kube-proxy:{KUBERNETES}",), self._kube_proxy()),
            "kubectl": plain(f"meshctl/kubectl:{KUBERNETES}", "kubectl"),
            "echo": plain("meshctl/echo:1", "echo"),
            STANDIN: plain(f"meshctl/{STANDIN}:0.8.5", STANDIN, stand_in_for="linkerd 0.8.5"),
        }

    def _control_plane(self) -> Container:
        """One image by three references. The manifests name the programs themselves: no entrypoint in their way."""
        program = f"/usr/local/bin/{MULTI_CALL}"
        links = (Entry(f"/usr/local/bin/{name}", link=program) for name in CONTROL_PLANE)
        references = tuple(f"k8s.gcr.io/{name}:{KUBERNETES}" for name in CONTROL_PLANE)
        return Container(references, (Entry(program, self.out / MULTI_CALL), *links))

    def _kube_proxy(self) -> tuple[Entry, ...]:
        """kube-proxy with the nft backend of iptables that Debian 12's guests use too, and conntrack."""
        multi = "/usr/sbin/xtables-nft-multi"
        names = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")
        extensions = self.root / "usr/lib/x86_64-linux-gnu/xtables"
        return (
            Entry("/usr/local/bin/kube-proxy", self.out / "kube-proxy"),
            Entry(multi, self.root / "usr/sbin/xtables-nft-multi"),
            *(Entry(f"/usr/sbin/{name}", link=multi) for name in names),
            Entry("/usr/sbin/conntrack", self.root / "usr/sbin/conntrack"),
            *(Entry(f"/usr/lib/x86_64-linux-gnu/xtables/{path.name}", path) for path in sorted(extensions.glob("*.so"))),
            *self._libraries(
                "libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2", "libxtables.so.12", "libnftnl.so.11", "libmnl.so.0",
                "libnetfilter_conntrack.so.3", "libnfnetlink.so.0",
            ),
        )  # fmt: skip

    def _libraries(self, *names: str) -> Iterator[Entry]:
        for name in names:
            found = next(self.root.rglob(name), None)
            if found is None:
                raise ImageError(f"{name} is in none of the packages {', '.join(RUNTIME)}")
            target = f"/lib64/{name}" if name.startswith("ld-linux") else f"/lib/x86_64-linux-gnu/{name}"
            yield Entry(target, found.resolve())


def _replaced(text: str, old: str, new: str) -> str:
    if old not in text:
        raise ImageError(f"reflect2 in Debian's source package is not the one this build mends: {old!r} is not there")
    return text.replace(old, new)


def _openapi_folders(tree: Path) -> list[str]:
    """Packages with the tag +k8s:openapi-gen, as build/root/Makefile.generated_files finds them for the API server."""
    left_out = ("code-generator", "sample-apiserver", "sample-controller")
    found = set()
    for top in ("cmd", "pkg", "plugin", "vendor/k8s.io"):
        for folder, _, names in os.walk(tree / top, followlinks=True):
            relative = os.path.relpath(folder, tree)
            if any(part in relative for part in left_out):
                continue
            if any(
                _asks_openapi(Path(folder, name))
                for name in names
                if name.endswith(".go") and not name.startswith("zz_generated")
            ):
                found.add(relative)
    return sorted(found)


def _asks_openapi(path: Path) -> bool:
    return any(line.startswith(b"//") and b"+k8s:openapi-gen=" in line for line in path.read_bytes().splitlines())
