"""Several control planes of 1.20: what is pure of them, and their joining, on doubles in nodes of namespaces whose etcd they share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from provision.base.errors import KubernetesError, Unreachable
from provision.base.events import Changed, Event, nowhere
from provision.base.secret import Secret
from provision.base.shell import Shell
from provision.kubernetes import (
    Credentials,
    Kubectl,
    Phase,
    Spec,
    first_serving,
    join,
    observe,
    prepare,
    profile_for,
    require_quorum_without,
    take_away_member,
)
from provision.kubernetes.etcd_members import EtcdMember, etcd_members, quorum_fault, read_members
from provision.kubernetes.files import DETACHED_SCRIPT, files_for
from provision.kubernetes.node import compare, parse
from provision.kubernetes.shared_keys import NAMES, PKI, read_keys, write_keys
from provision.kubernetes.state_volume import DONE, OF
from provision.kubernetes.virtual_address import CHECK, CONFIG, address_files, keepalived_conf
from provision.specs import Member
from provision.storage import STATE_MOUNT
from tests.doubles import kubernetes_1_20
from tests.doubles.sandbox import Lab, NodeShell
from tests.unit.kubernetes.test_kubernetes import CP, SPEC, TOKEN, W1, answer, documents
from tests.unit.kubernetes.test_state_volume import _BIND

CP2 = Member("cp2", "control-plane", "hv1", "10.77.0.62", "10.244.62.0/24")
CP3 = Member("cp3", "control-plane", "hv1", "10.77.0.63", "10.244.63.0/24")
THREE = replace(SPEC, members=(CP, CP2, CP3, W1), endpoint="10.77.0.250")
PROFILE = profile_for("1.20")


# ── what they are told ───────────────────────────────────────────────────────────────────────────────────────────


def settings(spec: Spec) -> Any:
    return documents(PROFILE.init_config(spec, CP, TOKEN))["ClusterConfiguration"]


def test_the_cluster_begins_with_the_endpoint_in_its_settings_and_certificates() -> None:
    found = settings(THREE)
    assert found["controlPlaneEndpoint"] == "10.77.0.250:6443"
    assert set(found["apiServer"]["certSANs"]) == {
        *("10.77.0.250", "cp1", "10.77.0.61", "cp2", "10.77.0.62", "cp3", "10.77.0.63"),
    }
    for one in ("controllerManager", "scheduler"):
        assert found[one]["extraArgs"]["leader-elect"] == "true"
    assert "&id" not in PROFILE.init_config(THREE, CP, TOKEN).reveal()  # no anchors


def test_one_alone_without_an_endpoint_is_told_nothing_of_it() -> None:
    found = settings(SPEC)
    assert "controlPlaneEndpoint" not in found
    assert "certSANs" not in found["apiServer"]


def test_etcds_that_elect_are_given_more_time_where_they_are_emulated() -> None:
    said = [
        settings(spec)["etcd"]["local"]["extraArgs"]["election-timeout"]
        for spec in (SPEC, THREE, replace(THREE, emulated=True))
    ]
    assert said == ["5000", "5000", "10000"]


def test_a_further_control_plane_joins_by_the_endpoint_and_with_keys_that_are_there() -> None:
    means = Credentials(TOKEN, "sha256:ab", keys=Secret("x"))
    found: Any = documents(PROFILE.join_config(THREE, CP2, means))["JoinConfiguration"]
    assert found["discovery"]["bootstrapToken"]["apiServerEndpoint"] == "10.77.0.250:6443"
    assert found["controlPlane"] == {"localAPIEndpoint": {"advertiseAddress": "10.77.0.62", "bindPort": 6443}}
    assert "--experimental-patches" in PROFILE.join_argv("control-plane")
    worker: Any = documents(PROFILE.join_config(THREE, W1, means))["JoinConfiguration"]
    assert "controlPlane" not in worker
    assert worker["discovery"]["bootstrapToken"]["apiServerEndpoint"] == "10.77.0.250:6443"


def test_only_the_first_moves_what_the_whole_cluster_has() -> None:
    assert "upgrade apply" in PROFILE.upgrade_work("control-plane", first=True)
    other = PROFILE.upgrade_work("control-plane", first=False)
    assert "upgrade node" in other
    assert "--experimental-patches" in other


# ── the address ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_keepalived_is_for_control_planes_of_a_cluster_with_an_endpoint() -> None:
    assert [file.path for file in address_files(THREE, CP2)] == [CHECK, CONFIG]
    assert address_files(THREE, W1) == ()
    assert address_files(SPEC, CP) == ()


def test_each_names_the_others_as_its_peers_and_nobody_takes_the_address_from_who_is_well() -> None:
    found = keepalived_conf(THREE, CP2)
    peers = found.partition("unicast_peer {")[2].partition("}")[0].split()
    assert peers == ["10.77.0.61", "10.77.0.63"]
    assert "unicast_src_ip 10.77.0.62\n" in found
    assert "10.77.0.250/32 dev mesh0\n" in found
    assert "nopreempt" in found
    assert "weight" not in found
    assert "script_user nobody nogroup" in found
    assert "virtual_router_id 83\n" in found


def test_all_have_the_same_router_id_and_one_alone_a_multicast_group_of_its_own() -> None:
    ids = {
        line.strip()
        for one in (CP, CP2, CP3)
        for line in keepalived_conf(THREE, one).splitlines()
        if "router_id " in line and "virtual" in line
    }
    assert len(ids) == 1
    alone = keepalived_conf(replace(THREE, members=(CP, W1)), CP)
    assert "vrrp_mcast_group4 239.77.0.250\n" in alone
    assert "unicast" not in alone


def test_one_that_leaves_is_a_peer_as_long_as_it_is_there() -> None:
    """Else both would hold the address."""
    assert "10.77.0.63" in keepalived_conf(replace(THREE, members=(CP, W1), leaving=(CP3,)), CP)


def test_a_control_plane_that_does_not_hold_the_address_is_not_as_wanted() -> None:
    as_wanted = compare(PROFILE, THREE, CP2, parse(answer(THREE, CP2)))
    assert as_wanted.unprepared == ()
    off = compare(
        PROFILE, THREE, CP2, parse(answer(THREE, CP2, active="active\nactive\nactive\ninactive\ninactive\nactive"))
    )
    assert off.unprepared == ("keepalived.service is not running",)
    unset = compare(
        PROFILE,
        THREE,
        CP2,
        parse(answer(THREE, CP2, enabled="kubelet.service\nmeshctl-network.service\nmeshctl-firewall.service")),
    )
    assert unset.unprepared == ("keepalived.service is not enabled",)


# ── etcd's members, by their answers ─────────────────────────────────────────────────────────────────────────────


def test_members_are_read_one_that_never_started_too() -> None:
    said = {
        "members": [
            {"ID": "17", "name": "cp1", "peerURLs": ["https://10.77.0.61:2380"], "clientURLs": ["x"]},
            {"ID": "18", "peerURLs": ["https://10.77.0.62:2380"]},
        ]
    }
    assert read_members("cp1", said) == (EtcdMember("17", "cp1", "10.77.0.61"), EtcdMember("18", "", "10.77.0.62"))


@pytest.mark.parametrize(
    "said",
    [{}, {"members": []}, {"members": [{"ID": "1"}]}, {"members": [{"ID": "x", "peerURLs": ["https://h:2380"]}]}],
)
def test_what_names_no_members_is_not_built_on(said: dict[str, Any]) -> None:
    with pytest.raises(KubernetesError, match="does not say who its members are"):
        read_members("cp1", said)


@pytest.mark.parametrize(
    ("others", "well", "fault"),
    [
        (2, 2, ""),  # three, all there
        (2, 1, "of which 2 must answer"),
        (1, 1, ""),  # two, on the way back to one
        (1, 0, "of which 1 must answer"),
        (4, 3, ""),
        (4, 2, "of which 3 must answer"),
        (0, 0, "the only etcd"),
    ],
)
def test_a_member_is_spared_when_the_others_are_a_majority(others: int, well: int, fault: str) -> None:
    members = [EtcdMember(str(one), f"m{one}", f"10.0.0.{one}") for one in range(others)]
    found = quorum_fault("cp1", members, [one.address for one in members[:well]])
    assert fault in found
    assert bool(found) == bool(fault)


# ── in nodes ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Ground:
    """Three nodes; the first is a control plane with etcd, as its init left it."""

    shells: dict[str, NodeShell]
    shared: NodeShell

    def etcd(self, **changes: Any) -> dict[str, Any]:
        """What the etcd that they share is, with changes."""
        path = "/srv/double/etcd.json"
        found: dict[str, Any] = json.loads(self.shared.read(["cat", path]).stdout) | changes
        if changes:
            self.shared.run(["sh", "-c", f"cat > {path}"], stdin=json.dumps(found).encode())
        return found

    def members(self) -> dict[str, str]:
        return {one["address"]: one["name"] for one in self.etcd()["members"].values()}

    def means(self) -> Credentials:
        return Credentials(
            TOKEN, "sha256:ab", Kubectl(self.shared, PROFILE.certificates, "1.20"), read_keys(self.shared)
        )

    def join(self, member: Member) -> list[Event]:
        events: list[Event] = []
        join(self.shells[member.name], PROFILE, THREE, member, self.means(), events.append)
        return events


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    lab = Lab(tmp_path_factory.mktemp("three"))
    lab.start()
    try:
        shells = {member.name: lab.node(member) for member in (CP, CP2, CP3)}
        for member in (CP, CP2, CP3):
            equipped(shells[member.name], member)
        made = Ground(shells, shells["cp1"])
        shells["cp1"].run(["sh", "-c", FIRST, "first", *NAMES])
        members = {"7": {"name": "cp1", "address": CP.address}}
        made.shared.run(["sh", "-c", "cat > /srv/double/etcd.json"], stdin=b"{}")
        made.etcd(members=members, sick=[], serves=["cp1"])
        yield made
    finally:
        lab.stop()


def equipped(shell: NodeShell, member: Member) -> None:
    """What `prepare` leaves, as far as a join needs it."""
    for program in kubernetes_1_20.PROGRAMS:
        put(shell, f"/usr/local/sbin/{program}", kubernetes_1_20.text(program))
    for program in ("kubelet", "kubectl"):
        put(shell, f"/usr/local/sbin/{program}", "#!/bin/sh\nexit 1\n")
    detached = next(file for file in files_for(PROFILE, THREE, member) if file.path == DETACHED_SCRIPT)
    put(shell, detached.path, detached.content)
    shell.run(
        ["sh", "-c", "rm -rf /etc/kubernetes /var/lib/meshctl; mkdir -p /etc/kubernetes/manifests /var/lib/meshctl"]
    )
    shell.run(["systemctl", "restart", "docker.service"])


def put(shell: NodeShell, path: str, text: str) -> None:
    shell.run(
        ["sh", "-c", 'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod 755 "$1"', "put", path], stdin=text.encode()
    )


FIRST = f"""
mkdir -p {PKI}/etcd
for name; do echo "of the cluster: $name" > {PKI}/$name; done
for name in apiserver-kubelet-client etcd/healthcheck-client; do echo x > {PKI}/$name.crt; echo x > {PKI}/$name.key; done
echo own > {PKI}/apiserver.key
echo x > /etc/kubernetes/admin.conf; echo 0 > /var/lib/meshctl/kubeadm.done
"""


def test_a_control_plane_joins_with_the_keys_of_the_first_and_nothing_of_it_stays_in_a_file_of_ours(
    ground: Ground,
) -> None:
    ground.join(CP2)
    assert ground.members() == {CP.address: "cp1", CP2.address: "cp2"}
    shell = ground.shells["cp2"]
    assert shell.read(["cat", f"{PKI}/etcd/ca.key"]).stdout == "of the cluster: etcd/ca.key\n"
    assert shell.read(["sh", "-c", f"cd {PKI} && find . -type f | sort"]).stdout.split() == sorted(
        f"./{one}" for one in NAMES
    )
    assert shell.read(["sh", "-c", f"cd {PKI} && find . -name '*.key' -perm /077"]).stdout == ""
    assert shell.read(["ls", "/var/lib/meshctl"]).stdout.split() == ["kubeadm.done", "kubeadm.log", "kubeadm.started"]
    assert TOKEN.reveal() not in shell.read(["cat", "/var/lib/meshctl/kubeadm.log"]).stdout
    assert observe(shell, PROFILE, THREE, CP2).phase is Phase.MEMBER


def test_a_second_time_nothing_is_done(ground: Ground) -> None:
    assert ground.join(CP2) == []


def test_a_member_that_was_added_and_never_started_is_taken_away_before_the_next_try(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provision.kubernetes.kubeadm.prepare", lambda *_: None)
    ground.shared.run(["touch", "/srv/double/fail"])
    with pytest.raises(KubernetesError, match="kubeadm join: status 1"):
        ground.join(CP3)
    assert ground.members()[CP3.address] == ""
    done = [f"{one.object}: {one.change}" for one in ground.join(CP3) if isinstance(one, Changed)]
    assert done[0] == "etcd member (never started) of cp3: remove"
    assert "kubeadm reset: done" in done
    assert ground.members() == {CP.address: "cp1", CP2.address: "cp2", CP3.address: "cp3"}


def test_a_run_that_was_ended_behind_the_keys_is_gone_on_with(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """The keys are files of a kubeadm: without our mark the next run would take them for somebody else's."""
    monkeypatch.setattr("provision.kubernetes.kubeadm.prepare", lambda *_: None)
    shell = ground.shells["cp3"]
    shell.run(
        ["sh", "-c", f"rm -rf /etc/kubernetes/*.conf {PKI} /etc/kubernetes/manifests/* /var/lib/meshctl/kubeadm.*"]
    )
    assert observe(shell, PROFILE, THREE, CP3).phase is Phase.FRESH
    write_keys(shell, read_keys(ground.shared))
    assert observe(shell, PROFILE, THREE, CP3).phase is Phase.HALF
    done = [f"{one.object}: {one.change}" for one in ground.join(CP3) if isinstance(one, Changed)]
    assert done[0] == "etcd member cp3 of cp3: remove"  # that of the disk that is gone
    assert [one.name for one in etcd_members(ground.shared, etcd())] == ["cp1", "cp2", "cp3"]


