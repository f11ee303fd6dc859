"""kubelet 1.5: needs kubelet.conf, runs static pods and those of DaemonSets, is Ready without any pod network."""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import secrets
import socket
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

from . import linkerd, pki
from .cluster import SHARED, cluster, docker_settings, fail, flags, images

FLAGS = {
    "--kubeconfig": True,
    "--require-kubeconfig": False,
    "--pod-manifest-path": True,
    "--allow-privileged": False,
    "--network-plugin": True,
    "--cni-conf-dir": True,
    "--cni-bin-dir": True,
    "--cluster-dns": True,
    "--cluster-domain": True,
    "--node-ip": True,
    "--resolv-conf": True,
    "--hairpin-mode": True,
    "--cgroup-driver": True,
    "--anonymous-auth": False,
    "--client-ca-file": True,
    "--authorization-mode": True,
    "--read-only-port": True,
    "--cadvisor-port": True,
}
CLOSED = {
    "--anonymous-auth": ("true", "false"),
    "--authorization-mode": ("AlwaysAllow", "Webhook"),
    "--read-only-port": ("10255", "0"),
    "--cadvisor-port": ("4194", "0"),
}
"""The default in 1.5, which opens a door to everybody without a word, and what closes it."""
REGISTERS_S, READY_S = 0.5, 2.5
"""From a kubelet's start to its node, and until that is Ready. Real ones took 15 to 25 s: a tenth here."""
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
ECHO = """
import http.server, json, socket, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = json.dumps({"app": "echo", "pod": sys.argv[1].partition(" on ")[0], "node": sys.argv[1].partition(" on ")[2]})
        self.send_response(200); self.end_headers(); self.wfile.write(said.encode())
    def log_message(self, *words): pass
http.server.HTTPServer(("", int(sys.argv[2])), Answer).serve_forever()
"""
LOG = Path("/var/lib/etcd/member/wal/0000000000000000-0000000000000000.wal")
KEPT = ("objects", "token", "address", "version", "ca", "authority", "nodes")
# The store of v2 alone: what is asked for under /v3alpha is not found. A second one finds the port taken, and ends.
GATEWAY = """
import http.server
class Answer(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.send_error(404)
    def log_message(self, *words): pass
http.server.HTTPServer(("127.0.0.1", 2379), Answer).serve_forever()
"""
IPC = "can't join IPC of container: non-shareable IPC (hint: use IpcMode:shareable for the donor container)"


def main(words: list[str]) -> None:
    """Runs until it is ended."""
    given, rest = flags(words, FLAGS)
    if rest:
        fail(f"unknown command {rest}")
    kubeconfig = Path(given.get("--kubeconfig", "/var/lib/kubelet/kubeconfig"))
    if not kubeconfig.exists():
        fail(f"error: failed to run Kubelet: invalid kubeconfig: stat {kubeconfig}: no such file or directory")
    _agrees_with_docker(given)
    _is_closed(given, kubeconfig)
    Path("/var/lib/kubelet").mkdir(parents=True, exist_ok=True)
    version, started = _version(), time.time()
    while True:
        _sync(given, kubeconfig, version, started)
        time.sleep(0.1)


def _version() -> str:
    """The one that the program was built as when it was started: a test's bundle notes it at its end, else it is v1.5.8."""
    with zipfile.ZipFile(sys.argv[0]) as program:
        return program.comment.decode() or "v1.5.8"


def _agrees_with_docker(given: dict[str, str]) -> None:
    driver = next(
        (o.partition("=")[2] for o in docker_settings().get("exec-opts", []) if "cgroupdriver" in o), "cgroupfs"
    )
    wanted = given.get("--cgroup-driver", "cgroupfs")
    if driver != wanted:
        fail(
            f"failed to create kubelet: misconfiguration: kubelet cgroup driver: {wanted!r} "
            f"is different from docker cgroup driver: {driver!r}"
        )
    resolver = Path(given.get("--resolv-conf", "/etc/resolv.conf"))
    if not resolver.exists() or "nameserver 127." in resolver.read_text():
        fail(f"DOUBLE: {resolver} is absent or names a resolver that no pod reaches")


