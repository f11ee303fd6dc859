"""kubeadm 1.6.0-alpha.0-2074-a092d8e: init, join, reset, token generate, version. Nothing else."""

from __future__ import annotations

import base64
import ipaddress
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import uuid
from pathlib import Path
from typing import Any

import yaml

from . import pki
from .cluster import (
    KUBERNETES,
    PREFIX,
    address_of_node,
    cluster,
    fail,
    flags,
    for_ever,
    images,
    strict,
    until,
)

INIT_FLAGS = {
    "--token": True,
    "--api-advertise-addresses": True,
    "--api-external-dns-names": True,
    "--api-port": True,
    "--discovery-port": True,
    "--service-cidr": True,
    "--pod-network-cidr": True,
    "--service-dns-domain": True,
    "--use-kubernetes-version": True,
    "--cloud-provider": True,
    "--config": True,
    "--skip-preflight-checks": False,
}
JOIN_FLAGS = {
    "--token": True,
    "--api-port": True,
    "--discovery-port": True,
    "--config": True,
    "--skip-preflight-checks": False,
}
RESET_FLAGS = {"--skip-preflight-checks": False, "--remove-node": False}

# app/apis/kubeadm/v1alpha1/types.go; a dict is an object, None a leaf.
SECRETS = {"givenToken": None, "tokenID": None, "token": None, "bearerToken": None}
MASTER: dict[str, Any] = {
    "secrets": SECRETS,
    "api": {"advertiseAddresses": None, "externalDNSNames": None, "bindPort": None},
    "etcd": {"endpoints": None, "caFile": None, "certFile": None, "keyFile": None},
    "discovery": {"bindPort": None},
    "networking": {"serviceSubnet": None, "podSubnet": None, "dnsDomain": None},
    "kubernetesVersion": None,
    "cloudProvider": None,
}
NODE: dict[str, Any] = {"masterAddresses": None, "secrets": SECRETS, "apiPort": None, "discoveryPort": None}
NAMES = "DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,IP:10.96.0.1"
SERVER = "extendedKeyUsage=serverAuth\nsubjectAltName={names}\n"
CLIENT = "extendedKeyUsage=clientAuth\n"


def main(words: list[str]) -> None:
    """The commands."""
    match words:
        case ["init", *rest]:
            init(rest)
        case ["join", *rest]:
            join(rest)
        case ["reset", *rest]:
            reset(rest)
        case ["token", "generate"]:
            print(f"{secrets.token_hex(3)}.{secrets.token_hex(8)}")
        case ["version"]:
            print(
                'kubeadm version: version.Info{Major:"1", Minor:"6+", GitVersion:"v1.6.0-alpha.0.2074+a092d8e0f95f52"}'
            )
        case [word, *_]:
            fail(f'Error: unknown command "{word}" for "kubeadm"\nRun \'kubeadm --help\' for usage.')
        case _:
            fail("kubeadm: easily bootstrap a secure Kubernetes cluster.")


def init(words: list[str]) -> None:
    """The order of app/cmd/init.go."""
    given, rest = flags(words, INIT_FLAGS)
    if rest:
        strict(f"init takes no words, not {rest}")
    print("[kubeadm] WARNING: kubeadm is in alpha, please do not use it for production clusters.")
    config = _master(given)
    addresses = config["api"].get("advertiseAddresses") or sorted(address_of_node() - {"127.0.0.1"})
    _preflight(given)
    _start_kubelet()
    version = str(config.get("kubernetesVersion", "stable"))
    if not re.fullmatch(r"v1\.5\.\d+", version):
        fail(
            f'unable to get URL "https://storage.googleapis.com/kubernetes-release/release/{version}.txt": no such host'
        )
    print(f"[init] Using Kubernetes version: {version}")
    token = _token(config["secrets"].get("givenToken"))
    _write_master_files(token, version, addresses)
    print("[apiclient] Created API client, waiting for the control plane to become ready")
    _control_plane(token, version, addresses[0])
    print("Your Kubernetes master has initialized successfully!\n\nYou should now deploy a pod network to the cluster.")
    print("You can now join any number of machines by running the following on each node:\n")
    print(f"kubeadm join --token={'.'.join(token)} {addresses[0]}")


