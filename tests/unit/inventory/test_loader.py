"""The loader: all problems at once, each at its line and column, with a hint; YAML's traps are caught."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from provision.base.errors import InventoryError, Problem
from provision.inventory import load
from provision.inventory.model import Cluster

GOOD = """\
apiVersion: meshctl/v1
cluster: t
hosts:
- name: hv1
  uri: qemu:///system
network:
  cidr: 10.77.0.0/24
nodes:
- name: cp1
  role: control-plane
  memory: 3GiB
  disk: 12GiB
- name: w1
  role: worker
  memory: 2GiB
  disk: 12GiB
ssh:
  public_key: ssh-ed25519 AAAA
kubernetes:
  version: v1.20.2
"""


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(InventoryError) as caught:
        load("x.yaml", text)
    assert caught.value.problems, caught.value
    return caught.value.problems


def changed(old: str, new: str) -> tuple[Problem, ...]:
    assert GOOD.count(old) == 1, old
    return problems(GOOD.replace(old, new))


def only(found: tuple[Problem, ...]) -> Problem:
    assert len(found) == 1, [str(problem) for problem in found]
    return found[0]


def test_a_good_inventory_loads() -> None:
    cluster = load("x.yaml", GOOD)
    assert isinstance(cluster, Cluster)
    assert cluster.control_plane.memory_mib == 3072


def test_every_problem_is_reported_at_once_and_in_order() -> None:
    text = GOOD.replace("memory: 2GiB", "memory: 2G").replace("cluster: t", "cluster: T").replace("uri: q", "urk: q")
    text = text.replace("10.77.0.0/24", "10.96.0.0/24").replace("role: worker", "role: boss")
    assert [(p.line, p.column, p.field) for p in problems(text)] == [
        (2, 10, "cluster"),
        (5, 3, "hosts[0].urk"),
        (7, 9, "network.cidr"),
        (14, 9, "nodes[1].role"),
        (15, 11, "nodes[1].memory"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "position", "field", "message", "hint"),
    [
        # Workers that may be down at once
        (
            "version: v1.20.2", "version: v1.20.2\n  max_unavailable: 2", (21, 20), "kubernetes.max_unavailable",
            "2 workers cannot be down at once: there are 1", "1 at the most",
        ),
        (
            "version: v1.20.2", "version: v1.20.2\n  max_unavailable: 0", (21, 20), "kubernetes.max_unavailable",
            "0", "",
        ),
        # YAML's traps
        ("cluster: t", "cluster: no", (2, 10), "cluster", "no without quotes is a truth value", '"no"'),
        ("cluster: t", "cluster: 52:54:00:12:34:56", (2, 10), "cluster", "to the base of 60", '"52:54:00:12:34:56"'),
        ("cluster: t", "cluster: 010", (2, 10), "cluster", "an octal number", "without leading zeros"),
        ("cluster: t", "cluster: 2017-01-01", (2, 10), "cluster", "a date", '"2017-01-01"'),
        ("cluster: t", "cluster: 1_000", (2, 10), "cluster", "is a number to many", "plain decimals"),
        ("cluster: t", "cluster: 0x1f", (2, 10), "cluster", "hexadecimal", "decimals"),
        ("cluster: t", "cluster: 1e3", (2, 10), "cluster", "is a number to many", "plain decimals"),
        ("cluster: t", "cluster: 7", (2, 10), "cluster", "7 is not a name", ""),
        ("cluster: t", "cluster: true", (2, 10), "cluster", "true is not a name", ""),
        ("version: v1.20.2", "version: 1.30", (20, 12), "kubernetes.version", "1.30 is not supported", "v1.20.x"),
        ("version: v1.20.2", "version: 1.5", (20, 12), "kubernetes.version", "1.5 is not a version", "v1.5.8"),
        ("version: v1.20.2", "version: 1.20.2", (20, 12), "kubernetes.version", "is not a version", "v1.20.2"),
        ("version: v1.20.2", "version: v1.21.4", (20, 12), "kubernetes.version", "v1.21.4 is not supported", "v1.5.x"),
        ("ssh:\n", "ssh:\n  user: 1.30\n", (18, 9), "ssh.user", "1.30 is a number, not text", 'quotes: "1.30"'),
        ("ssh:\n", "ssh:\n  user: true\n", (18, 9), "ssh.user", "true is a truth value, not text", 'quotes: "true"'),
        ("cluster: t", "cluster: t\ncluster: u", (3, 1), "cluster", "stands in line 2 already", "keep one"),
        ("  memory: 2GiB", "  memory: 2GiB\n  memory: 3GiB", (16, 3), "nodes[1].memory", "in line 15 already", "keep one"),
        ("cluster: t", "cluster: &a t\nimage: *a", (3, 8), "image", "alias *a", "write the value out"),
        ("cluster: t", "cluster: !!python/none x", (2, 10), "", "tag", "plain value"),
        ("cluster: t", "cluster:\n\t- t", (3, 1), "", "cannot start any token", "spaces"),
        ("cluster: t", "cluster: [t", (3, 6), "", "begun in line 2", "quote"),
        ("cluster: t", "cluster: t\x07", (2, 11), "", "U+0007", "delete"),
        ("version: v1.20.2", "version: v1.20.2\n---\na: b", (21, 1), "", "another document", "---"),
        ("ssh:\n", "ssh:\n  <<: {user: x}\n", (18, 3), "ssh.<<", "merge keys", "write the fields out"),
        # types
        ("  memory: 3GiB", "  memory: 3", (11, 11), "nodes[0].memory", "3 has no unit", "3GiB"),
        ("  memory: 3GiB", "  memory: 3G", (11, 11), "nodes[0].memory", "'3G' is not a size", ""),
        ("  memory: 3GiB", "  memory: 3GiB\n  vcpus: two", (12, 10), "nodes[0].vcpus", "two is not a whole number", ""),
        ("  memory: 3GiB", "  memory: 3GiB\n  vcpus: 2.5", (12, 10), "nodes[0].vcpus", "2.5 is not a whole number", ""),
        ("  memory: 3GiB", '  memory: 3GiB\n  vcpus: "2"', (12, 10), "nodes[0].vcpus", "2 is not a whole number", ""),
        ("  memory: 3GiB", "  memory: 3GiB\n  vcpus: 0", (12, 10), "nodes[0].vcpus", "0: must be greater", ""),
        ("kubernetes:\n  version: v1.20.2", "kubernetes: v1.20.2", (19, 13), "kubernetes", "is not a mapping", ""),
        ("role: worker", "role: workr", (14, 9), "nodes[1].role", "workr is not one of", "did you mean worker?"),
        ("  memory: 2GiB", "  memoy: 2GiB", (15, 3), "nodes[1].memoy", "unknown field", "did you mean memory?"),
        ("  disk: 12GiB\nssh", "ssh", (13, 3), "nodes[1].disk", "is missing", "root volume"),
        ("  cidr: 10.77.0.0/24", "  cidr: 10.77.0.5/24", (7, 9), "network.cidr", "bits set", "10.77.0.0/24"),
        ("  cidr: 10.77.0.0/24", "  cidr: 10.77.0.0", (7, 9), "network.cidr", "prefix length", "10.77.0.0/24"),
        ("  uri: qemu:///system", "  uri: xen:///", (5, 8), "hosts[0].uri", "not a libvirt URI", "qemu:///system"),
        # rules between fields
        ("role: control-plane", "role: worker", (8, 1), "nodes", "there is no control plane", "role: control-plane"),
        ("- name: w1", "- name: cp1", (13, 9), "nodes[1].name", "taken by nodes[0] (line 9)", "unique"),
        ("  memory: 2GiB", "  host: hv2\n  memory: 2GiB", (15, 9), "nodes[1].host", "there is no host hv2", "hv1?"),
        ("  cidr: 10.77.0.0/24", "  cidr: 10.244.7.0/24", (7, 9), "network.cidr", "the default", "share"),
        ("  cidr: 10.77.0.0/24", "  cidr: 10.77.0.0/30", (7, 9), "network.cidr", "too small", "/29"),
        ("- name: hv1", "- {name: hv0, uri: 'qemu+ssh://root@hv0/system'}\n- name: hv1", (8, 3), "network.mode", "nat", "bridge"),
        ("  memory: 3GiB", "  memory: 1GiB", (11, 11), "nodes[0].memory", "not enough for a control plane", "2GiB"),
        ("  memory: 2GiB", "  address: 10.78.0.9\n  memory: 2GiB", (15, 12), "nodes[1].address", "not within", "cidr"),
        ("  memory: 2GiB", "  address: 10.77.0.1\n  memory: 2GiB", (15, 12), "nodes[1].address", "the gateway", "leave"),
        ("version: v1.20.2", "version: v1.5.8", (20, 12), "kubernetes.version", "debian-source", "bundle seal"),
        (
            "version: v1.20.2", "version: v1.20.2\n  pod_cidr: 10.244.0.0/22",
            (21, 13), "kubernetes.pod_cidr", "cannot give each of 254", "larger pod_cidr",
        ),
        (
            "version: v1.20.2", "version: v1.20.2\n  service_cidr: 10.0.0.0/29",
            (21, 17), "kubernetes.service_cidr", "too small", "/24",
        ),
        ("ssh:\n", "sysctl: {somaxconn: 1}\nssh:\n", (17, 10), "sysctl.somaxconn", "not the name of", "net.core"),
        ("ssh:\n", "sysctl: {net.core.x: [1]}\nssh:\n", (17, 22), "sysctl.net.core.x", "whole number or text", "quotes"),
        ("ssh:\n", "sysctl: {net.core.x: 0.5}\nssh:\n", (17, 22), "sysctl.net.core.x", "whole number or text", "quotes"),
        ("ssh:\n", 'sysctl: {net.core.x: "1 # y"}\nssh:\n', (17, 22), "sysctl.net.core.x", "is not a value", "one line"),
        ("kubernetes:\n", "kubernetes:\n  bundle: other\n", (20, 11), "kubernetes.bundle", "known bundle", "./other"),
        (
            "  memory: 2GiB", "  memory: 2GiB\n  cpu: {policy: shared, threads: require}",
            (16, 34), "nodes[1].cpu.threads", "needs dedicated CPUs", "threads",
        ),
        (
            "  memory: 2GiB", "  memory: 2GiB\n  numa_cells: 3",
            (16, 15), "nodes[1].numa_cells", "cannot be split evenly over 3", "multiples",
        ),
        (
            "  memory: 2GiB", "  memory: 2500MiB\n  hugepages: 1GiB",
            (15, 11), "nodes[1].memory", "2500 MiB is not a whole number of huge pages of 1GiB", "more memory",
        ),
        ("cluster: t", "cluster:", (2, 9), "cluster", "is empty", "DNS label"),
        ("  memory: 2GiB", "  memory:", (15, 10), "nodes[1].memory", "is empty", "8GiB"),
        (
            "uri: qemu:///system", "uri: qemu:///system\n  reserved_cpus: [0, 4, 0]",
            (6, 25), "hosts[0].reserved_cpus[2]", "CPU 0 stands there twice", "one",
        ),
    ],
)  # fmt: skip
def test_a_problem_has_position_field_message_and_hint(
    old: str, new: str, position: tuple[int, int], field: str, message: str, hint: str
) -> None:
    found = only(changed(old, new))
    assert ((found.line, found.column), found.field) == (position, field)
    assert message in found.message
    assert hint in found.hint


def test_two_control_planes_on_1_5_are_refused_for_another_reason() -> None:
    text = GOOD.replace("role: worker", "role: control-plane").replace(
        "version: v1.20.2", "version: v1.5.8\n  bundle: ./b"
    )
    assert "kubeadm of Kubernetes 1.5 cannot" in only(problems(text)).message


def test_an_overlap_names_the_other_range_and_its_line() -> None:
    text = GOOD + "  pod_cidr: 10.0.0.0/8\n"
    found = problems(text)
    assert [(p.line, p.field) for p in found] == [(21, "kubernetes.pod_cidr")] * 2
    assert {"10.0.0.0/8 overlaps network.cidr 10.77.0.0/24 (line 7)"} < {p.message for p in found}


def test_a_range_too_small_for_the_nodes_counts_them() -> None:
    nodes = "".join(f"- {{name: n{i}, role: worker, memory: 2GiB, disk: 12GiB}}\n" for i in range(7))
    text = GOOD.replace("/24", "/29").replace("ssh:\n", nodes + "ssh:\n")
    found = only(problems(text))
    assert (found.field, found.line) == ("network.cidr", 7)
    assert "there are 9 nodes" in found.message


def test_faults_of_one_part_do_not_hide_rules_about_others() -> None:
    text = (
        GOOD.replace("memory: 3GiB", "memory: much").replace("- name: w1", "- name: cp1") + "  pod_cidr: 10.77.0.0/16\n"
    )
    assert [p.field for p in problems(text)] == ["nodes[0].memory", "nodes[1].name", "kubernetes.pod_cidr"]


def test_aliases_that_refer_to_themselves_or_explode_are_one_problem_each() -> None:
    assert "alias *a" in problems(GOOD.replace("cluster: t", "cluster: t\nimage: &a [*a]"))[-1].message
    bomb = "".join(f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9) if i else '1'}]\n" for i in range(20))
    started = time.monotonic()
    assert any("aliases are not read" in p.message for p in problems(bomb))
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a\n", "text\n", "a: [" * 3000])
def test_what_is_no_mapping_is_said_to_be_none(text: str) -> None:
    assert only(problems(text)).line == 1


def test_quoted_traps_are_text() -> None:
    assert load("x.yaml", GOOD.replace("cluster: t", 'cluster: "no"')).cluster == "no"
    assert load("x.yaml", GOOD.replace("cluster: t", "cluster: '010'")).cluster == "010"


def test_a_file_that_is_not_there_or_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(InventoryError, match="cannot be read: No such file"):
        load(str(tmp_path / "none.yaml"))
    file = tmp_path / "latin1.yaml"
    file.write_bytes(b"a: b\nc: \xe9\n")
    with pytest.raises(InventoryError) as caught:
        load(str(file))
    assert [(p.line, p.column) for p in caught.value.problems] == [(2, 4)]


def test_a_byte_order_mark_and_crlf_are_harmless(tmp_path: Path) -> None:
    file = tmp_path / "windows.yaml"
    file.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load(str(file)).cluster == "t"


def test_relative_paths_start_at_the_inventory(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(GOOD.replace("public_key: ssh-ed25519 AAAA", "key_file: keys/id") + "  bundle: ./b\n")
    cluster = load(str(file))
    assert cluster.ssh.key_file == str(tmp_path / "keys/id")
    assert cluster.kubernetes.bundle == str(tmp_path / "b")
    file.write_text(GOOD.replace("public_key: ssh-ed25519 AAAA", "key_file: ~/.ssh/id"))
    assert load(str(file)).ssh.key_file == str(Path.home() / ".ssh/id")


@given(st.text(alphabet=st.sampled_from("abc: -[]{}&*!|>'\"%@`#\n\t0123,?~<=.é\x00"), max_size=60))
@example("? [a]\n: b")
@example("? {a: b}\n: b")
@example("1: 2")
@example("hosts: [1, {}]\nnodes: {a: b}\nnetwork: [x]\nsysctl: [1]")
def test_no_text_breaks_the_loader(text: str) -> None:
    with pytest.raises(InventoryError) as caught:
        load("x.yaml", text)
    assert all(p.line >= 1 and p.column >= 1 and p.message for p in caught.value.problems)


def test_loading_is_quick() -> None:
    """With all imports: 130 ms of CPU time on an idle core of 2020; twice that where hyperthreads are busy."""
    script = "import time; s = time.process_time(); from provision.inventory import load; load('inventories/lab.yaml');"
    script += "print(time.process_time() - s)"
    root = Path(__file__).parents[3]
    runs = [subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, check=True) for _ in range(5)]
    assert min(float(run.stdout) for run in runs) < 0.3