def _is_closed(given: dict[str, str], kubeconfig: Path) -> None:
    for flag, (default, wanted) in CLOSED.items():
        if given.get(flag, default) != wanted:
            fail(f"DOUBLE: {flag} is {given.get(flag, default)}: that is open to everybody")
    authority = Path(given.get("--client-ca-file", "/none"))
    if not authority.exists():
        fail(f"error: unable to load client CA file: open {authority}: no such file or directory")
    if authority.read_text() != _held(_said(kubeconfig), "certificate-authority"):
        fail(f"DOUBLE: {authority} is not the cluster's: nobody would be believed")


def _said(kubeconfig: Path) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in kubeconfig.read_text().splitlines())


def _held(lines: dict[str, str], what: str) -> str:
    return base64.b64decode(lines[f"    {what}-data"]).decode()


def _sync(given: dict[str, str], kubeconfig: Path, version: str, started: float) -> None:
    lines = _said(kubeconfig)
    manifests = Path(given["--pod-manifest-path"])
    with cluster() as state:
        if (manifests / "kube-apiserver.json").exists():
            _static_pods(state, manifests)
        if not state.get("healthy") or state.get("ca") != lines["ca"]:
            return  # the API server is away, or of another CA
        pair = (_held(lines, "client-certificate"), _held(lines, "client-key"))
        if not pki.believed(*pair, state["authority"][0]):
            print("E0101 reflector.go:188] x509: certificate has expired or is not yet valid", flush=True)
            return
        name = socket.gethostname().lower()
        if name not in state.get("nodes", {}) and time.time() < started + REGISTERS_S:
            return
        node = state.setdefault("nodes", {}).setdefault(
            name, {"address": given["--node-ip"], "dns": given["--cluster-dns"]}
        )
        node["seen"], node["boot"] = time.time(), Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        node["version"] = version
        node["ready_at"] = started + READY_S
        if time.time() >= node["ready_at"]:  # until then: skipping pod synchronization - [container runtime is down]
            _daemon_pods(state, name, given)


def _static_pods(state: dict[str, Any], manifests: Path) -> None:
    pods = {name: json.loads((manifests / f"{name}.json").read_text()) for name in CONTROL_PLANE}
    of = {name: pod["spec"]["containers"][0] for name, pod in pods.items()}
    state["kubelet_client"] = _shown(of["kube-apiserver"]["command"])
    wanted = {container["image"] for container in of.values()}
    state["version"] = of["kube-apiserver"]["image"].rpartition(":")[2]
    state["versions"] = {name: container["image"].rpartition(":")[2] for name, container in of.items()}
    shareable = docker_settings().get("default-ipc-mode") == "shareable"
    state["healthy"] = shareable and wanted <= images()
    if state["healthy"]:
        _etcd(state)
        if _container("kube-apiserver"):
            state["serving"] = Path("/etc/kubernetes/pki/apiserver.pem").read_text()
    if not state["healthy"]:
        print(f"E0101 pod_workers.go:184] Error syncing pod: {'ErrImagePull' if shareable else IPC}", flush=True)


def _etcd(state: dict[str, Any]) -> None:
    """etcd 3.0 with the store of v2: all is in its log. It reads that when it starts, and serves what it read."""
    LOG.parent.mkdir(parents=True, exist_ok=True)
    (LOG.parents[1] / "snap").mkdir(exist_ok=True)
    if _container("etcd"):
        if LOG.exists():
            state.update(json.loads(LOG.read_text()))
        _note_pid("etcd", _start([sys.executable, "-c", GATEWAY]).pid)
    LOG.write_text(json.dumps({key: state[key] for key in KEPT if key in state}))


