"""kubectl 1.5, with the API server behind it."""

from __future__ import annotations

import base64
import json
import re
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from . import pki, schema
from .cluster import cluster, fail, flags, for_ever

FLAGS = {
    "--kubeconfig": True,
    "--namespace": True,
    "--all-namespaces": False,
    "--cascade": False,
    "-n": True,
    "-o": True,
    "-l": True,
    "-f": True,
    "--dry-run": False,
    "--save-config": False,
    "--validate": False,
    "--ignore-daemonsets": False,
    "--force": False,
    "--delete-local-data": False,
    "--tail": True,
    "--since": True,
    "--follow": False,
    "-c": True,
    "--grace-period": True,
    "--overwrite": False,
}
KINDS = {
    "node": "Node",
    "pod": "Pod",
    "secret": "Secret",
    "daemonset": "DaemonSet",
    "ds": "DaemonSet",
    "configmap": "ConfigMap",
    "service": "Service",
    "serviceaccount": "ServiceAccount",
    "deployment": "Deployment",
    "endpoint": "Endpoints",
    "csr": "CertificateSigningRequest",
    "poddisruptionbudget": "PodDisruptionBudget",
    "namespace": "Namespace",
    "replicaset": "ReplicaSet",
    "replicationcontroller": "ReplicationController",
    "job": "Job",
    "statefulset": "StatefulSet",
    "ingresse": "Ingress",
    "persistentvolumeclaim": "PersistentVolumeClaim",
    "persistentvolume": "PersistentVolume",
}
_INVALID = (
    'error: error validating "STDIN": error validating data: {problem}; '
    "if you choose to ignore these errors, turn validation off with --validate=false"
)
REFUSED = "The connection to the server {server} was refused - did you specify the right host or port?"


def main(words: list[str]) -> None:
    """The verbs that are modelled; the others of 1.5 are refused as not modelled, later ones as unknown."""
    if not words:
        fail("kubectl controls the Kubernetes cluster manager.")
    verb, rest = words[0], words[1:]
    if verb.startswith("-"):  # flags before the verb
        given, rest = flags(words, FLAGS)
        verb, rest = rest[0], rest[1:]
    else:
        given, rest = flags(rest, FLAGS)
    verbs = {
        "get": get,
        "apply": apply,
        "create": create,
        "delete": delete,
        "replace": replace,
        "version": version,
        "drain": drain,
        "cordon": cordon,
        "uncordon": uncordon,
        "logs": logs,
        "label": label,
        "taint": taint,
    }
    if verb not in verbs:
        fail(f'Error: unknown command "{verb}" for "kubectl"\nRun \'kubectl --help\' for usage.')
    _connect(given)
    verbs[verb](given, rest)


def get(given: dict[str, str], words: list[str]) -> None:
    """As JSON, or by name: the columns of 1.5 are not for programs."""
    if given.get("-o") not in ("json", "name") or not 1 <= len(words) <= 2:
        fail("DOUBLE: only `get KIND[,KIND…] [NAME] -o json|name` is modelled", 70)
    kinds = {_kind(word) for word in words[0].split(",")}
    namespace = given.get("--namespace") or given.get("-n") or "default"
    everywhere = "--all-namespaces" in given
    with cluster() as state:
        found = [item for item in _objects(state) if item["kind"] in kinds and (everywhere or _within(item, namespace))]
    for pair in filter(None, given.get("-l", "").split(",")):
        key, _, value = pair.partition("=")
        found = [item for item in found if item["metadata"].get("labels", {}).get(key) == value]
    if given["-o"] == "name":
        print("\n".join(f"{item['kind'].lower()}/{item['metadata']['name']}" for item in found))
        return
    if len(words) == 1:
        print(json.dumps({"apiVersion": "v1", "kind": "List", "metadata": {}, "items": found}))
        return
    named = [item for item in found if item["metadata"]["name"] == words[1]]
    if not named:
        fail(f'Error from server (NotFound): {words[0]}s "{words[1]}" not found')
    print(json.dumps(named[0]))


def apply(given: dict[str, str], words: list[str]) -> None:
    """Applies the good objects of a stream and complains about the others; `configured` even when nothing changed."""
    _put(given, words, created="created", there="configured")


def create(given: dict[str, str], words: list[str]) -> None:
    """Creates; what exists is an error."""
    _put(given, words, created="created", there=None)


def replace(given: dict[str, str], words: list[str]) -> None:
    """Of one object that is there, whole. What the server wrote into it comes back with it."""
    if words or "-f" not in given:
        fail("Must specify --filename to replace")
    item = json.loads(Path(given["-f"]).read_text())
    metadata = item["metadata"]
    key = f"{item['kind']}/{metadata['namespace']}/{metadata['name']}"
    with cluster() as state:
        there = key in state.get("objects", {})
        if there:
            state["objects"][key] = item
    if not there:
        fail(f'Error from server (NotFound): {item["kind"].lower()}s "{metadata["name"]}" not found')
    print(f'{item["kind"].lower()} "{metadata["name"]}" replaced')


