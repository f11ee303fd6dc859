"""The traps with which linkerd starts, and then fails every request."""

from __future__ import annotations

from provision.linkerd.pages.model import trap

FAILING = (
    trap(
        "ML370",
        "an alias",
        happens="""linkerd's reader does not look up what an anchor (`&a`) holds: an alias (`*a`) is the text `a`. Where a text may stand,
        that is taken; where a mapping or a path has to stand, linkerd does not start.""",
        matters="A label, a name or a host is another than is meant, without a word.",
        fix="Write the value out.",
        example="""
            routers:
            - protocol: http
              label: &name outgoing
              servers: [{port: 4140, ip: 0.0.0.0, label: *name}]
        """,
        near_miss="""
            routers:
            - protocol: http
              label: &name outgoing
              servers: [{port: 4140, ip: 0.0.0.0, label: outgoing}]
        """,
    ),
    trap(
        "ML371",
        "failure accrual that fails every request",
        happens="""`io.l5d.successRate` without `requests`, or `io.l5d.successRateWindowed` without `window`, or 0 of them; or a
        `successRate` that is no part of one. It is looked at when the first request makes a client.""",
        matters="Every request is answered with 502.",
        fix="`requests: 100`, `window: 60`, `successRate: 0.9`.",
        linkerd="window must be positive: 0",
        example="""
            routers:
            - protocol: http
              client: {failureAccrual: {kind: io.l5d.successRate, successRate: 0.9}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              client: {failureAccrual: {kind: io.l5d.successRate, successRate: 0.9, requests: 100}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML372",
        "a balancer or a pool that holds nothing",
        happens="""`decayTimeMs` of `ewma`, `minAperture` of `aperture` or `maxSize` of `hostConnectionPool` is 0 or less, or every value
        of a pool is less than 0.""",
        matters="Every request waits 10 s and is answered with 502.",
        fix="Take a number above 0, or leave the key out for linkerd's own.",
        example="""
            routers:
            - protocol: http
              client: {loadBalancer: {kind: ewma, decayTimeMs: 0}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              client: {loadBalancer: {kind: ewma, decayTimeMs: 10000}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML373",
        "a size or a level with which no connection can be served",
        happens="""`maxHeadersKB`, `maxInitialLineKB` or `maxChunkKB` is 0 or less, `maxRequestKB` or `maxResponseKB` is less than 0, or
        `compressionLevel` is no level.""",
        matters="linkerd listens, and closes every connection without an answer.",
        fix="Leave the key out for linkerd's own size, or write one above 0; a level is 0 to 9, or -1.",
        example="""
            routers:
            - protocol: http
              compressionLevel: 99
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              compressionLevel: 9
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML374",
        "a transformer to one name that has no name",
        happens="`io.l5d.const` or `io.l5d.replace` stands without `path`, the name that everything is bound to.",
        matters="Every request fails.",
        fix="`{kind: io.l5d.const, path: /$/inet/127.0.0.1/8080}`.",
        linkerd="java.lang.NullPointerException",
        example="""
            routers:
            - protocol: http
              interpreter: {kind: default, transformers: [{kind: io.l5d.const}]}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              interpreter: {kind: default, transformers: [{kind: io.l5d.const, path: /$/inet/127.0.0.1/8080}]}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML375",
        "TLS to servers without their name, before 1.0.0",
        happens="`tls` of a client is `io.l5d.static` and has no `commonName`.",
        matters="Every request to a server that does not speak TLS fails, and of the others nobody checks who they are.",
        fix="Write the `commonName` of the server's certificate, or say `io.l5d.noValidation`.",
        example="""
            routers:
            - protocol: http
              client: {tls: {kind: io.l5d.static, caCertPath: /ca.pem}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              client: {tls: {kind: io.l5d.static, commonName: web.example.org, caCertPath: /ca.pem}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
)
