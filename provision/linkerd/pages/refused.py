"""The start-up checks of meaning: labels, ports, values, flags, names, files and the environment."""

from __future__ import annotations

from provision.linkerd.knowledge.place import Place
from provision.linkerd.pages.model import refused

_LOCALNODE = """
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: l5d-config}
    data:
      config.yaml: |
        routers:
        - protocol: http
          label: incoming
          interpreter:
            kind: default
            transformers: [{kind: io.l5d.k8s.localnode, hostNetwork: true}]
          servers: [{port: 4141, ip: 0.0.0.0}]
    ---
    apiVersion: extensions/v1beta1
    kind: DaemonSet
    metadata: {name: l5d}
    spec:
      template:
        spec:
          hostNetwork: true
          volumes: [{name: l5d-config, configMap: {name: l5d-config}}]
          containers:
          - name: l5d
            image: buoyantio/linkerd:0.8.5
            args: [/io.buoyant/linkerd/config/config.yaml]
            env: [{name: ENV, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]
            volumeMounts: [{name: l5d-config, mountPath: /io.buoyant/linkerd/config}]
"""

REFUSED = (
    refused(
        "ML311",
        "no router",
        happens="`routers` is empty, or is not there at all.",
        matters="linkerd does not start: without a router it has nothing to do.",
        fix="Add a router.",
        linkerd="io.buoyant.config.NoRoutersSpecified$",
        example="routers: []\n",
        near_miss="""
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML312",
        "two routers with one label",
        happens="Each router has its own label; one without a label is called by its protocol, so two http routers need labels.",
        matters="linkerd does not start, and its log holds only the name of the error's class.",
        fix="Give each router its own `label`.",
        linkerd="io.buoyant.config.ConflictingLabels",
        example="""
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
            - protocol: http
              servers: [{port: 4141, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
            - protocol: http
              label: incoming
              servers: [{port: 4141, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML313",
        "two servers on one address and port",
        happens="""Two servers, of one router or of two, have the same `ip` and `port`. A server without a port has its protocol's: 4140
        for http. Equal ports on different addresses are allowed, but see ML360.""",
        matters="linkerd does not start, and its log holds only the name of the error's class.",
        fix="Take another port.",
        linkerd="io.buoyant.config.ConflictingPorts",
        example="""
            routers:
            - protocol: http
              servers: [{ip: 0.0.0.0}]
            - protocol: http
              label: incoming
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              servers: [{ip: 127.0.0.1}]
            - protocol: http
              label: incoming
              servers: [{port: 4140, ip: 127.0.0.2}]
        """,
    ),
    refused(
        "ML314",
        "a router without servers",
        happens="A router has no `servers`, or an empty list of them.",
        matters="linkerd ends when it comes to this router; the admin port is up by then, so a probe may have seen it alive.",
        fix="`servers: [{port: 4140, ip: 0.0.0.0}]`.",
        linkerd="router '…' has no servers",
        example="""
            routers:
            - protocol: http
              servers: []
        """,
        near_miss="""
            routers:
            - protocol: http
              servers: [{}]
        """,
    ),
    refused(
        "ML315",
        "a port out of range, or an address that is none",
        happens="""A port is a number up to 65535, and `ip` is an address in digits, not a name. It is one of IPv4: linkerd's start script
        turns IPv6 off.""",
        matters="linkerd does not start.",
        fix="`0.0.0.0` listens everywhere, `127.0.0.1` is what localhost means.",
        linkerd="'localhost' is not an IP string literal.",
        example="""
            routers:
            - protocol: http
              servers: [{port: 4140, ip: localhost}]
        """,
        near_miss="""
            routers:
            - protocol: http
              servers: [{port: 4140, ip: "::ffff:127.0.0.1"}]
        """,
    ),
    refused(
        "ML316",
        "a dtab or a path that cannot be read",
        happens="""The text of a dtab, or of a path such as `dstPrefix`, breaks the grammar: entries are `prefix => tree`, parted by `;`
        (a new line parts nothing), and every name begins with `/`. The same holds for paths that linkerd makes of other values: the
        `host` of consul, and the daemonset transformer's `k8sHost`, `namespace`, `service` and `port`; and for `announce`.""",
        matters="linkerd does not start.",
        fix="The finding points at the place; `meshctl mesh route` shows what a dtab does.",
        linkerd="… expected but '…' found at '…'",
        example="""
            routers:
            - protocol: http
              baseDtab: |
                /host => /$/inet/127.0.0.1/8080
                /http/*/* => /host ;
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              baseDtab: |
                /host => /$/inet/127.0.0.1/8080 ;
                /http/*/* => /host
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML317",
        "the folder or file of a namer is not there",
        happens="""The file namer's `rootDir` is not a folder, or the `dtabFile` of the file interpreter is not a file. meshctl looks
        only when it is told where linkerd is started, for names may be relative, and the files of another machine; an empty name is none
        anywhere.""",
        matters="linkerd does not start.",
        fix="Make the folder, or mount it at this place.",
        linkerd="… is not a directory",
        options="--folder /",
        place=Place(folder="/"),
        example="""
            namers: [{kind: io.l5d.fs, rootDir: no/such/folder}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            namers: [{kind: io.l5d.fs, rootDir: tmp}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML318",
        "an experimental plugin without its flag",
        happens="Some namers and other plugins are taken only with `experimental: true` beside their kind, until linkerd found them ripe.",
        matters="linkerd does not start.",
        fix="Add `experimental: true`, if you want to depend on it.",
        linkerd="is experimental and must be explicitly enabled by setting the `experimental' parameter to `true'",
        example="""
            namers: [{kind: io.l5d.marathon, host: marathon.mesos}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            namers: [{kind: io.l5d.marathon, host: marathon.mesos, experimental: true}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML319",
        "an experimental protocol without its flag",
        happens="h2 before 1.3.5, and thriftmux, are taken only with `experimental: true` on each router.",
        matters="linkerd does not start.",
        fix="Add `experimental: true` to the router.",
        linkerd="protocol is experimental and must be explicitly enabled by setting the `experimental' parameter to `true' on each router",
        example="""
            routers:
            - protocol: h2
              servers: [{port: 4142, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: h2
              experimental: true
              servers: [{port: 4142, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML320",
        "an experimental interpreter without its flag",
        happens="`io.l5d.namerd.http`, and some later interpreters, are taken only with `experimental: true` beside their kind.",
        matters="linkerd does not start.",
        fix="Add `experimental: true`, or use `io.l5d.namerd`.",
        linkerd="interpreter is experimental and must be explicitly enabled",
        example="""
            routers:
            - protocol: http
              interpreter: {kind: io.l5d.namerd.http, dst: /$/inet/127.0.0.1/4180}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              interpreter: {kind: io.l5d.namerd, dst: /$/inet/127.0.0.1/4100}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML321",
        "a daemonset transformer without namespace, service or port",
        happens="`io.l5d.k8s.daemonset` finds linkerd's own pods by namespace, service and port name, and has no defaults for them.",
        matters="linkerd does not start.",
        fix="`{kind: io.l5d.k8s.daemonset, namespace: default, service: l5d, port: incoming}`.",
        linkerd="assertion failed: io.l5d.k8s.daemonset: … property is required",
        example="""
            routers:
            - protocol: http
              interpreter:
                kind: default
                transformers: [{kind: io.l5d.k8s.daemonset, namespace: default, service: l5d}]
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              interpreter:
                kind: default
                transformers: [{kind: io.l5d.k8s.daemonset, namespace: default, service: l5d, port: incoming}]
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML322",
        "a localnode transformer without the variable that names its node",
        happens="""`io.l5d.k8s.localnode` reads POD_IP, or with `hostNetwork: true` NODE_NAME, from the environment. meshctl sees it in
        Kubernetes manifests, where the container's `env` stands.""",
        matters="linkerd does not start.",
        fix="`env: [{name: NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]` (POD_IP: `status.podIP`).",
        linkerd="NODE_NAME env variable must be set to the node's name",
        example=_LOCALNODE.replace("ENV", "NODE"),
        near_miss=_LOCALNODE.replace("ENV", "NODE_NAME"),
    ),
    refused(
        "ML323",
        "a jittered backoff without bounds",
        happens="""`kind: jittered` needs `minMs` and `maxMs`. Where it stands under `failureAccrual` it is not looked at before 1.1.1
        (ML343).""",
        matters="linkerd does not start.",
        fix="`{kind: jittered, minMs: 10, maxMs: 10000}`.",
        linkerd="'minMs' must be specified",
        example="""
            routers:
            - protocol: http
              client: {retries: {backoff: {kind: jittered, maxMs: 10000}}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              client: {retries: {backoff: {kind: jittered, minMs: 10, maxMs: 10000}}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML324",
        "a sample rate that is no part of one",
        happens="Zipkin's `sampleRate` is the traced part of all requests: 0 to 1, not per cent.",
        matters="linkerd does not start.",
        fix="0.001 traces one request of a thousand.",
        linkerd="Sample rate not within the valid range of 0-1, was …",
        example="""
            tracers: [{kind: io.l5d.zipkin, sampleRate: 5.0}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            tracers: [{kind: io.l5d.zipkin, sampleRate: 0.05}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML325",
        "a log level that is none",
        happens="The `level` of `io.l5d.tracelog` is one of ALL, TRACE, DEBUG, INFO, WARNING, ERROR, CRITICAL, FATAL, OFF.",
        matters="linkerd does not start.",
        fix="Use one of them.",
        linkerd="Illegal log level: …",
        example="""
            telemetry: [{kind: io.l5d.tracelog, level: verbose}, {kind: io.l5d.commonMetrics}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            telemetry: [{kind: io.l5d.tracelog, level: TRACE}, {kind: io.l5d.commonMetrics}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML326",
        "an empty list of identifiers",
        happens="`identifier` may be one or a list of them, but not an empty list.",
        matters="linkerd does not start.",
        fix="Leave `identifier` out for the default, or name one.",
        linkerd="empty identifier list",
        example="""
            routers:
            - protocol: http
              identifier: []
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              identifier: null
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML327",
        "two plugins with one kind",
        happens="""A jar in `$L5D_HOME/plugins` brings a kind that linkerd, or another jar, has already. meshctl knows of jars what
        it is told.""",
        matters="linkerd does not start, and its log holds only the name of the error's class.",
        fix="Take the jar out, or give its plugin another kind.",
        linkerd="ConflictingSubtypes",
        options="--plugin io.l5d.k8s",
        place=Place(plugins=("io.l5d.k8s",)),
        near_place=Place(plugins=("org.example.token",)),
        example="""
            namers: [{kind: io.l5d.k8s}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            # with --plugin org.example.token
            routers:
            - protocol: http
              identifier: {kind: org.example.token, more: keys}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML328",
        "a binding cache of no size",
        happens="A cache of `bindingCache` holds 0, or less.",
        matters="linkerd does not start.",
        fix="1000 each is a good size.",
        linkerd="java.lang.AssertionError: assertion failed",
        example="""
            routers:
            - protocol: http
              bindingCache: {clients: 0}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              bindingCache: {clients: 1}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML329",
        "TLS without validation, and with a certificate of one's own",
        happens="`tls` of a client has `disableValidation: true` and `clientAuth`. linkerd refuses it from 1.2.0 on.",
        matters="linkerd does not start.",
        fix="Take one of the two out: `clientAuth` needs a `commonName` to check the server by.",
        linkerd="disableValidation: true is incompatible with clientAuth",
        release="1.2.0",
        example="""
            usage: {enabled: false}
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
              client:
                tls:
                  disableValidation: true
                  clientAuth: {certPath: cert.pem, keyPath: key.pk8}
        """,
        near_miss="""
            usage: {enabled: false}
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
              client:
                tls:
                  commonName: web.example.org
                  clientAuth: {certPath: cert.pem, keyPath: key.pk8}
        """,
    ),
)
