"""What linkerd 0.8.5 … 1.7.5 reads below identifiers, telemeters, classifiers and the other plugins: data, read by all.

From linkerd's configuration classes and CHANGES.md, as in `naming`.
"""

from __future__ import annotations

from provision.linkerd.knowledge.naming import (
    ALWAYS,
    EXPERIMENTAL,
    INTERPRETERS,
    ISTIO,
    K8S,
    MIXER,
    NAMERS,
    TRANSFORMERS,
)
from provision.linkerd.knowledge.schema import Family, Key, Kind, Limit, Object, obj
from provision.linkerd.knowledge.schema import keys as _keys

_HTTP = "io.buoyant.linkerd.protocol.http."
_HEADER = obj("identifier.header", f"{_HTTP}HeaderIdentifierConfig", Key("header", "str"))
_TOKEN = obj("identifier.token", f"{_HTTP}HeaderTokenIdentifierConfig", Key("header", "str"))
_INGRESS = (
    *K8S,
    Key("namespace", "str"),
    Key("ingressClassAnnotation", "str", "1.2.0"),
    Key("ignoreDefaultBackends", "truth", "1.3.6"),
)

_ONE_NAME = "identifiers are called alike for HTTP/1.1 and h2"

IDENTIFIERS = (
    obj("identifier.methodAndHost", f"{_HTTP}MethodAndHostIdentifierConfig", Key("httpUriInDst", "bool")),
    obj("identifier.path", f"{_HTTP}PathIdentifierConfig", Key("segments", "int"), Key("consume", "bool")),
    _HEADER,
    _TOKEN,
    obj("identifier.static", f"{_HTTP}StaticIdentifierConfig", Key("path", "path", required=True)),
    obj("identifier.ingress", f"{_HTTP}IngressIdentifierConfig", _INGRESS),
    obj("identifier.istio", f"{_HTTP}IstioIdentifierConfig", ISTIO),
    obj("identifier.istioIngress", f"{_HTTP}IstioIngressIdentifierConfig", _INGRESS, ISTIO),
    Family(
        "identifier",
        "io.buoyant.linkerd.protocol.HttpIdentifierConfig",
        (
            Kind("io.l5d.methodAndHost", "identifier.methodAndHost"),
            Kind("io.l5d.path", "identifier.path"),
            Kind("io.l5d.header", "identifier.header"),
            Kind("io.l5d.header.token", "identifier.token"),
            Kind("io.l5d.static", "identifier.static"),
            Kind(
                "io.l5d.http.ingress", "identifier.ingress", "0.9.1", "1.0.0", becomes="io.l5d.ingress", why=_ONE_NAME
            ),
            Kind("io.l5d.ingress", "identifier.ingress", "1.0.0"),
            Kind("io.l5d.k8s.istio", "identifier.istio", "1.1.0"),
            Kind("io.l5d.k8s.istio-ingress", "identifier.istioIngress", "1.1.0"),
        ),
        tree=True,
    ),
    Family(
        "h2Identifier",
        "io.buoyant.linkerd.protocol.H2IdentifierConfig",
        (
            Kind(
                "io.l5d.headerToken", "identifier.h2token", until="1.0.0", becomes="io.l5d.header.token", why=_ONE_NAME
            ),
            Kind("io.l5d.headerPath", "identifier.h2path", until="1.0.0", becomes="io.l5d.header.path", why=_ONE_NAME),
            Kind("io.l5d.h2.ingress", "identifier.ingress", "0.9.1", "1.0.0", becomes="io.l5d.ingress", why=_ONE_NAME),
            Kind("io.l5d.header.token", "identifier.h2token", "1.0.0"),
            Kind("io.l5d.header.path", "identifier.h2path", "1.0.0"),
            Kind("io.l5d.path", "identifier.path", "1.0.0"),
            Kind("io.l5d.ingress", "identifier.ingress", "1.0.0"),
            Kind("io.l5d.k8s.istio", "identifier.istio", "1.1.0"),
            Kind("io.l5d.k8s.istio-ingress", "identifier.istioIngress", "1.1.0"),
        ),
        tree=True,
    ),
    obj(
        "identifier.h2path",
        "io.buoyant.linkerd.protocol.h2.HeaderPathIdentifierConfig",
        Key("header", "str"),
        Key("segments", "int"),
    ),
    obj("identifier.h2token", "io.buoyant.linkerd.protocol.h2.HeaderTokenIdentifierConfig", Key("header", "str")),
)

