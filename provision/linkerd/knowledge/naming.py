"""What linkerd 0.8.5 … 1.7.5 reads below namers, transformers and interpreters: data, read by all.

From linkerd's configuration classes and CHANGES.md. Where the release that brought a key is not written there, the earliest
possible one stands here: refusing what linkerd takes is the worse fault.
"""

from __future__ import annotations

from provision.linkerd.knowledge.schema import Family, Key, Kind, obj
from provision.linkerd.knowledge.schema import keys as _keys

ALWAYS = ("0.8.5", None)

EXPERIMENTAL = Key("experimental", "unread")
"""Compared with true, and only where it is needed: of anything else nothing is said."""

_NAMER = (Key("prefix", "path"), EXPERIMENTAL, Key("transformers", "[@transformer]"))
_NAMERS = ("prefix", "experimental", "transformers")
_INET = "/$/inet/{}/1"
K8S = (*_keys("str", "host"), *_keys("port", "port"))
MIXER = (*_keys("str", "mixerHost"), *_keys("port", "mixerPort"))
ISTIO = (*_keys("str", "discoveryHost apiserverHost"), *_keys("port", "discoveryPort apiserverPort"), *MIXER)

NAMERS = (
    obj("namer.fs", "io.buoyant.namer.fs.FsConfig", _NAMER, Key("rootDir", "str", required=True), first=_NAMERS),
    obj(
        "namer.serversets",
        "io.buoyant.namer.serversets.ServersetsConfig",
        _NAMER,
        Key("zkAddrs", "[.zkHost]", required=True),
        first=_NAMERS,
    ),
    obj(
        "namer.zkLeader",
        "io.buoyant.namer.zk.ZkLeaderNamerConfig",
        _NAMER,
        Key("zkAddrs", "[.zkAddr]", required=True),
        first=_NAMERS,
    ),
    obj(
        "namer.curator",
        "io.buoyant.namer.curator.CuratorConfig",
        _NAMER,
        Key("zkAddrs", "[.zkHost]", required=True),
        Key("basePath", "str"),
        first=_NAMERS,
    ),
    obj("zkHost", "io.buoyant.config.types.HostAndPort", Key("host", "str", required=True), Key("port", "port")),
    obj("zkAddr", "io.buoyant.config.types.HostAndPort", Key("host", "str"), Key("port", "port")),
    obj(
        "namer.consul",
        "io.buoyant.namer.consul.ConsulConfig",
        _NAMER,
        Key("host", "str", within=_INET),
        Key("port", "port"),
        _keys("bool", "includeTag useHealthCheck setHost failFast"),
        Key("token", "str"),
        Key(
            "consistencyMode",
            "str",
            among=("default", "stale", "consistent"),
            says="Illegal Consul consistency mode level: {}",
        ),
        Key("preferServiceAddress", "bool", "0.9.0"),
        Key("healthStatuses", "[str]", "1.2.0"),
        Key("weights", "[.tagWeight]", "1.3.2"),
        Key("tls", ".clientTls", "1.3.7"),
        _keys("whole", "maxHeadersKB maxInitialLineKB maxRequestKB maxResponseKB", "1.6.4"),
        Key("fixedLengthStreamedAfterKB", "whole", "1.7.0"),
        Key("transferMetadata", "truth", "1.7.0"),
        first=_NAMERS,
    ),
    obj("tagWeight", "io.buoyant.namer.consul.TagWeight", Key("tag", "str"), Key("weight", "number")),
    obj("namer.k8s", "io.buoyant.namer.k8s.K8sConfig", _NAMER, K8S, Key("labelSelector", "str"), first=_NAMERS),
    obj(
        "namer.k8s.external",
        "io.buoyant.namer.k8s.K8sExternalConfig",
        _NAMER,
        K8S,
        Key("labelSelector", "str"),
        first=_NAMERS,
    ),
    obj("namer.k8s.ns", "io.buoyant.namer.k8s.K8sNamespacedConfig", _NAMER, K8S, _keys("str", "labelSelector envVar")),
    obj("namer.istio", "io.buoyant.namer.k8s.IstioConfig", _NAMER, K8S, Key("pollIntervalMs", "whole")),
    obj(
        "namer.marathon",
        "io.buoyant.namer.marathon.MarathonConfig",
        _NAMER,
        K8S,
        _keys("str", "uriPrefix dst"),
        Key("ttlMs", "int"),
        Key("jitterMs", "int", "1.1.1"),
        Key("useHealthCheck", "bool"),
        Key("tls", ".clientTls", "1.1.2"),
        first=_NAMERS,
    ),
    obj(
        "namer.dnssrv",
        "io.buoyant.namer.dnssrv.DnsSrvNamerConfig",
        _NAMER,
        Key("refreshIntervalSeconds", "whole"),
        Key("dnsHosts", "[str]"),
        Key("domain", "str", "1.3.0"),
    ),
    obj(
        "namer.rancher",
        "io.buoyant.namer.rancher.RancherConfig",
        _NAMER,
        Key("portMappings", "{whole}"),
        Key("maxWait", "whole"),
    ),
    obj("namer.rewrite", "io.buoyant.namer.RewritingNamerConfig", _NAMER, _keys("str", "pattern name")),
    Family(
        "namer",
        "io.buoyant.namer.NamerConfig",
        (
            Kind("io.l5d.fs", "namer.fs"),
            Kind("io.l5d.serversets", "namer.serversets"),
            Kind("io.l5d.zkLeader", "namer.zkLeader"),
            Kind("io.l5d.curator", "namer.curator", experimental=ALWAYS),
            Kind("io.l5d.consul", "namer.consul"),
            Kind("io.l5d.k8s", "namer.k8s"),
            Kind("io.l5d.k8s.external", "namer.k8s.external", experimental=ALWAYS),
            Kind("io.l5d.k8s.ns", "namer.k8s.ns", "1.0.1"),
            Kind("io.l5d.k8s.istio", "namer.istio", "1.1.0", experimental=ALWAYS),
            Kind("io.l5d.marathon", "namer.marathon", experimental=("0.8.5", "1.0.0")),
            Kind("io.l5d.dnssrv", "namer.dnssrv", "1.2.0", experimental=ALWAYS),
            Kind("io.l5d.rancher", "namer.rancher", "1.3.5", experimental=ALWAYS),
            Kind("io.l5d.rewrite", "namer.rewrite", "0.8.6"),
        ),
    ),
)

