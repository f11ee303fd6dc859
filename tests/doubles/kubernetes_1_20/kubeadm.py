#!/usr/bin/python3
"""kubeadm 1.20's `join` of a control plane and `reset`, as meshctl uses them: what is not as it must be is refused as it is there."""

import json
import re
import stat
import sys
from pathlib import Path
from typing import NoReturn

ETCD, FAIL = Path("/srv/double/etcd.json"), Path("/srv/double/fail")
CONF = Path("/etc/kubernetes")
SHARED = ("ca", "front-proxy-ca", "etcd/ca")


def die(message: str) -> NoReturn:
    print(f"error execution phase: {message}", file=sys.stderr)
    sys.exit(1)


def join(config: str) -> None:
    if "kind: JoinConfiguration" not in config or "certificateKey" in config:
        die("not a configuration to join with keys that are there")
    found = re.search(r"controlPlane:\n  localAPIEndpoint:\n    advertiseAddress: (\S+)\n", config)
    if found is None or "apiServerEndpoint: 10.77.0.250:6443" not in config:
        die("no control plane, or not by the endpoint")
    for path in [CONF / f"pki/{one}.{kind}" for one in SHARED for kind in ("crt", "key")] + [
        CONF / "pki/sa.key",
        CONF / "pki/sa.pub",
    ]:
        if not path.is_file():
            die(f"{path} is missing")
        if path.suffix == ".key" and stat.S_IMODE(path.stat().st_mode) != 0o600:
            die(f"{path} is open to others")
    if any((CONF / "manifests").glob("*")):
        die("[ERROR DirAvailable--etc-kubernetes-manifests]: /etc/kubernetes/manifests is not empty")
    name = Path("/proc/sys/kernel/hostname").read_text().strip()
    etcd = json.loads(ETCD.read_text())
    if any(one["address"] == found[1] for one in etcd["members"].values()):
        die("etcdserver: Peer URLs already exists")
    if not all(one["name"] for one in etcd["members"].values()):
        die("etcdserver: re-configuration failed due to not enough started members")
    number = str(max(map(int, etcd["members"])) + 1)
    etcd["members"][number] = {"name": "", "address": found[1]}
    ETCD.write_text(json.dumps(etcd))
    (CONF / "manifests/etcd.yaml").write_text("kind: Pod\n")
    if FAIL.exists():
        FAIL.unlink()
        die("etcd cluster is not available")
    etcd["members"][number]["name"] = name
    etcd["serves"].append(name)
    ETCD.write_text(json.dumps(etcd))
    for file in ("admin.conf", "kubelet.conf"):
        (CONF / file).write_text("kind: Config\n")


match sys.argv[1:]:
    case ["join", "--config", path, "--experimental-patches", _]:
        join(Path(path).read_text())
    case ["reset", "--force"]:
        for file in (*(CONF / "manifests").glob("*"), *CONF.glob("*.conf")):
            file.unlink()
    case words:
        sys.exit(f"strict double: kubeadm {words}")