_FLAG = Key("experimental", "unread", "0.8.6")
_RATE = Limit(
    "Sample rate not within the valid range of 0-1, was {}", 0, 1, "ML324", "0.001 is one request of a thousand"
)
_UDP = Limit("port out of range:{}", 0, 65535)

TELEMETERS = (
    obj("telemeter.none", "io.buoyant.telemetry.CommonMetricsConfig", _FLAG),
    obj("telemeter.influxdb", "io.buoyant.telemetry.influxdb.InfluxDbConfig", _FLAG),
    obj(
        "telemeter.tracelog",
        "io.buoyant.telemetry.TracelogConfig",
        _FLAG,
        Key("sampleRate", "float"),
        Key("level", "level"),
    ),
    obj(
        "zipkin",
        "io.buoyant.telemetry.ZipkinConfig",
        Key("experimental", "unread", "0.9.0"),
        Key("host", "str"),
        Key("port", "int", limit=_UDP),
        Key("sampleRate", "float", limit=_RATE),
        was=("0.9.0", "io.buoyant.linkerd.tracer.ZipkinConfig"),
    ),
    obj(
        "telemeter.statsd",
        "io.buoyant.telemetry.StatsDConfig",
        EXPERIMENTAL,
        _keys("str", "prefix hostname"),
        _keys("whole", "port gaugeIntervalMs"),
        Key("sampleRate", "number"),
    ),
    obj(
        "telemeter.recent",
        "io.buoyant.telemetry.recentRequests.RecentRequestsConfig",
        EXPERIMENTAL,
        Key("sampleRate", "number"),
        Key("capacity", "whole"),
    ),
    obj(
        "telemeter.prometheus",
        "io.buoyant.telemetry.prometheus.PrometheusConfig",
        EXPERIMENTAL,
        Key("path", "str", "1.2.1"),
        Key("prefix", "str", "1.3.0"),
    ),
    obj(
        "telemeter.export",
        "io.buoyant.telemetry.admin.AdminMetricsExportConfig",
        EXPERIMENTAL,
        Key("snapshotIntervalSecs", "whole"),
    ),
    obj(
        "telemeter.newrelic",
        "io.buoyant.telemetry.newrelic.NewRelicConfig",
        EXPERIMENTAL,
        Key("license_key", "str", required=True),
        *_keys("str", "host prefix"),
        Key("dst", "path"),
    ),
    obj("telemeter.istio", "io.buoyant.telemetry.istio.IstioTelemeterConfig", EXPERIMENTAL, MIXER),
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
            Kind("io.l5d.influxdb", "telemeter.influxdb", "1.0.0"),
            Kind("io.l5d.newrelic", "telemeter.newrelic", "1.0.0", experimental=ALWAYS),
            Kind("io.l5d.istio", "telemeter.istio", "1.1.0", experimental=ALWAYS),
        ),
    ),
    Family("tracer", "io.buoyant.linkerd.TracerConfig", (Kind("io.l5d.zipkin", "zipkin", until="0.9.0"),)),
)

_RETRYABLE = ("nonRetryable5XX", "retryableRead5XX", "retryableIdempotent5XX")
_GRPC = (Key("retryableStatusCodes", "[whole]"), Key("successStatusCodes", "[whole]", "1.6.0"))


def _classifier(kind: str) -> str:
    """Its class, which is called as the last word of the id."""
    return f"classifier.{kind}"


