"""Kubernetes manifests around linkerd: each trap in other forms than its page's, and what must not be said."""

from __future__ import annotations

import pytest

from provision.linkerd.check import validate
from provision.linkerd.knowledge.place import ANYWHERE, Place

CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: l5d-config, namespace: mesh}
data:
  config.yaml: |
    usage: {enabled: false}
    admin: {ip: 127.0.0.1}
    namers: [{kind: io.l5d.k8s}]
    routers:
    - protocol: http
      dtab: /svc => /#/io.l5d.k8s/default/http
      servers: [{port: 4140, ip: 0.0.0.0}]
"""

POD = """\
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: l5d, namespace: mesh}
spec:
  selector: {matchLabels: {app: l5d}}
  template:
    metadata: {labels: {app: l5d}}
    spec:
      serviceAccountName: l5d
      volumes: [{name: c, configMap: {name: l5d-config}}]
      containers:
      - name: l5d
        image: "buoyantio/linkerd:1.3.6"
        args: [/c/config.yaml]
        resources: {limits: {memory: 1536Mi}}
        ports: [{name: outgoing, containerPort: 4140}, {name: admin, containerPort: 9990}]
        volumeMounts: [{name: c, mountPath: /c}]
      - {name: kubectl, image: "k8s/kubectl:1.9", args: [proxy, -p, "8001"]}