def etcd() -> Any:
    return PROFILE.etcd


def test_without_a_majority_nobody_is_taken_away(ground: Ground) -> None:
    require_quorum_without(ground.shared, etcd(), "cp3", CP3.address)
    ground.etcd(sick=[CP2.address])
    with pytest.raises(
        KubernetesError, match="without cp3 etcd would have 2 members, of which 2 must answer, but cp2 does not"
    ):
        require_quorum_without(ground.shared, etcd(), "cp3", CP3.address)
    with pytest.raises(KubernetesError, match="etcd refuses member/remove: etcdserver: unhealthy cluster"):
        take_away_member(ground.shared, etcd(), "cp3", CP3.address, nowhere)
    require_quorum_without(ground.shared, etcd(), "cp2", CP2.address)  # the one that is ill itself
    ground.etcd(sick=[])


def test_a_member_goes_once(ground: Ground) -> None:
    assert take_away_member(ground.shared, etcd(), "cp3", CP3.address, nowhere)
    assert not take_away_member(ground.shared, etcd(), "cp3", CP3.address, nowhere)
    assert ground.members() == {CP.address: "cp1", CP2.address: "cp2"}


def test_asked_is_the_first_that_serves_and_who_does_not_answer_is_passed_over(ground: Ground) -> None:
    def way(name: str) -> Shell:
        if name == "gone":
            raise Unreachable("gone: no guest")
        return ground.shells[name]

    assert first_serving(["gone", "cp1", "cp2"], way) == "cp1"
    ground.etcd(serves=["cp2"])
    assert first_serving(["cp1", "cp2"], way) == "cp2"
    ground.etcd(serves=[])
    assert first_serving(["gone", "cp2", "cp1"], way) == "cp2"  # a member at least
    assert first_serving(["gone"], way) == "gone"  # who is alone is not asked
    ground.etcd(serves=["cp1", "cp2"])


