"""The mesh's objects in the forms of 1.5 and 1.20 (golden; regenerate with MESHCTL_REGENERATE=1), and what answers mean."""

from __future__ import annotations

import json
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.base.curl import Answer, answers
from provision.base.shell import Local
from provision.kubernetes import profile_for
from provision.linkerd.wanted import Mesh
from provision.mesh import (
    Platform,
    Routed,
    configuration,
    judge_metrics,
    judge_ping,
    judge_route,
    manifests,
    pod_digests,
    probe_argv,
)

GOLDEN = Path(__file__).parents[2] / "data" / "mesh"


def platform(generation: str, image: str = "buoyantio/linkerd:0.8.5", *, standin: bool = False) -> Platform:
    workloads = profile_for(generation).workloads
    return Platform(
        workloads.daemonset_api,
        workloads.rbac_api,
        workloads.host_network_dns_policy,
        image,
        standin,
        "buoyantio/kubectl:v1.4.0",
        "meshctl/echo:1",
        workloads.annotations,
        workloads.tolerations,
        workloads.rolls_daemonsets,
    )


def rendered(mesh: Mesh, generation: str = "1.20") -> tuple[Any, ...]:
    return manifests("lab", mesh, configuration(mesh), platform(generation))


def objects(generation: str, **more: Any) -> dict[str, Any]:
    found = manifests("lab", Mesh(), configuration(Mesh()), platform(generation, **more))
    return {f"{one['kind']} {one['metadata']['name']}": one for one in found}


