"""The start-up checks of form: is there a file, is it YAML, are all its keys and kinds known? In the order of linkerd's own work."""

from __future__ import annotations

from provision.linkerd.pages.model import refused

_POD = """
    apiVersion: v1
    kind: ConfigMap
    metadata: {name: l5d-config}
    data:
      config.yaml: |
        routers:
        - protocol: http
          servers: [{port: 4140, ip: 0.0.0.0}]
    ---
    apiVersion: extensions/v1beta1
    kind: DaemonSet
    metadata: {name: l5d}
    spec:
      template:
        spec:
          volumes: [{name: l5d-config, configMap: {name: l5d-config}}]
          containers:
          - name: l5d
            image: buoyantio/linkerd:0.8.5
            args: ARGS
            volumeMounts: [{name: l5d-config, mountPath: /io.buoyant/linkerd/config}]
"""
_RIGHT = _POD.replace("ARGS", "[/io.buoyant/linkerd/config/config.yaml]")

SHAPES = (
    refused(
        "ML301",
        "linkerd is started without exactly one file name",
        happens="""linkerd takes one argument, the path of its configuration (from 1.3.7 on `-validate` may stand before it), and prints
        its usage for anything else. In a Kubernetes manifest the argument stands in the container's `args`.""",
        matters="The container ends at once and is started again and again: CrashLoopBackOff.",
        fix="`args: [/io.buoyant/linkerd/config/config.yaml]`.",
        linkerd="usage: linkerd path/to/config",
        example=_POD.replace("ARGS", "[]"),
        near_miss=_RIGHT,
    ),
    refused(
        "ML302",
        "the configuration is not a file",
        happens="""The path that linkerd is given is not a file: `meshctl mesh validate` was given such a path, or, in a Kubernetes
        manifest, the ConfigMap that is mounted there has no key of this name. The key of the ConfigMap is the name of the file.""",
        matters="The container ends at once and is started again and again.",
        fix="Name the ConfigMap's key as the last part of the argument: `config.yaml`.",
        linkerd="config is not a file: …",
        example=_POD.replace("ARGS", "[/io.buoyant/linkerd/config/linkerd.yaml]"),
        near_miss=_RIGHT,
    ),
    refused(
        "ML303",
        "not readable, or a value of another form than linkerd wants",
        happens="""The file is empty, is not YAML (or not JSON, when it begins with `{`), or a mapping stands where linkerd wants a
        list, a text where it wants a number, and so on. Numbers and `true` may stand in quotes.""",
        matters="linkerd prints a stack trace and ends; its text speaks of Java classes and often of another line.",
        fix="Write what the finding says at its position.",
        linkerd="Can not deserialize instance of …",
        example="""
            routers:
              protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              servers: [{port: "4140", ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML304",
        "an unknown section at the top",
        happens="""Linkerd's file has `namers`, `routers`, `telemetry`, `admin`, until 0.9.0 `tracers` and from 0.9.0 on `usage`. Any
        other key at the top is refused, even one that is only for a later release.""",
        matters="One key of another release keeps the whole of linkerd from starting.",
        fix="Take the key out, or use the release that knows it: the finding names it.",
        linkerd='Unrecognized field "…" (class io.buoyant.linkerd.Linker$LinkerConfig), not marked as ignorable',
        example="""
            usage: {enabled: false}
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            tracers: []
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML305",
        "an unknown key of a router",
        happens="""A router has a key that the release does not know. The most frequent one is `dtab`: until 0.9.0 it is called
        `baseDtab`, and no release knows both.""",
        matters="linkerd does not start; and it names only the first such key.",
        fix="Use the key of this release; the finding names it, or the nearest one.",
        linkerd='Unrecognized field "…" (class io.buoyant.linkerd.protocol.HttpConfig), not marked as ignorable',
        example="""
            routers:
            - protocol: http
              dtab: /http/*/* => /$/inet/127.0.0.1/8080
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              baseDtab: /http/*/* => /$/inet/127.0.0.1/8080
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML306",
        "an unknown key of a client",
        happens="""`client` has a key that the release does not know. 1.0.0 moved `retries` from here to `service`, and brought the kinds
        `io.l5d.global` and `io.l5d.static`; `engine` is gone from 1.3.0 on; a response classifier never stood here.""",
        matters="linkerd does not start.",
        fix="Put the key where this release reads it; the finding says where.",
        linkerd='Unrecognized field "…" (class io.buoyant.linkerd.protocol.HttpClientConfig), not marked as ignorable',
        example="""
            routers:
            - protocol: http
              client:
                requestAttemptTimeoutMs: 500
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              timeoutMs: 500
              client: {}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML307",
        "an unknown key of a server",
        happens="A server has a key that the release does not know, such as `clearContext` before 0.9.0.",
        matters="linkerd does not start.",
        fix="Take it out, or use the release that knows it.",
        linkerd='Unrecognized field "…" (class io.buoyant.linkerd.protocol.HttpServerConfig), not marked as ignorable',
        example="""
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0, clearContext: true}]
        """,
        near_miss="""
            routers:
            - protocol: http
              servers: [{port: 4140, ip: 0.0.0.0, maxConcurrentRequests: 900}]
        """,
    ),
    refused(
        "ML308",
        "an unknown key of any other part",
        happens="""A namer, identifier, interpreter, transformer, telemeter, balancer, retry policy, `admin`, `tls`, `bindingCache` or
        another part has a key that the release does not know. linkerd's own documentation is wrong in places: the aperture
        balancer has `smoothWindowMs`, not `smoothWin`.""",
        matters="linkerd does not start.",
        fix="The finding names the nearest key, or the release that has it.",
        linkerd='Unrecognized field "…" (class …), not marked as ignorable',
        example="""
            routers:
            - protocol: http
              client: {loadBalancer: {kind: aperture, smoothWin: 100}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              client: {loadBalancer: {kind: aperture, smoothWindowMs: 100}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML309",
        "an unknown kind or protocol",
        happens="""The `kind` of a plugin, or the `protocol` of a router, is none that the release has. Kinds were renamed: h2's
        `io.l5d.headerToken` became `io.l5d.header.token`, and with 1.0.0 the classifiers got `http` into their names. A kind that a
        jar of your own brings is made known with `--plugin KIND`.""",
        matters="linkerd does not start.",
        fix="Use the kind that the finding names.",
        linkerd="Could not resolve type id '…' into a subtype of [simple type, class …]",
        example="""
            routers:
            - protocol: http
              client:
                failureAccrual: {kind: io.l5d.failureAccrual.consecutiveFailures, failures: 5}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              client:
                failureAccrual: {kind: io.l5d.consecutiveFailures, failures: 5}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
    refused(
        "ML310",
        "a kind, a protocol or another required key is missing",
        happens="""Plugins are chosen by `kind`, routers by `protocol`; there is no default for them, except that `client` and `service`
        are `io.l5d.global`. Some plugins cannot be made without a key, such as the file namer without `rootDir`.""",
        matters="linkerd does not start.",
        fix="Add the key.",
        linkerd="missing property 'kind' that is to contain type id",
        example="""
            routers:
            - protocol: http
              client: {loadBalancer: {decayTimeMs: 10000}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
        near_miss="""
            routers:
            - protocol: http
              client: {loadBalancer: {kind: ewma, decayTimeMs: 10000}}
              servers: [{port: 4140, ip: 0.0.0.0}]
        """,
    ),
)