CLASSIFIERS: tuple[Object | Family, ...] = (
    *(
        obj(_classifier(one), f"{_HTTP}{one[0].upper()}{one[1:]}Config")
        for one in (*_RETRYABLE, "allSuccessful", "retryableAll5XX")
    ),
    *(
        obj(f"classifier.h2.{one}", f"io.buoyant.linkerd.protocol.h2.{one[0].upper()}{one[1:]}Config")
        for one in (*_RETRYABLE, "allSuccessful", "retryableAll5XX")
    ),
    obj("classifier.grpc", "io.buoyant.linkerd.protocol.h2.grpc.GrpcClassifierConfig", _GRPC),
    Family(
        "classifier",
        "io.buoyant.linkerd.ResponseClassifierConfig",
        (
            *(
                Kind(
                    f"io.l5d.{one}",
                    _classifier(one),
                    until="1.0.0",
                    becomes=f"io.l5d.{{protocol}}.{one}",
                    why="each protocol has classifiers of its own",
                )
                for one in _RETRYABLE
            ),
            *(Kind(f"io.l5d.http.{one}", _classifier(one), "1.0.0") for one in _RETRYABLE),
            *(Kind(f"io.l5d.h2.{one}", f"classifier.h2.{one}") for one in _RETRYABLE),
            Kind("io.l5d.http.allSuccessful", "classifier.allSuccessful", "1.0.1"),
            Kind("io.l5d.h2.allSuccessful", "classifier.h2.allSuccessful", "1.0.1"),
            Kind("io.l5d.http.retryableAll5XX", "classifier.retryableAll5XX", "1.4.6"),
            Kind("io.l5d.h2.retryableAll5XX", "classifier.h2.retryableAll5XX", "1.4.6"),
            *(
                Kind(f"io.l5d.h2.grpc.{one}", "classifier.grpc", "1.1.3")
                for one in ("default", "alwaysRetryable", "neverRetryable", "retryableStatusCodes")
            ),
            Kind("io.l5d.h2.grpc.compliant", "classifier.grpc", "1.4.4"),
        ),
    ),
)

_ACCRUAL = (Key("backoff", "@backoff", acts="1.1.1"),)
_CORE = "io.buoyant.linkerd."
_FAILURES = f"{_CORE}failureAccrual."
_PROBATION = Key("enableProbation", "bool")
_PROBATIONS = ("enableProbation",)

BALANCING = (
    obj("balancer.p2c", f"{_CORE}P2C", Key("maxEffort", "int"), _PROBATION, first=_PROBATIONS),
    obj("balancer.roundRobin", f"{_CORE}RoundRobin", Key("maxEffort", "int"), _PROBATION, first=_PROBATIONS),
    obj("balancer.ewma", f"{_CORE}P2CEwma", *_keys("int", "decayTimeMs maxEffort"), _PROBATION, first=_PROBATIONS),
    obj(
        "balancer.aperture",
        f"{_CORE}Aperture",
        _keys("int", "smoothWindowMs maxEffort minAperture"),
        _keys("float", "lowLoad highLoad"),
        _PROBATION,
        first=_PROBATIONS,
    ),
    obj("balancer.heap", f"{_CORE}Heap", _PROBATION),
    Family(
        "balancer",
        "io.buoyant.linkerd.LoadBalancerConfig",
        (
            Kind("p2c", "balancer.p2c"),
            Kind("ewma", "balancer.ewma"),
            Kind("aperture", "balancer.aperture"),
            Kind("heap", "balancer.heap"),
            Kind("roundRobin", "balancer.roundRobin", "0.9.0"),
        ),
    ),
    obj("accrual.failures", f"{_FAILURES}ConsecutiveFailuresConfig", _ACCRUAL, Key("failures", "whole")),
    obj(
        "accrual.rate",
        f"{_FAILURES}SuccessRateConfig",
        _ACCRUAL,
        Key("successRate", "number"),
        Key("requests", "whole"),
    ),
    obj(
        "accrual.window",
        f"{_FAILURES}SuccessRateWindowedConfig",
        _ACCRUAL,
        Key("successRate", "number"),
        Key("window", "whole"),
    ),
    obj("accrual.none", f"{_FAILURES}NoneConfig", _ACCRUAL),
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
    obj("backoff.constant", f"{_CORE}ConstantBackoffConfig", Key("ms", "whole")),
    obj(
        "backoff.jittered",
        f"{_CORE}JitteredBackoffConfig",
        Key("minMs", "int", required=True),
        Key("maxMs", "int", required=True),
        ordered=("minMs", "maxMs", "requirement failed"),
    ),
    Family(
        "backoff",
        "io.buoyant.linkerd.BackoffConfig",
        (Kind("constant", "backoff.constant"), Kind("jittered", "backoff.jittered")),
    ),
    obj(
        "retryBudget",
        "io.buoyant.router.RetryBudgetConfig",
        Key("ttlSecs", "int", limit=Limit("requirement failed: ttl must be [1 second, 60 seconds]", 1, 60)),
        Key(
            "minRetriesPerSec",
            "int",
            limit=Limit("requirement failed: minRetriesPerSec must be non-negative: {}", 0),
        ),
        Key("percentCanRetry", "float", limit=Limit("requirement failed: percentCanRetry must", 0, 1000)),
    ),
    obj("retries", f"{_CORE}RetriesConfig", Key("backoff", "@backoff"), Key("budget", ".retryBudget")),
)