def test_an_image_without_keepalived_is_said_before_anything_is_done(ground: Ground) -> None:
    before = ground.shells["cp2"].calls.mutations
    with pytest.raises(
        KubernetesError, match=r"cp2: this base image has no keepalived, which holds .* 10\.77\.0\.250"
    ) as caught:
        prepare(ground.shells["cp2"], PROFILE, THREE, CP2, nowhere)
    assert "meshctl image build debian-12" in str(caught.value.hint)
    assert ground.shells["cp2"].calls.mutations == before


def test_keys_that_are_not_all_there_are_not_handed_on(ground: Ground) -> None:
    ground.shared.run(["mv", f"{PKI}/ca.key", "/root/ca.key"])
    try:
        with pytest.raises(KubernetesError, match="could not be read"):
            read_keys(ground.shared)
    finally:
        ground.shared.run(["mv", "/root/ca.key", f"{PKI}/ca.key"])


def test_the_recipe_of_the_base_image_has_what_holds_the_address() -> None:
    recipe = yaml.safe_load((Path(__file__).parents[3] / "images/debian-12.yaml").read_text())
    assert "keepalived" in recipe["packages"]
    assert "keepalived" in recipe["services"]["disable"]


# ── with a state volume: cp3, which is no member any more ────────────────────────────────────────────────────────