def version(given: dict[str, str], words: list[str]) -> None:
    """As Go prints a structure."""
    if given.keys() - {"--kubeconfig"} or words:
        fail("DOUBLE: only `version` is modelled", 70)
    with cluster() as state:
        said = state["version"]
    print('Client Version: version.Info{Major:"1", Minor:"5", GitVersion:"v1.5.8", GitCommit:"", GoVersion:"go1.7.4"}')
    print(
        f'Server Version: version.Info{{Major:"1", Minor:"5", GitVersion:"{said}", GitCommit:"", GoVersion:"go1.7.4"}}'
    )


def delete(given: dict[str, str], words: list[str]) -> None:
    """`delete KIND NAME…`: those that are there go, and the others are complained about."""
    kind, *names = words
    if given.get("--grace-period") == "0" and "--force" not in given:
        fail("error: Immediate deletion does not wait: --force is needed", 70)
    lost = [name for name in names if not _delete(given, kind, name)]
    if lost:
        fail("\n".join(f'Error from server (NotFound): {kind}s "{name}" not found' for name in lost))


def _delete(given: dict[str, str], kind: str, name: str) -> bool:
    namespace = given.get("--namespace") or given.get("-n") or "default"
    with cluster() as state:
        if kind in ("node", "nodes"):
            gone = state.get("nodes", {}).pop(name, None)
        elif _kind(kind) == "Pod":
            pods = [
                pod for pod in state.get("pods", {}).values() if (pod["name"], pod["namespace"]) == (name, namespace)
            ]
            gone = bool(pods)
            for pod in pods:
                pod["gone"] = True
        elif _kind(kind) == "Namespace":
            # kubectl waits for nothing: what is in it goes with it, whoever made it.
            gone = state.get("objects", {}).pop(f"Namespace//{name}", None)
            for key in [key for key in state.get("objects", {}) if key.split("/")[1] == name]:
                del state["objects"][key]
        else:
            where = "" if _kind(kind) == "CertificateSigningRequest" else namespace
            gone = state.get("objects", {}).pop(f"{_kind(kind)}/{where}/{name}", None)
            for key, pod in state.get("pods", {}).items():
                if key.startswith(f"{_kind(kind)}/{namespace}/{name}/") and given.get("--cascade") == "false":
                    pod["orphan"] = True
    if gone:
        print(f'{kind} "{name}" deleted')
    return bool(gone)


def drain(given: dict[str, str], words: list[str]) -> None:
    """`drain NODE`: 1.5 refuses pods of DaemonSets, of nobody and with an emptyDir unless it is told; and says nothing while a budget
    holds one, which it asks to go every five seconds, for ever.
    """
    (name,) = words
    with cluster() as state:
        node = state.get("nodes", {}).get(name)
        here = [pod for pod in state.get("pods", {}).values() if pod["node"] == name and not pod["gone"]]
        budgets = [item for item in state.get("objects", {}).values() if item["kind"] == "PodDisruptionBudget"]
        if node is not None:
            node["unschedulable"] = True
    _there(name, node)
    print(f'node "{name}" cordoned', flush=True)
    _refuse(here, given)
    going = [pod for pod in here if pod.get("maker", "DaemonSet") != "DaemonSet"]
    if any(_holds(budget, pod) for budget in budgets for pod in going):
        for_ever()
    with cluster() as state:
        for pod in state.get("pods", {}).values():
            pod["gone"] = pod["gone"] or pod["name"] in [one["name"] for one in going]
    print(f'node "{name}" drained')


def _refuse(here: list[dict[str, Any]], given: dict[str, str]) -> None:
    """Words of pkg/kubectl/cmd/drain.go."""
    refusals = {
        "--force": (
            [pod for pod in here if pod.get("maker") == ""],
            "pods not managed by ReplicationController, ReplicaSet, Job, DaemonSet or StatefulSet (use --force to override)",
        ),
        "--ignore-daemonsets": (
            [pod for pod in here if pod.get("maker", "DaemonSet") == "DaemonSet"],
            "DaemonSet-managed pods (use --ignore-daemonsets to ignore)",
        ),
        "--delete-local-data": (
            [pod for pod in here if pod.get("volumes")],
            "pods with local storage (use --delete-local-data to override)",
        ),
    }
    said = [
        f"{words}: {', '.join(pod['name'] for pod in pods)}"
        for flag, (pods, words) in refusals.items()
        if pods and flag not in given
    ]
    if said:
        fail(f"error: {'; '.join(said)}")


