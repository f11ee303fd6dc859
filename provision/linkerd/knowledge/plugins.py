"""What linkerd 0.8.5 … 1.7.5 reads below namers, interpreters, identifiers, telemeters and the other plugins: data, read by all.

From linkerd's configuration classes and CHANGES.md. Where the release that brought a key is not written there, the earliest
possible one stands here: refusing what linkerd takes is the worse fault.
"""

from __future__ import annotations

from provision.linkerd.knowledge.schema import Family, Key, Kind, obj
from provision.linkerd.knowledge.schema import keys as _keys

ALWAYS = ("0.8.5", None)

_EXPERIMENTAL = Key("experimental", "bool")
_NAMER = (Key("prefix", "path"), _EXPERIMENTAL, Key("transformers", "[@transformer]"))
_K8S = (*_keys("str", "host"), *_keys("port", "port"))
_MIXER = (*_keys("str", "mixerHost"), *_keys("port", "mixerPort"))
_ISTIO = (*_keys("str", "discoveryHost apiserverHost"), *_keys("port", "discoveryPort apiserverPort"), *_MIXER)

NAMERS = (
    obj("namer.fs", "FsConfig", _NAMER, Key("rootDir", "str", required=True)),
    obj("namer.zk", "ServersetsConfig", _NAMER, Key("zkAddrs", "[.zkAddr]", required=True)),
    obj("namer.curator", "CuratorConfig", _NAMER, Key("zkAddrs", "[.zkAddr]", required=True), Key("basePath", "str")),
    obj("zkAddr", "HostAndPort", Key("host", "str"), Key("port", "port")),
    obj(
        "namer.consul",
        "ConsulConfig",
        _NAMER,
        _K8S,
        _keys("bool", "includeTag useHealthCheck setHost failFast"),
        _keys("str", "token consistencyMode"),
        Key("preferServiceAddress", "bool", "0.9.0"),
        Key("healthStatuses", "[str]", "1.2.0"),
        Key("weights", "[.tagWeight]", "1.3.2"),
        Key("tls", ".clientTls", "1.3.7"),
        _keys("int", "maxHeadersKB maxInitialLineKB maxRequestKB maxResponseKB", "1.6.4"),
        Key("fixedLengthStreamedAfterKB", "int", "1.7.0"),
        Key("transferMetadata", "bool", "1.7.0"),
    ),
    obj("tagWeight", "TagWeight", Key("tag", "str"), Key("weight", "float")),
    obj("namer.k8s", "K8sConfig", _NAMER, _K8S, Key("labelSelector", "str")),
    obj("namer.k8s.ns", "K8sNamespacedConfig", _NAMER, _K8S, _keys("str", "labelSelector envVar")),
    obj("namer.istio", "IstioConfig", _NAMER, _K8S, Key("pollIntervalMs", "int")),
    obj(
        "namer.marathon",
        "MarathonConfig",
        _NAMER,
        _K8S,
        _keys("str", "uriPrefix dst"),
        _keys("int", "ttlMs jitterMs"),
        Key("useHealthCheck", "bool"),
        Key("tls", ".clientTls", "1.1.2"),
    ),
    obj(
        "namer.dnssrv",
        "DnsSrvNamerConfig",
        _NAMER,
        Key("refreshIntervalSeconds", "int"),
        Key("dnsHosts", "[str]"),
        Key("domain", "str", "1.3.0"),
    ),
    obj("namer.rancher", "RancherConfig", _NAMER, Key("portMappings", "{int}"), Key("maxWait", "int")),
    obj("namer.rewrite", "RewritingNamerConfig", _NAMER, _keys("str", "pattern name")),
    obj("namer.etcd", "EtcdConfig", _NAMER, _K8S, Key("pathPrefix", "path"), Key("tls", ".clientTls", "1.4.6")),
    Family(
        "namer",
        "io.buoyant.namer.NamerConfig",
        (
            Kind("io.l5d.fs", "namer.fs"),
            Kind("io.l5d.serversets", "namer.zk"),
            Kind("io.l5d.zkLeader", "namer.zk"),
            Kind("io.l5d.curator", "namer.curator", experimental=ALWAYS),
            Kind("io.l5d.consul", "namer.consul"),
            Kind("io.l5d.k8s", "namer.k8s"),
            Kind("io.l5d.k8s.external", "namer.k8s", experimental=ALWAYS),
            Kind("io.l5d.k8s.ns", "namer.k8s.ns", "1.0.1"),
            Kind("io.l5d.k8s.istio", "namer.istio", "1.1.0", experimental=ALWAYS),
            Kind("io.l5d.marathon", "namer.marathon", experimental=("0.8.5", "1.0.0")),
            Kind("io.l5d.dnssrv", "namer.dnssrv", "1.2.0", experimental=ALWAYS),
            Kind("io.l5d.rancher", "namer.rancher", "1.3.5", experimental=ALWAYS),
            Kind("io.l5d.rewrite", "namer.rewrite", "0.8.6"),
            Kind("io.l5d.etcd", "namer.etcd", experimental=ALWAYS),
        ),
    ),
)

