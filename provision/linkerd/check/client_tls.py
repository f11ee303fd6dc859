"""TLS of a router's clients, from 1.0.0 on: settings that contradict each other, or leave nothing to check a server by."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from provision.linkerd.check.finding import Finding, found
from provision.linkerd.routing import Config
from provision.linkerd.text import Location, get, text


def findings(client: yaml.Node | None, at: Location, config: Config) -> Iterator[Finding]:
    """What is wrong with the TLS of one client, or of one of its configs by prefix."""
    tls = get(client, "tls")
    if not isinstance(tls, yaml.MappingNode) or config.version < (1, 0, 0):
        return
    place: Location = (*at, "tls")
    unchecked = _true(tls, "disableValidation")
    if unchecked and get(tls, "clientAuth") is not None and config.version >= (1, 2, 0):
        message = "a client that does not check the server's certificate cannot show its own"
        fragment = "disableValidation: true is incompatible with clientAuth"
        yield found("ML329", get(tls, "disableValidation") or tls, (*place, "disableValidation"), message, fragment)
    if unchecked or (text(tls, "enabled") or "").lower() == "false":
        return
    if get(tls, "commonName") is None:
        message = "there is no `commonName` to check the server's certificate by: every request fails"
        fragment = "tls is configured with validation but `commonName` is not set"
        yield found("ML361", tls, place, message, fragment)
    elif get(tls, "trustCerts") is not None and get(tls, "trustCertsBundle") is not None:
        message = "one of `trustCerts` and `trustCertsBundle` is enough, and both make every request fail"
        fragment = "Both trustCerts and trustCertsBundle have been set"
        yield found("ML361", tls, place, message, fragment)


def _true(node: yaml.Node, name: str) -> bool:
    return (text(node, name) or "").lower() == "true"