# $1: the version that it was prepared for.
_BLANK = f"""
set -e
rm -rf /etc/kubernetes/* /var/lib/meshctl/kubeadm.*
mkdir -p {STATE_MOUNT}
echo "$1" > /var/lib/meshctl/prepared
{_BIND}
mkdir -p /etc/kubernetes/manifests
"""


def kept(shell: NodeShell) -> tuple[str, str]:
    """Of whom a state volume says that it is, and that the cluster on it is whole."""
    return tuple(shell.read(["cat", path], check=False).stdout.strip() for path in (OF, DONE))  # type: ignore[return-value]


def test_what_a_join_leaves_elsewhere_is_on_the_state_volume_when_it_has_ended(ground: Ground) -> None:
    shell = ground.shells["cp3"]
    shell.run(["sh", "-c", _BLANK, "blank", THREE.version])
    ground.join(CP3)
    assert kept(shell) == (f"cp3 {CP3.address} {THREE.version}", "0")
    there = shell.read(["cat", f"{STATE_MOUNT}/kubernetes/pki/etcd/ca.key"]).stdout
    assert there == "of the cluster: etcd/ca.key\n"
    state = observe(shell, PROFILE, THREE, CP3)
    assert (state.phase, state.keeps, state.has_state) == (Phase.MEMBER, True, True)


