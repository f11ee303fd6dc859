"""The traps in which every name ends in nothing, or what is said of a name is said of one that nobody has."""

from __future__ import annotations

from provision.linkerd.pages.model import trap

NOWHERE = (
    trap(
        "ML362",
        "a router without a dtab",
        happens="""A router has no `dtab` (before 0.9.0 `baseDtab`), and linkerd itself is asked where names go. Namers alone lead
        nowhere: they are used by names below `/#/`, and a request's name begins with the router's prefix.""",
        matters="Every request is answered with 502.",
        fix="A dtab from the router's prefix to a namer: `dtab: /svc => /#/io.l5d.consul/dc1`.",
        linkerd="No hosts are available for /svc/…",
        release="1.3.6",
        example="""
            usage: {enabled: false}
            namers: [{kind: io.l5d.consul}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            usage: {enabled: false}
            routers:
            - protocol: http
              interpreter: {kind: io.l5d.namerd, dst: /$/inet/127.0.0.1/4100, namespace: default}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML363",
        "a destination that no entry begins with",
        happens="""An entry leads to a name that is neither below `/#/` nor below `/$/`, and no other entry begins so. It is a typo, or
        the sign is missing: `/io.l5d.consul/dc1` is a name like any other, `/#/io.l5d.consul/dc1` is the namer's.""",
        matters="""The name ends there. Where no earlier entry takes it up, the request is answered with 502. What clients send in
        `l5d-dtab` may still lead on.""",
        fix="Correct the destination. Where nothing is meant, `~` says it, and `!` where the search shall end.",
        linkerd="No hosts are available for /svc/…",
        release="1.3.6",
        example="""
            usage: {enabled: false}
            namers: [{kind: io.l5d.consul}]
            routers:
            - protocol: http
              dtab: /svc => /io.l5d.consul/dc1
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            usage: {enabled: false}
            namers: [{kind: io.l5d.consul}]
            routers:
            - protocol: http
              dtab: |
                /host => /#/io.l5d.consul/dc1 ;
                /svc => /host ;
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML364",
        "a destination that nothing can bind",
        happens="""An entry leads to a name below `/$/` that linkerd has not, or to `/$/inet/…` without a port, or to a namer with fewer
        elements than it needs: `/#/io.l5d.k8s` takes a namespace, a port and a service.""",
        matters="Every name that comes there is answered with 502.",
        fix="Complete the name: the fix says what is missing.",
        linkerd="No hosts are available for /svc/…",
        release="1.3.6",
        example="""
            usage: {enabled: false}
            namers: [{kind: io.l5d.k8s}]
            routers:
            - protocol: http
              dtab: /svc => /#/io.l5d.k8s/default
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            usage: {enabled: false}
            namers: [{kind: io.l5d.k8s}]
            routers:
            - protocol: http
              dtab: /svc => /#/io.l5d.k8s/default/http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML365",
        "a dtab that runs in a circle",
        happens="""An entry leads a name back to itself, by itself or over others. The last entry is tried first, and linkerd follows it
        a hundred times before it gives up; that failure ends the whole search, so earlier entries are no fallback.""",
        matters="Every such request fails.",
        fix="Let the entry lead to a namer, or take it out.",
        linkerd="Max recursion level reached.",
        release="1.3.6",
        example="""
            usage: {enabled: false}
            namers: [{kind: io.l5d.consul}]
            routers:
            - protocol: http
              dtab: |
                /svc => /#/io.l5d.consul/dc1 ;
                /svc/web => /svc/web ;
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            usage: {enabled: false}
            namers: [{kind: io.l5d.consul}]
            routers:
            - protocol: http
              dtab: |
                /svc => /#/io.l5d.consul/dc1 ;
                /svc/web => /svc/web-v2 ;
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML366",
        "a path to namerd or a registry that nothing binds",
        happens="""`dst` of an interpreter says where namerd is. linkerd binds it with the namers of this file, not with namerd's, and
        without any dtab. The same holds for `dst` of the marathon namer and of the New Relic telemeter.""",
        matters="namerd is never reached, and every request of the router fails.",
        fix="`/$/inet/HOST/PORT`, or a name of a namer that this file configures.",
        linkerd="No hosts are available for /#/…",
        release="1.3.6",
        example="""
            usage: {enabled: false}
            routers:
            - protocol: http
              interpreter: {kind: io.l5d.namerd, dst: /#/io.l5d.k8s/mesh/thrift/namerd, namespace: default}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            usage: {enabled: false}
            namers: [{kind: io.l5d.k8s}]
            routers:
            - protocol: http
              interpreter: {kind: io.l5d.namerd, dst: /#/io.l5d.k8s/mesh/thrift/namerd, namespace: default}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML367",
        "a namer's prefix that holds /#/ itself",
        happens="`prefix` of a namer stands behind `/#/`: with `prefix: /#/disco` its names are `/#/#/disco/…`.",
        matters="Names below `/#/disco` have no namer: 502.",
        fix="`prefix: /disco`.",
        linkerd="No hosts are available for /svc/…",
        release="1.3.6",
        example="""
            usage: {enabled: false}
            namers: [{kind: io.l5d.consul, prefix: /#/disco}]
            routers:
            - protocol: http
              dtab: /svc => /#/disco/dc1
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            usage: {enabled: false}
            namers: [{kind: io.l5d.consul, prefix: /disco}]
            routers:
            - protocol: http
              dtab: /svc => /#/disco/dc1
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML368",
        "a prefix that no client or service has",
        happens="""`client.configs[].prefix` is compared with bound names: `/#/io.l5d.k8s/…`, and behind the prefix of every transformer
        of the namer and of the interpreter, such as `/%/io.l5d.k8s.daemonset/NAMESPACE/PORT/SERVICE/#/…`.
        `service.configs[].prefix` is compared with the router's own names, such as `/svc/HOST`.""",
        matters="The config is never used. Where it says `tls`, the traffic goes out in plain text.",
        fix="Write the prefix as the names have it; /admin/metrics.json lists them.",
        release="1.4.0",
        example="""
            usage: {enabled: false}
            namers:
            - kind: io.l5d.k8s
              transformers: [{kind: io.l5d.k8s.daemonset, namespace: default, port: incoming, service: l5d}]
            routers:
            - protocol: http
              dtab: /svc => /#/io.l5d.k8s/default/http
              client:
                kind: io.l5d.static
                configs:
                - prefix: /#/io.l5d.k8s
                  tls: {commonName: linkerd, trustCerts: [/certs/ca.pem]}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            usage: {enabled: false}
            namers:
            - kind: io.l5d.k8s
              transformers: [{kind: io.l5d.k8s.daemonset, namespace: default, port: incoming, service: l5d}]
            routers:
            - protocol: http
              dtab: /svc => /#/io.l5d.k8s/default/http
              client:
                kind: io.l5d.static
                configs:
                - prefix: /%/io.l5d.k8s.daemonset/default/incoming/l5d/#/io.l5d.k8s
                  tls: {commonName: linkerd, trustCerts: [/certs/ca.pem]}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
)
