"""Where Debian's packages come from: the mirror that this machine's own apt uses, and nothing else that it uses."""

from __future__ import annotations

import shlex

from provision.base.shell import Shell

DEFAULT = "http://deb.debian.org/debian"
DEFAULT_SECURITY = "http://deb.debian.org/debian-security"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

_FORMAT = "$(REPO_URI) $(ORIGIN) $(LABEL)"


def find(shell: Shell) -> tuple[str, str]:
    """The URIs of Debian's archive and of its security archive that apt uses here, else deb.debian.org."""
    listed = shell.read(["apt-get", "indextargets", "--format", _FORMAT, "Created-By: Packages"], check=False)
    return choose(listed.stdout if listed.status == 0 else "")


def choose(listed: str) -> tuple[str, str]:
    """Of lines `URI origin label`, those that Debian signed; a third party's archive has another origin.

    Before the first `apt-get update` the origin is not known, and deb.debian.org is the answer.
    """
    found: dict[str, str] = {}
    for line in listed.splitlines():
        uri, _, origin = line.partition(" ")
        if uri.startswith(("http://", "https://")):
            found.setdefault(origin.strip(), uri.rstrip("/"))
    return found.get("Debian Debian", DEFAULT), found.get("Debian Debian-Security", DEFAULT_SECURITY)


def proxy(shell: Shell) -> dict[str, str]:
    """The proxy of this machine's apt as environment variables: mmdebstrap does not read the configuration."""
    found = shell.read(
        ["apt-config", "shell", "http_proxy", "Acquire::http::Proxy", "https_proxy", "Acquire::https::Proxy"],
        check=False,
    )
    words = shlex.split(found.stdout) if found.status == 0 else []
    return {name: value for name, _, value in (word.partition("=") for word in words) if value}
