"""The start-up checks of values: how they have to be written, how large they may be, which words there are."""

from __future__ import annotations

from provision.linkerd.pages.model import refused

BOUND = (
    refused(
        "ML330",
        "an optional value that is not written as exactly its type",
        happens="""Nearly every optional number and truth value is cast to its type without a look: Scala has lost the type by
        the time that Jackson reads it. So `"500"`, `5.0`, `+5`, `1_0` and 3000000000 are no whole numbers, `"true"` and 1 are not
        true, and until 1.1.0 a fraction needs its point: 1.0. Ports, `failures`, `requests`, `window`, `ms` and the retries of namerd
        are declared, and take what looks like a number. From 1.0.0 on what stands in `client` and `service` is cast by the first request
        instead: there this is a trap.""",
        matters="linkerd does not start, and names neither the line nor the key.",
        fix="Write it without quotes, as the finding says.",
        linkerd="java.lang.String cannot be cast to java.lang.Integer",
        example="""
            routers:
            - protocol: http
              timeoutMs: "500"
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              timeoutMs: 500
              servers: [{port: "4140", ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML331",
        "a number that linkerd does not allow",
        happens="""Some numbers have bounds: `ttlSecs` of a retry budget is 1 to 60, `minRetriesPerSec` and `percentCanRetry` are not
        below 0, the second not above 1000,
        `maxConcurrentRequests` is more than 0, `maxRequestKB` and `maxResponseKB` less than 2 GB, the port of zipkin a port, and of a
        jittered backoff and namerd's retries 0 < smaller <= larger.""",
        matters="linkerd does not start; from 1.0.0 on for what stands in `client` and `service` it does, and the first request fails.",
        fix="Take a number that the finding allows.",
        linkerd="requirement failed: ttl must be [1 second, 60 seconds]",
        example="""
            routers:
            - protocol: http
              client: {retries: {budget: {ttlSecs: 61}}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              client: {retries: {budget: {ttlSecs: 60}}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML332",
        "a word that is none of those that linkerd takes",
        happens="""`consistencyMode` of consul is `default`, `stale` or `consistent`, `thriftProtocol` is `binary` or `compact`, in small
        letters.""",
        matters="linkerd does not start.",
        fix="Use one of the words.",
        linkerd="Illegal Consul consistency mode level: …",
        example="""
            namers: [{kind: io.l5d.consul, consistencyMode: Stale}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            namers: [{kind: io.l5d.consul, consistencyMode: stale}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
)
