"""linkerd 0.8.5 as a pod of the node's network: slow to start, unkind when it is asked for what it does not know."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

START_S = 2.0
"""A JVM takes many seconds, of which the ports are closed."""

# Configuration (JSON), and the cluster's memory, in which the pods of a Service stand. Answers as 0.8.5 does: `l5d-err` as a URL has it.
PROGRAM = """
import http.client, http.server, json, sys, threading, time, urllib.parse
config, memory, start_s = json.loads(sys.argv[1]), sys.argv[2], float(sys.argv[3])
time.sleep(start_s)
counts, lock, begun = {}, threading.Lock(), time.time()

class Quiet(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *words): pass
    def answer(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items(): self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)

def router(label, prefix):
    class Router(Quiet):
        def do_GET(self):
            key = "rt/%s/srv/0.0.0.0/%d/" % (label, self.server.server_port)
            with lock: counts[key + "requests"] = counts.get(key + "requests", 0) + 1
            host = self.headers.get("Host", "")
            with open(memory) as file: pods = json.load(file).get("pods", {}).values()
            found = [p["address"] for p in pods if p["labels"].get("app") == host and p["container"] and not p["gone"]]
            for address in found:
                try:
                    asked = http.client.HTTPConnection(address, 8080, timeout=5)
                    asked.request("GET", self.path)
                    body = asked.getresponse().read()
                except OSError:
                    continue
                with lock: counts[key + "success"] = counts.get(key + "success", 0) + 1
                return self.answer(200, body, Server="linkerd-double")
            said = "No hosts are available for %s/%s, Dtab.base=[], Dtab.local=[]" % (prefix, host)
            self.answer(502, said.encode(), l5d_err=urllib.parse.quote_plus(said))
    return Router

class Admin(Quiet):
    def do_GET(self):
        with lock: values = dict(counts)
        values.update({"jvm/uptime": (time.time() - begun) * 1000, "jvm/heap/used": 1e8, "jvm/heap/max": 4e8, "jvm/gc/msec": 120})
        said = {"/admin/ping": b"pong", "/admin/metrics.json": json.dumps(values).encode(), "/config.json": sys.argv[1].encode()}
        self.answer(200 if self.path in said else 404, said.get(self.path, b""))

admin = config.get("admin", {})
servers = [http.server.ThreadingHTTPServer((admin.get("ip", "0.0.0.0"), admin.get("port", 9990)), Admin)]
for one in config["routers"]:
    for server in one["servers"]:
        handler = router(one.get("label", "http"), one.get("dstPrefix", "/http"))
        servers.append(http.server.ThreadingHTTPServer((server.get("ip", "127.0.0.1"), server.get("port", 4140)), handler))
threads = [threading.Thread(target=server.serve_forever) for server in servers]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def is_linkerd(template: dict[str, Any]) -> bool:
    """Whether a pod is one."""
    return bool(template.get("hostNetwork")) and template["containers"][0]["name"] == "l5d"


def argv(template: dict[str, Any], objects: dict[str, Any], namespace: str, memory: Path) -> list[str] | str:
    """What runs, or why the kubelet cannot begin it."""
    name = template["volumes"][0]["configMap"]["name"]
    held = objects.get(f"ConfigMap/{namespace}/{name}")
    if held is None:
        return f'MountVolume.SetUp failed for volume "l5d-config": configmaps "{name}" not found'
    config = yaml.safe_load(held["data"]["config.yaml"])
    return [sys.executable, "-c", PROGRAM, json.dumps(config), str(memory), str(START_S)]


def end(pid: int) -> None:
    """SIGTERM ends it in half a second, with whatever is asked of it meanwhile."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    for _ in range(100):
        try:
            os.kill(pid, 0)
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        except ProcessLookupError:
            return
        time.sleep(0.01)


def serves(template: dict[str, Any]) -> bool:
    """The readiness probe, as the kubelet makes it: to the node's address, wherever that leads."""
    import socket

    port = template["containers"][0]["readinessProbe"]["tcpSocket"]["port"]
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
