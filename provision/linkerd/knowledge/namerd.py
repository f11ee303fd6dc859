"""What namerd of the same releases reads in its own file: storage, namers, interfaces. Data, from its configuration classes and pages."""

from __future__ import annotations

from provision.linkerd.knowledge.schema import Family, Key, Kind, keys, obj

_STORAGE = (Key("experimental", "bool"),)
_ADDRESS = (Key("host", "str"), Key("port", "port"))
_INTERFACE = (
    Key("ip", "ip"),
    Key("port", "port"),
    Key("tls", ".serverTls"),
    Key("socketOptions", ".socketOptions", "1.5.0"),
)

ALL = (
    obj(
        "namerd",
        "io.buoyant.namerd.NamerdConfig",
        Key("admin", ".admin"),
        Key("storage", "@dtabStore", required=True),
        Key("namers", "[@namer]"),
        Key("interfaces", "[@interface]", required=True),
        Key("telemetry", "[@telemeter]"),
    ),
    obj("storage.inMemory", "io.buoyant.namerd.storage.InMemory", _STORAGE, Key("namespaces", "{dtab}")),
    obj("storage.k8s", "io.buoyant.namerd.storage.K8sConfig", _STORAGE, _ADDRESS, Key("namespace", "str")),
    obj(
        "storage.zk",
        "io.buoyant.namerd.storage.ZkConfig",
        _STORAGE,
        Key("zkAddrs", "[.zkAddr]", required=True),
        Key("pathPrefix", "str"),
        Key("sessionTimeoutMs", "int"),
        Key("authInfo", ".storage.zk.auth"),
        Key("acls", "[.storage.zk.acl]"),
    ),
    obj("storage.zk.auth", "io.buoyant.namerd.storage.AuthInfo", keys("str", "scheme auth")),
    obj("storage.zk.acl", "io.buoyant.namerd.storage.Acl", keys("str", "scheme id perms")),
    obj(
        "storage.etcd",
        "io.buoyant.namerd.storage.etcd.EtcdConfig",
        _STORAGE,
        _ADDRESS,
        Key("pathPrefix", "path"),
        Key("tls", ".clientTls", "1.4.6"),
    ),
    obj(
        "storage.consul",
        "io.buoyant.namerd.storage.consul.ConsulConfig",
        _STORAGE,
        _ADDRESS,
        Key("pathPrefix", "path"),
        keys("str", "token datacenter readConsistencyMode writeConsistencyMode"),
        Key("failFast", "bool"),
        Key("backoff", "@backoff", "1.4.1"),
        Key("tls", ".clientTls", "1.3.7"),
    ),
    Family(
        "dtabStore",
        "io.buoyant.namerd.DtabStoreConfig",
        (
            Kind("io.l5d.inMemory", "storage.inMemory"),
            Kind("io.l5d.k8s", "storage.k8s"),
            Kind("io.l5d.zk", "storage.zk"),
            Kind("io.l5d.etcd", "storage.etcd", experimental=("0.8.5", None)),
            Kind("io.l5d.consul", "storage.consul"),
        ),
    ),
    obj(
        "interface.thrift",
        "io.buoyant.namerd.iface.ThriftInterpreterInterfaceConfig",
        _INTERFACE,
        keys("int", "retryBaseSecs retryJitterSecs"),
        Key("cache", ".interface.cache"),
    ),
    obj(
        "interface.cache",
        "io.buoyant.namerd.iface.CapacityConfig",
        keys("int", "bindingCacheActive bindingCacheInactive addrCacheActive addrCacheInactive"),
        Key("bindingCacheTTLSecs", "int", "1.3.0"),
        Key("addrCacheTTLSecs", "int", "1.3.0"),
    ),
    obj("interface.http", "io.buoyant.namerd.iface.HttpControlServiceConfig", _INTERFACE),
    obj("interface.mesh", "io.buoyant.namerd.iface.MeshIfaceConfig", _INTERFACE),
    obj("interface.destination", "io.buoyant.namerd.iface.DestinationIfaceConfig", _INTERFACE),
    Family(
        "interface",
        "io.buoyant.namerd.InterfaceConfig",
        (
            Kind("io.l5d.thriftNameInterpreter", "interface.thrift"),
            Kind("io.l5d.httpController", "interface.http"),
            Kind("io.l5d.mesh", "interface.mesh", "0.9.1"),
            Kind("io.l5d.destination", "interface.destination", "1.4.0"),
        ),
    ),
)
"""Where the release that brought a key is not certain, the earliest possible one stands here, as everywhere in the knowledge."""