def _container(name: str) -> bool:
    """Whether a static pod's container had to be started, as it did not run."""
    path = Path("/var/lib/double/docker.json")
    if not path.exists():
        return False
    from ..guest.state import remembered

    title = f"k8s_{name}.1a2b3c4d_{name}-{socket.gethostname()}_kube-system_"
    with remembered("docker") as docker:
        known = docker.setdefault("containers", {})
        if any(one["name"].startswith(title) and one["status"] == "running" for one in known.values()):
            return False
        known[secrets.token_hex(32)] = {
            "name": f"{title}{secrets.token_hex(4)}",
            "pid": 0,
            "status": "running",
            "log": "",
        }
    return True


def _note_pid(name: str, pid: int) -> None:
    """The process that goes when the container is removed."""
    from ..guest.state import remembered

    with remembered("docker") as docker:
        for one in docker.get("containers", {}).values():
            if one["name"].startswith(f"k8s_{name}.") and one["status"] == "running":
                one["pid"] = pid


def _shown(command: list[str]) -> list[str]:
    """What the API server shows to kubelets: certificate and key, whose files must be there for it to start."""
    flags = [word.split("=", 1) for word in command if word.startswith("--kubelet-client-")]
    assert len(flags) in (0, 2), command
    return [Path(path).read_text() for _, path in sorted(flags)]


def _daemon_pods(state: dict[str, Any], node: str, given: dict[str, str]) -> None:
    pods = state.setdefault("pods", {})
    sets = {key: item for key, item in state.get("objects", {}).items() if item["kind"] == "DaemonSet"}
    wanted = {key: item for key, item in sets.items() if _selects(item, node)}
    for pod in pods.values():
        if pod["node"] == node and pod["gone"] and pod.get("router"):
            linkerd.end(pod.pop("router"))
    for key, item in wanted.items():
        pod = pods.get(f"{key}/{node}")
        if pod is None or pod["gone"]:
            pods[f"{key}/{node}"] = pod = _new_pod(item, node)
        if pod.get("router"):
            pod["ready"] = linkerd.serves(pod["template"])
        if not pod["container"]:
            _run(pod, state, given)
    for key, pod in pods.items():
        if key.endswith(f"/{node}") and key.rpartition("/")[0] not in wanted and not pod.get("orphan"):
            pod["gone"] = True


def _selects(item: dict[str, Any], node: str) -> bool:
    """Whether a DaemonSet is for a node: each has one label, its name."""
    selector = item["spec"]["template"]["spec"].get("nodeSelector", {})
    return not selector.items() - {"kubernetes.io/hostname": node}.items()


def _new_pod(item: dict[str, Any], node: str) -> dict[str, Any]:
    template = item["spec"]["template"]
    return {
        "name": f"{item['metadata']['name']}-{secrets.token_hex(3)[:5]}",
        "namespace": item["metadata"].get("namespace", "default"),
        "node": node,
        "labels": template["metadata"]["labels"],
        "annotations": template["metadata"].get("annotations", {}),
        "images": [container["image"] for container in template["spec"]["containers"]],
        "ports": [port for container in template["spec"]["containers"] for port in container.get("ports", [])],
        "template": template["spec"],
        "container": "",
        "address": "",
        "waiting": "ContainerCreating",
        "message": "",
        "gone": False,
    }