def test_a_join_that_was_cut_short_is_reset_on_the_volume_and_gets_its_keys_behind_that(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provision.kubernetes.kubeadm.prepare", lambda *_: None)
    shell = ground.shells["cp3"]
    take_away_member(ground.shared, etcd(), "cp3", CP3.address, nowhere)
    shell.run(["sh", "-c", f"{_BLANK} : > {OF}; rm -f {DONE}", "blank", THREE.version])
    ground.shared.run(["touch", "/srv/double/fail"])
    with pytest.raises(KubernetesError, match="kubeadm join: status 1"):
        ground.join(CP3)
    assert kept(shell) == ("", "")
    done = [f"{one.object}: {one.change}" for one in ground.join(CP3) if isinstance(one, Changed)]
    assert "kubeadm reset: done" in done
    assert kept(shell) == (f"cp3 {CP3.address} {THREE.version}", "0")
    assert shell.read(["ls", f"{STATE_MOUNT}/kubernetes/pki/etcd"]).stdout.split() == ["ca.crt", "ca.key"]


def test_none_joins_over_what_a_former_guest_was(ground: Ground) -> None:
    """Its member of etcd may be in the cluster still, or another cluster's: `rebuild` takes both away."""
    shell, before = ground.shells["cp3"], ground.members()
    shell.run(["sh", "-c", "rm /var/lib/meshctl/kubeadm.*"])
    with pytest.raises(KubernetesError, match="cp3: its state volume has what a former guest was") as caught:
        ground.join(CP3)
    assert caught.value.hint.startswith("`meshctl rebuild INVENTORY cp3` makes the node anew without it")
    assert ground.members() == before