TRANSFORMERS = (
    obj("transformer.none", "TransformerConfig", Key("prefix", "path")),
    obj("transformer.port", "PortTransformerConfig", Key("prefix", "path"), Key("port", "port", required=True)),
    obj("transformer.path", "ReplaceTransformerConfig", Key("prefix", "path"), Key("path", "path", required=True)),
    obj("transformer.host", "SpecificHostTransformerConfig", Key("prefix", "path"), Key("host", "str", required=True)),
    obj(
        "transformer.daemonset",
        "DaemonSetTransformerConfig",
        Key("prefix", "path"),
        *_keys("str", "k8sHost"),
        *_keys("port", "k8sPort"),
        Key("namespace", "str", required=True),
        Key("service", "str", required=True),
        Key("port", "str", required=True),
        Key("hostNetwork", "bool"),
    ),
    obj("transformer.localnode", "LocalNodeTransformerConfig", Key("prefix", "path"), Key("hostNetwork", "bool")),
    Family(
        "transformer",
        "io.buoyant.namer.TransformerConfig",
        (
            Kind("io.l5d.localhost", "transformer.none"),
            Kind("io.l5d.port", "transformer.port"),
            Kind("io.l5d.const", "transformer.path"),
            Kind("io.l5d.replace", "transformer.path"),
            Kind("io.l5d.specificHost", "transformer.host"),
            Kind("io.l5d.k8s.daemonset", "transformer.daemonset"),
            Kind("io.l5d.k8s.localnode", "transformer.localnode"),
        ),
    ),
)

_FINAGLE = "finagle does not support it"
_INTERPRETER = (_EXPERIMENTAL, Key("transformers", "[@transformer]"))
_NAMERD = (Key("dst", "path", required=True), Key("retry", ".namerdRetry"))

INTERPRETERS = (
    obj("interpreter.default", "DefaultInterpreterConfig", _INTERPRETER),
    obj("namerdRetry", "Retry", *_keys("int", "baseSeconds maxSeconds")),
    obj("namerdTls", "ClientTlsConfig", *_keys("str", "commonName caCert")),
    obj(
        "failureThreshold",
        "FailureThresholdConfig",
        *_keys("int", "minPeriodMs closeTimeoutMs"),
        *_keys("int", "windowSize", until="1.5.0", gone=_FINAGLE),
        *_keys("float", "threshold", until="1.5.0", gone=_FINAGLE),
    ),
    obj(
        "interpreter.namerd",
        "NamerdInterpreterConfig",
        _INTERPRETER,
        _NAMERD,
        Key("namespace", "str"),
        Key("tls", ".namerdTls"),
        Key("failureThreshold", ".failureThreshold", "1.0.0"),
    ),
    obj(
        "interpreter.namerd.http",
        "NamerdHttpInterpreterConfig",
        _INTERPRETER,
        _NAMERD,
        Key("namespace", "str"),
        Key("tls", "any", until="1.0.0"),
        Key("tls", ".clientTls", "1.0.0"),
    ),
    obj(
        "interpreter.mesh",
        "MeshInterpreterConfig",
        _INTERPRETER,
        _NAMERD,
        Key("root", "path"),
        Key("tls", "any", until="1.0.0"),
        Key("tls", ".clientTls", "1.0.0"),
        Key("failureThreshold", ".failureThreshold", "1.6.2"),
        Key("initialStreamWindowSizeKB", "int", "1.7.1"),
    ),
    obj("interpreter.fs", "FsInterpreterConfig", _INTERPRETER, Key("dtabFile", "str", required=True)),
    obj(
        "interpreter.configMap",
        "ConfigMapInterpreterConfig",
        _INTERPRETER,
        _K8S,
        Key("name", "str", required=True),
        Key("filename", "str", required=True),
        Key("namespace", "str"),
    ),
    obj(
        "interpreter.consul",
        "ConsulDtabInterpreterConfig",
        _INTERPRETER,
        _K8S,
        Key("pathPrefix", "path"),
        _keys("str", "namespace token datacenter readConsistencyMode writeConsistencyMode"),
        Key("failFast", "bool"),
        Key("backoff", "@backoff"),
        Key("tls", ".clientTls"),
    ),
    obj("interpreter.istio", "IstioInterpreterConfig", _INTERPRETER, _ISTIO, Key("pollIntervalMs", "int")),
    Family(
        "interpreter",
        "io.buoyant.namer.InterpreterConfig",
        (
            Kind("default", "interpreter.default"),
            Kind("io.l5d.namerd", "interpreter.namerd"),
            Kind("io.l5d.namerd.http", "interpreter.namerd.http", experimental=ALWAYS),
            Kind("io.l5d.mesh", "interpreter.mesh", "0.9.1", experimental=("0.9.1", "1.3.5")),
            Kind("io.l5d.fs", "interpreter.fs"),
            Kind("io.l5d.k8s.configMap", "interpreter.configMap", "1.2.0", experimental=ALWAYS),
            Kind("io.l5d.consul.interpreter", "interpreter.consul", "1.5.1"),
            Kind("io.l5d.k8s.istio", "interpreter.istio", "1.1.0", experimental=ALWAYS),
        ),
    ),
)

