"""When certificates expire, read by a real shell from files as kubeadm lays them out."""

from __future__ import annotations

import base64
import datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from provision.base.shell import Local
from provision.kubernetes.expiry import _READ, Expiry, parsed_expiries
from provision.run.status import ClusterStatus, as_text

NOW = datetime.datetime.now(datetime.UTC)
KEY = generate_private_key(SECP256R1())
PRIVATE = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def certificate(days: float) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    dated = made.serial_number(x509.random_serial_number()).not_valid_before(NOW - datetime.timedelta(days=400))
    signed = dated.not_valid_after(NOW + datetime.timedelta(days=days)).sign(KEY, SHA256())
    return signed.public_bytes(Encoding.PEM).decode()


def kubeconfig(days: float) -> str:
    data = base64.b64encode(certificate(days).encode()).decode()
    key = base64.b64encode(PRIVATE.encode()).decode()
    return f"users:\n- name: a\n  user:\n    client-certificate-data: {data}\n    client-key-data: {key}\n"


def lay_out(folder: Path, files: dict[str, str]) -> str:
    """What the script says of a folder as if it were /etc/kubernetes."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return Local().read(["sh", "-c", _READ.replace("/etc/kubernetes", str(folder))]).stdout


def test_1_20(tmp_path: Path) -> None:
    said = lay_out(
        tmp_path,
        {
            "admin.conf": kubeconfig(20.5),
            "kubelet.conf": "users:\n- name: a\n  user:\n    client-certificate: /var/lib/kubelet/pki/current.pem\n",
            "pki/ca.crt": certificate(40_000.5),
            "pki/ca.key": PRIVATE,
            "pki/sa.pub": "public",
            "pki/apiserver.crt": certificate(364.5),
            "pki/apiserver.key": PRIVATE,
            "pki/etcd/server.crt": certificate(364.5) + certificate(29.5),
            "pki/etcd/server.key": PRIVATE,
            "pki/etcd/ca.crt": "garbage\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        },
    )
    assert "PRIVATE" not in said
    assert base64.b64encode(PRIVATE.encode()).decode() not in said
    found = parsed_expiries(said)
    assert [(one.name, one.days, one.due) for one in found] == [
        ("etcd/ca", -1, True),
        ("admin.conf", 20, True),
        ("etcd/server", 29, True),
        ("apiserver", 364, False),
        ("ca", 40_000, False),
    ]
    assert found[0].at is None
    text = as_text(ClusterStatus("lab", (), "", found))
    assert (
        f"within 30 days: etcd/ca cannot be read, admin.conf in 20 days ({found[1].at:%Y-%m-%d}), etcd/server in"
        in text
    )
    assert text.endswith("fix: `meshctl renew INVENTORY`; then fetch the kubeconfig again")


def test_1_5(tmp_path: Path) -> None:
    files = {
        "admin.conf": kubeconfig(364.5) + kubeconfig(-2.5),
        "pki/apiserver.pem": certificate(364.5),
        "pki/apiserver-key.pem": PRIVATE,
        "pki/apiserver-pub.pem": "public",
        "pki/ca.pem": certificate(3650),
    }
    said = lay_out(tmp_path, files)
    assert "PRIVATE" not in said
    found = parsed_expiries(said)
    assert [one.name for one in found] == ["admin.conf", "apiserver", "ca"]
    assert str(found[0]).startswith("admin.conf 2 days ago (")


def test_all_is_well_in_one_line_and_in_json(tmp_path: Path) -> None:
    found = parsed_expiries(lay_out(tmp_path, {"admin.conf": kubeconfig(364.5), "pki/ca.crt": certificate(3650)}))
    status = ClusterStatus("lab", (), "", found)
    assert as_text(status).endswith(f"certificates: the next to expire is {found[0]}, of 2")
    assert status.as_data()["certificates"][0] == {
        "name": "admin.conf",
        "expires": str(found[0].at).replace(" ", "T"),
        "days": 364,
    }


@pytest.mark.parametrize("there", [True, False])
def test_no_cluster_has_no_certificates(tmp_path: Path, there: bool) -> None:
    found = parsed_expiries(lay_out(tmp_path if there else tmp_path / "none", {}))
    assert found == ()
    assert "certificates" not in as_text(ClusterStatus("lab", (), "", found))


def test_what_is_left_is_counted_by_the_control_planes_clock() -> None:
    said = f"{int(NOW.timestamp()) + 300 * 86400}\n== pki/ca.crt\n{certificate(309.5)}"
    (one,) = parsed_expiries(said)
    assert isinstance(one, Expiry)
    assert (one.days, one.due) == (9, True)
