"""Zipkin as Kubernetes objects: one pod on the node that has the volume, with its database beside it (ADR 0040).

The pod has a network of its own, not the node's: so the database's loopback is nobody's but Zipkin's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from provision.mesh.objects import Manifest, Platform, daemonset, object_of, service
from provision.mesh.ours import HOSTNAME

ZIPKIN = {"app": "zipkin"}
SECRET = "zipkin-database"  # noqa: S105 - the name of the object
PASSWORD = "password"  # noqa: S105 - its key

SCRIBE_PORT, API_PORT = 9410, 9411
"""Zipkin's own."""

USER = 10411
"""Who Zipkin runs as: nobody whom its image or the node knows, so that it may write to /tmp alone."""

WAITING = 200
"""Messages that may wait for the database, each of up to 100 spans; what comes beyond is dropped, and counted on Zipkin's /metrics."""

START_S = 1800
"""How long Zipkin's port may stay closed at its start: 330 s measured with a fiftieth of two busy CPUs, and emulation is slower."""

GRACE_S = 60
"""The database writes what it has in memory before it ends; it needs seconds, and loses nothing without them."""


@dataclass(frozen=True)
class Keeper:
    """Who keeps traces: images, the node, the folder that its data volume is mounted at, the Service's address, and the limits."""

    zipkin_image: str
    database_image: str
    node: str
    folder: str
    address: str
    max_age_h: int
    max_bytes: int
    memory_mib: int

    @property
    def database_mib(self) -> int:
        """The database's part of the memory: a third, of which InnoDB's pool is a quarter."""
        return self.memory_mib // 3

    @property
    def zipkin_mib(self) -> int:
        """Zipkin's part: half of it is the JVM's heap, an eighth its buffers."""
        return self.memory_mib - self.database_mib


def zipkin(
    keeper: Keeper, namespace: str, marks: Mapping[str, str], platform: Platform
) -> tuple[Manifest, Manifest, Manifest]:
    """The Secret without its password, which is drawn where it is made; the Service at its address; and the pod, as a DaemonSet for one
    node: there are never two pods of it on one volume, and eviction leaves it alone.
    """
    labels = {**ZIPKIN, **marks}
    pod = {
        "nodeSelector": {HOSTNAME: keeper.node},
        "terminationGracePeriodSeconds": GRACE_S,
        "volumes": [
            {"name": "data", "hostPath": {"path": keeper.folder}},
            {"name": "password", "secret": {"secretName": SECRET}},
            {"name": "run", "emptyDir": {"medium": "Memory"}},
        ],
        "containers": [_database(keeper), _zipkin(keeper)],
    }
    front = service("zipkin", namespace, ZIPKIN, marks, {"scribe": SCRIBE_PORT, "http": API_PORT})
    return (
        object_of("v1", "Secret", SECRET, namespace, labels, type="Opaque"),
        {**front, "spec": {**front["spec"], "clusterIP": keeper.address}},
        daemonset(platform, "zipkin", namespace, labels, ZIPKIN, pod, {}),
    )


def _database(keeper: Keeper) -> Manifest:
    said: dict[str, str | int] = {
        "MAX_AGE_H": keeper.max_age_h,
        "MAX_BYTES": keeper.max_bytes,
        "BUFFER_MIB": keeper.database_mib // 4,
        "PASSWORD_FILE": f"/secret/{PASSWORD}",
    }
    return {
        "name": "database",
        "image": keeper.database_image,
        "imagePullPolicy": "IfNotPresent",
        "env": _env(said),
        "resources": _limits(keeper.database_mib),
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "password", "mountPath": "/secret", "readOnly": True},
            {"name": "run", "mountPath": "/run"},
        ],
    }


def _zipkin(keeper: Keeper) -> Manifest:
    options = " ".join(
        (
            f"-Xmx{keeper.zipkin_mib // 2}m",
            f"-XX:MaxDirectMemorySize={keeper.zipkin_mib // 8}m",
            "-XX:+ExitOnOutOfMemoryError",
            "-XX:+PerfDisableSharedMem",
        )
    )
    said: dict[str, str | int] = {
        "STORAGE_TYPE": "mysql",
        "MYSQL_HOST": "127.0.0.1",
        "MYSQL_TCP_PORT": 3306,
        "MYSQL_USER": "zipkin",
        "COLLECTOR_SCRIBE_ENABLED": "true",
        "COLLECTOR_PORT": SCRIBE_PORT,
        "COLLECTOR_HTTP_ENABLED": "false",  # linkerd 1.x speaks scribe alone
        # Without it whatever comes faster than the database stores it waits in the heap (measured: 20,000 spans behind 50 a second).
        "STORAGE_THROTTLE_ENABLED": "true",
        "STORAGE_THROTTLE_MAX_CONCURRENCY": 10,
        "STORAGE_THROTTLE_MAX_QUEUE_SIZE": WAITING,
        "QUERY_PORT": API_PORT,
        "QUERY_LOOKBACK": keeper.max_age_h * 3_600_000,
        "JAVA_TOOL_OPTIONS": options,
        "JAVA_OPTS": options,  # what openzipkin's own image reads, and puts behind the other
    }
    password = {"name": "MYSQL_PASS", "valueFrom": {"secretKeyRef": {"name": SECRET, "key": PASSWORD}}}
    # The health is that of the storage too. A JVM needs minutes on a slow host, and is not killed for it.
    return {
        "name": "zipkin",
        "image": keeper.zipkin_image,
        "imagePullPolicy": "IfNotPresent",
        "env": [*_env(said), password],
        "ports": [{"name": "scribe", "containerPort": SCRIBE_PORT}, {"name": "http", "containerPort": API_PORT}],
        "securityContext": {"runAsUser": USER},
        "resources": _limits(keeper.zipkin_mib),
        "readinessProbe": {
            "httpGet": {"path": "/health", "port": API_PORT},
            "initialDelaySeconds": 10,
            "periodSeconds": 10,
            "timeoutSeconds": 10,
        },
        "livenessProbe": {
            "tcpSocket": {"port": API_PORT},
            "initialDelaySeconds": START_S,
            "periodSeconds": 20,
            "timeoutSeconds": 10,
            "failureThreshold": 6,
        },
    }


def _env(said: Mapping[str, str | int]) -> list[dict[str, Any]]:
    return [{"name": name, "value": str(value)} for name, value in said.items()]


def _limits(mib: int) -> dict[str, Any]:
    return {"requests": {"cpu": "50m", "memory": f"{mib}Mi"}, "limits": {"memory": f"{mib}Mi"}}
