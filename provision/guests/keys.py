"""The one key that guests let in: which it is, where its private half lies, and whether that can be used at all.

As OpenSSH with IdentitiesOnly: no other key is ever offered, whatever the agent holds. What is wrong with a file is found
before anything is made.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHPrivateKeyTypes,
    load_pem_private_key,
    load_ssh_private_key,
)

from provision.base.errors import InventoryError, Unreachable, cause
from provision.base.key_file import key_fault, regular_content
from provision.base.secret import Secret
from provision.inventory import Cluster

Ask = Callable[[str], Secret]
"""Asks a person for the passphrase of a key's file. Raises Unreachable where nobody can be asked: see `nobody`."""

TRIES = 3
"""As many as ssh(1) gives (NumberOfPasswordPrompts)."""

_OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----"
_MAGIC = b"openssh-key-v1\0"
"""How OpenSSH's own format begins (its PROTOCOL.key): cipher, its parameters and the public half follow unencrypted."""


@dataclass(frozen=True)
class Identity:
    """The key: its public half as one line, the file of its private half, and what opens that."""

    public: str
    file: str | None = None
    passphrase: Secret | None = None

    @property
    def blob(self) -> bytes:
        """The public half as agents and sshd tell keys apart."""
        return base64.b64decode(self.public.split()[1])

    @property
    def title(self) -> str:
        """Which key this is, for messages."""
        words = self.public.split()
        return self.file or f"{words[0]} …{words[1][-12:]}"


def nobody(file: str) -> Secret:
    """What is said where there is no terminal. Raises Unreachable."""
    raise Unreachable(
        f"{file}: the key has a passphrase, and there is no terminal to ask for it",
        hint=f"ssh-add {file} lets the SSH agent hold it",
    )


def public_key(cluster: Cluster) -> str:
    """The public key that may log in. Raises InventoryError when there is none, or none that anybody could log in with."""
    ssh = cluster.ssh
    if ssh.public_key:
        return _checked_line("ssh.public_key", ssh.public_key.strip())
    path = Path(f"{ssh.key_file}.pub").expanduser()
    return _checked_line(f"ssh.key_file: {path}", _read(path).decode(errors="replace").strip())


def identity(cluster: Cluster) -> Identity:
    """The key, as far as files can tell. Raises InventoryError for a file that no session could be opened with."""
    public = public_key(cluster)
    if cluster.ssh.key_file is None:
        return Identity(public)
    path = Path(cluster.ssh.key_file).expanduser()
    found = Identity(public, str(path))
    half = _public_half(path, _private(path))
    if half is not None and half != found.blob:
        where = "ssh.public_key" if cluster.ssh.public_key else f"{path}.pub"
        raise _fault(
            path, f"it does not belong to the public key in {where}", f"ssh-keygen -y -f {path} prints its own"
        )
    return found


def former_identity(cluster: Cluster, key_file: str | None) -> Identity:
    """The key that guests were made with, from its file; the inventory's own without one. Raises InventoryError as `identity`."""
    if key_file is None:
        return identity(cluster)
    ssh = cluster.ssh.model_copy(update={"key_file": key_file, "public_key": None})
    try:
        return identity(cluster.model_copy(update={"ssh": ssh}))
    except InventoryError as error:
        raise InventoryError(error.message.replace("ssh.key_file", "--old-key", 1), hint=error.hint) from error


def unlocked(found: Identity, in_agent: bool, ask: Ask) -> Identity:
    """The key, ready to be used: an agent that holds it does all, else its file is opened, with a passphrase asked for.

    Raises Unreachable when no private half is at hand.
    """
    if in_agent:
        return replace(found, file=None)
    if found.file is None or _kind(found.blob).startswith(b"sk-"):
        raise Unreachable(
            f"the SSH agent does not hold the key that the inventory names: {found.title}",
            hint=f"ssh-add -L lists what it holds; ssh-add {found.file or 'FILE'} adds a key",
        )
    content = _private(Path(found.file))
    if not _is_encrypted(content):
        return found
    for _ in range(TRIES):
        passphrase = ask(found.file)
        if _opens(content, passphrase, found):
            return replace(found, passphrase=passphrase)
    raise Unreachable(f"{found.file}: the passphrase is wrong", hint=f"ssh-add {found.file} lets the agent remember it")