"""

SERVICE = """\
---
apiVersion: v1
kind: Service
metadata: {name: l5d, namespace: mesh}
spec: {selector: {app: l5d}, ports: [{name: outgoing, port: 4140}, {name: incoming, port: 4141}]}
"""

BINDING = """\
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: l5d}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: l5d}
subjects: [{kind: ServiceAccount, name: l5d, namespace: mesh}]
"""

WHOLE = CONFIG + POD + SERVICE + BINDING


def ids(text: str, place: Place = ANYWHERE, release: str = "1.3.6") -> list[str]:
    return [one.id for one in validate(text, release, place)]


def changed(*pairs: tuple[str, str], text: str = WHOLE) -> str:
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text


def test_a_whole_set_of_manifests_is_clean() -> None:
    assert ids(WHOLE) == []


HOST_NETWORK = ("      serviceAccountName: l5d\n", "      serviceAccountName: l5d\n      hostNetwork: true\n")
PAIRED = (HOST_NETWORK[0], HOST_NETWORK[1] + "      dnsPolicy: ClusterFirstWithHostNet\n")
DAEMONSET = (
    "      servers:",
    "      interpreter: {kind: default, transformers: [{kind: io.l5d.k8s.daemonset, namespace: mesh, service: l5d, port: incoming}]}\n"
    "      servers:",
)
NAMERS = "namers: [{kind: io.l5d.k8s}]"
PROXY = '      - {name: kubectl, image: "k8s/kubectl:1.9", args: [proxy, -p, "8001"]}\n'
PORTS = "{name: outgoing, containerPort: 4140}"
PROBE = "        resources:"


@pytest.mark.parametrize(
    ("pairs", "place", "expected"),
    [
        # hostPort
        ([(PORTS, "{containerPort: 4140, hostPort: 4140}")], Place(kubernetes="1.5.8"), ["ML381"]),
        ([(PORTS, "{containerPort: 4140, hostPort: 4140}")], Place(kubernetes="1.20"), []),
        ([(PORTS, "{containerPort: 4140, hostPort: 4140}")], ANYWHERE, []),
        ([(PORTS, "{containerPort: 4140, hostPort: 4140}"), ("apps/v1", "extensions/v1beta1")], ANYWHERE, ["ML381"]),
        # kubectl proxy
        ([(PROXY, "")], ANYWHERE, ["ML382"]),
        ([(PROXY, ""), (NAMERS, "namers: [{kind: io.l5d.k8s, host: api.example.org}]")], ANYWHERE, []),
        ([(PROXY, ""), ("io.l5d.k8s}", "io.l5d.consul}"), ("io.l5d.k8s/default/http", "io.l5d.consul/dc1")], ANYWHERE, []),
        # dnsPolicy
        ([HOST_NETWORK], ANYWHERE, ["ML383"]),
        ([PAIRED], ANYWHERE, []),
        ([PAIRED], Place(kubernetes="1.5"), ["ML383"]),
        ([HOST_NETWORK], Place(kubernetes="1.5"), []),
        # probes
        ([(PROBE, "        readinessProbe: {httpGet: {path: /admin/ping, port: admin}}\n" + PROBE)], ANYWHERE, ["ML384"]),
        ([(PROBE, "        livenessProbe: {tcpSocket: {port: 9990}}\n" + PROBE)], ANYWHERE, ["ML384"]),
        ([(PROBE, "        livenessProbe: {httpGet: {host: 127.0.0.1, port: 9990}}\n" + PROBE)], ANYWHERE, ["ML384"]),
        ([(PROBE, "        livenessProbe: {httpGet: {host: 127.0.0.1, port: 9990}}\n" + PROBE), PAIRED], ANYWHERE, []),
        ([(PROBE, "        livenessProbe: {httpGet: {port: 9990}}\n" + PROBE), ("ip: 127.0.0.1", "ip: 10.0.0.1")], ANYWHERE, []),
        # the Service of a transformer
        ([DAEMONSET], ANYWHERE, []),
        ([DAEMONSET, ("namespace: mesh, service", "namespace: default, service")], ANYWHERE, ["ML387"]),
        ([DAEMONSET, ("service: l5d", "service: linkerd")], ANYWHERE, ["ML387"]),
        ([DAEMONSET, ("name: incoming", "name: inbound")], ANYWHERE, ["ML387"]),
        # names of ports
        ([("name: incoming", 'name: "4141"')], ANYWHERE, ["ML388"]),
        ([("{name: outgoing, containerPort", '{name: "4140", containerPort')], ANYWHERE, ["ML388"]),
        # accounts
        ([("      serviceAccountName: l5d\n", "")], ANYWHERE, ["ML389"]),
        ([("serviceAccountName: l5d", "serviceAccountName: other")], ANYWHERE, ["ML389"]),
        ([("name: l5d, namespace: mesh}]\n", "name: l5d, namespace: default}]\n")], ANYWHERE, ["ML389"]),
        ([("      serviceAccountName: l5d\n", "")], Place(kubernetes="1.5"), []),
        ([("kind: ServiceAccount, name: l5d, namespace: mesh", "kind: Group, name: 'system:serviceaccounts'")], ANYWHERE, []),
        # memory
        ([("1536Mi", "1Gi")], ANYWHERE, ["ML390"]),
        ([("1536Mi", "600Mi"), (PROBE, "        env: [{name: JVM_HEAP_MAX, value: 384M}]\n" + PROBE)], ANYWHERE, []),
        ([("1536Mi", "600Mi"), (PROBE, "        env: [{name: LOCAL_JVM_OPTIONS, value: -Xmx2g}]\n" + PROBE)], ANYWHERE, ["ML390"]),
        ([("        resources: {limits: {memory: 1536Mi}}\n", "")], ANYWHERE, ["ML390"]),
        # the admin port
        ([("spec: {selector", "spec: {type: NodePort, selector"), ("name: incoming, port: 4141", "port: 9990")], ANYWHERE, ["ML391"]),
        ([("spec: {selector", "spec: {type: LoadBalancer, selector"), ("name: incoming, port: 4141", "port: 80, targetPort: admin")],
         ANYWHERE, ["ML391"]),
        ([("spec: {selector", "spec: {type: NodePort, selector")], ANYWHERE, []),
        ([("name: incoming, port: 4141", "port: 9990")], ANYWHERE, []),
        # the argument and the mounts
        ([("mountPath: /c}", "mountPath: /etc/linkerd}")], ANYWHERE, ["ML302"]),
        ([("args: [/c/config.yaml]", "args: [/c/config.yml]")], ANYWHERE, ["ML302"]),
    ],
)  # fmt: skip
def test_each_trap(pairs: list[tuple[str, str]], place: Place, expected: list[str]) -> None:
    found = validate(changed(*pairs), "1.3.6", place)
    assert [one.id for one in found] == expected, found


def test_the_image_is_compared_with_what_was_asked_for() -> None:
    (found,) = [one for one in validate(WHOLE, "1.3.5", asked=True) if one.id == "ML386"]
    assert "the image is linkerd 1.3.6" in found.message
    assert "what was asked for" in found.message


def test_a_secret_holds_a_configuration_too() -> None:
    secret = changed(
        ("kind: ConfigMap", "kind: Secret"), ("\ndata:", "\nstringData:"), ("configMap: {name", "secret: {secretName")
    )
    assert ids(secret) == []
    assert ids(changed(("protocol: http", "protocol: htp"), text=secret)) == ["ML309"]


def test_objects_of_other_files_are_looked_up_and_not_judged() -> None:
    assert [
        one.id
        for one in validate(POD, "1.3.6", beside=(CONFIG, SERVICE.removeprefix("---\n"), BINDING.removeprefix("---\n")))
    ] == []
    wrong = changed(("protocol: http", "protocol: htp"), text=CONFIG)
    assert [one.id for one in validate(POD, "1.3.6", beside=(wrong, BINDING.removeprefix("---\n")))] == []


HOSTS = {
    "namers: [{kind: io.l5d.consul, host: consul.default.svc.cluster.local}]": "namers[0].host",
    "namers: [{kind: io.l5d.marathon, dst: /$/inet/marathon/80}]": "namers[0].dst",
    "namers: [{kind: io.l5d.serversets, zkAddrs: [{host: zk, port: 2181}]}]": "namers[0].zkAddrs[0].host",
    "telemetry: [{kind: io.l5d.statsd, experimental: true, hostname: statsd.default.svc}]": "telemetry[0].hostname",
    "telemetry: [{kind: io.l5d.zipkin, host: zipkin, sampleRate: 0.001}]": "telemetry[0].host",
    "ROUTER interpreter: {kind: io.l5d.namerd, dst: /$/inet/namerd.mesh.svc.cluster.local/4100}": "routers[0].interpreter.dst",
    "ROUTER dtab: /svc => /$/inet/web.default.svc.cluster.local/80": "routers[0].dtab",
}


@pytest.mark.parametrize(("line", "field"), HOSTS.items())
def test_names_of_the_cluster_wherever_a_host_can_stand(line: str, field: str) -> None:
    own, top = (line.removeprefix("ROUTER "), "") if line.startswith("ROUTER") else ("", line + "\n")
    text = (
        f"usage: {{enabled: false}}\nadmin: {{ip: 127.0.0.1}}\n{top}routers:\n- protocol: http\n"
        f"  {own or 'dtab: /svc => /$/inet/127.0.0.1/80'}\n  servers: [{{port: 4140, ip: 0.0.0.0}}]\n"
    )
    node = Place(host_network=True, dns_policy="ClusterFirst")
    assert [one.field for one in validate(text, "1.3.6", node) if one.id == "ML354"] == [field]
    assert [one.field for one in validate(text, "1.3.6", Place(True, "1.5")) if one.id == "ML354"] == [field]
    paired = Place(host_network=True, dns_policy="ClusterFirstWithHostNet")
    assert "ML354" not in [one.id for one in validate(text, "1.3.6", paired)]
    assert "ML354" not in [
        one.id for one in validate(text, "1.3.6", Place(host_network=False, dns_policy="ClusterFirst"))
    ]


def test_the_dns_policy_is_the_pods() -> None:
    host = ("namers: [{kind: io.l5d.k8s}]", "namers: [{kind: io.l5d.k8s}, {kind: io.l5d.consul, host: consul}]")
    assert ids(changed(host, HOST_NETWORK)) == ["ML354", "ML383"]
    assert ids(changed(host, PAIRED)) == []
    assert ids(changed(host)) == []