_HEADER = obj("identifier.header", "HeaderIdentifierConfig", Key("header", "str"))
_INGRESS = (
    *_K8S,
    Key("namespace", "str"),
    Key("ingressClassAnnotation", "str", "1.2.0"),
    Key("ignoreDefaultBackends", "bool", "1.3.6"),
)

_ONE_NAME = "identifiers are called alike for HTTP/1.1 and h2"

IDENTIFIERS = (
    obj("identifier.methodAndHost", "MethodAndHostIdentifierConfig", Key("httpUriInDst", "bool")),
    obj("identifier.path", "PathIdentifierConfig", Key("segments", "int"), Key("consume", "bool")),
    _HEADER,
    obj("identifier.static", "StaticIdentifierConfig", Key("path", "path", required=True)),
    obj("identifier.ingress", "IngressIdentifierConfig", _INGRESS),
    obj("identifier.istio", "IstioIdentifierConfig", _ISTIO),
    obj("identifier.istioIngress", "IstioIngressIdentifierConfig", _INGRESS, _ISTIO),
    Family(
        "identifier",
        "io.buoyant.linkerd.protocol.HttpIdentifierConfig",
        (
            Kind("io.l5d.methodAndHost", "identifier.methodAndHost"),
            Kind("io.l5d.path", "identifier.path"),
            Kind("io.l5d.header", "identifier.header"),
            Kind("io.l5d.header.token", "identifier.header"),
            Kind("io.l5d.static", "identifier.static"),
            Kind(
                "io.l5d.http.ingress", "identifier.ingress", "0.9.1", "1.0.0", becomes="io.l5d.ingress", why=_ONE_NAME
            ),
            Kind("io.l5d.ingress", "identifier.ingress", "1.0.0"),
            Kind("io.l5d.k8s.istio", "identifier.istio", "1.1.0"),
            Kind("io.l5d.k8s.istio-ingress", "identifier.istioIngress", "1.1.0"),
        ),
    ),
    Family(
        "h2Identifier",
        "io.buoyant.linkerd.protocol.H2IdentifierConfig",
        (
            Kind(
                "io.l5d.headerToken", "identifier.header", until="1.0.0", becomes="io.l5d.header.token", why=_ONE_NAME
            ),
            Kind("io.l5d.headerPath", "identifier.h2path", until="1.0.0", becomes="io.l5d.header.path", why=_ONE_NAME),
            Kind("io.l5d.h2.ingress", "identifier.ingress", "0.9.1", "1.0.0", becomes="io.l5d.ingress", why=_ONE_NAME),
            Kind("io.l5d.header.token", "identifier.header", "1.0.0"),
            Kind("io.l5d.header.path", "identifier.h2path", "1.0.0"),
            Kind("io.l5d.path", "identifier.path", "1.0.0"),
            Kind("io.l5d.ingress", "identifier.ingress", "1.0.0"),
            Kind("io.l5d.k8s.istio", "identifier.istio", "1.1.0"),
            Kind("io.l5d.k8s.istio-ingress", "identifier.istioIngress", "1.1.0"),
        ),
    ),
    obj("identifier.h2path", "HeaderPathIdentifierConfig", Key("header", "str"), Key("segments", "int")),
)

