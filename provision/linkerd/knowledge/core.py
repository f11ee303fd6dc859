"""What linkerd 0.8.5 … 1.7.5 reads from the top of its file down to routers, servers, clients and services: data, read by all.

`KNOWLEDGE` holds it together with the plugins.
"""

from __future__ import annotations

from collections.abc import Iterable

from provision.linkerd.knowledge import namerd, plugins
from provision.linkerd.knowledge.schema import (
    Family,
    Key,
    Kind,
    Knowledge,
    Limit,
    Object,
    Spread,
    keys,
    obj,
)

_SPLIT = "1.0.0"
"""The release that split `client` into client and service."""

_TO_CLIENT = "what is done for each endpoint's connection is said in `client`"
_TO_SERVICE = "what is done for each name, retries and all, is said in `service`"
_NO_KINDS = "TLS of clients has no kinds: its keys say which one is meant"

_CACHE = Limit("java.lang.AssertionError: assertion failed", 1, id="ML328", fix="1000 is a good size")

LINKER = (
    obj(
        "linker",
        "io.buoyant.linkerd.Linker$LinkerConfig",
        Key("namers", "[@namer]"),
        Key("routers", "[@router]", required=True),
        Key("tracers", "[@tracer]", until="0.9.0", becomes="telemetry", why="tracers are telemeters"),
        Key("telemetry", "[@telemeter]"),
        Key("admin", ".admin"),
        Key("usage", ".usage", "0.9.0", unneeded="before 0.9.0 linkerd reports to nobody"),
    ),
    obj("usage", "io.buoyant.linkerd.UsageDataTelemeterConfig", Key("orgId", "str"), Key("enabled", "truth")),
    obj(
        "admin",
        "io.buoyant.admin.AdminConfig",
        Key("ip", "ip"),
        Key("port", "port"),
        Key("shutdownGraceMs", "unread"),
        Key("tls", ".serverTls", "1.1.3"),
        Key("httpIdentifierPort", "port", "1.1.0"),
        Key("workerThreads", "whole", "1.4.4"),
        Key("security", ".adminSecurity", "1.4.5"),
        Key("socketOptions", ".socketOptions", "1.5.0"),
    ),
    obj(
        "adminSecurity",
        "io.buoyant.admin.AdminSecurityConfig",
        keys("truth", "uiEnabled controlEnabled diagnosticsEnabled"),
        keys("[str]", "pathWhitelist pathBlacklist"),
    ),
    obj(
        "socketOptions",
        "io.buoyant.linkerd.SocketOptionsConfig",
        keys("truth", "noDelay reuseAddr reusePort"),
        keys("whole", "writeTimeoutMs readTimeoutMs"),
        Key("keepAlive", "truth", "1.5.2"),
        Key("backlog", "whole", "1.6.1"),
    ),
    obj(
        "bindingCache",
        "io.buoyant.linkerd.BindingCacheConfig",
        *(Key(name, "int", limit=_CACHE) for name in ("paths", "trees", "bounds", "clients")),
        Key("idleTtlSecs", "int", "1.1.0"),
    ),
)

_ROUTER = (
    Key("protocol", "str"),
    Key("label", "str"),
    Key("baseDtab", "dtab", until="0.9.0", becomes="dtab", why="the key has another name"),
    Key("dtab", "dtab", "0.9.0", hint="baseDtab before 0.9.0"),
    Key("dstPrefix", "path"),
    Key("failFast", "bool", until=_SPLIT, becomes="client.failFast", why=_TO_CLIENT),
    Key("timeoutMs", "int", until=_SPLIT, becomes="service.totalTimeoutMs", why=_TO_SERVICE),
    Key("responseClassifier", "@classifier", until=_SPLIT, becomes="service.responseClassifier", why=_TO_SERVICE),
    Key("originator", "bool"),
    Key("announcers", "[@announcer]"),
    Key("interpreter", "@interpreter"),
    Key("bindingTimeoutMs", "int"),
    Key("bindingCache", ".bindingCache"),
    Key("experimental", "unread"),
)

_SERVER = (
    Key("port", "port"),
    Key("ip", "ip"),
    Key("tls", ".serverTls"),
    Key("label", "str"),
    Key("maxConcurrentRequests", "int", limit=Limit("initialPermits must be positive: {}", 1)),
    Key("announce", "[path]"),
    Key("clearContext", "bool", "0.9.0"),
    Key("timeoutMs", "int", _SPLIT),
    Key("socketOptions", ".socketOptions", "1.5.0"),
    Key("serverSession", ".session", "1.7.1"),
)