def _checked_line(where: str, line: str) -> str:
    """RFC 4253 §6.6: a key begins with its own type. Raises InventoryError."""
    words = line.split()
    try:
        blob = base64.b64decode(words[1], validate=True)
    except (IndexError, ValueError):
        blob = b""
    if "\n" in line or len(blob) < 32 or _kind(blob) != words[0].encode():
        raise InventoryError(
            f"{where}: not a public key", hint="ssh-keygen -y -f PRIVATE prints the public half of a private key"
        )
    return line


def _private(path: Path) -> bytes:
    """A private key's file. Raises InventoryError for one that ssh(1) would not take either."""
    content = _read(path)
    fault = key_fault(path, content)
    if fault is not None:
        raise _fault(path, *fault)
    return content


def _read(path: Path) -> bytes:
    try:
        return regular_content(path)
    except OSError as error:
        lab = "/meshctl/" in str(path)
        hint = "`meshctl lab up` makes the lab's key" if lab else "ssh-keygen -t ed25519 makes a pair"
        raise _fault(path, f"cannot be read: {cause(error)}", hint) from error


def _fault(path: object, what: str, hint: str) -> InventoryError:
    return InventoryError(f"ssh.key_file: {path}: {what}", hint=hint)


def _public_half(path: Path, content: bytes) -> bytes | None:
    """The public half of a private key's file, None where only its passphrase tells. Raises InventoryError for garbage."""
    named = _named(content)
    if _kind(named or b"").startswith(b"sk-"):
        return named  # its private half is in the hardware: only the agent can use it
    try:
        return _blob(_load(content, None))
    except TypeError:
        return named
    except (ValueError, UnsupportedAlgorithm) as error:
        hint = "ssh-keygen -t ed25519 makes a pair"
        raise _fault(path, f"this is not a private key that can be used: {error}", hint) from error


def _named(content: bytes) -> bytes | None:
    """What the unencrypted beginning of OpenSSH's own format says of the key; None for other formats and garbage."""
    if _OPENSSH not in content:
        return None
    body = content.partition(_OPENSSH)[2].partition(b"-----END")[0]
    try:
        rest = base64.b64decode(b"".join(body.split()), validate=True).removeprefix(_MAGIC)
        for _ in range(3):  # cipher, key derivation, its parameters
            rest = _string(rest)[1]
        return _string(rest[4:])[0] or None  # behind the number of keys
    except ValueError:
        return None


def _is_encrypted(content: bytes) -> bool:
    try:
        _load(content, None)
    except TypeError:
        return True
    return False


def _opens(content: bytes, passphrase: Secret, found: Identity) -> bool:
    try:
        return _blob(_load(content, passphrase.reveal().encode())) == found.blob
    except ValueError:
        return False


def _load(content: bytes, passphrase: bytes | None) -> SSHPrivateKeyTypes | PrivateKeyTypes:
    """Raises TypeError when it needs a passphrase, ValueError when it is another or this is no key."""
    load = load_ssh_private_key if _OPENSSH in content else load_pem_private_key
    return load(content, passphrase)


def _blob(key: SSHPrivateKeyTypes | PrivateKeyTypes) -> bytes:
    line = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return base64.b64decode(line.split()[1])


def _kind(blob: bytes) -> bytes:
    return _string(blob)[0]


def _string(content: bytes) -> tuple[bytes, bytes]:
    """SSH's string (RFC 4251 §5: four bytes of length, then as many), and what follows it."""
    end = 4 + int.from_bytes(content[:4])
    return content[4:end], content[end:]
