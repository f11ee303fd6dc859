"""The Kubernetes room's pure parts: files, configurations, what is read out of a node's one answer, advice."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from provision.base.errors import KubernetesError
from provision.base.secret import Secret
from provision.guests.firewall import PROGRAM
from provision.kubernetes import (
    Archive,
    Credentials,
    Phase,
    Program,
    Spec,
    profile_for,
)
from provision.kubernetes.certificate import ca_cert_hash
from provision.kubernetes.files import cni_conf, docker_config, files_for, firewall_files, hosts_file, routes
from provision.kubernetes.kubectl import DIGEST, digest, stamped
from provision.kubernetes.node import compare, parse
from provision.kubernetes.preflight import judge
from provision.kubernetes.profile import archives_for
from provision.kubernetes.token import new_token, redacted
from provision.kubernetes.virtual_address import holds_address
from provision.specs.objects import Member

CP = Member("cp1", "control-plane", "hv1", "10.77.0.61", "10.244.61.0/24")
W1 = Member("w1", "worker", "hv1", "10.77.0.9", "10.244.9.0/24")
W2 = Member("w2", "worker", "hv2", "10.77.0.100", "10.244.100.0/24")
TOKEN = Secret("abcdef.0123456789abcdef")
SPEC = Spec(
    "v1.20.2",
    (CP, W1, W2),
    "10.244.0.0/16",
    "10.96.0.0/12",
    ("10.77.0.1",),
    "b" * 12,
    (Program("bin/kubelet", "1" * 64), Program("cni/bridge", "2" * 64)),
    (
        Archive("images/cp.tar", "3" * 64, ("k8s.gcr.io/kube-apiserver:v1.20.2", "k8s.gcr.io/etcd:3.4.13-0")),
        Archive("images/node.tar", "4" * 64, ("k8s.gcr.io/kube-proxy:v1.20.2", "k8s.gcr.io/pause:3.2")),
    ),
)
OLD = replace(SPEC, version="v1.5.8")


def documents(text: Secret) -> dict[str, dict[str, object]]:
    return {document["kind"]: document for document in yaml.safe_load_all(text.reveal())}


def test_1_20_init_says_all_that_the_cluster_needs() -> None:
    found = documents(profile_for("1.20").init_config(SPEC, CP, TOKEN))
    assert found["InitConfiguration"]["bootstrapTokens"] == [{"token": TOKEN.reveal(), "ttl": "3600s"}]
    assert found["InitConfiguration"]["localAPIEndpoint"] == {"advertiseAddress": "10.77.0.61", "bindPort": 6443}
    assert found["ClusterConfiguration"]["kubernetesVersion"] == "v1.20.2"
    assert found["ClusterConfiguration"]["featureGates"] == {"PublicKeysECDSA": True}
    assert "podSubnet" not in str(found["ClusterConfiguration"])
    for alone in ("controllerManager", "scheduler"):
        assert found["ClusterConfiguration"][alone] == {"extraArgs": {"leader-elect": "false"}}
    assert "&id" not in profile_for("1.20").init_config(SPEC, CP, TOKEN).reveal()  # no anchors
    assert found["KubeletConfiguration"]["cgroupDriver"] == "cgroupfs"
    assert found["KubeProxyConfiguration"]["clusterCIDR"] == "10.244.0.0/16"


def test_the_pull_check_is_ignored_only_where_there_is_no_coredns() -> None:
    profile = profile_for("1.20")
    with_dns = replace(SPEC, archives=(*SPEC.archives, Archive("dns.tar", "5" * 64, ("k8s.gcr.io/coredns:1.7.0",))))
    assert "ImagePull" in profile.init_config(SPEC, CP, TOKEN).reveal()
    assert "ImagePull" not in profile.init_config(with_dns, CP, TOKEN).reveal()


def test_1_20_join_pins_the_ca() -> None:
    found = documents(profile_for("1.20").join_config(SPEC, W1, Credentials(TOKEN, "sha256:ab")))["JoinConfiguration"]
    assert found["discovery"] == {
        "bootstrapToken": {
            "apiServerEndpoint": "10.77.0.61:6443",
            "token": TOKEN.reveal(),
            "caCertHashes": ["sha256:ab"],
        }
    }


def test_1_5_files_hold_every_setting_as_they_replace_all_flags() -> None:
    profile = profile_for("1.5")
    master = documents(profile.init_config(OLD, CP, TOKEN))["MasterConfiguration"]
    assert master["secrets"] == {"givenToken": TOKEN.reveal()}
    assert master["kubernetesVersion"] == "v1.5.8"
    assert set(profile.init_argv()) == {
        "kubeadm",
        "init",
        "--config",
        "/var/lib/meshctl/kubeadm.yaml",
        "--skip-preflight-checks",
    }
    node = documents(profile.join_config(OLD, W1, Credentials(TOKEN)))["NodeConfiguration"]
    assert node["masterAddresses"] == ["10.77.0.61"]


def test_probes_are_those_of_patches_of_kubeadms_pods() -> None:
    profile = profile_for("1.20")
    argv = profile.init_argv()
    folder = argv[argv.index("--experimental-patches") + 1]
    files = {file.path: file.content for file in profile.node_files(SPEC, CP)}
    pods = {path: yaml.safe_load(text)["spec"] for path, text in files.items() if path.startswith(folder)}
    alive = {"livenessProbe": {"failureThreshold": 30}}
    assert pods == {
        f"{folder}/kube-apiserver+strategic.yaml": {
            "containers": [{"name": "kube-apiserver", "readinessProbe": {"periodSeconds": 10}, **alive}]
        },
        f"{folder}/etcd+strategic.yaml": {"containers": [{"name": "etcd", **alive}]},
    }
    assert not any(file.path.startswith(folder) for file in profile.node_files(SPEC, W1))


@pytest.mark.parametrize("generation", ["1.5", "1.20"])
def test_no_command_line_holds_the_token(generation: str) -> None:
    profile = profile_for(generation)
    words = (
        *profile.init_argv(),
        *profile.join_argv("worker"),
        *profile.reset_argv("worker"),
        *profile.reset_argv("control-plane"),
    )
    assert not any("token" in word and "skip-token-print" not in word for word in words)


def test_an_unknown_generation_is_refused_with_the_known_ones() -> None:
    with pytest.raises(KubernetesError, match=r"no profile for Kubernetes 1\.19") as failure:
        profile_for("1.19")
    assert "1.5, 1.20" in failure.value.hint


def test_workers_leave_out_what_only_the_control_plane_runs() -> None:
    for profile in (profile_for("1.5"), profile_for("1.20")):
        assert archives_for(profile, SPEC, CP) == SPEC.archives
        assert [archive.path for archive in archives_for(profile, SPEC, W1)] == ["images/node.tar"]


def test_an_archive_for_some_nodes_is_loaded_by_no_other() -> None:
    mine = replace(SPEC.archives[0], path="images/mine.tar", references=("a/zipkin:1",), nodes=frozenset(["w1"]))
    spec, profile = replace(SPEC, archives=(*SPEC.archives, mine)), profile_for("1.20")
    assert mine in archives_for(profile, spec, W1)
    assert mine not in archives_for(profile, spec, CP)


def test_the_pod_network_is_one_conf_of_the_nodes_own_subnet() -> None:
    conf = cni_conf(W1)
    assert (conf["cniVersion"], conf["ipMasq"], conf["hairpinMode"], conf["isGateway"]) == ("0.2.0", False, True, True)
    assert conf["ipam"]["subnet"] == "10.244.9.0/24"
    paths = [file.path for file in files_for(profile_for("1.5"), OLD, W1)]
    assert [path for path in paths if path.startswith("/etc/cni")] == ["/etc/cni/net.d/10-meshctl.conf"]


def test_routes_lead_to_all_others_in_the_order_of_addresses() -> None:
    assert routes(SPEC, CP) == ("10.244.9.0/24 via 10.77.0.9", "10.244.100.0/24 via 10.77.0.100")


def test_hosts_keeps_what_others_wrote_and_says_each_node_once() -> None:
    seeded = "127.0.0.1 localhost\n10.77.0.61 cp1\n10.0.0.9 registry cp1  # mine\n"
    once = hosts_file(seeded, SPEC)
    assert once.startswith("127.0.0.1 localhost\n10.0.0.9 registry cp1  # mine\n# meshctl")
    assert once.count("10.77.0.61 cp1") == 1
    assert hosts_file(once, SPEC) == once
    fewer = hosts_file(once, replace(SPEC, members=(CP, W1)))
    assert "w2" not in fewer


@given(st.text(alphabet=st.characters(codec="ascii", exclude_characters="\x0b\x0c\x1c\x1d\x1e\r")))
def test_hosts_is_stable_whatever_was_there(text: str) -> None:
    once = hosts_file(text, SPEC)
    assert hosts_file(once, SPEC) == once


def test_docker_keeps_other_settings_and_is_left_alone_when_right() -> None:
    changed = docker_config('{"log-driver": "json-file", "exec-opts": ["native.cgroupdriver=systemd"]}')
    assert changed is not None
    assert json.loads(changed) == {
        "log-driver": "json-file",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        "default-ipc-mode": "shareable",
    }
    assert docker_config(changed) is None


def answer(spec: Spec, member: Member, **changes: str) -> str:
    """What a node says that is as wanted, with changes: KIND → the lines instead."""
    profile = profile_for(spec.generation)
    archives = archives_for(profile, spec, member)
    kinds = {
        "active": "active\nactive\nactive\ninactive"
        + ("\nactive" if holds_address(spec, member) else "\ninactive")
        + "\nactive",
        "has": PROGRAM,
        "firewall": "kept",
        "prepared": "\n".join(spec.stamp),
        "loaded": "\n".join(archive.sha256 for archive in archives),
        "image": "\n".join(reference for archive in archives for reference in archive.references),
        "kubeadm.started": "2017-01-01",
        "kubeadm.done": "0",
        "kubeadm-file": "/etc/kubernetes/admin.conf\n/etc/kubernetes/kubelet.conf",
        "enabled": "kubelet.service\nmeshctl-network.service\nkeepalived.service\nmeshctl-firewall.service",
        "forward": "-P FORWARD ACCEPT\n-A FORWARD -j KUBE-FORWARD",
        "route": "\n".join(f"{route} dev mesh0 " for route in routes(spec, member)),
        "file": "\n".join(
            f"{file.sha256}  {file.path}" for file in (*files_for(profile, spec, member), *firewall_files(spec))
        ),
        "hosts": hosts_file("", spec),
        "docker": docker_config("") or "",
    } | {key.replace("__", "."): value for key, value in changes.items()}
    return "".join(f"{kind}\t{line}\n" for kind, lines in kinds.items() for line in lines.splitlines())


@pytest.mark.parametrize("spec", [SPEC, OLD])
@pytest.mark.parametrize("member", [CP, W1])
def test_a_node_as_wanted_has_nothing_to_do(spec: Spec, member: Member) -> None:
    state = compare(profile_for(spec.generation), spec, member, parse(answer(spec, member)))
    assert (state.unprepared, state.phase) == ((), Phase.MEMBER)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"prepared": "v1.20.1 0123"}, "2 program(s) of the bundle to install"),
        ({"prepared": SPEC.version + "\n" + SPEC.programs[0].line}, "1 program(s) of the bundle to install"),
        ({"prepared": "\n".join(("v1.20.1", *SPEC.stamp[1:]))}, "its preparation did not end"),
        ({"image": ""}, "2 image archive(s) to load"),
        ({"loaded": "4" * 64}, "1 image archive(s) to load"),
        ({"file": ""}, "17 file(s) to write"),
        ({"hosts": ""}, "/etc/hosts lacks nodes"),
        ({"docker": ""}, "/etc/docker/daemon.json to change"),
        ({"active": "active\nactivating\nactive\ninactive\ninactive\nactive"}, "kubelet.service is not running"),
        ({"enabled": "meshctl-network.service\nmeshctl-firewall.service"}, "kubelet.service is not enabled"),
        ({"enabled": "meshctl-network.service\nkubelet.service"}, "meshctl-firewall.service is not enabled"),
        ({"firewall": ""}, "the firewall's rules in the kernel are others"),
        ({"forward": "-P FORWARD DROP"}, "the firewall's FORWARD policy is not ACCEPT"),
        ({"route": "10.244.7.0/24 via 10.77.0.7 dev mesh0"}, "routes to the other nodes' pods differ"),
    ],
)
def test_each_difference_is_a_reason(changes: dict[str, str], reason: str) -> None:
    assert compare(profile_for("1.20"), SPEC, CP, parse(answer(SPEC, CP, **changes))).unprepared == (reason,)


@pytest.mark.parametrize(
    ("changes", "phase"),
    [
        ({"active": "active\nactive\nactive\nactive", "kubeadm__done": ""}, Phase.RUNNING),
        ({"kubeadm__done": ""}, Phase.HALF),
        ({"kubeadm__done": "", "kubeadm__started": ""}, Phase.FOREIGN),
        ({"kubeadm__done": "", "kubeadm-file": ""}, Phase.FRESH),
        ({"kubeadm-file": ""}, Phase.FRESH),  # somebody ran `kubeadm reset`
    ],
)
def test_how_far_kubeadm_has_come(changes: dict[str, str], phase: Phase) -> None:
    assert compare(profile_for("1.20"), SPEC, CP, parse(answer(SPEC, CP, **changes))).phase is phase


def test_images_are_read_from_dockers_own_list_too() -> None:
    references = [reference for archive in SPEC.archives for reference in archive.references]
    listed = {"Repositories": {name.rpartition(":")[0]: {name: "sha256:0"} for name in references}}
    said = parse(answer(SPEC, CP, image="", repositories=json.dumps(listed)))
    assert compare(profile_for("1.20"), SPEC, CP, said).unprepared == ()


def test_a_kubelet_that_has_no_cluster_yet_need_not_run() -> None:
    changes = {
        "active": "active\nactivating\nactive\ninactive\ninactive\nactive",
        "kubeadm__done": "",
        "kubeadm-file": "",
    }
    assert compare(profile_for("1.5"), OLD, W1, parse(answer(OLD, W1, **changes))).unprepared == ()


def test_the_stamp_follows_the_programs_and_neither_the_bundle_nor_the_neighbours() -> None:
    assert replace(SPEC, members=(CP,)).stamp == SPEC.stamp
    assert replace(SPEC, bundle_digest="c" * 12).stamp == SPEC.stamp
    assert replace(SPEC, programs=SPEC.programs[:1]).stamp != SPEC.stamp
    assert SPEC.stamp[0] == "v1.20.2"


def test_a_node_that_an_older_meshctl_prepared_from_this_bundle_is_as_wanted_and_from_another_lacks_all() -> None:
    profile, former = profile_for("1.20"), SPEC.former_stamp(CP, archives_for(profile_for("1.20"), SPEC, CP))
    assert compare(profile, SPEC, CP, parse(answer(SPEC, CP, prepared=former))).unprepared == ()
    again = compare(profile, replace(SPEC, bundle_digest="c" * 12), CP, parse(answer(SPEC, CP, prepared=former)))
    assert (again.missing_programs, again.version) == (SPEC.programs, "v1.20.2")


def test_a_bundle_that_was_sealed_again_is_compared_program_by_program_and_archive_by_archive() -> None:
    newer = replace(
        SPEC,
        bundle_digest="c" * 12,
        programs=(replace(SPEC.programs[0], sha256="9" * 64), *SPEC.programs[1:]),
        archives=(replace(SPEC.archives[0], sha256="8" * 64), *SPEC.archives[1:]),
    )
    state = compare(profile_for("1.20"), newer, CP, parse(answer(SPEC, CP)))
    assert (state.missing_programs, state.missing_archives) == (newer.programs[:1], newer.archives[:1])
    assert state.bundle_wanted
    same = compare(profile_for("1.20"), replace(SPEC, bundle_digest="c" * 12), CP, parse(answer(SPEC, CP)))
    assert not same.bundle_wanted


def test_preflight_says_every_fault() -> None:
    said = parse(
        "uid\t0\nhostname\tcp1.example\nclock\t1000\ndocker\tactive\ncgroups\tcgroup2fs\n"
        "swap\t/dev/vdb\nport\t22\nport\t6443\nport\t10250\nmissing\tsocat\n"
    )
    old = list(judge(profile_for("1.5").needs("control-plane"), CP, said, 1500))
    assert old == [
        "the host name is 'cp1.example'",
        "socat is not installed",
        "port 6443 is in use",
        "port 10250 is in use",
        "it runs cgroup v2, kubelet 1.5 needs v1 (systemd.unified_cgroup_hierarchy=0)",
        "the kernel lacks cgroup controllers: cpu, cpuacct, cpuset, devices, freezer, memory",
        "its clock is 500 s behind ours",
    ]
    new = list(judge(profile_for("1.20").needs("worker"), CP, said, 1000))
    assert new == [
        "the host name is 'cp1.example'",
        "socat is not installed",
        "port 10250 is in use",
        "swap is on (/dev/vdb)",
    ]


def test_tokens_fit_every_kubeadm_and_are_blotted_out() -> None:
    token = new_token().reveal()
    assert redacted(f"kubeadm join --token={token} 10.77.0.61") == "kubeadm join --token=*** 10.77.0.61"
    assert redacted("10.244.61.0/24 kube-apiserver-amd64:v1.5.8") == "10.244.61.0/24 kube-apiserver-amd64:v1.5.8"


def test_an_object_carries_the_digest_of_its_own_text() -> None:
    manifest = {"kind": "ConfigMap", "metadata": {"name": "x", "annotations": {"a": "b"}}, "data": {"k": "v"}}
    assert stamped(manifest)["metadata"]["annotations"] == {"a": "b", DIGEST: digest(manifest)}
    assert digest({**manifest, "data": {"k": "w"}}) != digest(manifest)


# A CA certificate and what `openssl x509 -pubkey | openssl pkey -pubin -outform der | sha256sum` says of it.
_CA = """\
-----BEGIN CERTIFICATE-----
MIIBgTCCASegAwIBAgIUTN80Zo1+vnrcZjmkfkO2QXOmFtAwCgYIKoZIzj0EAwIw
FTETMBEGA1UEAwwKa3ViZXJuZXRlczAgFw0yNjExMjMyMDAzNTVaGA8yMTI2MTAz
MDIwMDM1NVowFTETMBEGA1UEAwwKa3ViZXJuZXRlczBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABNroOKZNYGvJuR3RhtfPvqeTqvcIZJCttLcZdeL4Sz51tYaVtks9
BpPup5AqrBQ9xxwDh0nYMH/azIf8nQfrag+jUzBRMB0GA1UdDgQWBBTmVZA3Gjj5
L1xwgSCq7+uucb+/rDAfBgNVHSMEGDAWgBTmVZA3Gjj5L1xwgSCq7+uucb+/rDAP
BgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0gAMEUCIC7XjwRUAqeipMRSZIOq
jksn2gg8V2k5MEkIqkC17zQLAiEA2YZ2/6Lg6gxdBn2fD7f3BRmljOJETYo9zQ0U
PSjsyDg=
-----END CERTIFICATE-----
"""


def test_the_ca_hash_is_what_openssl_computes() -> None:
    assert ca_cert_hash(_CA) == "sha256:837841486607e8a973edc35a0ed8925617390386b61059067687c6085fc4ec0b"