def _holds(budget: dict[str, Any], pod: dict[str, Any]) -> bool:
    chosen = budget["spec"]["selector"]["matchLabels"].items() <= pod["labels"].items()
    return chosen and budget["metadata"]["namespace"] == pod["namespace"] and not budget["status"]["disruptionsAllowed"]


def cordon(given: dict[str, str], words: list[str]) -> None:
    """`cordon NODE`."""
    (name,) = words
    with cluster() as state:
        node = state.get("nodes", {}).get(name)
        was = bool(node and node.get("unschedulable"))
        if node is not None:
            node["unschedulable"] = True
    _there(name, node)
    print(f'node "{name}" {"already cordoned" if was else "cordoned"}')


def uncordon(given: dict[str, str], words: list[str]) -> None:
    """`uncordon NODE`."""
    (name,) = words
    with cluster() as state:
        node = state.get("nodes", {}).get(name)
        was = node is not None and node.pop("unschedulable", False)
    _there(name, node)
    print(f'node "{name}" {"uncordoned" if was else "already uncordoned"}')


def label(given: dict[str, str], words: list[str]) -> None:
    """`label node NODE KEY=VALUE…`."""
    kind, name, *pairs = words
    if _kind(kind) != "Node" or not pairs:
        fail("DOUBLE: only `label node NODE KEY=VALUE…` is modelled", 70)
    with cluster() as state:
        node = state.get("nodes", {}).get(name)
        labels = node.setdefault("labels", {}) if node is not None else {}
        for key, value in (pair.split("=") for pair in pairs):
            if labels.get(key, value) != value and "--overwrite" not in given:
                fail(f"error: '{key}' already has a value ({labels[key]}), and --overwrite is false")
            labels[key] = value
    _there(name, node)
    print(f'node "{name}" labeled')


def taint(given: dict[str, str], words: list[str]) -> None:
    """`taint node NODE KEY=VALUE:EFFECT…`: 1.5 knows two effects, and wants the equals sign also where there is no value."""
    kind, name, *said = words
    found = [re.fullmatch(r"([^=]+)=([A-Za-z0-9._-]*):(NoSchedule|PreferNoSchedule)", one) for one in said]
    if _kind(kind) != "Node" or not found or None in found:
        fail(f"error: invalid taint spec: {' '.join(said)}")
    with cluster() as state:
        node = state.get("nodes", {}).get(name)
        taints = node.setdefault("taints", []) if node is not None else []
        for key, value, effect in (one.groups() for one in found if one is not None):
            alike = [one for one in taints if (one["key"], one["effect"]) == (key, effect)]
            if alike and "--overwrite" not in given:
                fail(f"error: Node {name} already has [{key}] taint(s) with same effect(s) and --overwrite is false")
            taints[:] = [one for one in taints if one not in alike]
            taints.append({"key": key, "value": value, "effect": effect})
    _there(name, node)
    print(f'node "{name}" tainted')


def _there(name: str, node: object) -> None:
    if node is None:
        fail(f'Error from server (NotFound): nodes "{name}" not found')


def logs(given: dict[str, str], words: list[str]) -> None:
    """`logs POD`: the API server asks the pod's kubelet, which wants to know who asks."""
    (name,) = words
    with cluster() as state:
        shown, authority = state.get("kubelet_client") or ("", ""), state["authority"][0]
        if not any(pod["name"] == name and not pod["gone"] for pod in state.get("pods", {}).values()):
            fail(f'Error from server (NotFound): pods "{name}" not found')
        if not pki.believed(*shown, authority):
            fail(
                "error: You must be logged in to the server "
                f"(the server has asked for the client to provide credentials ( pods/log {name}))"
            )
    print(f"{name} has begun")


def _put(given: dict[str, str], words: list[str], *, created: str, there: str | None) -> None:
    if words or "-f" not in given:
        fail("Must specify --filename")
    text = sys.stdin.read() if given["-f"] == "-" else Path(given["-f"]).read_text()
    failed = False
    for item in filter(None, yaml.safe_load_all(text)):
        problem = schema.problem(item)
        if problem:
            print(_INVALID.format(problem=problem), file=sys.stderr)
            failed = True
            continue
        failed = _store(given, item, created, there) or failed
    sys.exit(1 if failed else 0)


def _store(given: dict[str, str], item: dict[str, Any], created: str, there: str | None) -> bool:
    metadata = item["metadata"]
    if item["kind"] != "Namespace":
        metadata.setdefault("namespace", given.get("--namespace") or given.get("-n") or "default")
    key, kind, name = (
        f"{item['kind']}/{metadata.get('namespace', '')}/{metadata['name']}",
        item["kind"].lower(),
        metadata["name"],
    )
    with cluster() as state:
        objects = state.setdefault("objects", {})
        namespaces = {item["metadata"]["name"] for item in objects.values() if item["kind"] == "Namespace"}
        if item["kind"] != "Namespace" and metadata["namespace"] not in {"default", "kube-system", *namespaces}:
            print(
                f'Error from server (NotFound): error when creating "STDIN": namespaces "{metadata["namespace"]}" not found',
                file=sys.stderr,
            )
            return True
        if key in objects and there is None:
            print(f'Error from server (AlreadyExists): {kind}s "{name}" already exists', file=sys.stderr)
            return True
        verb = there if key in objects else created
        if "--dry-run" not in given:
            objects[key] = item
    print(f'{kind} "{name}" {verb}')
    return False