@pytest.mark.parametrize("generation", ["1.5", "1.20"])
def test_golden(generation: str) -> None:
    text = yaml.safe_dump_all(list(objects(generation).values()), sort_keys=False)
    path = GOLDEN / f"kubernetes-{generation}.yaml"
    if os.environ.get("MESHCTL_REGENERATE"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert text == path.read_text()


def test_the_configuration_is_the_form_that_starts_and_routes_on_0_8_5() -> None:
    config = yaml.safe_load(configuration(Mesh()).text)
    (router,) = config["routers"]
    assert "dtab" not in router
    assert router["baseDtab"] == "/svc => /#/io.l5d.k8s/default/http ;\n"
    assert (router["dstPrefix"], router["identifier"]) == ("/svc", {"kind": "io.l5d.header.token"})
    assert router["client"]["failureAccrual"] == {"kind": "io.l5d.consecutiveFailures", "failures": 5}
    assert router["client"]["loadBalancer"] == {"kind": "ewma"}
    assert router["servers"] == [{"port": 4140, "ip": "0.0.0.0"}]
    assert config["namers"] == [{"kind": "io.l5d.k8s"}]
    assert router["bindingCache"]["clients"] == 1000


def test_1_5_has_no_field_that_kubectl_1_5_refuses() -> None:
    text = json.dumps(objects("1.5"))
    for refused in ("updateStrategy", '"tolerations"', "ClusterFirstWithHostNet", "apps/v1", "rbac.authorization"):
        assert refused not in text
    template = objects("1.5")["DaemonSet l5d"]["spec"]["template"]
    (toleration,) = json.loads(template["metadata"]["annotations"]["scheduler.alpha.kubernetes.io/tolerations"])
    assert (toleration["key"], toleration["effect"]) == ("dedicated", "NoSchedule")


def test_the_side_car_serves_nothing_but_endpoints_on_loopback() -> None:
    pod = objects("1.20")["DaemonSet l5d"]["spec"]["template"]["spec"]
    car = next(container for container in pod["containers"] if container["name"] == "kubectl")
    assert "--address=127.0.0.1" in car["args"]
    assert "--accept-paths=^/api/v1/namespaces/[^/]+/endpoints$" in car["args"]
    assert objects("1.20")["Role l5d"]["rules"] == [
        {"apiGroups": [""], "resources": ["endpoints"], "verbs": ["get", "list", "watch"]}
    ]


def test_heap_and_limit_follow_from_one_number() -> None:
    found = rendered(Mesh.model_validate({"heap": "512MiB"}))
    daemonset = next(one for one in found if one["kind"] == "DaemonSet")
    container = daemonset["spec"]["template"]["spec"]["containers"][0]
    assert {"name": "JVM_HEAP_MAX", "value": "512M"} in container["env"]
    assert {"name": "LOCAL_JVM_OPTIONS", "value": "-XX:+PerfDisableSharedMem"} in container["env"]
    assert container["resources"]["limits"]["memory"] == "768Mi"


def test_a_namespace_of_its_own_is_made_first_and_a_given_one_is_left_alone() -> None:
    own = rendered(Mesh(namespace="mesh"), "1.5")
    assert (own[0]["kind"], own[0]["metadata"]["name"]) == ("Namespace", "mesh")
    assert {one["metadata"].get("namespace") for one in own[1:]} == {"mesh"}
    assert all(one["kind"] != "Namespace" for one in rendered(Mesh(namespace="kube-system"), "1.5"))


def test_another_configuration_is_another_template() -> None:
    def mark(port: int) -> str:
        found = rendered(Mesh(port=port))
        daemonset = next(one for one in found if one["metadata"]["name"] == "l5d" and one["kind"] == "DaemonSet")
        return str(daemonset["spec"]["template"]["metadata"]["annotations"]["meshctl/config-digest"])

    assert mark(4140) == mark(4140) != mark(4142)


def test_each_configuration_has_a_configmap_of_its_own_that_its_pods_name() -> None:
    def names(port: int) -> tuple[str, str]:
        found = rendered(Mesh(port=port))
        (made,) = [one["metadata"]["name"] for one in found if one["kind"] == "ConfigMap"]
        (pod,) = [
            one["spec"]["template"]["spec"]
            for one in found
            if (one["kind"], one["metadata"]["name"]) == ("DaemonSet", "l5d")
        ]
        return made, pod["volumes"][0]["configMap"]["name"]

    assert len({*names(4140), *names(4140)}) == 1
    assert set(names(4140)).isdisjoint(names(4142))


def test_no_server_replaces_pods_by_itself() -> None:
    for generation, said in (("1.20", {"type": "OnDelete"}), ("1.5", None)):
        for name in ("l5d", "echo"):
            assert objects(generation)[f"DaemonSet {name}"]["spec"].get("updateStrategy") == said


def test_every_app_of_ours_has_the_digest_of_its_whole_template() -> None:
    def digests(**more: Any) -> dict[str, str]:
        return pod_digests(manifests("lab", Mesh.model_validate(more), configuration(Mesh()), platform("1.5")))

    assert set(digests()) == {"l5d", "echo"}
    assert digests()["l5d"] != digests(heap="512MiB")["l5d"]
    assert digests()["echo"] == digests(heap="512MiB")["echo"]


def test_a_stand_in_is_labelled_on_every_pod_and_linkerd_is_not() -> None:
    standin = objects("1.20", image="meshctl/l5d-standin:0.8.5", standin=True)["DaemonSet l5d"]["spec"]["template"]
    assert standin["metadata"]["labels"]["meshctl/stand-in"] == "true"
    assert "stands in for linkerd 0.8.5" in standin["metadata"]["annotations"]["meshctl/stand-in"]
    assert "stand-in" not in json.dumps(objects("1.20"))


class Router(BaseHTTPRequestHandler):
    """Says which host was asked for, in a form with everything that could upset a reader of answers."""

    def do_GET(self) -> None:
        body = f"{self.headers['Host']}{self.path}\r\n\r\nend".encode()
        self.send_response(200 if self.path == "/" else 404)
        self.send_header("L5D-Err", "a: b")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def test_curl_is_asked_and_understood() -> None:
    with HTTPServer(("127.0.0.1", 0), Router) as server, socket.create_server(("127.0.0.1", 0)) as closed:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        nobody = closed.getsockname()[1]
        closed.close()
        printed = Local().read(probe_argv("echo", server.server_port, nobody), check=False).stdout
        server.shutdown()
    route, ping, metrics = answers(printed)
    assert (route.status, route.headers["l5d-err"], route.body) == (200, "a: b", "echo/\r\n\r\nend")
    assert ping.status == metrics.status == 0
    assert str(nobody) in ping.body


@pytest.mark.parametrize(
    ("answer", "hop"),
    [
        (Answer(0, {}, "[Errno 111] Connection refused"), "node → mesh: nothing answers"),
        (Answer(502, {"l5d-err": "No hosts are available for /svc/echo, Dtab.base=[]"}, ""), "mesh → name"),
        (
            Answer(502, {"l5d-err": "No+hosts+are+available+for+%2Fsvc%2Fecho%2C+Dtab.base%3D%5B%5D"}, ""),
            "mesh → name: the dtab led to no endpoint (No hosts are available for /svc/echo, Dtab.base=[])",
        ),
        (
            Answer(502, {"l5d-err": "exceeded 10.seconds to unspecified while dyn binding /svc/echo"}, ""),
            "mesh → Kubernetes",
        ),
        (Answer(400, {}, "Unknown destination: Host header is absent"), "node → mesh: the request had no usable Host"),
        (Answer(502, {}, "dial tcp 10.244.1.2:8080: i/o timeout"), "mesh → pod: status 502"),
        (Answer(200, {}, "<html>"), "the answer is not the echo app's"),
    ],
)
def test_the_hop_that_broke_is_named(answer: Answer, hop: str) -> None:
    judged = judge_route(answer)
    assert isinstance(judged, str)
    assert judged.startswith(hop)


def test_a_routed_answer_says_who_answered() -> None:
    body = json.dumps({"app": "echo", "pod": "echo-x", "node": "w1"})
    assert judge_route(Answer(200, {"server": "l5d-standin"}, body)) == Routed("echo-x", "w1", "l5d-standin")


def test_ping_and_metrics_are_judged() -> None:
    assert judge_ping(Answer(200, {}, "pong")) == ""
    assert "status 0" in judge_ping(Answer(0, {}, "refused"))
    assert judge_metrics(Answer(200, {}, '{"rt/outgoing/srv/0.0.0.0/4140/requests": 3}'), "outgoing") == ""
    assert "no request counted" in judge_metrics(Answer(200, {}, '{"rt/other/srv/x/requests": 3}'), "outgoing")
