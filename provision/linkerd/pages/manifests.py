"""The traps of Kubernetes manifests around linkerd, and what is said of files that hold no configuration of its own."""

from __future__ import annotations

from provision.linkerd.knowledge.place import Place
from provision.linkerd.pages.model import refused, trap

_CONFIG = """
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: l5d-config}
            data:
              config.yaml: |
                usage: {enabled: false}
                CONFIG
                namers: [{kind: io.l5d.k8s}]
                routers:
                - protocol: http
                  dtab: /svc => /#/io.l5d.k8s/default/http
                  servers: [{port: 4140, ip: 0.0.0.0}]
            ---
"""

_DAEMONSET = """
            apiVersion: GROUP
            kind: DaemonSet
            metadata: {name: l5d}
            spec:
              template:
                metadata: {labels: {app: l5d}}
                spec:
                  POD
                  volumes: [{name: c, configMap: {name: l5d-config}}]
                  containers:
                  - name: l5d
                    image: "buoyantio/linkerd:1.3.6"
                    args: [/c/config.yaml]
                    CONTAINER
                    volumeMounts: [{name: c, mountPath: /c}]
                  - {name: kubectl, image: "buoyantio/kubectl:v1.4.0", args: [proxy, -p, "8001"]}
"""

RESOURCES = "resources: {limits: {memory: 1536Mi}}"


def _pod(
    container: str = RESOURCES, pod: str = "", config: str = "", group: str = "extensions/v1beta1", more: str = ""
) -> str:
    """A manifest with a line in the container, in the pod and in the configuration."""
    text = _CONFIG.replace("CONFIG", config or "admin: {ip: 127.0.0.1}")
    text += (
        _DAEMONSET.replace("CONTAINER", container)
        .replace("POD", pod or "restartPolicy: Always")
        .replace("GROUP", group)
    )
    return text + (f"            ---\n{more}" if more else "")


_SERVICE = """            apiVersion: v1
            kind: Service
            metadata: {{name: l5d}}
            spec: {{type: {type}, selector: {{app: l5d}}, ports: [{ports}]}}
"""
_BINDING = """            apiVersion: rbac.authorization.k8s.io/v1
            kind: ClusterRoleBinding
            metadata: {name: l5d}
            roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: l5d}
            subjects: [{kind: ServiceAccount, name: l5d, namespace: default}]
"""


def _daemonset(service: str) -> str:
    text = _pod(more=_SERVICE.format(type="ClusterIP", ports="{name: incoming, port: 4141}"))
    own = "kind: io.l5d.k8s.daemonset, namespace: default, port: incoming, service: SERVICE"
    line = f"interpreter: {{kind: default, transformers: [{{{own}}}]}}"
    return text.replace(
        "servers: [{port: 4140", f"{line.replace('SERVICE', service)}\n                  servers: [{{port: 4140"
    )