def join(words: list[str]) -> None:
    """The order of app/cmd/join.go and app/node/."""
    given, rest = flags(words, JOIN_FLAGS)
    print("[kubeadm] WARNING: kubeadm is in alpha, please do not use it for production clusters.")
    config = _node(given)
    masters = [*(config.get("masterAddresses") or []), *rest]
    if not masters:
        fail("must specify master address (see --help)")
    if len(masters) > 1:
        fail("must not specify more than one master address (see --help)")
    _preflight(given)
    _start_kubelet()
    if not config["secrets"].get("givenToken"):
        fail("Must specify --token (see --help)\n")
    token = _token(config["secrets"]["givenToken"])
    _discover(masters[0], token)
    name = socket.gethostname()
    with cluster() as state:
        if name in state.get("nodes", {}):
            fail(f'Node with name ["{name}"] already exists.')
        ca, authority = state["ca"], state["authority"]
    print(
        "[csr] Created API client to obtain unique certificate for this node, "
        "generating keys and certificate signing request"
    )
    pair = pki.signed(authority, f"/O=system:nodes/CN=system:node:{name}", CLIENT)
    _kubeconfig("kubelet.conf", masters[0], ca, authority[0], pair)
    print("Node join complete:\n* Certificate signing request sent to master and response\n  received.")
    print(
        "* Kubelet informed of new secure connection details.\n\n"
        "Run 'kubectl get nodes' on the master to see this machine join."
    )


def reset(words: list[str]) -> None:
    """Nearly every failure is only printed; /etc/cni/net.d is emptied with the rest."""
    given, rest = flags(words, RESET_FLAGS)
    if rest:
        strict(f"reset takes no words, not {rest}")
    if given.get("--remove-node", "true") == "true" and (KUBERNETES / "kubelet.conf").exists():
        with cluster() as state:
            state.get("nodes", {}).pop(socket.gethostname(), None)
    print("[reset] Stopping the kubelet service...")
    subprocess.run(["systemctl", "stop", "kubelet"], check=False)
    etcd = (KUBERNETES / "manifests/etcd.json").exists()
    folders = ["/var/lib/kubelet", "/etc/cni/net.d", "/etc/kubernetes/manifests", "/etc/kubernetes/pki"]
    for folder in [*folders, *(["/var/lib/etcd"] if etcd else [])]:
        _empty(Path(folder))
    if etcd:
        with cluster() as state:
            state.clear()
    for name in ("admin.conf", "kubelet.conf"):
        (KUBERNETES / name).unlink(missing_ok=True)


def _master(given: dict[str, str]) -> dict[str, Any]:
    if "--config" in given:
        return _file(given, "MasterConfiguration", MASTER)
    return {
        "secrets": {"givenToken": given.get("--token")},
        "api": {"advertiseAddresses": [a for a in given.get("--api-advertise-addresses", "").split(",") if a]},
        "kubernetesVersion": given.get("--use-kubernetes-version", "stable"),
    }


def _node(given: dict[str, str]) -> dict[str, Any]:
    if "--config" in given:
        return _file(given, "NodeConfiguration", NODE)
    return {"secrets": {"givenToken": given.get("--token")}}


