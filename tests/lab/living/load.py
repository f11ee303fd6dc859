"""Two pods of the echo app behind the mesh, asked ten times a second from a node while something is done to others."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from provision.base.waiting import NotYet, Ready, wait_until
from provision.inventory import load
from tests.lab.conftest import MESHCTL, Place

NAME = "pair"
PER_S = 10

# Runs in the guest until its stdin ends: each request at its own time, whatever became of the one before; then what it counted, as JSON.
# One thread that polls: with threads and http.client it took 22 % of an emulated control plane's CPU, of the time that it measures.
_ASK = """
import json, os, select, socket, sys, time
port, name, per_s = int(sys.argv[1]), sys.argv[2].encode(), float(sys.argv[3])
poll, asking, asked, failed, pods, ended = select.epoll(), {}, 0, [], {}, False

def ask(number):
    made = socket.socket()
    made.setblocking(False)
    made.connect_ex(("127.0.0.1", port))
    poll.register(made, select.EPOLLOUT)
    asking[made.fileno()] = [made, number, time.monotonic(), b""]

def over(fd, fault):
    made, _, _, said = asking.pop(fd)
    made.close()
    head, _, body = said.partition(b"\\r\\n\\r\\n")
    if not fault and b" 200 " not in head[:20]:
        fault = said[:300].decode(errors="replace") or "no answer"
    pod = json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])["pod"] if not fault else ""
    pods[pod] = pods.get(pod, 0) + 1
    if fault:
        failed.append(time.strftime("%H:%M:%S ") + fault)

def went_on(fd, event):
    one = asking[fd]
    try:
        if event & select.EPOLLOUT:
            one[0].sendall(b"GET /%d HTTP/1.1\\r\\nHost: %s\\r\\nConnection: close\\r\\n\\r\\n" % (one[1], name))
            poll.modify(fd, select.EPOLLIN)
        elif more := one[0].recv(65536):
            one[3] += more
        else:
            over(fd, "")
    except OSError as error:
        over(fd, repr(error))

poll.register(0, select.EPOLLIN)
begun = time.monotonic()
print("begun", flush=True)
while not ended or asking:
    due = begun + asked / per_s
    while not ended and due <= time.monotonic():
        ask(asked)
        asked += 1
        due = begun + asked / per_s
    for fd, event in poll.poll(max(0.0, due - time.monotonic()) if not ended else 1.0):
        if fd:
            went_on(fd, event)
        elif not os.read(0, 4096):
            ended = True
            poll.unregister(0)
    for fd in [fd for fd, one in asking.items() if time.monotonic() - one[2] > 20]:
        over(fd, "no answer within 20 s")
print(json.dumps({"asked": asked, "seconds": time.monotonic() - begun, "failed": failed, "pods": pods}))
"""

KUBECTL = ("sudo", "kubectl", "--kubeconfig", "/etc/kubernetes/admin.conf")


@dataclass
class Load:
    """What was counted, once it has ended."""

    asked: int = 0
    seconds: float = 0.0
    failed: tuple[str, ...] = ()
    pods: dict[str, int] | None = None


@contextmanager
def steady(place: Place, node: str) -> Iterator[Load]:
    """The two pods, and the load from `node` meanwhile; its figures are there at the end."""
    apply(place, *_pair(place))
    try:
        wait_until(lambda: _both(place), what="two pods", within_s=300, every_s=3)
        found = Load()
        with _asking(place, node, found):
            yield found
        print(
            f"load: {found.asked} requests in {found.seconds:.0f} s, {len(found.failed)} failed; {found.pods}",
            flush=True,
        )
    finally:
        kubectl(place, "delete", "deployment,service", NAME, "--ignore-not-found")


@contextmanager
def from_each(place: Place, nodes: Sequence[str]) -> Iterator[dict[str, Load]]:
    """The two pods, and the load from each of these nodes at once; the figures are there at the end."""
    apply(place, *_pair(place))
    found = {node: Load() for node in nodes}
    try:
        wait_until(lambda: _both(place), what="two pods", within_s=300, every_s=3)
        with ExitStack() as asking:
            for node, load in found.items():
                asking.enter_context(_asking(place, node, load))
            yield found
        for node, load in found.items():
            said = f"{load.asked} requests in {load.seconds:.0f} s, {len(load.failed)} failed; {load.pods}"
            print(f"load from {node}: {said}", flush=True)
    finally:
        kubectl(place, "delete", "deployment,service", NAME, "--ignore-not-found")


@contextmanager
def _asking(place: Place, node: str, found: Load) -> Iterator[None]:
    words = ("python3", "-c", _ASK, "4140", NAME, str(PER_S))
    argv = [str(MESHCTL), "ssh", str(place.inventory), node, "--", *words]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        try:
            yield
        finally:
            said, _ = process.communicate("", timeout=120)
            counted = json.loads(said)
            found.asked, found.seconds = counted["asked"], counted["seconds"]
            found.failed, found.pods = tuple(counted["failed"]), counted["pods"]


def kubectl(place: Place, *words: str) -> str:
    """kubectl on the control plane, in the mesh's namespace."""
    done = place.meshctl("ssh", str(place.inventory), "cp1", "--", *KUBECTL, "--namespace", namespace(place), *words)
    assert done.status == 0, done.stderr
    return done.stdout


def namespace(place: Place) -> str:
    """Where the inventory has the mesh, and with it what it routes to."""
    return load(str(place.inventory)).mesh.namespace


def apply(place: Place, *things: dict[str, Any]) -> None:
    """Creates objects, or makes them as given."""
    script = 'printf %s "$1" | sudo kubectl --kubeconfig /etc/kubernetes/admin.conf --namespace "$2" apply --validate=false -f -'
    listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": things})
    done = place.meshctl(
        "ssh", str(place.inventory), "cp1", "--", "sh", "-c", script, "apply", listed, namespace(place)
    )
    assert done.status == 0, done.stderr


def _pair(place: Place) -> tuple[dict[str, Any], ...]:
    (app, *_) = json.loads(kubectl(place, "get", "daemonset", "echo", "-o", "json"))["spec"]["template"]["spec"][
        "containers"
    ]
    labels, apart = (
        {"app": NAME},
        {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": NAME}}},
    )
    spec = {
        "containers": [app],
        "affinity": {
            "podAntiAffinity": {
                "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 100, "podAffinityTerm": apart}]
            }
        },
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }
    port = {"name": "http", "port": 80, "targetPort": 8080}
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME},
        "spec": {"selector": labels, "ports": [port]},
    }
    return deployment, service


def _both(place: Place) -> Ready[None] | NotYet:
    status = json.loads(kubectl(place, "get", "deployment", NAME, "-o", "json"))["status"]
    return Ready(None) if status.get("readyReplicas") == 2 else NotYet(f"{status.get('readyReplicas', 0)} ready")
