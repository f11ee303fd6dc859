"""Inventories from the field, each standing for its kind: what is said of them, and where."""

from __future__ import annotations

import re
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
        ("qemu+ssh://root%3Ageheim@hv1/system", "a password"),
        ("qemu+unix:///system?socket=x", "not an absolute path"),
        ("qemu+ssh://root@hv1/system?no_verify", "host keys are checked"),
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
        "qemu+ssh://root@[2001:db8::1]:22/system", "qemu+ssh://root@[fe80::1%25eth0]/system", "qemu://hv1/system",
        "qemu+libssh2://hv1/system", "qemu+unix:///system?socket=/run/x/libvirt-sock", "test:///default", "test:////n.xml",
        "test+unix:///default?socket=/run/x", "qemu+ssh://hv1/system?proxy=native&no_tty=1", "qemu+ssh://hv1/system?no_verify=0",
        "qemu+ssh://root@hv1/system?command=/var/lib/meshctl/lab/ssh",
    ],
)  # fmt: skip
def test_i01_what_works_is_taken_without_a_word(uri: str) -> None:
    assert [
        one for one in of_uri(uri) if not re.search("there is no /var/lib/meshctl/|/k: cannot be read", one.message)
    ] == []


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("qemu+ssh://root@hv1/system?command=/usr/bin/env", "with your rights"),
        ("qemu+ssh://root@hv1/system?keyfle=/k", "passes over keyfle="),
        ("qemu+tls://hv1/system?no_verify=1", "certificates are not checked"),
        ("qemu+ssh:///system", "no host is named"),
        ("qemu+tcp://hv1/system", "neither encrypted nor checked"),
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
        ("kernel.hostname: x", "as `nodes` says"),
        ("kernel.modules_disabled: 1", "load modules"),
        ("net.netfilter.nf_conntrack_buckets: 65536", "kube-proxy sets it"),
        ('net.core.somaxconn: ""', "is empty"),
        ("kernel.panic: 5", "the kubelet sets it to 10"),
        ("kernel.panic_on_oops: 0", "the kubelet sets it to 1"),
        ("net.netfilter.nf_conntrack_tcp_timeout_close_wait: 60", "kube-proxy sets it to 3600"),
        ("net.ipv4.conf.all.route_localnet: 0", "kube-proxy sets it to 1"),
        ("net.ipv4.netfilter.ip_conntrack_max: 9", "no kernel from 5.0 on"),
        ("kernel.sched_latency_ns: 9", "no kernel from 5.13 on"),
        ("nett.core.somaxconn: 9", "no kernel has settings below nett"),
        ("net.core.somaxconn: 9, net/core/somaxconn: 9", "is net.core.somaxconn once more"),
        ("net.cor.somaxconn: 9", "no kernel has settings below net.cor"),
        ("net.somaxconn: 9", "no kernel has settings below net.somaxconn"),
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


def changed(old: str, new: str) -> list[Problem]:
    assert GOOD.count(old) == 1, old
    return problems(GOOD.replace(old, new))


VOLUME = "volumes: [{{name: v, size: 1GiB, mount: {}}}]"
HOST, NODE = '{name: hv1, uri: "qemu+ssh://root@hv1/system"}', "disk: 20GiB"