def _file(given: dict[str, str], kind: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The file is decoded over all flags: giving both means that one of them is ignored."""
    lost = set(given) - {"--config", "--skip-preflight-checks"}
    if lost:
        strict(f"--config replaces {sorted(lost)} in silence")
    path = Path(given["--config"])
    if not path.exists():
        fail(f'unable to read config from "{path}" [open {path}: no such file or directory]')
    if path.stat().st_mode & 0o077:
        strict(f"{path} holds the token and others may read it")
    config = yaml.safe_load(path.read_text())
    if (config.pop("apiVersion", None), config.pop("kind", None)) != ("kubeadm.k8s.io/v1alpha1", kind):
        fail(f'unable to decode config from "{path}" [no kind "{kind}" is registered]')
    _known(config, fields, kind)
    return {"secrets": {}, "api": {}, **config}


def _known(value: dict[str, Any], fields: dict[str, Any], where: str) -> None:
    for key, inner in value.items():
        if key not in fields:
            strict(f"{where} has no field {key}, kubeadm would ignore it in silence")
        if isinstance(fields[key], dict):
            _known(inner, fields[key], f"{where}.{key}")


def _preflight(given: dict[str, str]) -> None:
    if given.get("--skip-preflight-checks") == "true":
        print("[preflight] Skipping pre-flight checks")
        return
    print("[preflight] Running pre-flight checks")
    errors = []
    if not re.match(r"3\.[1-9][0-9]|4\.", os.uname().release):
        errors.append(f"unsupported kernel release: {os.uname().release}")
    errors += [
        f"{path} already exists" for path in (KUBERNETES / "admin.conf", KUBERNETES / "kubelet.conf") if path.exists()
    ]
    if errors:
        fail("[preflight] Some fatal errors occurred:\n\t" + "\n\t".join(errors), 2)


def _start_kubelet() -> None:
    if subprocess.run(["systemctl", "is-active", "--quiet", "kubelet"], check=False).returncode:
        print("[preflight] Starting the kubelet service")
        subprocess.run(["systemctl", "start", "kubelet"], check=False)


def _token(given: str | None) -> tuple[str, str]:
    if not given:
        made = (secrets.token_hex(3), secrets.token_hex(8))
        print(f'[tokens] Generated token: "{".".join(made)}"')
        return made
    print("[tokens] Validating provided token")
    parts = str(given).lower().split(".")
    if len(parts) != 2 or len(parts[0]) != 6:
        fail("[tokens] provided token does not match expected <6 characters>.<16 characters> format")
    print("[tokens] Accepted provided token")
    return parts[0], parts[1]


def _write_master_files(token: tuple[str, str], version: str, addresses: list[str]) -> None:
    """Tokens, manifests and PKI are overwritten whatever is there; only then do the kubeconfigs stand in the way."""
    for folder in ("pki", "manifests"):
        (KUBERNETES / folder).mkdir(parents=True, exist_ok=True)
    tokens = KUBERNETES / "pki/tokens.csv"
    tokens.write_text(f"{token[1]},kubeadm-node-csr,{uuid.uuid4()},system:kubelet-bootstrap\n")
    tokens.chmod(0o600)
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        # json.MarshalIndent of a Pod: one word of the command a line.
        command = [name, "--allow-privileged", f"--advertise-address={addresses[0]}"]
        image = f"{PREFIX}/{name}-amd64:{'3.0.14-kubeadm' if name == 'etcd' else version}"
        manifest = {"kind": "Pod", "spec": {"containers": [{"image": image, "command": command}]}}
        (KUBERNETES / f"manifests/{name}.json").write_text(json.dumps(manifest, indent=2))
    ca, authority = secrets.token_hex(8), pki.authority()
    serving = pki.signed(authority, "/CN=kube-apiserver", SERVER.format(names=f"{NAMES},IP:{addresses[0]}"))
    for name, pair in (("ca", authority), ("apiserver", serving), ("sa", ("", "sa"))):
        for end, text in zip((".pem", "-key.pem", "-pub.pem"), (*pair, "public"), strict=True):
            (KUBERNETES / "pki" / f"{name}{end}").write_text(text)
    with cluster() as state:
        state.update(ca=ca, authority=authority)  # a second init: whoever joined before is lost
    for address in addresses:
        try:
            ipaddress.ip_address(address)
        except ValueError:
            fail(f'couldn\'t parse IP address "{address}"')
    pairs = [pki.signed(authority, f"/CN={name}", CLIENT) for name in ("kubelet", "admin")]
    for name in ("kubelet.conf", "admin.conf"):  # the same in both
        _kubeconfig(name, addresses[0], ca, authority[0], *pairs)


def _kubeconfig(name: str, address: str, ca: str, authority: str, *pairs: tuple[str, str]) -> None:
    path = KUBERNETES / name
    KUBERNETES.mkdir(parents=True, exist_ok=True)
    try:
        with open(path, "x") as file:
            file.write(f"server: https://{address}:6443\nca: {ca}\n")
            # Where the real ones lie: in base64, indented.
            file.write(f"    certificate-authority-data: {_base64(authority)}\n")
            for pair in pairs:
                for what, text in zip(("certificate", "key"), pair, strict=True):
                    file.write(f"    client-{what}-data: {_base64(text)}\n")
    except FileExistsError:
        fail(f'failed to create "{path}", it already exists [open {path}: file exists]')
    path.chmod(0o600)
    print(f'[kubeconfig] Wrote KubeConfig file to disk: "{path}"')


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _control_plane(token: tuple[str, str], version: str, address: str) -> None:
    name = socket.gethostname().lower()

    def seen(what: str) -> object:
        with cluster() as state:
            return state.get(what)

    until(lambda: seen("healthy"))
    print("[apiclient] All control plane components are healthy after 0.400000 seconds")
    until(lambda: name in (seen("nodes") or {}))  # type: ignore[operator]
    print("[apiclient] First node is ready after 0.200000 seconds\n[apiclient] Creating a test deployment")
    # It tries before the server has made its namespaces, each time.
    for _ in range(3):
        print('[apiclient] Failed to create test deployment [namespaces "kube-system" not found] (will retry)')
    if not {f"{PREFIX}/pause-amd64:3.0"} <= images():
        for_ever()
    print("[apiclient] Test deployment succeeded")
    print("[token-discovery] Created the kube-discovery deployment, waiting for it to become ready")
    if f"{PREFIX}/kube-discovery-amd64:1.0" not in images():
        for_ever()
    with cluster() as state:
        state.update(token=list(token), address=address)
        state.setdefault("objects", {})["DaemonSet/kube-system/kube-proxy"] = _kube_proxy(version)
        state["nodes"][name]["taints"] = [{"key": "dedicated", "value": "master", "effect": "NoSchedule"}]
    print("[addons] Created essential addon: kube-proxy\n[addons] Created essential addon: kube-dns")


def _kube_proxy(version: str) -> dict[str, Any]:
    """app/master/addons.go: on the node's network, by kubelet.conf."""
    labels = {"component": "kube-proxy", "k8s-app": "kube-proxy", "kubernetes.io/cluster-service": "true"}
    container = {"name": "kube-proxy", "image": f"{PREFIX}/kube-proxy-amd64:{version}"}
    return {
        "apiVersion": "extensions/v1beta1",
        "kind": "DaemonSet",
        "metadata": {"name": "kube-proxy", "namespace": "kube-system", "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container], "hostNetwork": True}},
        },
    }


def _discover(master: str, token: tuple[str, str]) -> None:
    url = f"http://{master}:9898/cluster-info/v1/?token-id={token[0]}"
    with cluster() as state:
        reachable = state.get("address") == master and state.get("healthy")
        expected = state.get("token", ["", ""])
    if not reachable:  # wrong address, with a port, no discovery yet: again, for ever
        print(
            "[discovery] Failed to request cluster info, will try again: "
            f"[Get {url}: dial tcp: getsockopt: connection refused]"
        )
        for_ever()
    if token[0] != expected[0]:
        fail("failed to parse response as JWS object [square/go-jose: compact JWS format must have three parts]")
    if token[1] != expected[1]:
        fail(
            "failed to verify JWS signature of received cluster info object "
            "[square/go-jose: error in cryptographic primitive]"
        )
    print(f"[discovery] Cluster info signature and contents are valid, will use API endpoints [https://{master}:6443]")


def _empty(folder: Path) -> None:
    if not folder.exists():
        return
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