_PREFIX = Key("prefix", "path")
_DAEMONSET = "/io.l5d.k8s.daemonset/{}"

TRANSFORMERS = (
    obj("transformer.none", "io.buoyant.transformer.perHost.LocalhostTransformerConfig", _PREFIX),
    obj(
        "transformer.port",
        "io.buoyant.transformer.perHost.PortTransformerConfig",
        _PREFIX,
        Key("port", "port", required=True),
        first=("prefix",),
    ),
    obj(
        "transformer.const",
        "io.buoyant.namer.ConstTransformerConfig",
        _PREFIX,
        Key("path", "path"),
        first=("prefix",),
    ),
    obj(
        "transformer.replace",
        "io.buoyant.namer.ReplaceTransformerConfig",
        _PREFIX,
        Key("path", "path"),
        first=("prefix",),
    ),
    obj(
        "transformer.host",
        "io.buoyant.transformer.perHost.SpecificHostTransformerConfig",
        _PREFIX,
        Key("host", "str", required=True),
    ),
    obj(
        "transformer.daemonset",
        "io.buoyant.transformer.k8s.DaemonSetTransformerConfig",
        _PREFIX,
        Key("k8sHost", "str", within=_INET),
        Key("k8sPort", "port"),
        Key("namespace", "str", required=True, within=_DAEMONSET),
        Key("service", "str", required=True, within=_DAEMONSET),
        Key("port", "str", required=True, within=_DAEMONSET),
        Key("hostNetwork", "bool"),
        first=("prefix",),
    ),
    obj(
        "transformer.localnode",
        "io.buoyant.transformer.k8s.LocalNodeTransformerConfig",
        _PREFIX,
        Key("hostNetwork", "bool"),
        first=("prefix",),
    ),
    Family(
        "transformer",
        "io.buoyant.namer.TransformerConfig",
        (
            Kind("io.l5d.localhost", "transformer.none"),
            Kind("io.l5d.port", "transformer.port"),
            Kind("io.l5d.const", "transformer.const"),
            Kind("io.l5d.replace", "transformer.replace"),
            Kind("io.l5d.specificHost", "transformer.host", "1.1.0"),
            Kind("io.l5d.k8s.daemonset", "transformer.daemonset"),
            Kind("io.l5d.k8s.localnode", "transformer.localnode"),
        ),
    ),
)

