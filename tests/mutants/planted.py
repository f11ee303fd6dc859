"""The mutants: which line, what stands there instead, and the tests that must notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One fault. `line` stands exactly once in the file at `path`; `tests` are of the fast suite."""

    name: str
    path: str
    line: str
    instead: str
    tests: tuple[str, ...]


OWNERSHIP = ("tests/libvirt/test_ownership.py",)
LEASE = ("tests/libvirt/test_lease.py",)
PLAN = ("tests/unit/plan",)
ARTIFACTS = ("tests/libvirt/test_artifacts.py",)
STORAGE = ("tests/unit/storage",)

MUTANTS = (
    # whose a thing is
    Mutant(
        "any-owner",
        "provision/specs/owner.py",
        "            and (stamp.owner == self.id or (self.old and not stamp.owner))\n",
        "",
        OWNERSHIP,
    ),
    Mutant(
        "clones-are-ours",
        "provision/specs/owner.py",
        'return "" if uuid == given else',
        'return "" if uuid else',
        OWNERSHIP,
    ),
    Mutant(
        "marks-without-owner",
        "provision/specs/volume_names.py",
        'return object_uuid(owner.key, "volume", kind, node)[:8]',
        'return object_uuid(owner.cluster, "volume", kind, node)[:8]',
        OWNERSHIP,
    ),
    Mutant(
        "any-mark",
        "provision/specs/volume_names.py",
        "if cluster == owner.cluster and found == mark(owner, node, kind) else None",
        "if cluster == owner.cluster else None",
        OWNERSHIP + PLAN,
    ),
    Mutant(
        "adopts-unasked",
        "provision/run/identity.py",
        "if self._adopt or not self._careful or self._made_alike(owner, guests):",
        "if True:",
        OWNERSHIP,
    ),
    Mutant(
        "pretenders-keep-their-stamp",
        "provision/libvirt_xml/whose.py",
        "    if not why:\n        return domain\n",
        "    return domain\n",
        OWNERSHIP,
    ),
    Mutant(
        "destroys-all-stamped",
        "provision/plan/removal.py",
        "if owner.owns(domain.stamp):\n            yield Removal(",
        "if domain.stamp is not None:\n            yield Removal(",
        PLAN + OWNERSHIP,
    ),
    Mutant(
        "purges-others-images",
        "provision/plan/removal.py",
        "gone = {name for name in cached if name not in busy and not holders(name, among)}",
        "gone = {name for name in cached if name not in busy}",
        PLAN,
    ),
    Mutant(
        "purges-others-group",
        "provision/plan/removal.py",
        "    if foreign:\n        return\n    if thin",
        "    if thin",
        PLAN,
    ),
    Mutant(
        "unstamped-network-is-ours",
        "provision/plan/conflicts.py",
        "elif other.stamp is None or other.stamp.cluster != network.cluster:",
        "elif False:",
        (*PLAN, "tests/libvirt/test_engine.py"),
    ),
    # base images and bundles
    Mutant(
        "counts-unmarked-copies",
        "provision/specs/artifact_names.py",
        "(copy for copy in copies if mark_name(copy) in names)",
        "copies",
        PLAN,
    ),
    Mutant(
        "deletes-what-others-lie-on",
        "provision/hosts/uploads.py",
        "    if not users:\n        hypervisor.delete_volume",
        "    if True:\n        hypervisor.delete_volume",
        ARTIFACTS,
    ),
    Mutant(
        "ends-others-uploads",
        "provision/hosts/uploads.py",
        "    except BlockingIOError:\n        return False",
        "    except BlockingIOError:\n        return True",
        ARTIFACTS,
    ),
    Mutant(
        "gives-guests-the-new-bundle",
        "provision/plan/compare.py",
        "bundle_path=_beside(guest.bundle_path, bundle)",
        "bundle_path=guest.bundle_path",
        ARTIFACTS,
    ),
    # one run at a time, and what was agreed to
    Mutant(
        "two-hold-a-host",
        "provision/hosts/hypervisor.py",
        "                if _named_alike(error):\n                    return False\n",
        "                if _named_alike(error):\n                    return True\n",
        LEASE,
    ),
    Mutant(
        "the-living-are-dead",
        "provision/run/lease.py",
        "now - watched_since >= EXPIRY_S",
        "now - watched_since >= 0",
        LEASE,
    ),
    Mutant(
        "works-on-without-lease",
        "provision/run/lease.py",
        "        if not kept:\n",
        "        if False:\n",
        LEASE,
    ),
    Mutant(
        "keeps-the-lease",
        "provision/run/lease.py",
        "        door.drop_lease(mine.uuid)\n    except",
        "        pass\n    except",
        LEASE,
    ),
    Mutant(
        "agrees-to-anything",
        "provision/plan/agreement.py",
        "return (*_to_do(self.deeds, agreed.deeds), *_in_things(self.things, agreed.things))",
        "return ()",
        ("tests/libvirt/test_engine.py", *OWNERSHIP),
    ),
    Mutant(
        "goes-on-without-a-lease",
        "provision/run/stages/given_up.py",
        "if not self.keep_going or self._calls.refused:",
        "if not self.keep_going:",
        ("tests/libvirt/test_run_options.py",),
    ),
    Mutant(
        "joins-unknown-to-others",
        "provision/plan/limits.py",
        'return action.kind == "node software" and seen.member',
        "return False",
        PLAN,
    ),
    Mutant(
        "defines-over-a-change",
        "provision/run/stages/guests.py",
        "if found is None or found.stamp is None or basis_of(found) != action.basis:",
        "if found is None or found.stamp is None:",
        OWNERSHIP,
    ),
    Mutant(
        "defines-over-a-winner",
        "provision/hosts/hypervisor.py",
        "if new and _is_defined(connection, uuid := uuid_in(xml)):",
        "if (uuid := uuid_in(xml)) and False:",
        OWNERSHIP,
    ),
    # addresses
    Mutant(
        "address-of-others",
        "provision/inventory/addresses.py",
        "        if address in self.addresses:\n            return True\n",
        "",
        ("tests/unit/inventory/test_addresses.py", *OWNERSHIP),
    ),
    Mutant(
        "pods-of-others",
        "provision/inventory/addresses.py",
        "ours.first <= theirs.last and theirs.first <= ours.last",
        "False",
        OWNERSHIP,
    ),
    Mutant(
        "moves-an-address",
        "provision/plan/refusals.py",
        "elif stamp.address and stamp.address != guest.address:",
        "elif False:",
        OWNERSHIP,
    ),
    Mutant(
        "nobody-answers",
        "provision/hosts/wire.py",
        'if "lladdr" in words and words[-1] in ANSWERED:',
        'if "lladdr" in words and words[-1] not in ANSWERED:',
        ("tests/unit/hosts/test_wire.py",),
    ),
    # what must not be written to
    Mutant(
        "writes-to-what-is-in-use",
        "provision/storage/guard.py",
        "    if found.busy:\n",
        "    if False:\n",
        STORAGE,
    ),
    Mutant(
        "wipes-unasked",
        "provision/storage/guard.py",
        "return wiping.asked and _named(found, wiping)",
        "return _named(found, wiping)",
        STORAGE,
    ),
    Mutant(
        "wipes-unnamed",
        "provision/storage/guard.py",
        "and wiping.serials.issuperset(found.serials)",
        "and bool(wiping.serials)",
        STORAGE,
    ),
    Mutant(
        "wipes-a-member",
        "provision/storage/guard.py",
        "        yield from _beside(one, seen)\n",
        "",
        STORAGE,
    ),
    # what is given once
    Mutant(
        "cpus-of-several-cells",
        "provision/placement/topology.py",
        'object.__setattr__(self, "cells", cells)',
        "pass",
        ("tests/unit/placement",),
    ),
    Mutant(
        "one-machine-twice",
        "provision/run/observe.py",
        "    check_machines(topologies)\n",
        "",
        ("tests/libvirt/test_one_machine.py",),
    ),
    # secrets and doors
    Mutant(
        "any-host-key",
        "provision/guests/ssh.py",
        "    if found.asbytes() != known:\n",
        "    if False:\n",
        ("tests/unit/base", "tests/unit/guests"),
    ),
    Mutant(
        "seeds-for-all-to-read",
        "provision/libvirt_xml/domain_xml.py",
        '"0600" if private else "0644"',
        '"0644" if private else "0644"',
        ("tests/unit/libvirt_xml", "tests/libvirt/test_hypervisor.py"),
    ),
    Mutant(
        "roots-for-all-to-read",
        "provision/libvirt_xml/domain_xml.py",
        '_target(form, "0600", *',
        '_target(form, "0644", *',
        ("tests/unit/libvirt_xml",),
    ),
    Mutant(
        "secrets-in-print",
        "provision/base/secret.py",
        'return "***"',
        "return self._text",
        ("tests/unit",),
    ),
    Mutant(
        "any-bundle",
        "provision/bundle/model.py",
        "if file != wanted[file.path]]",
        "if False]",
        ("tests/unit/bundle",),
    ),
    Mutant(
        "the-last-key-wins",
        "provision/inventory/loader/document.py",
        "        if name in seen:\n",
        "        if False:\n",
        ("tests/unit/inventory",),
    ),
    Mutant(
        "token-for-all-to-read",
        "provision/kubernetes/kubeadm.py",
        "(umask 077 && cat > kubeadm.yaml)",
        "(umask 022 && cat > kubeadm.yaml)",
        ("tests/unit/kubernetes",),
    ),
    # nodes
    Mutant(
        "takes-a-persons-cordon-back",
        "provision/kubernetes/drain.py",
        "ours = _is_ours(shell) or not cordoned(kubectl, node)",
        "ours = True",
        ("tests/unit/kubernetes",),
    ),
    Mutant(
        "ready-by-hearsay",
        "provision/kubernetes/kubectl.py",
        'if boot and node["status"].get("nodeInfo", {}).get("bootID") != boot:',
        "if False:",
        ("tests/unit/kubernetes",),
    ),
    Mutant(
        "loses-pods-unasked",
        "provision/cli/nodes.py",
        "lost = [pod for pod in pods if (pod.orphan and not force) or (pod.local_data and not empty)]",
        "lost: list[Eviction] = []",
        ("tests/unit/cli",),
    ),
    # where data may be
    Mutant(
        "nobody-says-where-is-fine",
        "provision/inventory/residency/judge.py",
        'return Verdict(place, False, "", f"nobody says in which country {place.where} is", place.say)',
        'return Verdict(place, True, "", "", place.say)',
        ("tests/unit/inventory/test_residency.py",),
    ),
    Mutant(
        "backup-goes-anywhere",
        "provision/cli/backup.py",
        "with session(inventory, as_json=as_json, resident=True) as whole:",
        "with session(inventory, as_json=as_json) as whole:",
        ("tests/libvirt/test_residency.py",),
    ),
    # what grows, and who may log in
    Mutant(
        "growth-fills-again",
        "provision/run/stages/volumes.py",
        "if action.kind.endswith(SIZE)]",
        "if False]",
        ("tests/libvirt/test_growth.py",),
    ),
    Mutant(
        "smaller-is-fine",
        "provision/plan/growth.py",
        "    if has is not None and has - volume.size_mib >= _step_mib(volume, seen):\n",
        "    if False:\n",
        PLAN,
    ),
    Mutant(
        "statfs-would-do",
        "provision/guests/disks.py",
        "LAST_GROUP = 16 * MIB\n",
        "LAST_GROUP = 4096 * MIB\n",
        ("tests/unit/guests/test_disks.py",),
    ),
    Mutant(
        "old-key-goes-unproven",
        "provision/run/stages/logins.py",
        '        proof.read(["true"])\n',
        "        pass\n",
        ("tests/libvirt/test_logins.py",),
    ),
    Mutant(
        "wanted-key-goes",
        "provision/run/stages/logins.py",
        "    return tuple(one for one in left if not one.is_(wanted))\n",
        "    return tuple(left)\n",
        ("tests/libvirt/test_logins.py",),
    ),
    # a node that was made anew
    Mutant(
        "a-bare-node-forgets-what-it-was-given",
        "provision/run/stages/rebuild.py",
        "        whole = given.over(Given.noted(stamp.labels, stamp.taints))\n",
        "        whole = given\n",
        ("tests/libvirt/test_rebuild.py",),
    ),
    Mutant(
        "a-word-that-no-stamp-takes",
        "provision/kubernetes/given.py",
        "    return tuple(sorted(word for word in words if re.fullmatch(form, word)))\n",
        "    return tuple(sorted(words))\n",
        ("tests/unit/kubernetes/test_given.py",),
    ),
)
