"""kubectl on the control plane as typed questions and commands. Only what 1.5 has too: no `wait`, for one.

Where root has the administrators' certificate in files, lists are asked for by curl instead: see `api`.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from provision.base.errors import CommandFailed, KubernetesError
from provision.base.events import Emit
from provision.base.secret import Secret
from provision.base.shell import Completed, Shell
from provision.base.waiting import NotYet, Ready
from provision.kubernetes.api import (
    ApiStarting,
    Certificates,
    Kind,
    list_path,
    listed,
    lists_argv,
    selector,
    starting,
)
from provision.kubernetes.likeness import Difference, differences
from provision.kubernetes.lookout import Watched, wait_on

T = TypeVar("T")

ADMIN_CONF = "/etc/kubernetes/admin.conf"
DIGEST = "meshctl/digest"
"""The annotation that says which text an object was applied from: 1.5's `apply` always claims a change."""

# What kubectl says while the API server starts, restarts or is overloaded (all versions, in lower case).
_STARTING = (
    "connection refused",
    "was refused - did you specify the right host or port",
    "timeout occured",  # 1.5's own spelling
    "tls handshake timeout",
    "i/o timeout",
    "server is currently unable",
    "etcdserver: request timed out",
    "etcdserver: leader changed",
    "unexpected eof",
    "connection reset by peer",
    "serviceunavailable",
    "(internalerror)",
    "(timeout)",
    "context deadline exceeded",
    "etcd cluster is unavailable",
    "to the server: eof",
)

ANSWER_S = 90.0
"""A question takes under a second, under emulation up to ten; kubectl itself would wait for ever."""

EVERYWHERE = "*"
"""In the place of a namespace: all of them. No namespace can be called so."""

_KINDS_OF_1_5 = (
    *("pods", "services", "configmaps", "secrets", "serviceaccounts", "persistentvolumeclaims", "ingresses"),
    *("daemonsets", "deployments", "replicasets", "replicationcontrollers", "jobs", "statefulsets"),
)

# What is in a namespace ($1), as kind/name. Later kubectls know all kinds there are; that of 1.5 is told those that it has.
_NAMES = f"""
api() {{ env HOME=/run/meshctl kubectl --kubeconfig {ADMIN_CONF} "$@"; }}
kinds=$(api api-resources --verbs=list --namespaced -o name 2>/dev/null |
    grep -v -e '^events' -e '\\.metrics\\.k8s\\.io$' | paste -sd, -)
api get "${{kinds:-{",".join(_KINDS_OF_1_5)}}}" --namespace "$1" -o name
"""

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Outdated:
    """Objects that are not in the cluster, those that were applied from another text, and those of ours that are no longer wanted."""

    absent: tuple[Manifest, ...] = ()
    different: tuple[Manifest, ...] = ()
    unwanted: tuple[Manifest, ...] = ()
    by_hand: Mapping[tuple[str, str, str], tuple[Difference, ...]] = field(default_factory=dict, compare=False)
    """By kind, namespace and name, what the server has otherwise than the text."""

    def differences_of(self, manifest: Manifest) -> tuple[Difference, ...]:
        """What the server has otherwise of an object that is there."""
        return self.by_hand.get(_key(manifest), ())

    @property
    def all(self) -> tuple[Manifest, ...]:
        """What is to be written, the absent ones first."""
        return self.absent + self.different


@dataclass(frozen=True)
class _Place:
    """Kinds that are looked for in a namespace, or EVERYWHERE, by labels if any."""

    namespace: str
    kinds: tuple[Kind, ...]
    labels: Mapping[str, str] | None = None

    @property
    def everywhere(self) -> bool:
        return self.namespace == EVERYWHERE


