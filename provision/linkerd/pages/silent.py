"""The traps in which a setting does less, or more, than its owner thinks."""

from __future__ import annotations

from provision.linkerd.knowledge.place import Place
from provision.linkerd.pages.model import trap

SILENT = (
    trap(
        "ML343",
        "a backoff of failureAccrual before 1.1.1",
        happens="`failureAccrual.backoff` is read and never used: an ejected endpoint comes back after 5 s to 300 s, whatever is written.",
        matters="A configured 10 s may be 5 minutes; and an upgrade to 1.1.1 changes the behaviour without any change of the file.",
        fix="Take it out, or use linkerd 1.1.1 or later, where it takes effect.",
        release="1.1.0",
        example="""
            routers:
            - protocol: http
              client:
                failureAccrual:
                  kind: io.l5d.consecutiveFailures
                  failures: 5
                  backoff: {kind: constant, ms: 10000}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              client:
                failureAccrual: {kind: io.l5d.consecutiveFailures, failures: 5}
              service:
                retries: {backoff: {kind: constant, ms: 10000}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML344",
        "consecutiveFailures without failures",
        happens="Without `failures` the number is 0, not the 5 of a configuration that has no `failureAccrual` at all.",
        matters="The first failure takes an endpoint out; a short hiccup takes out all of them.",
        fix="`failures: 5`.",
        example="""
            routers:
            - protocol: http
              client: {failureAccrual: {kind: io.l5d.consecutiveFailures}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              client: {failureAccrual: {kind: none}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML346",
        "a key stands twice",
        happens="""Before 1.0.1 one of them wins and nothing is said: the last one of what a class is made with, such as `port` of `admin`,
        the first one of what is set afterwards, such as `label`, `client` or `servers` of an http router and everything in its servers. Of
        a second `kind` it says that it does not know it; and from 1.0.1 on it refuses all of them: there it is an error.""",
        matters="A whole section may be without effect, for example a second `client:` that somebody added below.",
        fix="Keep one of the two.",
        linkerd="Duplicate field '…'",
        example="""
            routers:
            - protocol: http
              label: outgoing
              label: out
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              label: outgoing
              servers: [{port: 4140, ip: 0.0.0.0, label: outgoing}]
        """,
    ),
    trap(
        "ML347",
        "telemetry without commonMetrics before 0.9.0",
        happens="Writing any `telemetry` replaces the default one, `io.l5d.commonMetrics`, which is what serves /admin/metrics.json.",
        matters="The metrics are gone, and whatever reads them.",
        fix="Add `- kind: io.l5d.commonMetrics`.",
        example="""
            telemetry: [{kind: io.l5d.tracelog}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            telemetry: [{kind: io.l5d.tracelog}, {kind: io.l5d.commonMetrics}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML352",
        "a small binding cache",
        happens="""The cache holds few clients. Before 0.9.1 that is the default: 10 of them. The eleventh service throws out another one's
        whole client: connections, balancer, statistics.""",
        matters="Latency that comes and goes with who else is called: the counters `bindcache/client/evicts` and `oneshots` rise.",
        fix="`bindingCache: {paths: 1000, trees: 1000, bounds: 1000, clients: 1000}`.",
        example="""
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              bindingCache: {clients: 1000}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML353",
        "the admin port is open to everybody",
        happens="""`admin` listens on 0.0.0.0 (before 1.2.0 that is the default) without TLS that asks for certificates and without
        `security` (1.4.5).""",
        matters="Anybody who reaches the port reads the configuration and may end linkerd with POST /admin/shutdown.",
        fix="`admin: {ip: 127.0.0.1}` with probes at `host: 127.0.0.1`, or a firewall; from 1.4.5 on `security`.",
        example="""
            admin: {port: 9990}
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            admin: {port: 9990, ip: 127.0.0.1}
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML354",
        "a name of the cluster's DNS, on the node's network",
        happens="""A pod with hostNetwork asks the node's DNS, not the cluster's; `dnsPolicy: ClusterFirstWithHostNet`, which changes that,
        came with Kubernetes 1.6. It holds wherever a host can stand: tracers and telemeters, namers, interpreters, transformers, dtabs.""",
        matters="The name is not found: no trace arrives, no namerd, registry or mixer answers.",
        fix="Give `host` the Service's ClusterIP, or a node's address; from 1.6 on `dnsPolicy: ClusterFirstWithHostNet`.",
        options="--kubernetes 1.5 --host-network",
        place=Place(host_network=True, kubernetes="1.5"),
        example="""
            tracers: [{kind: io.l5d.zipkin, host: zipkin-collector.default.svc.cluster.local}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            tracers: [{kind: io.l5d.zipkin, host: zipkin.example.org}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML355",
        "linkerd phones home",
        happens="From 0.9.0 on linkerd reports its configuration and its numbers to stats.buoyant.io every hour, unless told not to.",
        matters="Data leave the house; and without a way out of it, there are errors in the log every hour.",
        fix="`usage: {enabled: false}`.",
        release="0.9.0",
        example="""
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            usage: {enabled: false}
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML357",
        "a high sample rate",
        happens="More than one request in a hundred is traced.",
        matters="Each trace costs a span at every hop, about a kilobyte each, and stores data of persons as long as the store keeps it.",
        fix="`sampleRate: 0.001`; `l5d-sample: 1.0` on a request traces that one.",
        example="""
            tracers: [{kind: io.l5d.zipkin, sampleRate: 0.02}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            tracers: [{kind: io.l5d.zipkin, sampleRate: 0.01}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML361",
        "client TLS that has nothing to check a server by, or two lists of certificates",
        happens="""`tls` of a client has neither `commonName` nor `disableValidation: true`, or it has both `trustCerts` and
        `trustCertsBundle` (1.4.4). linkerd starts, and looks at it when it makes the first client.""",
        matters="Every request ends in an error.",
        fix="Write the `commonName` of the server's certificate; keep one of the two lists.",
        linkerd="tls is configured with validation but `commonName` is not set",
        release="1.0.0",
        example="""
            usage: {enabled: false}
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
              client: {tls: {trustCerts: [/ca.pem]}}
        """,
        near_miss="""
            usage: {enabled: false}
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
              client: {tls: {commonName: web.example.org, trustCerts: [/ca.pem]}}
        """,
    ),
)
