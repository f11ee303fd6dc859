#!/usr/bin/python3
"""curl at etcd's gateway, at its health, and at the API server of a control plane; the answers that those of 3.4 and 1.20 give."""

import json
import sys
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

ETCD = Path("/srv/double/etcd.json")
VALUES = ("--max-time", "--write-out", "--cacert", "--cert", "--key", "--resolve", "--noproxy", "--data", "--output")
BARE = ("--silent", "--include", "--fail", "--insecure")
NAME = Path("/proc/sys/kernel/hostname").read_text().strip()


def parsed(words: list[str]) -> tuple[dict[str, str], list[SplitResult]]:
    """Options, and what is asked."""
    said: dict[str, str] = {}
    urls: list[SplitResult] = []
    while words:
        word, *words = words
        if word in VALUES:
            said[word], *words = words
        elif word in BARE:
            said[word] = ""
        elif word.startswith("https://"):
            urls.append(urlsplit(word))
        else:
            sys.exit(f"strict double: curl {word}")
    return said, urls


def answer(url: SplitResult, said: dict[str, str], etcd: dict[str, Any]) -> tuple[int, str]:
    """Status and body."""
    members = etcd["members"]
    here = next((one["address"] for one in members.values() if one["name"] == NAME), "")
    if url.port == 2379 and not all(Path(said.get(one, "/-")).is_file() for one in ("--cacert", "--cert", "--key")):
        return 0, "no certificate"
    if url.path == "/health":
        well = url.hostname not in etcd["sick"]
        return (200, '{"health":"true"}') if well else (0, "Connection refused")
    if url.path == "/healthz":
        return (200, "ok") if NAME in etcd["serves"] else (0, "Connection refused")
    if url.path.startswith("/api/v1/nodes"):
        return 200, '{"kind":"NodeList","apiVersion":"v1","items":[]}'
    if here in etcd["sick"] or not here:
        return 0, "Connection refused"
    if url.path == "/v3/cluster/member/list" and said["--data"] == "{}":
        listed = [
            {
                "ID": number,
                "peerURLs": [f"https://{one['address']}:2380"],
                **({"name": one["name"]} if one["name"] else {}),
            }
            for number, one in members.items()
        ]
        return 200, json.dumps({"members": listed})
    if url.path == "/v3/cluster/member/remove":
        number = json.loads(said["--data"])["ID"]
        left = {key: one for key, one in members.items() if key != number}
        healthy = [one for one in left.values() if one["name"] and one["address"] not in etcd["sick"]]
        if len(healthy) < len(left) // 2 + 1:
            return 503, json.dumps({"error": "etcdserver: unhealthy cluster", "code": 14})
        etcd["members"] = left
        ETCD.write_text(json.dumps(etcd))
        return 200, "{}"
    sys.exit(f"strict double: curl {url.geturl()}")


said, urls = parsed(sys.argv[1:])
etcd = json.loads(ETCD.read_text())
failed = False
for url in urls:
    status, body = answer(url, said, etcd)
    failed = failed or status == 0 or (status >= 400 and "--fail" in said)
    if "--include" in said:
        head = f"HTTP/1.1 {status}\r\n\r\n{body}" if status else ""
        sys.stdout.write(f"{head}\x1e{status:03}\x1e{'' if status else body}\x1d")
sys.exit(22 if failed else 0)
