"""A lab of namespaces: nodes with a root, a network, a host name and processes of their own, and the doubles inside.

A node's root is an overlay over this machine's; what a node writes goes to memory and is gone with the lab. The
network between nodes, `ip` and `iptables` are real.
"""

from __future__ import annotations

import compileall
import hashlib
import io
import json
import os
import shutil
import signal
import sys
import tarfile
import zipapp
import zipfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from provision.base.shell import Completed, Local, OnLine
from provision.base.waiting import NotYet, Ready, wait_until
from provision.kubernetes import Archive, Program, Spec
from provision.specs.objects import Member

DOUBLES = Path(__file__).parent
GUEST_PROGRAMS = (
    "systemctl",
    "systemd-run",
    "journalctl",
    "double-boot",
    "docker",
    "blkid",
    "blockdev",
    "mount",
    "modprobe",
    "sysctl",
)
STUBS = ("conntrack", "ebtables", "ethtool", "socat", "apparmor_parser")
"""Programs that a guest has and this machine may lack; nobody calls them here."""

_CHOOSE = """
import sys
from pathlib import Path
if Path(sys.argv[0]).name in ("kubeadm", "kubelet", "kubectl"):
    import site
    site.main()
    from doubles.kubernetes_1_5.main import main
else:
    from doubles.guest.main import main
"""

# cgroup v1 as a guest shows it, whatever this machine runs.
_CGROUPS = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n" + "".join(
    f"{name}\t1\t1\t1\n" for name in ("cpu", "cpuacct", "cpuset", "devices", "freezer", "memory")
)

_LAB = """
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 lab "$1/lab"
cp -r "$1/stage/." "$1/lab/"
ip link set lo up
ip link add br0 type bridge
ip link set br0 up
touch "$1/lab/ready"
exec sleep infinity
"""

_NODE = """
set -e
lab=$1 name=$2
shift 2
here=$lab/nodes/$name
root=$here/root
mkdir -p "$here/upper" "$here/work" "$root"
mount -t overlay node -o "lowerdir=/,upperdir=$here/upper,workdir=$here/work" "$root"
for path in dev sys; do mount --rbind "/$path" "$root/$path"; done
for path; do mkdir -p "$root$path" && mount --rbind "$path" "$root$path"; done
mount -t proc proc "$root/proc"
mount --bind "$lab/cgroups" "$root/proc/cgroups"
mount -t tmpfs cgroup "$root/sys/fs/cgroup"
mount -t tmpfs run "$root/run"
mkdir -p "$root/srv/double" "$root/run/lock" "$root/var/lib/double"
mount --bind "$lab" "$root/srv/double"
cp "$lab/programs/"* "$root/usr/local/sbin/"
printf '127.0.0.1 localhost\\n' > "$root/etc/hosts"
rm -rf "$root/etc/docker" "$root/var/lib/docker"
hostname "$name"
ip link set lo up
exec chroot "$root" sleep infinity
"""


@dataclass
class NodeShell(Local):
    """A root shell in a node."""

    pid: int = 0

    def _end(self, argv: Sequence[str], stdin: bytes, within_s: float, on_line: OnLine | None) -> Completed:
        inside = ["nsenter", "-t", str(self.pid), "-m", "-u", "-n", "-p", "-r", "-w", "env", "-i"]
        path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        completed = super()._end([*inside, path, "HOME=/root", "LANG=C.UTF-8", *argv], stdin, within_s, on_line)
        return Completed(self.where, tuple(argv), completed.status, completed.stdout, completed.stderr)