TELEMETERS = (
    obj("telemeter.none", "TelemeterConfig", _EXPERIMENTAL),
    obj("telemeter.tracelog", "TracelogConfig", _EXPERIMENTAL, Key("sampleRate", "float"), Key("level", "level")),
    obj("zipkin", "ZipkinConfig", _EXPERIMENTAL, Key("host", "str"), Key("port", "int"), Key("sampleRate", "rate")),
    obj(
        "telemeter.statsd",
        "StatsDConfig",
        _EXPERIMENTAL,
        _keys("str", "prefix hostname"),
        _keys("int", "port gaugeIntervalMs"),
        Key("sampleRate", "float"),
    ),
    obj("telemeter.recent", "RecentRequestsConfig", _EXPERIMENTAL, Key("sampleRate", "float"), Key("capacity", "int")),
    obj(
        "telemeter.prometheus",
        "PrometheusConfig",
        _EXPERIMENTAL,
        Key("path", "str", "1.2.1"),
        Key("prefix", "str", "1.3.0"),
    ),
    obj("telemeter.export", "AdminMetricsExportConfig", _EXPERIMENTAL, Key("snapshotIntervalSecs", "int")),
    obj(
        "telemeter.newrelic",
        "NewRelicConfig",
        _EXPERIMENTAL,
        Key("license_key", "str", required=True),
        *_keys("str", "host prefix"),
        Key("dst", "path"),
    ),
    obj("telemeter.istio", "IstioTelemeterConfig", _EXPERIMENTAL, _MIXER),
    Family(
        "telemeter",
        "io.buoyant.telemetry.TelemeterConfig",
        (
            Kind(
                "io.l5d.commonMetrics",
                "telemeter.none",
                until="0.9.0",
                becomes="io.l5d.prometheus",
                why="/admin/metrics.json is always there, and Prometheus' form is a telemeter's",
            ),
            Kind("io.l5d.tracelog", "telemeter.tracelog"),
            Kind("io.l5d.statsd", "telemeter.statsd", "0.8.6", experimental=ALWAYS),
            Kind("io.l5d.recentRequests", "telemeter.recent", "0.8.6"),
            Kind("io.l5d.prometheus", "telemeter.prometheus", "0.9.0"),
            Kind("io.l5d.zipkin", "zipkin", "0.9.0", hint="tracers: [{kind: io.l5d.zipkin, …}] before 0.9.0"),
            Kind("io.l5d.adminMetricsExport", "telemeter.export", "0.9.0"),
            Kind("io.l5d.influxdb", "telemeter.none", "1.0.0"),
            Kind("io.l5d.newrelic", "telemeter.newrelic", "1.0.0", experimental=ALWAYS),
            Kind("io.l5d.istio", "telemeter.istio", "1.1.0", experimental=ALWAYS),
        ),
    ),
    Family("tracer", "io.buoyant.linkerd.TracerConfig", (Kind("io.l5d.zipkin", "zipkin", until="0.9.0"),)),
)

_RETRYABLE = ("nonRetryable5XX", "retryableRead5XX", "retryableIdempotent5XX")
_GRPC = (Key("retryableStatusCodes", "[int]"), Key("successStatusCodes", "[int]", "1.6.0"))

CLASSIFIERS = (
    obj("classifier.none", "ResponseClassifierConfig"),
    obj("classifier.grpc", "GrpcClassifierConfig", _GRPC),
    Family(
        "classifier",
        "io.buoyant.linkerd.ResponseClassifierConfig",
        (
            *(
                Kind(
                    f"io.l5d.{one}",
                    "classifier.none",
                    until="1.0.0",
                    becomes=f"io.l5d.{{protocol}}.{one}",
                    why="each protocol has classifiers of its own",
                )
                for one in _RETRYABLE
            ),
            *(Kind(f"io.l5d.http.{one}", "classifier.none", "1.0.0") for one in _RETRYABLE),
            *(Kind(f"io.l5d.h2.{one}", "classifier.none", "1.0.0") for one in _RETRYABLE),
            *(Kind(f"io.l5d.{one}.allSuccessful", "classifier.none", "1.0.1") for one in ("http", "h2")),
            *(Kind(f"io.l5d.{one}.retryableAll5XX", "classifier.none", "1.4.6") for one in ("http", "h2")),
            *(
                Kind(f"io.l5d.h2.grpc.{one}", "classifier.grpc", "1.1.3")
                for one in ("default", "alwaysRetryable", "neverRetryable", "retryableStatusCodes")
            ),
            Kind("io.l5d.h2.grpc.compliant", "classifier.grpc", "1.4.4"),
        ),
    ),
)

_ACCRUAL = (Key("backoff", "@backoff", acts="1.1.1"),)

