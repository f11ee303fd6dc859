"""Inventories from the field, each standing for its kind: what is said of them, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.base.errors import InventoryError, Problem
from provision.inventory import load

DATA = Path(__file__).parents[2] / "data" / "inventories"

GOOD = (DATA / "i01-uri-of-a-session" / "inventory.yaml").read_text()


def problems(text: str) -> list[Problem]:
    """All that is said of an inventory: its problems, or the warnings of a valid one."""
    warnings: list[Problem] = []
    try:
        load("x.yaml", text, warnings.append)
    except InventoryError as error:
        return list(error.problems)
    return warnings


def of_case(file: str) -> list[Problem]:
    return problems((DATA / file).read_text())


def of_uri(uri: str) -> list[Problem]:
    return problems(GOOD.replace("qemu+ssh://root@hv1/system", uri))


def only(found: list[Problem]) -> Problem:
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


def test_k02_control_plane_with_one_cpu() -> None:
    found = only(of_case("k02-control-plane-with-one-cpu/inventory.yaml"))
    assert (found.field, found.line, found.column) == ("nodes[0].vcpus", 7, 43)
    assert found.message == "kubeadm 1.20 wants 2 for a control plane"


def test_k02_the_old_kubeadm_asks_for_no_second_cpu_and_a_worker_may_have_one() -> None:
    one = GOOD.replace("vcpus: 2", "vcpus: 1")
    assert problems(one.replace("version: v1.20.2", "version: v1.5.8, bundle: ./b")) == []
    worker = "- {name: w1, role: worker, vcpus: 1, memory: 1GiB, disk: 20GiB}\nssh:"
    assert problems(GOOD.replace("\nssh:", f"\n{worker}")) == []
    assert only(problems(GOOD.replace("memory: 2GiB", "memory: 1GiB"))).field == "nodes[0].memory"


@pytest.mark.parametrize("file", ["session", "nopath"])
def test_i01_uri_of_a_session(file: str) -> None:
    assert of_case("i01-uri-of-a-session/inventory.yaml") == []
    found = only(of_case(f"i01-uri-of-a-session/{file}.yaml"))
    assert (found.field, found.line) == ("hosts[0].uri", 4)
    assert "libvirt's system connection is wanted: qemu" in found.message
    assert found.message.endswith("/system")


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("qemu:///session?socket=/run/x", "system connection is wanted"),
        ("qemu+unix:///session", "system connection is wanted"),
        ("qemu+ssh://root@hv1/", "wanted: qemu+ssh://root@hv1/system"),
        ("qemu+ssh://root@hv1/system/", "system connection is wanted: qemu+ssh://root@hv1/system"),
        ("qemu:///embed?root=/x", "system connection is wanted"),
        ("qemu:///System", "system connection is wanted"),
        ("test://", "needs a path"),
        ("qemu+ssh://root@hv1:99999/system", "port out of range"),
        ("qemu+ssh://root@hv1:0/system", "no such port"),
        ("qemu+ssh://root@hv1:/system", "no such port"),
        ("qemu+ssh://root@hv1:ssh/system", "port could not be cast"),
        ("qemu+ssh2://root@hv1/system", "no transport ssh2"),
        ("qemu+http://root@hv1/system", "no transport http"),
        ("qemu+unix://hv1/system", "on this machine, not on hv1"),
        ("qemu+ssh://root:geheim@hv1/system", "a password"),
        ("qemu+foo://root:geheim@hv1:99/session", "a password"),
        ("xen+ssh://root:geheim@hv1/system", "a password"),
        ("qemu+ssh://root@hv1/system?no_verify=1", "host keys are checked"),
        ("qemu+libssh2://root@hv1/system?known_hosts_verify=ignore", "host keys are checked"),
        ("qemu+tcp://hv1/system?command=/bin/x", "command= means nothing"),
        ("qemu+unix:///system?command=/bin/x", "command= means nothing"),
        ("qemu+ssh://root@hv1/system?command=", "is not a program"),
        ("qemu+ssh://root@hv1/system?command=ssh -v", "is not a program"),
        ("qemu+ext://hv1/system", "needs command="),
        ("qemu+ssh://-oProxyCommand=x/system", "is not the name of a host"),
        ("qemu+ssh://-l@hv1/system", "is not a user"),
        ("qemu+ssh://@hv1/system", "is not a user"),
        ("qemu+ssh://root@/system", "no host"),
        ("qemu+ssh://root@hv 1/system", "is not the name of a host"),
        ("qemu+ssh://root@10.0.0.256/system", "is not an IP address"),
        ("qemu+ssh://root@0.0.0.0/system", "that one can connect to"),
        ("qemu+ssh://root@[2001:db8::1/system", "is not a URI"),
        ("qemu+ssh://root@2001:db8::1/system", "is not a URI"),
        ("qemu+ssh://root@[fe80::1]/system", "that one can connect to"),
        ("qemu+ssh://root@hv1/system#x", "nothing after #"),
    ],
)  # fmt: skip
def test_i01_what_no_uri_of_a_host_can_be(uri: str, message: str) -> None:
    found = only(of_uri(uri))
    assert (found.field, found.line, found.severity) == ("hosts[0].uri", 4, "error")
    assert message in found.message
    assert found.hint
    assert "geheim" not in str(found) + found.hint


@pytest.mark.parametrize(
    "uri",
    [
        "qemu:///system", "qemu+ssh://hv1/system", "qemu+ssh://ann@hv1.example.net:2222/system?keyfile=/k", "qemu+tls://hv1/system",
        "qemu+ssh://root@[2001:db8::1]:22/system", "qemu+ssh://root@[fe80::1%25eth0]/system", "qemu+tcp://10.0.0.1/system", "qemu://hv1/system",
        "qemu+libssh2://hv1/system", "qemu+unix:///system?socket=/run/x/libvirt-sock", "test:///default", "test:////n.xml",
        "test+unix:///default?socket=/run/x", "qemu+ssh://hv1/system?proxy=native&no_tty=1", "qemu+ssh://hv1/system?no_verify=0",
        "qemu+ssh://root@hv1/system?command=/var/lib/meshctl/lab/ssh",
    ],
)  # fmt: skip
def test_i01_what_works_is_taken_without_a_word(uri: str) -> None:
    assert [one for one in of_uri(uri) if "there is no such file" not in one.message] == []


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("qemu+ssh://root@hv1/system?command=/usr/bin/env", "with your rights"),
        ("qemu+ssh://root@hv1/system?keyfle=/k", "passes over keyfle="),
        ("qemu+tls://hv1/system?no_verify=1", "certificates are not checked"),
        ("qemu+ssh:///system", "no host is named"),
    ],
)
def test_i01_what_works_and_is_unwise_is_a_warning(uri: str, message: str) -> None:
    found = only(of_uri(uri))
    assert (found.field, found.line, found.severity) == ("hosts[0].uri", 4, "warning")
    assert message in found.message


def of_sysctl(text: str) -> list[Problem]:
    return problems(f"{GOOD}sysctl: {{{text}}}\n")


def test_i03_kernel_settings_that_kubernetes_makes() -> None:
    found = of_case("i03-kernel-settings-that-kubernetes-makes/inventory.yaml")
    assert [(one.field.removeprefix("sysctl."), one.line, one.severity) for one in found] == [
        ("net.ipv4.tcp_tw_recycle", 11, "error"),
        ("net.ipv4.ip_forward", 12, "error"),
        ("net.bridge.bridge-nf-call-iptables", 13, "error"),
        ("vm.overcommit_memory", 14, "error"),
        ("net.netfilter.nf_conntrack_max", 15, "error"),
    ]
    said = [
        "no kernel from 4.12 on has it",
        "meshctl sets it to 1",
        "meshctl sets it to 1",
        "the kubelet sets it to 1",
        "kube-proxy sets it",
    ]
    assert [words in one.message for words, one in zip(said, found, strict=True)] == [True] * 5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("net/ipv4/ip_forward: 0", "meshctl sets it to 1"),
        ("net.ipv4.conf.all.forwarding: 0", "meshctl sets it to 1"),
        ("kernel.panic: 5", "the kubelet sets it to 10"),
        ("kernel.panic_on_oops: 0", "the kubelet sets it to 1"),
        ("net.netfilter.nf_conntrack_tcp_timeout_close_wait: 60", "kube-proxy sets it to 3600"),
        ("net.ipv4.conf.all.route_localnet: 0", "kube-proxy sets it to 1"),
        ("net.ipv4.netfilter.ip_conntrack_max: 9", "no kernel from 5.0 on"),
        ("kernel.sched_latency_ns: 9", "no kernel from 5.13 on"),
        ("nett.core.somaxconn: 9", "no kernel has settings below nett"),
        ("net.core.somaxconn: 9, net/core/somaxconn: 9", "is net.core.somaxconn once more"),
        ("net.core.somaxconn: -1", "cannot be: a whole number from 0"),
        ("net.core.somaxconn: many", "cannot be: a whole number from 0"),
        ("net.ipv4.tcp_tw_reuse: 3", "from 0 to 2"),
        ('net.ipv4.ip_local_port_range: "65000 1024"', "LOW HIGH"),
        ('net.ipv4.ip_local_port_range: "1024 99999"', "LOW HIGH"),
        ("net.ipv4.ip_local_port_range: 1024", "LOW HIGH"),
        ('net.ipv4.tcp_rmem: "4096 9 1"', "three numbers that rise"),
        ("vm.swappiness: 900", "from 0 to 200"),
        ("kernel.foo: 99999999999999999999", "64 bits"),
        ('kernel.foo: "  "', "it says nothing"),
    ],
)
def test_i03_settings_that_no_guest_has_or_keeps(text: str, message: str) -> None:
    found = only(of_sysctl(text))
    assert (found.line, found.severity) == (10, "error")
    assert found.field.startswith("sysctl.")
    assert message in found.message


@pytest.mark.parametrize("text", ["net.ipv4.ip_forward: 1", "vm.overcommit_memory: 1", "kernel.panic: 10"])
def test_i03_what_is_set_to_the_same_is_a_warning(text: str) -> None:
    found = only(of_sysctl(text))
    assert (found.severity, found.line) == ("warning", 10)
    assert "sets it to that" in found.message


@pytest.mark.parametrize(
    "text",
    [
        'net.ipv4.ip_local_port_range: "1024 65000"', "net.ipv4.tcp_congestion_control: bbr", "fs.file-max: 9223372036854775807",
        'net.ipv4.tcp_rmem: "4096 131072 6291456"', "net.ipv4.conf.eth0/100.rp_filter: 1", "kernel.core_pattern: core.%p",
    ],
)  # fmt: skip
def test_i03_what_a_guest_can_have_is_taken(text: str) -> None:
    assert of_sysctl(text) == []
