"""A strict double of an SSH agent with a key in hardware: an ed25519-sk, whose private half no file has.

It speaks the two messages of draft-miller-ssh-agent that a login needs and signs as PROTOCOL.u2f of OpenSSH has it, so that a
real sshd verifies the signature; it refuses any other message, any other key and flags. A person touches it at once.
"""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KIND, APPLICATION = b"sk-ssh-ed25519@openssh.com", b"ssh:"
FAILURE, LIST, LISTED, SIGN, SIGNED = 5, 11, 12, 13, 14
TOUCHED = b"\x01"


class SecurityKey:
    """Listens on a socket until `close`."""

    def __init__(self, path: Path) -> None:
        self._key, self._counter, self.signed = Ed25519PrivateKey.generate(), 0, 0
        public = self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.blob = _strings(KIND, public, APPLICATION)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def public(self) -> str:
        """The public half as OpenSSH writes it."""
        return f"{KIND.decode()} {base64.b64encode(self.blob).decode()} double"

    def close(self) -> None:
        """Listens no longer."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._converse, args=(connection,), daemon=True).start()

    def _converse(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rwb") as stream:
            while length := stream.read(4):
                stream.write(_strings(self._answer(stream.read(int.from_bytes(length)))))
                stream.flush()

    def _answer(self, message: bytes) -> bytes:
        if message == bytes([LIST]):
            return bytes([LISTED]) + (1).to_bytes(4) + _strings(self.blob, b"double")
        if message[0] == SIGN:
            blob, rest = _string(message[1:])
            content, flags = _string(rest)
            if blob == self.blob and flags == bytes(4):
                return bytes([SIGNED]) + _strings(self._sign(content))
        return bytes([FAILURE])

    def _sign(self, content: bytes) -> bytes:
        self._counter += 1
        self.signed += 1
        said = TOUCHED + self._counter.to_bytes(4)
        what = hashlib.sha256(APPLICATION).digest() + said + hashlib.sha256(content).digest()
        return _strings(KIND, self._key.sign(what)) + said


def _strings(*parts: bytes) -> bytes:
    return b"".join(len(part).to_bytes(4) + part for part in parts)


def _string(content: bytes) -> tuple[bytes, bytes]:
    end = 4 + int.from_bytes(content[:4])
    return content[4:end], content[end:]