_CLIENT = (
    Key("tls", "@tlsClient", until=_SPLIT),
    Key("tls", ".clientTls", _SPLIT),
    Key("loadBalancer", "@balancer"),
    Key("hostConnectionPool", ".pool"),
    Key("retries", ".retries", until=_SPLIT, becomes="^.service.retries", why=_TO_SERVICE),
    Key("failureAccrual", "@accrual"),
    Key("failFast", "bool", _SPLIT, hint="failFast of the router before 1.0.0"),
    Key("requestAttemptTimeoutMs", "int", _SPLIT, hint="timeoutMs of the router before 1.0.0"),
    Key("requeueBudget", ".retryBudget", _SPLIT),
    Key("clientSession", ".session", "1.4.0"),
    Key("socketOptions", ".socketOptions", "1.6.2"),
)

_SERVICE = (
    Key("totalTimeoutMs", "int"),
    Key("retries", ".retries"),
    Key("responseClassifier", "@classifier"),
)

_ENDPOINT = (
    *keys("whole", "initialStreamWindowBytes headerTableBytes maxFrameBytes maxHeaderListBytes", "0.9.0"),
    Key("windowUpdateRatio", "number", "0.9.0"),
)

_AUTHORIZERS = (
    Key("loggers", "[@authorizer]", "1.1.1", "1.4.0", becomes="requestAuthorizers", why="the key has another name"),
    Key(
        "requestAuthorizers",
        "[@authorizer]",
        "1.4.0",
        "1.6.0",
        hint="loggers before 1.4.0, client.requestAuthorizers since 1.6.0",
        becomes="client.requestAuthorizers",
        why=_TO_CLIENT,
    ),
)
_CLIENT_AUTHORIZERS = (
    Key("requestAuthorizers", "[@authorizer]", "1.6.0", hint="requestAuthorizers of the router before 1.6.0"),
)
_ENGINE = (Key("engine", "@engine", until="1.3.0", gone="netty4 is the only engine"),)
_FORWARD_CERT = (Key("forwardClientCert", "bool", "1.3.2"),)
_PROPAGATOR = (Key("tracePropagator", "@propagator", "1.4.4"),)

_CA = Key("caCertPath", "str", until=_SPLIT, becomes="trustCerts[]", why="more than one certificate may be trusted")
_BOUND = Spread(
    "names",
    (("commonNamePattern", "commonName"),),
    (("caCertPath", "trustCerts[]"),),
    ("strict", "false"),
    "without `strict: false` a name that none of `names` has fails; from 1.0.0 on it would be sent without TLS",
)
_BY_PREFIX = (
    "client: {kind: io.l5d.static, configs: [{prefix: …, tls: {commonName: …}}]} since 1.0.0, one for each of `names`"
)

SHARED = (
    obj("session", "io.buoyant.linkerd.ClientSessionConfig", keys("int", "lifeTimeMs idleTimeMs")),
    obj("pool", "io.buoyant.linkerd.HostConnectionPool", keys("int", "minSize maxSize idleTimeMs maxWaiters")),
    obj(
        "serverTls",
        "io.buoyant.linkerd.TlsServerConfig",
        Key("certPath", "str", required=True),
        Key("keyPath", "str", required=True),
        Key("caCertPath", "str"),
        Key("ciphers", "[str]"),
        Key("requireClientAuth", "bool", "1.1.0"),
        Key("intermediateCertsPath", "str", "1.4.1"),
        Key("protocols", "[str]", "1.4.1"),
    ),
    obj(
        "clientTls",
        "io.buoyant.linkerd.TlsClientConfig",
        Key("enabled", "bool", "1.3.7"),
        Key("disableValidation", "bool"),
        Key("commonName", "str"),
        Key("trustCerts", "[str]", until="1.4.1"),
        Key(
            "trustCerts", "1+str", "1.4.1", "1.4.4"
        ),  # linkerd's own examples of the time give one path, its page a list
        Key("trustCerts", "[str]", "1.4.4"),
        Key("trustCertsBundle", "str", "1.4.4"),
        Key("clientAuth", ".clientAuth", "1.1.0"),
        Key("protocols", "[str]", "1.4.1"),
    ),
    obj(
        "clientAuth",
        "com.twitter.finagle.buoyant.ClientAuth",
        Key("certPath", "str", required=True),
        Key("keyPath", "str", required=True),
        Key("intermediateCertsPath", "str", "1.4.1"),
    ),
    obj("tls.static", "io.buoyant.linkerd.clientTls.StaticConfig", Key("commonName", "str"), _CA),
    obj("tls.none", "io.buoyant.linkerd.clientTls.NoValidationConfig"),
    obj(
        "tls.bound",
        "io.buoyant.linkerd.clientTls.BoundPathConfig",
        Key("caCertPath", "str"),
        Key("names", "[.tls.name]"),
        Key("strict", "unread"),
    ),
    obj("tls.name", "io.buoyant.linkerd.clientTls.NameMatcherConfig", keys("str", "prefix commonNamePattern")),
    Family(
        "tlsClient",
        "io.buoyant.linkerd.TlsClientConfig",
        (
            Kind("io.l5d.static", "tls.static", until=_SPLIT, flat=(), why=_NO_KINDS),
            Kind("io.l5d.noValidation", "tls.none", until=_SPLIT, flat=(("disableValidation", True),), why=_NO_KINDS),
            Kind("io.l5d.boundPath", "tls.bound", until=_SPLIT, hint=_BY_PREFIX, why=_NO_KINDS, spread=_BOUND),
        ),
    ),
)