def _connect(given: dict[str, str]) -> None:
    path = given.get("--kubeconfig")
    if path is not None and not Path(path).exists():
        fail(f"error: stat {path}: no such file or directory")
    master = Path("/etc/kubernetes/manifests/kube-apiserver.json").exists()
    server, ca = "localhost:8080", None
    if path is not None:
        lines = dict(line.split(": ", 1) for line in Path(path).read_text().splitlines())
        server, ca = lines["server"].removeprefix("https://"), lines["ca"]
    with cluster() as state:
        healthy, right = state.get("healthy"), state.get("ca")
    if not healthy or (path is None and not master):
        fail(REFUSED.format(server=server))
    if ca not in (None, right):
        fail("Unable to connect to the server: x509: certificate signed by unknown authority")


def _kind(word: str) -> str:
    word = word.lower()
    found = [kind for name, kind in KINDS.items() if word in (name, f"{name}s", kind.lower())]
    return found[0] if found else fail(f'the server doesn\'t have a resource type "{word}"')


def _within(item: dict[str, Any], namespace: str) -> bool:
    return bool(
        item["kind"] in ("Node", "Namespace", "CertificateSigningRequest")
        or item["metadata"].get("namespace") == namespace
    )


def _objects(state: dict[str, Any]) -> Iterable[dict[str, Any]]:
    yield from state.get("objects", {}).values()
    for name, node in state.get("nodes", {}).items():
        yield _node(name, node)
    for pod in state.get("pods", {}).values():
        if not pod["gone"]:
            yield _pod(pod, state)
    if "token" in state:
        tokens = json.dumps({state["token"][0]: state["token"][1]})
        data = {"token-map.json": base64.b64encode(tokens.encode()).decode(), "ca.pem": "", "endpoint-list.json": ""}
        yield {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "clusterinfo", "namespace": "kube-system"},
            "data": data,
        }


def _node(name: str, node: dict[str, Any]) -> dict[str, Any]:
    bad = [{"type": kind, "status": "False"} for kind in ("OutOfDisk", "MemoryPressure", "DiskPressure")]
    ready = time.time() >= node.get("ready_at", 0)
    down = {} if ready else {"reason": "KubeletNotReady", "message": "container runtime is down"}
    seen = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(node.get("seen", 0)))
    taints = node.get("taints")
    noted = {"annotations": {"scheduler.alpha.kubernetes.io/taints": json.dumps(taints)}} if taints else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **node.get("labels", {})}, **noted},
        "spec": {"externalID": name} | ({"unschedulable": True} if node.get("unschedulable") else {}),
        "status": {
            "addresses": [{"type": kind, "address": node["address"]} for kind in ("LegacyHostIP", "InternalIP")],
            "conditions": [
                *bad,
                {"type": "Ready", "status": "True" if ready else "False", "lastHeartbeatTime": seen, **down},
            ],
            "nodeInfo": {"kubeletVersion": node.get("version", ""), "bootID": node.get("boot", "")},
        },
    }


def _created_by(maker: str) -> dict[str, str]:
    """How 1.5 notes who makes a pod anew."""
    said = json.dumps({"kind": "SerializedReference", "apiVersion": "v1", "reference": {"kind": maker}})
    return {"kubernetes.io/created-by": said} if maker else {}


def _pod(pod: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    ready = bool(pod["container"]) and pod.get("ready", True)
    running = {"running": {"startedAt": "2017-01-01T00:00:00Z"}}
    waiting = {"waiting": {"reason": pod["waiting"], "message": pod["message"]}}
    container = {"name": "main", "ready": ready, "state": running if ready else waiting}
    address = {"podIP": pod["address"]} if ready else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **{key: pod[key] for key in ("name", "namespace", "labels")},
            "annotations": {**pod["annotations"], **_created_by(pod.get("maker", "DaemonSet"))},
        },
        "spec": {
            "nodeName": pod["node"],
            "volumes": pod.get("volumes", []),
            "containers": [
                {"name": "main", "image": image, **({"ports": pod["ports"]} if n == 0 and pod.get("ports") else {})}
                for n, image in enumerate(pod.get("images", []))
            ],
        },
        "status": {
            "phase": "Running" if ready else "Pending",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [{**container, "containerID": f"docker://{pod['container']}"} if ready else container],
            **address,
        },
    }
