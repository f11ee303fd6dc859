"""What is needed of X.509 certificates, cut out of their bytes. Pure.

kubeadm's CA has the serial number 0, which RFC 5280 forbids and certificate libraries have begun to refuse: so only the element
that is asked for is read.
"""

from __future__ import annotations

import base64
import datetime
import hashlib

BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"

_UTC_TIME = 0x17
"""Its tag (X.690 §8.26); the other kind that certificates have is GeneralizedTime, 0x18."""


def ca_cert_hash(pem: str) -> str:
    """What `caCertHashes` pins: sha256 over the CA certificate's public key (SubjectPublicKeyInfo, DER).

    kubeadm's CA has the serial number 0, which RFC 5280 forbids and certificate libraries have begun to refuse: so the
    key's bytes are cut out of the certificate, and nothing else of it is read.
    """
    return f"sha256:{hashlib.sha256(_to_be_signed(pem)[6]).hexdigest()}"


_COMMON_NAME = bytes.fromhex("0603550403")
"""Its OID (2.5.4.3), in DER."""


def requested_name(pem: str) -> str:
    """The common name that a certificate request (RFC 2986) asks for, "" for what is none."""
    body = "".join(line for line in pem.splitlines() if not line.startswith("-----"))
    try:
        (request,) = _parts(base64.b64decode(body, validate=False))
        subject = _parts(_content(_parts(_content(request))[0]))[1]
        pairs = [_parts(_content(one)) for name in _parts(_content(subject)) for one in _parts(_content(name))]
    except (IndexError, ValueError):
        return ""
    return next((_content(value).decode() for oid, value in pairs if oid == _COMMON_NAME), "")


def not_after(pem: str) -> datetime.datetime:
    """When a certificate expires. Raises ValueError for what is none."""
    validity = _to_be_signed(pem)[4]
    return _time(_parts(_content(validity))[1])


def _to_be_signed(pem: str) -> list[bytes]:
    """RFC 5280 §4.1: tbsCertificate is version [0], serial, signature, issuer, validity, subject, subjectPublicKeyInfo."""
    body = pem.partition(BEGIN)[2].partition(END)[0]
    try:
        (certificate,) = _parts(base64.b64decode(body, validate=False))
        found = _parts(_content(_parts(_content(certificate))[0]))
    except IndexError as error:
        raise ValueError("not a certificate") from error
    if len(found) < 7:
        raise ValueError("not a certificate")
    return found


def _time(element: bytes) -> datetime.datetime:
    """UTCTime, whose years before 50 are of this century (RFC 5280 §4.1.2.5), or GeneralizedTime."""
    text = _content(element).decode("ascii")
    if element[0] == _UTC_TIME:
        text = ("20" if text < "50" else "19") + text
    return datetime.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=datetime.UTC)


def _parts(der: bytes) -> list[bytes]:
    """The elements of a DER sequence's content, each with its tag and length."""
    parts = []
    while der:
        end = _header(der)[0] + _header(der)[1]
        parts.append(der[:end])
        der = der[end:]
    return parts


def _content(element: bytes) -> bytes:
    return element[_header(element)[0] :]


def _header(element: bytes) -> tuple[int, int]:
    """Length of an element's header, and of its content: one byte, or a count and that many bytes (X.690 §8.1.3)."""
    if element[1] < 0x80:
        return 2, element[1]
    count = element[1] & 0x7F
    return 2 + count, int.from_bytes(element[2 : 2 + count])
