"""Nodes of another Kubernetes version, and bundles and base images that were made anew: who is behind, what is exchanged, what is refused.
Pure.

A node keeps the disk of the bundle that it was made with for as long as it needs nothing else: what it should have is compared program by
program and archive by archive. Where something is lacking, its disk is exchanged for that of the inventory's bundle while it runs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from provision.libvirt_xml import DomainSeen
from provision.plan.action import Action, Verb
from provision.plan.artifacts import bundle_of
from provision.plan.observed import NodeSeen, Observed
from provision.specs import Artifact, Desired, Member, base_digits, is_artifact, is_copy

UPGRADE, BUNDLE_DISK = "upgrade", "bundle disk"
"""Kinds of actions of the stage kubernetes."""

_VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")


def refused_versions(wanted: Desired, observed: Observed) -> Iterator[str]:
    """Members that do not come to the inventory's version from the one that they have: each in a sentence, with the way."""
    target = _numbers(wanted.kubernetes)
    way = "put kubernetes.version back, or make another cluster of that version and move what runs there"
    for name, found in behind(wanted, observed).items():
        said = f"{name} runs Kubernetes {found}, the inventory wants {wanted.kubernetes}"
        if _numbers(found)[:2] != target[:2]:
            yield f"{said}, another minor version: kubeadm moves up by one, and meshctl knows 1.5 and 1.20 only: {way}"
        elif _numbers(found) > target:
            yield f"{said}, an older one, which need not read what the newer has written: {way}"


def behind(wanted: Desired, observed: Observed) -> Mapping[str, str]:
    """The versions of members that have another than the inventory's, by node."""
    seen = {member.name: observed.nodes.get(member.name, NodeSeen()) for member in wanted.members}
    return {
        name: node.version
        for name, node in seen.items()
        if node.member and node.version and node.version != wanted.kubernetes
    }


def exchanged(wanted: Desired, observed: Observed) -> frozenset[str]:
    """Nodes that need something of the bundle and have the disk of another: in their definition, or as they run."""
    bundle = wanted.bundle.volume
    lacking = [guest for guest in wanted.guests if observed.nodes.get(guest.node, NodeSeen()).bundle_wanted]
    found = {guest.node: observed.hosts[guest.host].domain(guest.domain) for guest in lacking}
    return frozenset(node for node, domain in found.items() if domain is not None and not _has(domain, bundle))


def _has(domain: DomainSeen, bundle: str) -> bool:
    return is_copy(bundle_of(domain), bundle) and any(is_copy(_file(path), bundle) for path in domain.disks)


def _file(path: str) -> str:
    return path.rpartition("/")[2]


def disk_actions(exchanges: Collection[str]) -> Iterator[Action]:
    """The exchange of disks."""
    for node in sorted(exchanges):
        reason = "is another bundle's: exchanged for that of the inventory's while the guest runs"
        yield Action("kubernetes", Verb.CHANGE, node, BUNDLE_DISK, node, reason)


def upgrade_action(member: Member, found: str, wanted: Desired) -> Action:
    """What is done about a member that is behind; `found` is the version that it has."""
    way = "first of all, not drained" if member.role == "control-plane" else "drained first"
    reason = f"Kubernetes {found} → {wanted.kubernetes}, {way}; Ready and routing again before the next node"
    return Action("kubernetes", Verb.CHANGE, member.name, UPGRADE, member.name, reason)


def older_notes(wanted: Desired, observed: Observed, exchanges: Collection[str]) -> Iterator[str]:
    """Which guests were made with another base image or bundle than there is now, and need nothing of the new one."""
    domains = {guest.node: observed.hosts[guest.host].domain(guest.domain) for guest in wanted.guests}
    there = {node: domain for node, domain in domains.items() if domain is not None and domain.stamp is not None}
    images = [node for node, domain in there.items() if _on_other(domain, wanted.base_image)]
    if images:
        yield (
            f"base image {wanted.base_image.title} is another than {', '.join(images)} were made from: "
            "they keep theirs until `meshctl rebuild`"
        )
    bundles = [node for node, domain in there.items() if node not in exchanges and _with_other(domain, wanted.bundle)]
    if bundles:
        yield (
            f"bundle {wanted.bundle.title} was sealed again since {', '.join(bundles)} got its disk: they lack nothing of it, "
            "and keep theirs until something of the new one is needed"
        )


def _on_other(domain: DomainSeen, image: Artifact) -> bool:
    bases = [name for path in domain.backing if is_artifact(name := _file(path))]
    # A baked image stands for what it was made of: whoever lies on either was made from the same.
    return bool(bases) and not any(base_digits(name) == base_digits(image.volume) for name in bases)


def _with_other(domain: DomainSeen, bundle: Artifact) -> bool:
    name = bundle_of(domain)
    return bool(name) and not is_copy(name, bundle.volume)


def _numbers(version: str) -> tuple[int, ...]:
    match = _VERSION.match(version)
    return tuple(map(int, match.groups())) if match else ()
