"""Kubernetes' lists, as a look at latency needs them."""

from __future__ import annotations

from typing import Any

from provision.diagnose import Endpoint
from provision.run.diagnosis import read_inside


def thing(name: str, namespace: str = "default", **more: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", **more.pop("metadata", {})},
        **more,
    }


PODS = [
    thing(
        "web-1",
        spec={"nodeName": "w1", "containers": [{"env": [{"name": "TOKEN", "value": "s3cret"}]}]},
        status={"phase": "Running", "podIP": "10.244.1.5"},
    ),
    thing("web-2", spec={"nodeName": "w2"}, status={"phase": "Pending"}),
    thing(
        "l5d-a",
        "mesh",
        metadata={"labels": {"app": "l5d"}},
        spec={"nodeName": "w1", "hostNetwork": True},
        status={"phase": "Running", "podIP": "10.77.0.11"},
    ),
]
ENDPOINTS = [
    thing(
        "web",
        subsets=[
            {
                "addresses": [
                    {"ip": "10.244.1.5", "targetRef": {"kind": "Pod", "name": "web-1", "namespace": "default"}}
                ],
                "ports": [{"port": 80}],
            }
        ],
    ),
    thing("kubernetes", subsets=[{"addresses": [{"ip": "10.77.0.10"}], "ports": [{"port": 6443}]}]),
    thing("kube-dns", "kube-system", subsets=[]),
    thing("empty"),
]
SERVICES = [
    thing("kube-dns", "kube-system", spec={"clusterIP": "10.96.0.10"}),
    thing("web", spec={"clusterIP": "10.96.3.3"}),
]


def test_names_and_addresses_and_nothing_else_are_taken() -> None:
    inside = read_inside(PODS, ENDPOINTS, SERVICES, "mesh")
    assert inside.pods["uid-web-1"] == "default/web-1"
    assert inside.endpoints == (Endpoint(service="web", address="10.244.1.5:80", pod="default/web-1", node="w1"),)
    assert inside.reachable == {"w1": "10.244.1.5"}
    assert inside.routers == ("mesh/l5d-a",)
    assert "s3cret" not in repr(inside)


def test_dns_is_asked_only_where_somebody_answers() -> None:
    assert read_inside(PODS, ENDPOINTS, SERVICES, "mesh").dns == ()
    served = [
        thing("kube-dns", "kube-system", subsets=[{"addresses": [{"ip": "10.244.1.9"}], "ports": [{"port": 53}]}])
    ]
    assert read_inside(PODS, served, SERVICES, "mesh").dns == ("10.96.0.10",)
