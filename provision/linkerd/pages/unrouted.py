"""The traps in which requests are lost: names that lead nowhere, endpoints that are not found, sockets that nobody reaches."""

from __future__ import annotations

from provision.linkerd.knowledge.place import Place
from provision.linkerd.pages.model import refused, trap

UNROUTED = (
    trap(
        "ML341",
        "a namer is used and not configured",
        happens="""The dtab leads to `/#/io.l5d.k8s/…`, but `namers` holds no `io.l5d.k8s`. linkerd starts, and every name below
        that prefix is bound to nothing.""",
        matters="Every such request is answered with 502.",
        fix="`namers: [{kind: io.l5d.k8s}]`, or correct the name behind `/#/`: it is the namer's `prefix`, by default its kind.",
        linkerd="No hosts are available for /http/1.1/GET/…",
        example="""
            routers:
            - protocol: http
              baseDtab: /http/*/* => /#/io.l5d.k8s/default/http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            namers: [{kind: io.l5d.k8s, prefix: /k8s}]
            routers:
            - protocol: http
              baseDtab: /http/*/* => /#/k8s/default/http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML342",
        "a dtab entry that no request can reach",
        happens="""An entry's prefix is none that the router's `dstPrefix` and identifier, or another entry, can make. The classic:
        `/svc => …` before 0.9.0, where the default names are `/http/1.1/GET/HOST`.""",
        matters="The entry does nothing; if it is the only one, every request is answered with 502.",
        fix="""Either state the names of 0.9.0 (`dstPrefix: /svc` and `identifier: {kind: io.l5d.header.token}`), or begin the entry
        with what the router makes: `/http/*/* => …`.""",
        linkerd="No hosts are available for /http/1.1/GET/…",
        example="""
            namers: [{kind: io.l5d.k8s}]
            routers:
            - protocol: http
              baseDtab: /svc => /#/io.l5d.k8s/default/http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            namers: [{kind: io.l5d.k8s}]
            routers:
            - protocol: http
              dstPrefix: /svc
              identifier: {kind: io.l5d.header.token}
              baseDtab: /svc => /#/io.l5d.k8s/default/http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML345",
        "a server that listens on loopback only",
        happens="A server without `ip` listens on 127.0.0.1.",
        matters="Nothing outside the pod (with hostNetwork: outside the node) can connect.",
        fix="`ip: 0.0.0.0`. Where loopback is meant, write `ip: 127.0.0.1`.",
        example="""
            routers:
            - protocol: http
              servers: [{port: 4140}]
        """,
        near_miss="""
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 127.0.0.1}]
        """,
    ),
    trap(
        "ML348",
        "a numeric port name before 0.9.1",
        happens="""In `/#/io.l5d.k8s/NAMESPACE/PORT/SERVICE` the port is the name of a port of the Service. Numbers are understood from
        0.9.1 on (there as the pod's port, from 1.0.1 on as the Service's).""",
        matters="The name is bound to nothing: 502.",
        fix="Give the Service's port a name, such as `http`, and write it.",
        linkerd="No hosts are available for /http/1.1/GET/…",
        example="""
            namers: [{kind: io.l5d.k8s}]
            routers:
            - protocol: http
              baseDtab: /http/*/* => /#/io.l5d.k8s/default/80
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            namers: [{kind: io.l5d.k8s}]
            routers:
            - protocol: http
              baseDtab: /http/*/* => /#/io.l5d.k8s/default/http80
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML349",
        "a transformer's hostNetwork is unlike the pod's",
        happens="""With `hostNetwork: true` the daemonset and localnode transformers compare node names, without it the first 24 bits of
        addresses. The flag has to be what the pod of linkerd itself has, on both transformers.""",
        matters="The transformer finds no endpoint on its node, or the wrong ones: 502.",
        fix="Set `hostNetwork` as the pod has it.",
        linkerd="No hosts are available for …",
        options="--host-network",
        place=Place(host_network=True),
        example="""
            routers:
            - protocol: http
              interpreter: {kind: default, transformers: [{kind: io.l5d.k8s.localnode}]}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              interpreter: {kind: default, transformers: [{kind: io.l5d.k8s.localnode, hostNetwork: true}]}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML350",
        "an incoming router that routes by the outgoing one's bound name",
        happens="""A router takes its names from `l5d-dst-concrete` (`l5d-dst-client` from 1.0.0 on). Since 0.8.5 that header begins with
        the transformer's prefix, `/%/io.l5d.k8s.daemonset/…`, which the incoming router cannot resolve. linkerd's own example for
        hostNetwork of that release has this fault.""",
        matters="The second hop of every request fails.",
        fix="Give the incoming router the identifier and the dtab of the outgoing one.",
        example="""
            routers:
            - protocol: http
              label: incoming
              identifier: {kind: io.l5d.header, header: l5d-dst-concrete}
              servers: [{port: 4141, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              label: incoming
              identifier: {kind: io.l5d.header, header: l5d-dst-logical}
              servers: [{port: 4141, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML351",
        "a dtab that leads to linkerd's own port",
        happens="An entry ends in `/$/inet/127.0.0.1/4140`, or another address of this machine, at a port that the router itself serves.",
        matters="""A request runs in a circle until it times out, and takes connections and memory on every turn. From 1.7.0 on
        `maxCallDepth` ends it.""",
        fix="Name the port of the service.",
        example="""
            routers:
            - protocol: http
              baseDtab: /http/*/* => /$/inet/127.0.0.1/4140
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              baseDtab: /http/*/* => /$/inet/127.0.0.1/8080
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML356",
        "a dtab for GET alone",
        happens="Names of `io.l5d.methodAndHost` hold the method, and every entry that a request can reach asks for GET.",
        matters="POST and all other methods are answered with 502.",
        fix="`/http/1.1/* => …`, `*` being any method.",
        linkerd="No hosts are available for /http/1.1/POST/…",
        example="""
            namers: [{kind: io.l5d.k8s}]
            routers:
            - protocol: http
              baseDtab: /http/1.1/GET => /#/io.l5d.k8s/default/http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            namers: [{kind: io.l5d.k8s}]
            routers:
            - protocol: http
              baseDtab: |
                /http/1.1/GET => /#/io.l5d.k8s/default/http ;
                /http/1.1/POST => /#/io.l5d.k8s/default/http ;
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML359",
        "labelSelector on 0.8.5",
        happens="0.8.5 keeps one watch for each namespace: the first value of the label that anyone asks for is taken for all.",
        matters="Requests for one value of the label go to the endpoints of another.",
        fix="A Service for each value, or 0.8.6 and later.",
        example="""
            namers: [{kind: io.l5d.k8s, labelSelector: version}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            namers: [{kind: io.l5d.k8s}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML360",
        "a port that something else of linkerd has, on another address",
        happens="""Two servers, or a server and the admin port, have one port, one of them on 0.0.0.0. linkerd's own check compares
        addresses letter by letter and lets it pass.""",
        matters="Whichever comes second cannot bind, and linkerd ends.",
        fix="Take another port.",
        linkerd="Failed to bind to: …",
        example="""
            admin: {port: 9990, ip: 127.0.0.1}
            routers:
            - protocol: http
              servers: [{port: 9990, ip: 0.0.0.0}]
        """,
        near_miss="""
            admin: {port: 9990, ip: 127.0.0.1}
            routers:
            - protocol: http
              servers: [{port: 9990, ip: 127.0.0.2}]
        """,
    ),
)