@dataclass(frozen=True)
class Kubectl:
    """kubectl through a root shell on the control plane; with `certificates` it is not needed for lists."""

    shell: Shell
    certificates: Certificates | None = None
    generation: str = ""

    @property
    def watched(self) -> Watched:
        """The control plane, for who waits for it."""
        return Watched.by(self.generation, self.shell)

    def get(
        self, kind: str, name: str = "", *, namespace: str = "", labels: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """An object, or a List of them. Raises ApiStarting or KubernetesError."""
        argv = ["get", kind, *([name] if name else []), *_scope(namespace)]
        if labels:
            argv += ["-l", selector(labels)]
        completed = self._read(kubectl_argv(*argv, "-o", "json"))
        # Where there is nothing, some versions print an empty List and some print nothing.
        answer = json.loads(_checked(completed, f"kubectl get {kind} {name}".rstrip()).stdout or '{"items": []}')
        if not isinstance(answer, dict):
            raise KubernetesError(f"kubectl get {kind}: not an object: {completed.stdout[:80]!r}")
        return answer

    def items(self, kind: str, *, namespace: str = "", labels: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """The objects of a kind of the core API (`pods`), in a namespace or EVERYWHERE."""
        return self._lists([_Place(namespace, (Kind("v1", kind),), labels)])

    def everywhere(self, kind: Kind, fields: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """The objects of a kind in all namespaces. `fields` lessen what is sent only where curl asks: kubectl 1.5 cannot."""
        if self.certificates is not None:
            return self._asked(self.certificates, [kind], [list_path(kind, fields=fields)])
        argv = kubectl_argv("get", kind.plural, "--all-namespaces", "-o", "json")
        answer = _checked(self._read(argv), f"kubectl get {kind.plural}").stdout
        found: list[dict[str, Any]] = json.loads(answer or "{}").get("items", [])
        return found

    def names_in(self, namespace: str) -> tuple[str, ...]:
        """Everything that is in a namespace but events, as `kind/name`. Raises ApiStarting or KubernetesError."""
        done = _checked(self._read(["sh", "-c", _NAMES, "names", namespace]), f"kubectl get of all in {namespace}")
        return tuple(done.stdout.split())

    def _lists(self, places: Sequence[_Place]) -> list[dict[str, Any]]:
        """The objects of kinds in places: with certificates by one command."""
        if self.certificates is None:
            return [item for place in places for item in self._got(place)]
        asks = [(kind, place) for place in places for kind in place.kinds]
        paths = [list_path(kind, "" if one.everywhere else one.namespace, one.labels) for kind, one in asks]
        return self._asked(self.certificates, [kind for kind, _ in asks], paths)

    def _asked(self, who: Certificates, kinds: Sequence[Kind], paths: Sequence[str]) -> list[dict[str, Any]]:
        asked = self._read(lists_argv(who, paths))
        # Its status is that of the last list only; each answer carries its own. No answer at all: there is no curl.
        return listed(asked.where, kinds, asked.stdout or _checked(asked, "curl").stdout)

    def _got(self, place: _Place) -> Iterable[dict[str, Any]]:
        names = ",".join(kind.plural for kind in place.kinds)
        found: Iterable[dict[str, Any]] = self.get(names, namespace=place.namespace, labels=place.labels).get(
            "items", []
        )
        return found

    def outdated(self, manifests: Iterable[Manifest], labels: Mapping[str, str] | None = None) -> Outdated:
        """What is absent, and what was applied from another text or was changed by hand since; with `labels` also what carries them
        anywhere and is none of these.
        """
        wanted = tuple(manifests)
        kinds: dict[str, set[Kind]] = defaultdict(set)
        for manifest in wanted:
            kinds[_namespace(manifest)].add(Kind(manifest["apiVersion"], manifest["kind"].lower() + "s"))
        places = [_Place(name, tuple(sorted(some))) for name, some in kinds.items()]
        if labels:
            # What an inventory no longer wants may be the last of its kind: then no wanted object names it.
            own = {Kind("v1", "namespaces"), Kind("v1", "secrets"), *(kind for some in kinds.values() for kind in some)}
            places.append(_Place(EVERYWHERE, tuple(sorted(own)), labels))
        live = {_key(item): item for item in self._lists(places)}
        here = [manifest for manifest in wanted if _key(manifest) in live]
        return Outdated(
            tuple(manifest for manifest in wanted if _key(manifest) not in live),
            tuple(manifest for manifest in here if _differs(manifest, live[_key(manifest)])),
            tuple(live[key] for key in sorted(set(live) - set(map(_key, wanted))) if _marked(live[key], labels)),
            {_key(manifest): differences(manifest, live[_key(manifest)]) for manifest in here},
        )

    def apply(self, manifests: Sequence[Manifest]) -> None:
        """Applies objects, each stamped with the digest of its text, so that `outdated` knows it again."""
        self._write(("apply",), manifests)

    def create(self, manifests: Sequence[Manifest]) -> None:
        """As `apply`, for objects that are absent: `apply` reads the server's whole schema, 10 s of an emulated CPU."""
        self._write(("create", "--save-config"), manifests)

    def create_secret(self, manifest: Manifest, what: str) -> None:
        """Creates one object; its text goes over stdin and never into messages."""
        self._send(("create",), [manifest], f"kubectl create of {what}")

    def _write(self, verb: tuple[str, ...], manifests: Sequence[Manifest]) -> None:
        if manifests:
            self._send(verb, map(stamped, manifests), f"kubectl {verb[0]} of {', '.join(map(title, manifests))}")

    def _send(self, verb: tuple[str, ...], manifests: Iterable[Manifest], what: str) -> None:
        # Without validation on this side: the texts are ours, and the server judges them anyhow.
        argv = kubectl_argv(*verb, "--validate=false", "-f", "-")
        _checked(self.shell.run(argv, stdin=_stream(manifests), within_s=180, check=False), what)

    def delete(
        self, kind: str, name: str, *more: str, namespace: str = "", orphan: bool = False, at_once: bool = False
    ) -> None:
        """Deletes objects; one that is not there is fine. `orphan`: what it made stays; `at_once`: nobody is asked to end first."""
        how = [*["--cascade=false"] * orphan, *["--grace-period=0", "--force"] * at_once]
        argv = kubectl_argv("delete", kind, name, *more, *_scope(namespace), *how)
        completed = self.shell.run(argv, within_s=300, check=False)
        if completed.status != 0 and "not found" not in completed.stderr.lower():
            _checked(completed, f"kubectl delete {kind} {name}")

    def file(self, path: str) -> str:
        """A text file of the control plane (a certificate)."""
        return self.shell.read(["cat", "--", path]).stdout

    def now(self) -> datetime.datetime:
        """The control plane's clock: what expires there is reckoned by it."""
        return datetime.datetime.fromtimestamp(int(self.shell.read(["date", "+%s"]).stdout), datetime.UTC)

    def _read(self, argv: list[str]) -> Completed:
        try:
            return self.shell.read(argv, within_s=ANSWER_S, check=False)
        except CommandFailed as error:  # without `check` only its time can have passed
            raise ApiStarting(f"{error.where}: the API server has not answered for {ANSWER_S:.0f} s") from error


def patiently(kubectl: Kubectl, ask: Callable[[], T], *, within_s: float, emit: Emit) -> T:
    """What `ask` gives of a control plane, asked again for `within_s` seconds while the API server or its etcd are too busy to answer.

    `ask` may be cut short anywhere and is begun anew: it must find out for itself what is done already.
    """

    def attempt() -> Ready[T] | NotYet:
        try:
            return Ready(ask())
        except ApiStarting as error:
            return NotYet(error.message)

    return wait_on(kubectl.watched, attempt, what="the API server", within_s=within_s, every_s=2.0, emit=emit)


def admin_conf(shell: Shell) -> Secret:
    """The administrator's kubeconfig, as kubeadm wrote it."""
    return Secret(shell.read(["cat", "--", ADMIN_CONF]).stdout)


def nodes_ready(
    kubectl: Kubectl, names: Sequence[str], boots: Mapping[str, str] | None = None
) -> Ready[tuple[str, ...]] | NotYet:
    """Whether every named node is registered and Ready; for `wait_until`. On 1.5 that proves no pod network.

    `boots` are the kernels' boot ids: for 40 s a node that went down is Ready by what its kubelet said before.
    """
    try:
        nodes = {node["metadata"]["name"]: node for node in kubectl.items("nodes")}
    except ApiStarting as error:
        return NotYet(error.message)
    states = {name: _node_state(nodes.get(name), (boots or {}).get(name, "")) for name in names}
    late = {name: state for name, state in states.items() if state != "Ready"}
    said = "; ".join(f"{name}: {state}" for name, state in late.items())
    return NotYet(said, tuple(late)) if late else Ready(tuple(names))


def ready_nodes(kubectl: Kubectl) -> frozenset[str]:
    """The names of all nodes that are Ready. Raises ApiStarting or KubernetesError."""
    return frozenset(name for name, ready in known_nodes(kubectl).items() if ready)


def known_nodes(kubectl: Kubectl) -> Mapping[str, bool]:
    """The names of all nodes, and whether each is Ready. Raises ApiStarting or KubernetesError."""
    return {node["metadata"]["name"]: _node_state(node) == "Ready" for node in kubectl.items("nodes")}


def address_of(node: Manifest) -> str:
    """The address that other nodes reach a node at, as its kubelet says it; "" while it has said none."""
    found = (one["address"] for one in node.get("status", {}).get("addresses", ()) if one["type"] == "InternalIP")
    return str(next(found, ""))


def title(manifest: Manifest) -> str:
    """`DaemonSet l5d`."""
    return f"{manifest['kind']} {manifest['metadata']['name']}"


def digest(manifest: Manifest) -> str:
    """16 hex digits over an object's text."""
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()[:16]


def stamped(manifest: Manifest) -> dict[str, Any]:
    """The object with the annotation of its own digest."""
    metadata = manifest["metadata"]
    return {
        **manifest,
        "metadata": {**metadata, "annotations": {**metadata.get("annotations", {}), DIGEST: digest(manifest)}},
    }


def _key(manifest: Manifest) -> tuple[str, str, str]:
    return manifest["kind"], _namespace(manifest), manifest["metadata"]["name"]


def _namespace(manifest: Manifest) -> str:
    return str(manifest["metadata"].get("namespace", ""))


def _marked(live: Manifest, labels: Mapping[str, str] | None) -> bool:
    """Whether it carries these labels, and is not on its way out."""
    found = live["metadata"].get("labels") or {}
    return bool(labels) and (labels or {}).items() <= found.items() and "deletionTimestamp" not in live["metadata"]


def _differs(manifest: Manifest, live: Manifest) -> bool:
    return _digest_of(live) != digest(manifest) or bool(differences(manifest, live))


def _digest_of(live: Manifest) -> str | None:
    value = live["metadata"].get("annotations", {}).get(DIGEST)
    return None if value is None else str(value)


def _node_state(node: Manifest | None, boot: str = "") -> str:
    if node is None:
        return "not registered"
    if boot and node["status"].get("nodeInfo", {}).get("bootID") != boot:
        return "its kubelet has not reported since it was started"
    conditions = {c["type"]: c for c in node.get("status", {}).get("conditions", [])}
    ready = conditions.get("Ready", {})
    if ready.get("status") == "True":
        return "Ready"
    return "NotReady" + (f" ({ready['message']})" if ready.get("message") else "")


def kubectl_argv(*words: str) -> list[str]:
    """Argv of kubectl as the administrator, for a root shell on the control plane."""
    # kubectl keeps what the server can do in 80 files of its home and has each written to the disk: 18 s when guests
    # start beside it. In memory it costs nothing.
    return ["env", "HOME=/run/meshctl", "kubectl", "--kubeconfig", ADMIN_CONF, *words]


def logs_argv(
    pod: str, container: str, namespace: str, *, tail: int | None, since_s: int | None, follow: bool
) -> list[str]:
    """Argv of `kubectl logs`, as 1.5 has it too; the last `tail` lines (None: all), no older than `since_s` seconds."""
    words = ["logs", pod, "-c", container, *_scope(namespace)]
    words += [f"--tail={tail}"] if tail is not None else []
    words += [f"--since={since_s}s"] if since_s is not None else []
    return kubectl_argv(*words, *(["--follow"] if follow else []))


def _scope(namespace: str) -> list[str]:
    if namespace == EVERYWHERE:
        return ["--all-namespaces"]
    return ["--namespace", namespace] if namespace else []


def _stream(manifests: Iterable[Manifest]) -> bytes:
    # Documents of a YAML stream, each written as JSON: no YAML trap is possible, and each is validated for itself.
    return "".join(f"---\n{json.dumps(manifest)}\n" for manifest in manifests).encode()


def _checked(completed: Completed, what: str) -> Completed:
    if completed.status == 0:
        return completed
    lines = completed.last_lines
    said = "; ".join(lines[-3:]) or f"status {completed.status}"
    if any(word in " ".join(lines).lower() for word in _STARTING):
        raise starting(completed.where, said)
    raise KubernetesError(f"{completed.where}: {what}: {said}") from CommandFailed(
        completed.where, completed.argv, completed.status, lines
    )