BALANCING = (
    obj("balancer.p2c", "P2C", Key("maxEffort", "int"), Key("enableProbation", "bool")),
    obj("balancer.ewma", "P2CEwma", *_keys("int", "decayTimeMs maxEffort"), Key("enableProbation", "bool")),
    obj(
        "balancer.aperture",
        "Aperture",
        _keys("int", "smoothWindowMs maxEffort minAperture"),
        _keys("float", "lowLoad highLoad"),
        Key("enableProbation", "bool"),
    ),
    obj("balancer.heap", "Heap", Key("enableProbation", "bool")),
    Family(
        "balancer",
        "io.buoyant.linkerd.LoadBalancerConfig",
        (
            Kind("p2c", "balancer.p2c"),
            Kind("ewma", "balancer.ewma"),
            Kind("aperture", "balancer.aperture"),
            Kind("heap", "balancer.heap"),
            Kind("roundRobin", "balancer.p2c", "0.9.0"),
        ),
    ),
    obj("accrual.failures", "ConsecutiveFailuresConfig", _ACCRUAL, Key("failures", "int")),
    obj("accrual.rate", "SuccessRateConfig", _ACCRUAL, Key("successRate", "float"), Key("requests", "int")),
    obj("accrual.window", "SuccessRateWindowedConfig", _ACCRUAL, Key("successRate", "float"), Key("window", "int")),
    obj("accrual.none", "NoneConfig", _ACCRUAL),
    Family(
        "accrual",
        "io.buoyant.linkerd.FailureAccrualConfig",
        (
            Kind("io.l5d.consecutiveFailures", "accrual.failures"),
            Kind("io.l5d.successRate", "accrual.rate"),
            Kind("io.l5d.successRateWindowed", "accrual.window"),
            Kind("none", "accrual.none"),
        ),
    ),
    obj("backoff.constant", "ConstantBackoffConfig", Key("ms", "int")),
    obj(
        "backoff.jittered",
        "JitteredBackoffConfig",
        Key("minMs", "int", required=True),
        Key("maxMs", "int", required=True),
    ),
    Family(
        "backoff",
        "io.buoyant.linkerd.BackoffConfig",
        (Kind("constant", "backoff.constant"), Kind("jittered", "backoff.jittered")),
    ),
    obj("retryBudget", "RetryBudgetConfig", *_keys("int", "ttlSecs minRetriesPerSec"), Key("percentCanRetry", "float")),
    obj("retries", "RetriesConfig", Key("backoff", "@backoff"), Key("budget", ".retryBudget")),
)

OTHERS = (
    obj(
        "announcer.zk",
        "ServersetsConfig",
        Key("prefix", "path"),
        Key("zkAddrs", "[.zkAddr]"),
        Key("pathPrefix", "path"),
    ),
    Family("announcer", "io.buoyant.linkerd.AnnouncerConfig", (Kind("io.l5d.serversets", "announcer.zk"),)),
    obj("istio.mixer", "IstioLoggerConfig", _MIXER),
    Family("authorizer", "io.buoyant.linkerd.protocol.HttpLoggerConfig", (Kind("io.l5d.k8s.istio", "istio.mixer"),)),
    obj("propagator", "TracePropagatorConfig"),
    Family(
        "propagator",
        "io.buoyant.linkerd.protocol.HttpTracePropagatorConfig",
        (
            Kind("io.l5d.default", "propagator"),
            Kind("io.l5d.linkerd", "propagator"),
            Kind("io.l5d.zipkin", "propagator", "1.4.6"),
        ),
    ),
    obj("labeler.none", "LabelerConfig"),
    obj("labeler.static", "StaticLabelerConfig", Key("label", "str")),
    Family(
        "labeler",
        "io.buoyant.linkerd.LabelerConfig",
        (
            *(Kind(one, "labeler.none") for one in ("ip", "ip:port", "connectionRandom", "requestRandom", "router")),
            Kind("static", "labeler.static"),
        ),
    ),
    obj("forwarded", "AddForwardedHeaderConfig", Key("by", "@labeler"), Key("for", "@labeler")),
    obj("engine.netty3", "HttpEngine$Netty3"),
    obj("engine.netty4", "HttpEngine$Netty4", Key("http2", "bool")),
    Family(
        "engine",
        "io.buoyant.linkerd.protocol.HttpEngine",
        (Kind("netty3", "engine.netty3"), Kind("netty4", "engine.netty4")),
    ),
)

ALL = (*NAMERS, *TRANSFORMERS, *INTERPRETERS, *IDENTIFIERS, *TELEMETERS, *CLASSIFIERS, *BALANCING, *OTHERS)