_ENGINE = "com.twitter.finagle.buoyant.linkerd.HttpEngine"

OTHERS = (
    obj(
        "announcer.zk",
        "io.buoyant.linkerd.announcer.serversets.ServersetsConfig",
        Key("prefix", "path"),
        Key("zkAddrs", "[.zkAddr]"),
        Key("pathPrefix", "path"),
    ),
    Family("announcer", "io.buoyant.linkerd.AnnouncerConfig", (Kind("io.l5d.serversets", "announcer.zk"),)),
    obj("istio.mixer", "io.buoyant.linkerd.protocol.http.IstioLoggerConfig", MIXER),
    Family("authorizer", "io.buoyant.linkerd.protocol.HttpLoggerConfig", (Kind("io.l5d.k8s.istio", "istio.mixer"),)),
    obj("propagator", "io.buoyant.linkerd.protocol.HttpTracePropagatorConfig"),
    Family(
        "propagator",
        "io.buoyant.linkerd.protocol.HttpTracePropagatorConfig",
        (
            Kind("io.l5d.default", "propagator"),
            Kind("io.l5d.linkerd", "propagator"),
            Kind("io.l5d.zipkin", "propagator", "1.4.6"),
        ),
    ),
    obj("labeler.none", "io.buoyant.linkerd.LabelerConfig"),
    obj("labeler.static", "io.buoyant.linkerd.StaticLabelerConfig", Key("label", "str")),
    Family(
        "labeler",
        "io.buoyant.linkerd.LabelerConfig",
        (
            *(Kind(one, "labeler.none") for one in ("ip", "ip:port", "connectionRandom", "requestRandom", "router")),
            Kind("static", "labeler.static"),
        ),
    ),
    obj(
        "forwarded",
        "io.buoyant.linkerd.protocol.http.AddForwardedHeaderConfig",
        Key("by", "@labeler"),
        Key("for", "@labeler"),
    ),
    obj("engine.netty3", f"{_ENGINE}$Netty3"),
    obj("engine.netty4", f"{_ENGINE}$Netty4"),
    Family(
        "engine",
        _ENGINE,
        (Kind("netty3", "engine.netty3"), Kind("netty4", "engine.netty4")),
    ),
)

ALL: tuple[Object | Family, ...] = (
    *NAMERS,
    *TRANSFORMERS,
    *INTERPRETERS,
    *IDENTIFIERS,
    *TELEMETERS,
    *CLASSIFIERS,
    *BALANCING,
    *OTHERS,
)