@dataclass
class Lab:
    """Nodes with the doubles inside. `stop` ends every process; everything else is gone with them."""

    folder: Path
    local: Local = field(default_factory=Local)
    nodes: dict[str, NodeShell] = field(default_factory=dict)
    _pids: list[int] = field(default_factory=list)
    _lab: int = 0

    def start(self) -> None:
        """The network between the nodes, and the bundle and the doubles to put into them."""
        (self.folder / "lab").mkdir()
        stage = self.folder / "stage"
        stage.mkdir()
        (stage / "cgroups").write_text(_CGROUPS)
        program = build_program(self.folder)
        (stage / "programs").mkdir()
        for name in GUEST_PROGRAMS:
            shutil.copy(program, stage / "programs" / name)
        for name in STUBS:
            _executable(stage / "programs" / name)
        make_bundle(stage / "bundle", program)
        self._lab = self._hold(
            ["unshare", "--mount", "--net", "--fork", "--kill-child", "sh", "-c", _LAB, "lab", str(self.folder)]
        )
        self._wait(lambda: self._inside(self._lab, "test", "-e", f"{self.folder}/lab/ready").status == 0, "the lab")

    def node(self, member: Member) -> NodeShell:
        """A fresh node at the member's address, booted."""
        lab, held = f"{self.folder}/lab", []
        for path in {sys.prefix, sys.base_prefix}:
            if os.stat(path).st_dev != os.stat("/").st_dev:
                held.append(path)
        enter = ["nsenter", "-t", str(self._lab), "-m", "-n", "-w/", "--"]
        own = ["unshare", "--mount", "--uts", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", _NODE, "node"]
        pid = self._hold([*enter, *own, lab, member.name, *held])
        shell = NodeShell(member.name, pid=pid)
        self._wait(lambda: shell.read(["hostname"], check=False).stdout.strip() == member.name, f"node {member.name}")
        self._wait(
            lambda: shell.read(["test", "-d", "/srv/double/bundle"], check=False).status == 0, f"root of {member.name}"
        )
        self._connect(pid, member)
        shell.run(["double-boot"])
        self.nodes[member.name] = shell
        return shell

    def exchange(self, bundle: Path) -> None:
        """Another bundle's disk in all nodes: what they mount from now on."""
        script = 'rm -rf "$1/lab/bundle" && cp -r "$2" "$1/lab/bundle"'
        self._inside(self._lab, "sh", "-c", script, "exchange", str(self.folder), str(bundle)).checked()

    def stop(self) -> None:
        """Ends everything."""
        for pid in reversed(self._pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._pids.clear()

    def _connect(self, pid: int, member: Member) -> None:
        end = f"v-{member.name}"
        steps = [
            f"ip link add {end} type veth peer name mesh0 netns {pid}",
            f"ip link set {end} master br0 up",
        ]
        for step in steps:
            self.local.run(["nsenter", "-t", str(self._lab), "-n", *step.split()])
        for step in (f"ip address add {member.address}/24 dev mesh0", "ip link set mesh0 up"):
            self.local.run(["nsenter", "-t", str(pid), "-n", *step.split()])

    def _hold(self, argv: Sequence[str]) -> int:
        """Starts a process that `unshare` forks; gives the pid of the forked one."""
        outer = self.local.background(argv, log=str(self.folder / "lab.log"))
        self._pids.append(outer)
        children = Path(f"/proc/{outer}/task/{outer}/children")
        self._wait(lambda: bool(children.exists() and children.read_text().split()), "unshare")
        return int(children.read_text().split()[0])

    def _inside(self, pid: int, *argv: str) -> Completed:
        return self.local.read(["nsenter", "-t", str(pid), "-m", "-n", *argv], check=False)

    def _wait(self, question: object, what: str) -> None:
        assert callable(question)
        wait_until(lambda: Ready(None) if question() else NotYet(self._log()), what=what, within_s=20, every_s=0.02)

    def _log(self) -> str:
        path = self.folder / "lab.log"
        return path.read_text()[-400:] if path.exists() else "nothing"


def build_program(folder: Path) -> Path:
    """All doubles as one executable file that chooses by its name."""
    target = folder / "doubles.pyz"
    staging = folder / "doubles"
    shutil.copytree(DOUBLES, staging / "doubles", ignore=shutil.ignore_patterns("__pycache__", "sandbox.py"))
    (staging / "choose.py").write_text(_CHOOSE)
    compileall.compile_dir(staging, quiet=1, legacy=True)
    for source in staging.rglob("*.py"):
        source.unlink()
    zipapp.create_archive(staging, target, interpreter=f"{sys.executable} -IS", main="choose:main")
    target.chmod(0o755)
    return target


PREFIX = "gcr.io/google_containers"
IMAGES = {
    "control-plane": tuple(
        f"{PREFIX}/{name}"
        for name in (
            "kube-apiserver-amd64:v1.5.8",
            "kube-controller-manager-amd64:v1.5.8",
            "kube-scheduler-amd64:v1.5.8",
            "etcd-amd64:3.0.14-kubeadm",
            "kube-discovery-amd64:1.0",
        )
    ),
    "node": tuple(
        f"{PREFIX}/{name}"
        for name in (
            "kube-proxy-amd64:v1.5.8",
            "pause-amd64:3.0",
            "kubedns-amd64:1.9",
            "kube-dnsmasq-amd64:1.4",
            "dnsmasq-metrics-amd64:1.0",
            "exechealthz-amd64:1.2",
        )
    ),
    "echo": ("meshctl/echo:1",),
}
"""Archives of the bundle and what is in each."""


def make_bundle(folder: Path, program: Path, version: str = "v1.5.8") -> None:
    """A bundle: the doubles as programs, plugins that nobody runs, image archives without layers."""
    for name in ("kubeadm", "kubelet", "kubectl"):
        (folder / "bin").mkdir(parents=True, exist_ok=True)
        shutil.copy(program, folder / "bin" / name)
    with zipfile.ZipFile(folder / "bin/kubelet", "a") as kubelet:
        kubelet.comment = version.encode()
    for name in ("bridge", "host-local", "loopback"):
        _executable(folder / "cni" / name)
    (folder / "images").mkdir()
    for name, references in IMAGES.items():
        _archive(folder / "images" / f"{name}.tar", [one.replace(":v1.5.8", f":{version}") for one in references])


def spec_of(folder: Path, members: Iterable[Member], version: str = "v1.5.8") -> Spec:
    """The spec of a bundle's folder, as bundle.yaml would give it."""
    programs = tuple(
        Program(_relative(path, folder), _sha256(path))
        for kind in ("bin", "cni")
        for path in sorted((folder / kind).iterdir())
    )
    archives = tuple(
        Archive(_relative(path, folder), _sha256(path), _references(path))
        for path in sorted((folder / "images").iterdir())
    )
    return Spec(
        version, tuple(members), "10.244.0.0/16", "10.96.0.0/12", ("10.77.0.1",), "0123456789ab", programs, archives
    )


def _executable(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\nexit 0\n")
    path.chmod(0o755)


def _archive(path: Path, references: Iterable[str]) -> None:
    content = json.dumps([{"Config": f"{name}.json", "RepoTags": [name], "Layers": []} for name in references]).encode()
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))


def _references(path: Path) -> tuple[str, ...]:
    with tarfile.open(path) as archive:
        member = archive.extractfile("manifest.json")
        assert member is not None
        return tuple(tag for entry in json.load(member) for tag in entry["RepoTags"])


def _relative(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