def _run(pod: dict[str, Any], state: dict[str, Any], given: dict[str, str]) -> None:
    spec = pod["template"]
    lacking = {container["image"] for container in spec["containers"]} - images()
    if lacking:
        again = pod["message"].startswith(
            "image pull failed"
        )  # from the second time on the kubelet waits between its tries
        said = f"image pull failed for {sorted(lacking)[0]}: dial tcp: lookup gcr.io: no such host"
        pod["pulls"] = pod.get("pulls", 0) + 1
        pod.update(waiting="ImagePullBackOff" if again and pod["pulls"] > 30 else "ErrImagePull", message=said)
        return
    if linkerd.is_linkerd(spec) and pod["namespace"] != "kube-system":
        here = [one for one in state["pods"].values() if one["node"] == pod["node"] and one.get("router")]
        if here:  # GeneralPredicates: PodFitsHostPorts
            pod.update(waiting="Pending", message="the node has no free ports")
            return
        words = linkerd.argv(spec, state.get("objects", {}), pod["namespace"], SHARED / "cluster.json")
        if isinstance(words, str):
            pod.update(waiting="ContainerCreating", message=words)
            return
        process = _start(words)
        pod.update(address=given["--node-ip"], router=process.pid, ready=False)
    elif spec.get("hostNetwork"):
        process = _start(["sleep", "infinity"])
        pod["address"] = given["--node-ip"]
    else:
        process = _start(["unshare", "--net", "sleep", "infinity"])
        problem = _attach(pod, process, given)
        if problem:
            process.kill()
            process.wait()
            pod.update(waiting="ContainerCreating", message=problem)
            return
        port = next((p["containerPort"] for c in spec["containers"] for p in c.get("ports", [])), 8080)
        _start(
            [
                "nsenter",
                "-t",
                str(process.pid),
                "-n",
                sys.executable,
                "-c",
                ECHO,
                f"{pod['name']} on {pod['node']}",
                str(port),
            ]
        )
    pod.update(container=secrets.token_hex(32), waiting="")
    _register(pod["container"], f"k8s_{pod['name']}", process.pid)


def _attach(pod: dict[str, Any], process: subprocess.Popen[bytes], given: dict[str, str]) -> str:
    """What the bridge and host-local plugins do; the first `*.conf` counts, `.conflist` is not known."""
    confs = sorted(Path(given["--cni-conf-dir"]).glob("*.conf"))
    if given.get("--network-plugin") != "cni" or not confs:
        return "cni config unintialized"
    conf = json.loads(confs[0].read_text())
    folder = Path(given["--cni-bin-dir"])
    for plugin in (conf["type"], conf["ipam"]["type"], "loopback"):
        if not os.access(folder / plugin, os.X_OK):
            return f"failed to find plugin {plugin!r} in path [{folder}]"
    if (conf["type"], conf["ipam"]["type"], conf.get("cniVersion", "0.2.0")) != ("bridge", "host-local", "0.2.0"):
        return f"DOUBLE: only a bridge of version 0.2.0 with host-local is known: {conf}"
    subnet = ipaddress.ip_network(conf["ipam"]["subnet"])
    gateway, bridge, length = subnet[1], conf["bridge"], subnet.prefixlen
    address = subnet[2 + len(list(Path("/sys/class/net").glob(f"{bridge}p*")))]
    end = f"{bridge}p{process.pid}"
    inside = f"nsenter -t {process.pid} -n ip"
    steps = [
        f"ip link add {bridge} type bridge",
        f"ip address replace {gateway}/{length} dev {bridge}",
        f"ip link set {bridge} up",
        f"ip link add {end} type veth peer name eth0 netns {process.pid}",
        f"ip link set {end} master {bridge} up",
        f"{inside} address add {address}/{length} dev eth0",
        f"{inside} link set eth0 up",
        f"{inside} link set lo up",
        f"{inside} route add default via {gateway}",
    ]
    for step in steps:
        done = subprocess.run(step.split(), capture_output=True, text=True, check=False)
        if done.returncode and not step.endswith("type bridge"):
            return f"{step}: {done.stderr.strip()}"
    pod["address"] = str(address)
    return ""


def _start(words: list[str]) -> subprocess.Popen[bytes]:
    # A container outlives its kubelet.
    process = subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while Path(f"/proc/{process.pid}/comm").read_text().strip() not in (
        "sleep",
        "nsenter",
        Path(sys.executable).name[:15],
    ):
        time.sleep(0.01)
    return process


def _register(container: str, name: str, pid: int) -> None:
    path = Path("/var/lib/double/docker.json")
    if not path.exists():
        return
    from ..guest.state import remembered

    with remembered("docker") as state:
        state.setdefault("containers", {})[container] = {"name": name, "pid": pid, "status": "running", "log": ""}
