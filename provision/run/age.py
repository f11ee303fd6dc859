"""age, the way files are encrypted for somebody's public key: by pyrage, which carries Rust's age (ADR 0028)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from provision.base.errors import ImageError, InventoryError, cause
from provision.base.key_file import regular_content

MAGIC = b"age-encryption.org/v1\n"
"""How every file of age's begins (age-encryption.org/v1, "Header")."""

SECRET = "AGE-SECRET-KEY-1"  # noqa: S105 - how one begins


def encrypted(content: bytes, recipients: Sequence[str]) -> bytes:
    """Content that only the recipients' identities open. Raises InventoryError for a recipient that is none."""
    import pyrage

    keys = []
    for recipient in recipients:
        try:
            keys.append(pyrage.x25519.Recipient.from_str(recipient))
        except pyrage.RecipientError as error:
            raise InventoryError(
                f"{recipient!r} is not a recipient of age's: {error}",
                hint="age-keygen prints it as `Public key: age1…`",
            ) from error
    return bytes(pyrage.encrypt(content, keys))


def is_encrypted(content: bytes) -> bool:
    """Whether content is a file of age's."""
    return content.startswith(MAGIC)


def decrypted(where: str, content: bytes, identity_file: str) -> bytes:
    """The content of a file of age's. Raises ImageError when no identity of the file opens it, or it is damaged."""
    import pyrage

    try:
        return bytes(pyrage.decrypt(content, _identities(identity_file)))
    except pyrage.DecryptError as error:
        raise ImageError(
            f"{where}: cannot be decrypted by {identity_file}: {error}",
            hint="the identity must belong to one of the recipients that the backup was made for; or the file is damaged",
        ) from error


def _identities(path: str) -> list[object]:
    import pyrage

    try:
        lines = regular_content(Path(path).expanduser()).decode(errors="replace").splitlines()
        found = [pyrage.x25519.Identity.from_str(line.strip()) for line in lines if line.startswith(SECRET)]
    except (OSError, pyrage.IdentityError) as error:
        raise InventoryError(f"{path}: cannot be used as age's identity: {cause(error)}") from error
    if not found:
        raise InventoryError(
            f"{path}: no identity of age's is in it",
            hint=f"a line that begins with {SECRET}, as `age-keygen -o FILE` writes it",
        )
    return found
