"""Certificates as kubeadm 1.5 makes them, by the real openssl: of an authority of ten years, and of a year by it."""

from __future__ import annotations

import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

DAYS = Path("/var/lib/double/certificate-days")
"""How long certificates live where a test has a node sign shorter ones; a year else."""


def authority() -> tuple[str, str]:
    """Certificate and key of a new one."""
    with tempfile.TemporaryDirectory() as folder:
        subject = ["-subj", "/CN=kubernetes", "-addext", "basicConstraints=critical,CA:TRUE"]
        _openssl(
            folder,
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "key",
            "-out",
            "crt",
            "-days",
            "3650",
            *subject,
        )
        return _text(folder, "crt"), _text(folder, "key")


def signed(ca: tuple[str, str], subject: str, extensions: str) -> tuple[str, str]:
    """Certificate and key of a new pair, signed by the authority."""
    days = DAYS.read_text().strip() if DAYS.exists() else "365"
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("ca", ca[0]), ("ca-key", ca[1]), ("ext", extensions)):
            Path(folder, name).write_text(text)
        _openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "csr", "-subj", subject)
        means = ["-CA", "ca", "-CAkey", "ca-key", "-CAcreateserial", "-days", days, "-extfile", "ext"]
        _openssl(folder, "x509", "-req", "-in", "csr", "-out", "crt", *means)
        return _text(folder, "crt"), _text(folder, "key")


@lru_cache(maxsize=64)
def believed(certificate: str, key: str, ca: str) -> bool:
    """Whether a server of this authority believes who shows this pair: signed by it, in time, and the key is its own."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in (("crt", certificate), ("key", key), ("ca", ca)):
            Path(folder, name).write_text(text)
        verified = _openssl(folder, "verify", "-CAfile", "ca", "crt", check=False).returncode == 0
        halves = [_openssl(folder, *words, check=False).stdout for words in (_PUBLIC_OF_CERTIFICATE, _PUBLIC_OF_KEY)]
        return verified and halves[0] == halves[1] != b""


_PUBLIC_OF_CERTIFICATE = ("x509", "-in", "crt", "-noout", "-pubkey")
_PUBLIC_OF_KEY = ("pkey", "-in", "key", "-pubout")


def _openssl(folder: str, *words: str, check: bool = True) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *words], cwd=folder, capture_output=True, check=check)


def _text(folder: str, name: str) -> str:
    return Path(folder, name).read_text()
