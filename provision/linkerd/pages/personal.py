"""The traps in which data of persons end up where nobody looks for them: traces, access logs, names of metrics, headers."""

from __future__ import annotations

from provision.linkerd.pages.model import trap

PERSONAL = (
    trap(
        "ML358",
        "query strings in traces",
        happens="""Traces of http requests hold the whole URI (`http.uri`), query string and all, the Host, and the addresses of both sides;
        no release can leave them out. `io.l5d.tracelog` writes them into linkerd's log. Whoever sends `l5d-sample: 1.0` has his request
        traced whatever the rate.""",
        matters="Tokens and names in query strings end up in the store of traces, and are read by whoever reads traces.",
        fix="""Keep them out of query strings; keep the traces where the law lets you, and not for long. At the edge take `l5d-*` and
        `dtab-local` headers out of what comes from outside; from 0.9.0 on `clearContext: true` of that server does it.""",
        example="""
            tracers: [{kind: io.l5d.zipkin}]
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            tracers: [{kind: io.l5d.zipkin}]
            routers:
            - protocol: thrift
              servers: [{port: 4114, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML394",
        "an access log",
        happens="""`httpAccessLog` (`h2AccessLog` from 1.3.6 on) writes a line for each request: the client's address, the URI with its
        query string, Referer and User-Agent. Before 1.4.0 the file is never rotated by linkerd.""",
        matters="It is a store of personal data on every node that Kubernetes does not rotate, and it lasts until somebody deletes it.",
        fix="""Take it out, and count by metrics; or keep it on a data volume, with `httpAccessLogRollPolicy` and `httpAccessLogRotateCount`
        (1.4.0) for no longer than you say you do. At the edge cut query strings, and write there what has to be written.""",
        example="""
            routers:
            - protocol: http
              httpAccessLog: /var/log/l5d/access.log
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML395",
        "what a client sends becomes the name of a metric",
        happens="""The name of a request is part of the names of its metrics (`dst/path/…`, from 1.0.0 on `service/…`). With
        `httpUriInDst` it holds the URI's path; by Host it holds what the client wrote there, and `io.l5d.statsd` sends
        it to another machine.""",
        matters="""Names of customers in subdomains and numbers of persons in paths are kept in memory until linkerd ends, read by whoever
        reads metrics, and stored where these are stored. Each new one is a new set of metrics: memory grows, too.""",
        fix="""Leave `httpUriInDst` out. At the edge let through only the Hosts that you serve, so that a Host is the name of a service
        and of nobody else.""",
        example="""
            routers:
            - protocol: http
              identifier: {kind: io.l5d.methodAndHost, httpUriInDst: true}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              identifier: {kind: io.l5d.methodAndHost}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    trap(
        "ML396",
        "linkerd's own headers go to somebody else",
        happens="""A dtab leads to a machine by `/$/inet/…`. linkerd adds to these requests what it adds to all: `l5d-dst-logical`,
        `l5d-dst-concrete` and `l5d-dst-residual` (from 1.0.0 on `l5d-dst-service`, `l5d-dst-client`), `l5d-reqid`, `l5d-ctx-*`.""",
        matters="""They hold the request's name, so its Host and, by the identifier, its path, the names of your services, and the number
        of the trace, which joins what he logs with your traces.""",
        fix="""Send what leaves the cluster through a proxy at the edge that takes `l5d-*` out, in both directions; or run the machine
        inside and reach it as a Service.""",
        example="""
            routers:
            - protocol: http
              dstPrefix: /svc
              identifier: {kind: io.l5d.header.token}
              baseDtab: /svc/pay => /$/inet/pay.example.org/80 ;
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              dstPrefix: /svc
              identifier: {kind: io.l5d.header.token}
              baseDtab: /svc/pay => /$/inet/127.0.0.1/8080 ;
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
)