def _names(keys_: Iterable[Key]) -> set[str]:
    return {key.name for key in keys_}


def _side(
    section: str, protocol: str, java: tuple[str, str], common: Iterable[Key], own: Iterable[Key]
) -> tuple[Object | Family, ...]:
    """`client` or `service` of a protocol: for all at once, or a list of configs by prefix. `java`: its name in the names of classes,
    and the class of `client` before 1.0.0, which has a constructor when it is the protocol's own.
    """
    common = tuple(common)
    every = (*common, *own)
    name = f"{protocol}.{section}"
    kind = Key("kind", "str", _SPLIT)
    side, before = java
    package = "io.buoyant.linkerd.protocol."
    first = _names(common) if before.startswith(package) else set()
    of_prefix = "PrefixConfig" if section == "client" else "SvcPrefixConfig"
    whole = "Client" if section == "client" else "Svc"
    return (
        obj(f"{name}.global", f"{package}{side}Default{whole}", kind, every, was=(_SPLIT, before), first=first),
        obj(
            f"{name}.static", f"{package}{side}Static{whole}", kind, Key("configs", f"[.{name}.prefix]", required=True)
        ),
        obj(f"{name}.prefix", f"{package}{side}{of_prefix}", Key("prefix", "str", required=True), every),
        Family(
            name,
            f"{package}{side}{whole}",
            (
                Kind("io.l5d.global", f"{name}.global", _SPLIT),
                Kind("io.l5d.default", f"{name}.global", until=_SPLIT),
                Kind("io.l5d.static", f"{name}.static", _SPLIT),
            ),
            default="io.l5d.global",
        ),
    )


def _protocol(
    name: str,
    java: str,
    router: Iterable[Key],
    server: Iterable[Key],
    client: Iterable[Key],
    service: Iterable[Key] = (),
    *,
    own: str = "router server client",
) -> tuple[Object | Family, ...]:
    """`own`: which of its classes have constructors with parameters, in 0.8.5; `server` and `client` have classes of their own then."""
    package = "io.buoyant.linkerd.protocol."
    always = (
        Key("servers", f"[.{name}.server]", required=True),
        Key("client", f".{name}.client.global", until=_SPLIT),
        Key("client", f"@{name}.client", _SPLIT),
        Key(
            "service",
            f"@{name}.service",
            _SPLIT,
            hint="retries and the classifier stand under client and router before 1.0.0",
        ),
    )
    server_class = "io.buoyant.linkerd.ServerConfig" if name == "mux" else f"{package}{java}ServerConfig"
    client_class = f"{package}{java}ClientConfig" if "client" in own else "io.buoyant.linkerd.ClientConfig"
    return (
        obj(
            f"{name}.router",
            f"{package}{java}Config",
            _ROUTER,
            router,
            always,
            first=_names((*_ROUTER, *always)) if "router" in own else (),
        ),
        obj(f"{name}.server", server_class, _SERVER, server, first=_names(_SERVER) if "server" in own else ()),
        *_side("client", name, (java, client_class), _CLIENT, client),
        *_side("service", name, (java, ""), _SERVICE, service),
    )


