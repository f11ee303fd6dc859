"""Lists asked for by curl: a real TLS server that wants a certificate, as the API server does, and what answers mean."""

from __future__ import annotations

import datetime
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from provision.base.errors import KubernetesError
from provision.base.shell import Local
from provision.kubernetes.api import (
    ApiStarting,
    Certificates,
    Kind,
    list_path,
    listed,
    lists_argv,
)
from provision.kubernetes.profiles import profile_for

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)
CONFIG_MAPS, DAEMON_SETS = Kind("v1", "configmaps"), Kind("apps/v1", "daemonsets")
ANSWERS = {
    "/api/v1/namespaces/default/configmaps": {
        "kind": "ConfigMapList",
        "apiVersion": "v1",
        "items": [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}],
    },
    "/apis/apps/v1/namespaces/default/daemonsets": {"kind": "DaemonSetList", "apiVersion": "apps/v1", "items": None},
    "/api/v1/busy": {"kind": "Status", "message": "etcdserver: request timed out"},
}


class Api(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        said = ANSWERS.get(self.path, {"kind": "Status", "message": "the server could not find the requested resource"})
        body = json.dumps(said).encode()
        self.send_response(503 if "busy" in self.path else 200 if self.path in ANSWERS else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@dataclass(frozen=True)
class Authority:
    folder: Path
    key: ec.EllipticCurvePrivateKey
    name: x509.Name

    def issue(self, common_name: str, *, until: datetime.datetime = NOW + DAY, ca: bool = False) -> tuple[str, str]:
        """Files of a certificate and its key."""
        key = self.key if ca else ec.generate_private_key(ec.SECP256R1())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)]))
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - 2 * DAY)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(common_name)]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        names = self.folder / f"{common_name}.crt", self.folder / f"{common_name}.key"
        names[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        plain = serialization.NoEncryption()
        names[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
        return str(names[0]), str(names[1])


@dataclass(frozen=True)
class Place:
    certificates: Certificates
    port: int

    def ask(self, *kinds: Kind, namespace: str = "default") -> list[dict[str, object]]:
        paths = [list_path(kind, namespace) for kind in kinds]
        printed = Local().read(lists_argv(self.certificates, paths, port=self.port), check=False).stdout
        return listed("cp1", kinds, printed)


def serving(folder: Path, until: datetime.datetime) -> Iterator[Place]:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "authority")])
    authority = Authority(folder, ec.generate_private_key(ec.SECP256R1()), name)
    ca, _ = authority.issue("authority", ca=True)
    certificate, key = authority.issue("kubernetes", until=until)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    with HTTPServer(("127.0.0.1", 0), Api) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield Place(Certificates(ca, *authority.issue("admin")), server.server_port)
        server.shutdown()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    yield from serving(tmp_path_factory.mktemp("pki"), NOW + DAY)


@pytest.fixture
def expired(tmp_path: Path) -> Iterator[Place]:
    yield from serving(tmp_path, NOW - DAY)


def test_items_of_several_lists_say_what_they_are(place: Place) -> None:
    found = place.ask(CONFIG_MAPS, DAEMON_SETS)
    assert [(one["kind"], one["apiVersion"], one["metadata"]) for one in found] == [
        ("ConfigMap", "v1", {"name": "a"}),
        ("ConfigMap", "v1", {"name": "b"}),
    ]


def test_what_the_server_says_is_told(place: Place) -> None:
    with pytest.raises(KubernetesError, match="widgets of v1: status 404, the server could not find") as caught:
        place.ask(CONFIG_MAPS, Kind("v1", "widgets"))
    assert not isinstance(caught.value, ApiStarting)


def test_a_busy_server_is_worth_asking_again(place: Place) -> None:
    with pytest.raises(ApiStarting, match="etcdserver: request timed out"):
        place.ask(Kind("v1", "busy"), namespace="")


def test_nobody_there_yet(place: Place) -> None:
    with pytest.raises(ApiStarting, match="does not answer"):
        replace(place, port=1).ask(CONFIG_MAPS)


def test_a_certificate_that_has_run_out_is_not_waited_for(expired: Place) -> None:
    with pytest.raises(KubernetesError, match="certificate") as caught:
        expired.ask(CONFIG_MAPS)
    assert not isinstance(caught.value, ApiStarting)
    assert "check-expiration" in caught.value.hint


def test_lists_of_the_cluster_and_by_label() -> None:
    assert list_path(Kind("v1", "nodes")) == "/api/v1/nodes"
    assert list_path(Kind("v1", "pods"), "x", {"b": "2", "a": "1"}) == (
        "/api/v1/namespaces/x/pods?labelSelector=a%3D1%2Cb%3D2"
    )
    assert list_path(DAEMON_SETS, "x") == "/apis/apps/v1/namespaces/x/daemonsets"


def test_kubectl_asks_where_no_certificate_lies_in_files() -> None:
    assert profile_for("1.5").certificates is None
    assert profile_for("1.20").certificates is not None