_FINAGLE = "finagle does not support it"
_INTERPRETER = (EXPERIMENTAL, Key("transformers", "[@transformer]"))
_INTERPRETERS = ("experimental", "transformers")
_NAMERD = (Key("dst", "path", required=True), Key("retry", ".namerdRetry"))

INTERPRETERS = (
    obj("interpreter.default", "io.buoyant.namer.DefaultInterpreterConfig", _INTERPRETER),
    obj(
        "namerdRetry",
        "io.buoyant.namerd.iface.Retry",
        *_keys("whole", "baseSeconds maxSeconds"),
        ordered=("baseSeconds", "maxSeconds", "illegal retry values: baseSeconds={} maxSeconds={}"),
    ),
    obj("namerdTls", "io.buoyant.namerd.iface.ClientTlsConfig", *_keys("str", "commonName caCert")),
    obj(
        "failureThreshold",
        "io.buoyant.namerd.iface.FailureThresholdConfig",
        *_keys("int", "minPeriodMs closeTimeoutMs"),
        *_keys("int", "windowSize", until="1.5.0", gone=_FINAGLE),
        *_keys("number", "threshold", until="1.5.0", gone=_FINAGLE),
    ),
    obj(
        "interpreter.namerd",
        "io.buoyant.namerd.iface.NamerdInterpreterConfig",
        _INTERPRETER,
        _NAMERD,
        Key("namespace", "str"),
        Key("tls", ".namerdTls"),
        Key("failureThreshold", ".failureThreshold", "1.0.0"),
        first=_INTERPRETERS,
    ),
    obj(
        "interpreter.namerd.http",
        "io.buoyant.namerd.iface.NamerdHttpInterpreterConfig",
        _INTERPRETER,
        _NAMERD,
        Key("namespace", "str"),
        Key("tls", ".namerdTls", until="1.0.0"),
        Key("tls", ".clientTls", "1.0.0"),
        first=_INTERPRETERS,
    ),
    obj(
        "interpreter.mesh",
        "io.buoyant.interpreter.MeshInterpreterConfig",
        _INTERPRETER,
        _NAMERD,
        Key("root", "path"),
        Key("tls", "any", until="1.0.0"),
        Key("tls", ".clientTls", "1.0.0"),
        Key("failureThreshold", ".failureThreshold", "1.6.2"),
        Key("initialStreamWindowSizeKB", "whole", "1.7.1"),
    ),
    obj(
        "interpreter.fs",
        "io.buoyant.interpreter.fs.FsInterpreterConfig",
        _INTERPRETER,
        Key("dtabFile", "str", required=True),
        first=_INTERPRETERS,
    ),
    obj(
        "interpreter.configMap",
        "io.buoyant.interpreter.k8s.ConfigMapInterpreterConfig",
        _INTERPRETER,
        K8S,
        Key("name", "str", required=True),
        Key("filename", "str", required=True),
        Key("namespace", "str"),
    ),
    obj(
        "interpreter.consul",
        "io.buoyant.interpreter.consul.ConsulDtabInterpreterConfig",
        _INTERPRETER,
        K8S,
        Key("pathPrefix", "path"),
        _keys("str", "namespace token datacenter readConsistencyMode writeConsistencyMode"),
        Key("failFast", "truth"),
        Key("backoff", "@backoff"),
        Key("tls", ".clientTls"),
    ),
    obj(
        "interpreter.istio",
        "io.buoyant.interpreter.k8s.istio.IstioInterpreterConfig",
        _INTERPRETER,
        ISTIO,
        Key("pollIntervalMs", "whole"),
    ),
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