MANIFESTS = (
    refused(
        "ML300",
        "no configuration of linkerd in the file",
        happens="""A manifest was given, and none of its ConfigMaps or Secrets holds a file of linkerd's: one with `routers:`, with two of
        linkerd's other keys, or in a ConfigMap that is called like linkerd. `data` of Secrets is base64, and not read. A
        DaemonSet alone is judged for what it says itself, and its configuration is still missing.""",
        matters="Nothing was checked, which is not the same as nothing being wrong. `mesh validate` ends with 15 when this is all it says.",
        fix="Give the file with the ConfigMap too: several files are looked at together.",
        release="1.3.6",
        example="""
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: web}
            data: {index.html: hello}
        """,
        near_miss="""
            apiVersion: v1
            kind: ConfigMap
            metadata: {name: l5d-config}
            data:
              config.yaml: |
                routers:
                - protocol: http
                  dtab: /svc => /$/inet/127.0.0.1/8080
                  servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML392",
        "a template's placeholder",
        happens="""The file is a template: `{{ … }}` of Helm and consul-template, `${…}` of envsubst, `<% … %>`. What is put in is not
        known, so nothing is concluded from it: no port is compared, no path is read. The rest of the file is judged.""",
        matters="What linkerd will read is another text. It is an error where linkerd could not read this one.",
        fix="Render the template first, and check what comes out.",
        release="1.3.6",
        example="""
            usage: {enabled: false}
            namers: [{kind: io.l5d.consul, host: "${HOST_IP}"}]
            routers:
            - protocol: http
              dtab: /svc => /#/io.l5d.consul/dc1
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            usage: {enabled: false}
            namers: [{kind: io.l5d.consul, host: 10.0.0.1}]
            routers:
            - protocol: http
              dtab: /svc => /#/io.l5d.consul/dc1
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML393",
        "namerd's configuration, not linkerd's",
        happens="""The file has `storage` and `interfaces`: it is namerd's, which lies beside linkerd's in most repositories. It is
        checked by what namerd of the same release reads, and not by linkerd's keys.""",
        matters="Where linkerd's own file was meant, it has not been checked.",
        fix="Give linkerd's file; where namerd's was meant, all is well.",
        release="1.3.6",
        example="""
            storage: {kind: io.l5d.inMemory}
            interfaces: [{kind: io.l5d.mesh}]
        """,
        near_miss="""
            usage: {enabled: false}
            routers:
            - protocol: http
              interpreter: {kind: io.l5d.namerd, dst: /$/inet/127.0.0.1/4100}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML381",
        "hostPort under CNI before Kubernetes 1.7",
        happens="""hostPort is done by kubenet alone; under CNI nobody does it before 1.7, where the portmap plugin does. The pod is Ready,
        and answers on its own address. Which Kubernetes it is, `--kubernetes` says; without it the API's group does.""",
        matters="Nothing listens on the node's port: `Connection refused` from every application. The port is reserved all the same.",
        fix="`hostNetwork: true`, and `hostNetwork: true` for the transformers.",
        release="1.3.6",
        options="--kubernetes 1.5",
        place=Place(kubernetes="1.5"),
        example=_pod(
            f"{RESOURCES}\n                    ports: [{{name: outgoing, containerPort: 4140, hostPort: 4140}}]"
        ),
        near_miss=_pod(f"{RESOURCES}\n                    ports: [{{name: outgoing, containerPort: 4140}}]"),
    ),
    trap(
        "ML382",
        "no kubectl proxy beside a Kubernetes namer",
        happens="""`io.l5d.k8s` and the daemonset transformer speak plain HTTP to localhost:8001. In a pod only a second container can
        listen there: `kubectl proxy -p 8001`.""",
        matters="The namer gets no answer, and requests wait until their binding times out.",
        fix='A container with a kubectl image and `args: [proxy, -p, "8001"]`.',
        release="1.3.6",
        example=_pod().replace(
            '                  - {name: kubectl, image: "buoyantio/kubectl:v1.4.0", args: [proxy, -p, "8001"]}\n', ""
        ),
        near_miss=_pod(),
    ),
    trap(
        "ML383",
        "hostNetwork and dnsPolicy that do not belong together",
        happens="""A pod with `hostNetwork` asks the node's DNS, whatever `dnsPolicy: ClusterFirst` says. `ClusterFirstWithHostNet` changes
        that from Kubernetes 1.6 on; 1.5 refuses it, and there hosts have to be addresses.""",
        matters="No name of the cluster is found: namerd, tracers, registries.",
        fix="`dnsPolicy: ClusterFirstWithHostNet` beside `hostNetwork: true`.",
        release="1.3.6",
        options="--kubernetes 1.20",
        place=Place(kubernetes="1.20"),
        example=_pod(pod="hostNetwork: true"),
        near_miss=_pod(pod="hostNetwork: true\n                  dnsPolicy: ClusterFirstWithHostNet"),
    ),
    trap(
        "ML384",
        "a probe of an admin port that listens on loopback",
        happens="""From 1.2.0 on admin listens on 127.0.0.1 unless `admin.ip` says otherwise. A kubelet asks the pod's address; with
        `host: 127.0.0.1` it asks the node's loopback, which is the pod's with hostNetwork alone.""",
        matters="The probe fails: linkerd is killed again and again, or never becomes ready.",
        fix="`admin: {ip: 0.0.0.0}` where the network is guarded; a probe of a router's port; with hostNetwork `host: 127.0.0.1`.",
        release="1.3.6",
        example=_pod(f"{RESOURCES}\n                    livenessProbe: {{httpGet: {{path: /admin/ping, port: 9990}}}}"),
        near_miss=_pod(f"{RESOURCES}\n                    livenessProbe: {{tcpSocket: {{port: 4140}}}}"),
    ),
    trap(
        "ML386",
        "an image of another release",
        happens="The container's image has the tag of one release, and the files were checked for another one.",
        matters="Keys, defaults and names of requests differ between releases: what was checked is not what will run.",
        fix="Leave `--linkerd` out: the release is taken from the image.",
        options="--linkerd 1.3.5",
        release="1.3.5",
        example=_pod(),
        near_miss=_pod().replace("linkerd:1.3.6", "linkerd:1.3.5"),
    ),
    trap(
        "ML387",
        "a transformer's Service that is not there",
        happens="""The daemonset transformer finds linkerd's pods by a Service: `namespace`, `service` and the name of its `port`. The files
        hold no such Service, or one in another namespace, or one whose port is called otherwise.""",
        matters="The transformer finds no linkerd on any node: every request is answered with 502.",
        fix="A Service `l5d` in that namespace with a port of that name, for the pods of the DaemonSet.",
        release="1.3.6",
        linkerd="No hosts are available for",
        example=_daemonset("linkerd"),
        near_miss=_daemonset("l5d"),
    ),
    trap(
        "ML388",
        "a number as the name of a port",
        happens="""A Service or a container calls a port by a number. Kubernetes wants a letter in every name of a port, and linkerd takes a
        number in `/#/io.l5d.k8s/NAMESPACE/PORT/SERVICE` for the port itself.""",
        matters="The object is refused, or the name leads elsewhere.",
        fix="`name: http`.",
        release="1.3.6",
        example=_pod(more=_SERVICE.format(type="ClusterIP", ports='{name: "4140", port: 4140}')),
        near_miss=_pod(more=_SERVICE.format(type="ClusterIP", ports="{name: outgoing, port: 4140}")),
    ),
    trap(
        "ML389",
        "an account that RBAC lets do nothing",
        happens="""From Kubernetes 1.6 on the pod's account has to be allowed to get, list and watch endpoints and services. The pod uses
        its namespace's default account, or one that no binding of the files names.""",
        matters="The API answers 403 to the namer: no name is found.",
        fix="A ServiceAccount, a ClusterRole and a ClusterRoleBinding, and `serviceAccountName` in the pod.",
        release="1.3.6",
        options="--kubernetes 1.20",
        place=Place(kubernetes="1.20"),
        example=_pod(more=_BINDING),
        near_miss=_pod(pod="serviceAccountName: l5d", more=_BINDING),
    ),
    trap(
        "ML390",
        "a limit of memory that the heap does not fit in",
        happens="""linkerd's start script gives the JVM `-Xmx${JVM_HEAP_MAX:-1024M}`. Beside its heap a JVM needs a third as much again:
        384 MiB of heap in use were 525 MB in memory.""",
        matters="The kernel ends linkerd when it is busiest; without any limit it takes from the node's other pods.",
        fix="`JVM_HEAP_MAX` in `env`, and `resources.limits.memory` half larger.",
        release="1.3.6",
        example=_pod("resources: {limits: {memory: 512Mi}}"),
        near_miss=_pod(
            "resources: {limits: {memory: 512Mi}}\n                    env: [{name: JVM_HEAP_MAX, value: 340M}]"
        ),
    ),
    trap(
        "ML391",
        "an admin port that the world reaches",
        happens="""A Service of type LoadBalancer or NodePort, or a hostPort, publishes linkerd's admin port. It asks nobody who he is, and
        shows the whole configuration; POST /admin/shutdown ends linkerd.""",
        matters="Whoever reaches the port ends linkerd on every node behind it.",
        fix="Leave the admin port out of the Service: `kubectl port-forward` reaches it.",
        release="1.3.6",
        example=_pod(
            more=_SERVICE.format(type="LoadBalancer", ports="{name: outgoing, port: 4140}, {name: admin, port: 9990}")
        ),
        near_miss=_pod(more=_SERVICE.format(type="LoadBalancer", ports="{name: outgoing, port: 4140}")),
    ),
)