@pytest.mark.parametrize(
    ("old", "new", "field", "message"),
    [
        *((HOST, HOST.replace("}", f", pool: {{path: {path}}}}}"), "hosts[0].pool.path", message) for path, message in (
            *((path, "own system") for path in
              ("/", "/etc", "/etc/x", "/proc/1", "/dev/nvme0n1", "/sys/x", "/run/x", "/usr/share/x", "/var", "/tmp")),
            *((path, "another program of the host") for path in ("/var/lib/docker", "/var/lib/kubelet/pods", "/var/lib/libvirt/qemu/x")),
            ("/srv/../etc", "detour"), ("/srv/./x", "detour"), ("/srv/x/", "detour"), ("//srv", "detour"), ("srv", "absolute"),
            ('"/srv/a\\tb"', "U+0009"), ('"/srv/\\x1b"', "U+001B"), ('"/srv/a\\nb"', "U+000A"), (f"/srv/{'x' * 256}", "255 bytes"),
        )),
        (HOST, HOST.replace("}", ", pool: {type: block, devices: [/dev/sda1, /dev/null]}}"), "hosts[0].pool.devices[1]", "block"),
        (HOST, HOST.replace("}", ", pool: {type: block, devices: [/dev/../etc/x]}}"), "hosts[0].pool.devices[0]", "block"),
        (HOST, HOST.replace("}", ", pool: {numa_node: 99999}}"), "hosts[0].pool.numa_node", "1023"),
        *(("cluster: t", f"cluster: t\nstorage: {{wipe: ['{serial}']}}", "storage.wipe", "no serial number")
          for serial in ("*", "/dev/sda", " ")),
        ("cluster: t", "cluster: t\nimage: debian-13", "image", "there is no recipe debian-13"),
        ("kubernetes: {", "kubernetes: {bundle: 'https://example.net/b', ", "kubernetes.bundle", "no address"),
        *((NODE, f"{NODE}, {VOLUME.format(mount)}", "nodes[0].volumes[0].mount", message) for mount, message in (
            ("/var/lib/./x", "detour"), ("/var//x", "detour"), ("/srv/x/", "detour"), ("/proc/x", "own system"), ("/dev/shm", "own system"),
            ("/etc/kubernetes", "own system"), ("/home", "own system"), ("/home/mesh", "hides the key"), ("/var/lib", "own system"),
            ("/var/lib/cloud", "own system"), ("/bin", "own system"), ("/tmp", "own system"), ('"/srv/a b"', "place to mount"),
        )),
        (NODE, f"{NODE}, volumes: [{{name: v, size: 1GiB, mount: /srv/a/b}}, {{name: w, size: 1GiB, mount: /srv/a}}]",
         "nodes[0].volumes[1].mount", "/srv/a is mounted after /srv/a/b, and hides it"),
        *(("10.77.0.0/24", cidr, "network.cidr", message) for cidr, message in (
            ("127.0.0.0/24", "loopback"), ("169.254.1.0/24", "link-local"), ("224.0.0.0/24", "multicast"), ("172.17.0.0/24", "docker0"),
            ("172.17.255.0/24", "docker0"), ("240.0.0.0/24", "reserved"), ("0.0.0.0/24", "network itself"),
            ("8.8.8.0/24", "of the Internet"),
        )),
        ("kubernetes: {", "kubernetes: {pod_cidr: 127.0.0.0/8, ", "kubernetes.pod_cidr", "loopback"),
        ("kubernetes: {", "kubernetes: {service_cidr: 169.254.0.0/16, ", "kubernetes.service_cidr", "link-local"),
        ("root@hv1/", "root@10.77.0.9/", "network.cidr", "10.77.0.0/24 holds 10.77.0.9, which is hosts[0].uri"),
        ("AAAA ops}", "AAAA ops, jump: 10.77.0.9}", "network.cidr", "10.77.0.0/24 holds 10.77.0.9, which is ssh.jump"),
        ("{cidr: 10.77.0.0/24}", "{cidr: 10.77.0.0/24, nameservers: [10.0.0.1, 127.0.0.53]}", "network.nameservers[1]", "ask"),
        ("{cidr: 10.77.0.0/24}", "{cidr: 10.77.0.0/24, bridge: docker0}", "network.bridge", "another's"),
        ("{cidr: 10.77.0.0/24}", "{cidr: 10.77.0.0/24, nameservers: [10.77.0.9]}", "network.nameservers[0]", "nodes may get"),
        ("{cidr: 10.77.0.0/24}", "{cidr: 10.77.0.0/24, bridge: eth0}", "network.bridge", "another's"),
        ("kubernetes:", "mesh: {image: a b}\nkubernetes:", "mesh.image", "not the name of an image"),
        ("kubernetes: {version: v1.20.2", "mesh: {port: 8080}\nkubernetes: {version: v1.5.8, bundle: ./b", "mesh.port", "the API server"),
        ("name: cp1", "name: localhost", "nodes[0].name", "each machine's name"),
        ("name: cp1", "name: ip6-loopback", "nodes[0].name", "each machine's name"),
        ("name: cp1", 'name: "10"', "nodes[0].name", "an IPv4 address"),
        ("memory: 2GiB", "memory: 90TiB", "nodes[0].memory", "no machine has 90TiB"),
        (NODE, "disk: 900TiB", "nodes[0].disk", "no disk has 900TiB"),
        (HOST, HOST.replace("}", ", reserved_memory: 99999TiB}"), "hosts[0].reserved_memory", "no disk has"),
        ("kubernetes:", "mesh: {heap: 0MiB}\nkubernetes:", "mesh.heap", "not enough for linkerd"),
        ("kubernetes:", "mesh: {heap: 1.5KiB}\nkubernetes:", "mesh.heap", "not enough for linkerd"),
        ("kubernetes:", "mesh: {heap: 4GiB}\nkubernetes:", "mesh.heap", "node cp1 has 2048"),
        ("kubernetes:", "mesh: {port: 22}\nkubernetes:", "mesh.port", "the port of sshd"),
        ("kubernetes:", "mesh: {admin_port: 10250}\nkubernetes:", "mesh.admin_port", "the port of the kubelet"),
        ("AAAA ops}", 'AAAA ops, jump: "root@[fe80::1]"}', "ssh.jump", "that one can connect to"),
        ("AAAA ops}", "AAAA ops, jump: 10.0.0.256}", "ssh.jump", "not an IP address"),
    ],
)  # fmt: skip
def test_what_was_accepted_and_failed_later_is_refused_at_its_field(
    old: str, new: str, field: str, message: str
) -> None:
    found = only(changed(old, new))
    assert (found.field, found.severity) == (field, "error")
    assert message in found.message
    assert found.hint
    lines = GOOD.replace(old, new).splitlines()
    assert lines[found.line - 1][found.column - 1 :].strip(), "the position is within the line"