_PROTOCOL_WORDS = ("binary", "compact")
_NO_THRIFT = "unsupported thrift protocol {}"
_THRIFT_PROTOCOL = Key(
    "thriftProtocol",
    "str",
    until="1.1.0",
    becomes="^.thriftProtocol",
    why="one protocol for both sides",
    among=_PROTOCOL_WORDS,
    says=_NO_THRIFT,
)
_THRIFT = (
    Key("thriftMethodInDst", "bool"),
    Key(
        "thriftProtocol",
        "str",
        "1.1.0",
        hint="of servers and client before 1.1.0",
        among=_PROTOCOL_WORDS,
        says=_NO_THRIFT,
    ),
)
_THRIFT_CLIENT = (Key("thriftFramed", "bool"), Key("attemptTTwitterUpgrade", "bool"), _THRIFT_PROTOCOL)
_THRIFT_SERVER = (Key("thriftFramed", "bool"), _THRIFT_PROTOCOL)

HTTP = _protocol(
    "http",
    "Http",
    (
        Key("httpAccessLog", "str"),
        Key("httpAccessLogRollPolicy", "str", "1.4.0"),
        Key("httpAccessLogAppend", "bool", "1.4.0"),
        Key("httpAccessLogRotateCount", "int", "1.4.0"),
        Key("identifier", "1+@identifier"),
        *_AUTHORIZERS,
        Key("maxChunkKB", "int", until="1.6.0", gone="what is larger than streamAfterContentLengthKB is streamed"),
        *keys("int", "maxHeadersKB maxInitialLineKB"),
        *(
            Key(
                f"max{which}KB",
                "int",
                until="1.7.0",
                gone="what is larger than streamAfterContentLengthKB is streamed",
                limit=Limit(f"Max{which}Size should be less than 2 Gb", most=2 * 1024 * 1024 - 1),
            )
            for which in ("Request", "Response")
        ),
        Key("streamingEnabled", "bool"),
        Key("compressionLevel", "int"),
        Key("streamAfterContentLengthKB", "whole", "1.6.0"),
        Key("maxErrResponseKB", "whole", "1.7.0"),
        *_PROPAGATOR,
    ),
    (
        *_ENGINE,
        Key("addForwardedHeader", ".forwarded", "0.8.6"),
        Key("timestampHeader", "str", "1.3.1"),
        Key("maxCallDepth", "whole", "1.7.0"),
    ),
    (*_ENGINE, *_FORWARD_CERT, *_CLIENT_AUTHORIZERS),
)

H2 = _protocol(
    "h2",
    "H2",
    (
        Key("identifier", "1+@h2Identifier"),
        Key("h2AccessLog", "str", "1.3.6"),
        Key("h2AccessLogRollPolicy", "str", "1.4.0"),
        Key("h2AccessLogAppend", "bool", "1.4.0"),
        Key("h2AccessLogRotateCount", "int", "1.4.0"),
        *_AUTHORIZERS,
        *_PROPAGATOR,
    ),
    (
        *_ENDPOINT,
        Key("maxConcurrentStreamsPerConnection", "whole", "0.9.0"),
        Key("addForwardedHeader", ".forwarded", "1.4.1"),
    ),
    (*_ENDPOINT, *_FORWARD_CERT, *_CLIENT_AUTHORIZERS),
    (Key("classificationTimeoutMs", "whole", "1.1.3"), Key("retryBufferSize", ".retryBuffer", "1.1.3")),
    own="",
)

PROTOCOLS: tuple[Object | Family, ...] = (
    *HTTP,
    *H2,
    *_protocol("thrift", "Thrift", _THRIFT, _THRIFT_SERVER, _THRIFT_CLIENT),
    *_protocol("thriftmux", "ThriftMux", _THRIFT, _THRIFT_SERVER, _THRIFT_CLIENT),
    *_protocol("mux", "Mux", (), (), (), own=""),
    obj("retryBuffer", "io.buoyant.linkerd.protocol.RetryBufferSize", keys("whole", "requestBytes responseBytes")),
    Family(
        "router",
        "io.buoyant.linkerd.RouterConfig",
        (
            Kind("http", "http.router"),
            Kind("h2", "h2.router", experimental=("0.8.5", "1.3.5")),
            Kind("thrift", "thrift.router"),
            Kind("thriftmux", "thriftmux.router", "1.0.0", experimental=("1.0.0", None)),
            Kind("mux", "mux.router"),
        ),
        selector="protocol",
    ),
)

KNOWLEDGE = Knowledge()
KNOWLEDGE.add(*LINKER, *SHARED, *PROTOCOLS, *plugins.ALL, *namerd.ALL)