def test_a_bridge_may_join_the_hosts_own_network_but_not_give_out_its_addresses() -> None:
    bridged = GOOD.replace("root@hv1/", "root@10.77.0.9/")
    whole = bridged.replace("cidr: 10.77.0.0/24", "mode: bridge, bridge: br0, cidr: 10.77.0.0/24")
    assert only(problems(whole)).message == "nodes may get 10.77.0.9, which is hosts[0].uri"
    assert problems(whole.replace("bridge: br0,", "bridge: br0, nodes: 10.77.0.100-10.77.0.200,")) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (HOST, HOST.replace("}", ", pool: {path: /usr/local/meshctl}}")),
        (NODE, f"{NODE}, volumes: [{{name: v, size: 1GiB, mount: /srv/a}}, {{name: w, size: 1GiB, mount: /srv/a/b}}]"),
        (
            NODE,
            f"{NODE}, volumes: [{{name: v, size: 1GiB, mount: /var/lib/docker}}, {{name: w, size: 1GiB, mount: /var/log}}]",
        ),
        ("10.77.0.0/24", "100.64.0.0/24"),
        ("10.77.0.0/24", "192.168.100.0/24"),
        ("root@hv1/", "root@10.78.0.9/"),
        ("AAAA ops}", 'AAAA ops, jump: "root@[2001:db8::1]:22"}'),
        ("name: cp1", "name: 1a"),
    ],
)
def test_what_works_is_taken_without_a_word(old: str, new: str) -> None:
    assert changed(old, new) == []


@pytest.mark.parametrize("new", ["kubernetes: {pod_cidr: 9.0.0.0/16, ", "kubernetes: {service_cidr: 11.0.0.0/16, "])
def test_ranges_of_the_internet_are_a_warning_where_they_can_work(new: str) -> None:
    found = only(changed("kubernetes: {", new))
    assert (found.field.partition(".")[0], found.severity) == ("kubernetes", "warning")


@pytest.mark.parametrize(
    ("content", "mode", "message"),
    [
        (None, 0o600, "cannot be read: No such file"),
        ("ssh-ed25519 AAAA me", 0o600, "this is a public key"),
        ("hello", 0o600, "this is not a private key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", 0o644, "others may read it (mode 0644)"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", 0o600, ".pub here"),
    ],
)
def test_validate_says_what_is_wrong_with_a_key_file(
    content: str | None, mode: int, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "id"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    if not message.startswith(".pub"):
        (tmp_path / "id.pub").write_text("ssh-ed25519 AAAA me")
    found = only(changed("public_key: ssh-ed25519 AAAA ops", f"key_file: {file}"))
    assert (found.field, found.severity) == ("ssh.key_file", "warning")
    assert message in found.message


def test_no_device_is_read_for_a_key() -> None:
    found = changed("public_key: ssh-ed25519 AAAA ops", "key_file: /dev/zero")
    assert "/dev/zero: cannot be read: it is not a file" in [one.message for one in found]


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("10.77.0.0/24", "192.168.122.0/24", "network.cidr"),
        ("{cidr: 10.77.0.0/24}", "{cidr: 10.77.0.0/24, name: default}", "network.name"),
        ("AAAA ops}", 'AAAA ops, jump: "2001:db8::1:22"}', "ssh.jump"),
        (HOST, HOST.replace("}", ", pool: {path: /var/lib/libvirt/images}}"), "hosts[0].pool.path"),
        (HOST, HOST.replace("}", ", pool: {path: /tmp/x}}"), "hosts[0].pool.path"),
        ("kubernetes: {", "kubernetes: {bundle: /etc/passwd, ", "kubernetes.bundle"),
    ],
)
def test_what_may_work_and_is_unwise_is_a_warning(old: str, new: str, field: str) -> None:
    found = only(changed(old, new))
    assert (found.field, found.severity) == (field, "warning")
