"""`meshctl place` on machines that are not textbook: inputs made after reports of people who have them (tests/data/cases)."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from provision.base.errors import InventoryError, PlacementError
from provision.cli.place import place

CASES = Path(__file__).parents[2] / "data" / "cases"


def run(case: str, *more: str, inventory: str = "inventory.yaml", domains: str = "") -> Result:
    folder = CASES / case
    there = ("--domains", f"hv1={folder / domains}") if domains else ()
    return CliRunner().invoke(
        place, [str(folder / inventory), "--capabilities", f"hv1={folder / 'hv1.xml'}", *there, *more]
    )


def test_p01_cpu_in_two_cells() -> None:
    found = run("p01-cpu-in-two-cells")
    assert found.stdout.splitlines() == [
        "hv1 cell 0: host 0 | cp1 1 2 3 | w1 4 5 6 | free 7",
        "hv1 cell 1: no CPUs",
    ]
    assert "CPUs 0-7 or their siblings stand in several NUMA nodes" in found.stderr


def test_p03_refusal_names_the_wrong_reason() -> None:
    found = run("p03-refusal-names-the-wrong-reason", domains="d")
    assert isinstance(found.exception, PlacementError)
    assert found.exception.message.endswith(
        "cp1 needs 2 dedicated CPUs and 8192 MiB: hv1 cell 0: 0 MiB free, 8192 needed; hv1 cell 1: 0 MiB free, 8192 needed"
    )


@pytest.mark.parametrize(("inventory", "domains"), [("inventory.yaml", "unequal"), ("huge.yaml", "pages")])
def test_p04_memory_of_others_by_cell(inventory: str, domains: str) -> None:
    found = run("p04-memory-of-others-by-cell", inventory=inventory, domains=domains)
    assert found.stdout.splitlines() == [
        "hv1 cell 0: host 0 | free 1 2 3 4 5 6 7",
        "hv1 cell 1: host 8 | cp1 9 10 | free 11 12 13 14 15",
    ]


def test_p05_xml_with_a_declaration() -> None:
    found = run("p05-xml-with-a-declaration", domains="d")
    assert (found.exit_code, found.stdout) == (0, "hv1 cell 0: host 0 | cp1 1 2 | free 3 4 5 6 7\n")


PINNED = "<domain type='kvm'><name>gäst</name><memory>1048576</memory><vcpu cpuset='1-2'>1</vcpu></domain>"


@pytest.mark.parametrize("name", ["g.xml", "g"])
@pytest.mark.parametrize(
    ("declaration", "encoding"),
    [
        ("", "utf-8"),
        ("", "utf-8-sig"),
        ("<?xml version='1.0' encoding='UTF-8'?>\n", "utf-8"),
        ('<?xml version="1.0" encoding="ISO-8859-1" standalone="yes"?>\n<!-- by an editor -->\n', "latin-1"),
        ("<?xml version='1.0' encoding='UTF-16'?>", "utf-16"),
        ("<?xml version='1.0' encoding='UTF-16'?>", "utf-8"),
        ("\n<?xml version='1.0'?>\n<!--\nWARNING: THIS IS AN AUTO-GENERATED FILE\n-->\n", "utf-8"),
    ],
)
def test_a_domain_is_read_however_it_is_encoded(tmp_path: Path, name: str, declaration: str, encoding: str) -> None:
    (tmp_path / name).write_bytes((declaration + PINNED).encode(encoding))
    found = run("p05-xml-with-a-declaration", domains=str(tmp_path))
    assert found.stdout == "hv1 cell 0: host 0 | (gäst) 1 2 | cp1 3 4 | free 5 6 7\n", found.exception


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("g.xml", b"", "is not a domain: not XML: Document is empty"),
        ("g.xml", b"error: failed to get domain 'g'", "is not a domain: not XML: Start tag expected"),
        ("g.xml", b"<domain><name>g</name>", "is not a domain: not XML: Premature end of data"),
        ("g.xml", b"<domain><name>g\xe4st</name></domain>", "is not UTF-8 text"),
        ("g.xml", b"<?xml version='1.0' encoding='klingon'?><domain/>", "there is no encoding 'klingon'"),
        ("g.xml", b"<domstatus><domain/></domstatus>", "is not a domain: its element is <domstatus>"),
        ("g.xml", b"<domain type='kvm'/>", "is not a domain: it has no <name>"),
        (
            "g.xml",
            b"<domain><name>g</name><vcpu cpuset='0-4294967295'>1</vcpu></domain>",
            "is not a domain: 4294967295 is no number",
        ),
        (
            "g.xml",
            b"<domain><name>g</name><cpu><numa><cell id='0'/></numa></cpu></domain>",
            "is not a domain: a <cell> says '', which",
        ),
        ("g", b"<domain><name>g\xe4st</name></domain>", "is not UTF-8 text"),
    ],
)
def test_a_domain_that_cannot_be_read_is_named_with_the_cause(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    found = run("p05-xml-with-a-declaration", domains=str(tmp_path))
    assert isinstance(found.exception, InventoryError)
    assert found.exception.message.startswith(f"{tmp_path / name}: {message}")


def test_what_is_beside_domains_is_passed_over_and_what_leads_nowhere_is_not(tmp_path: Path) -> None:
    (tmp_path / "core").write_bytes(b"\x7fELF\x00\xff")
    (tmp_path / "README").write_text("<p>not a domain</p>")
    (tmp_path / "folder.xml").mkdir()
    assert run("p05-xml-with-a-declaration", domains=str(tmp_path)).exit_code == 0
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    found = run("p05-xml-with-a-declaration", domains=str(tmp_path))
    assert str(found.exception) == f"{tmp_path / 'gone'}: cannot be read: No such file or directory"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_capabilities_are_read_however_they_are_encoded(tmp_path: Path, encoding: str) -> None:
    text = (CASES / "p05-xml-with-a-declaration" / "hv1.xml").read_text()
    (tmp_path / "hv1.xml").write_bytes(f"<?xml version='1.0' encoding='{encoding}'?>\n{text}".encode(encoding))
    inventory = CASES / "p05-xml-with-a-declaration" / "inventory.yaml"
    found = CliRunner().invoke(place, [str(inventory), "--capabilities", f"hv1={tmp_path / 'hv1.xml'}"])
    assert found.stdout == "hv1 cell 0: host 0 | cp1 1 2 | free 3 4 5 6 7\n", found.exception


def test_capabilities_that_are_no_text_are_named_as_such(tmp_path: Path) -> None:
    (tmp_path / "hv1.xml").write_bytes(b"<capabilities>\xff</capabilities>")
    inventory = CASES / "p05-xml-with-a-declaration" / "inventory.yaml"
    found = CliRunner().invoke(place, [str(inventory), "--capabilities", f"hv1={tmp_path / 'hv1.xml'}"])
    assert isinstance(found.exception, InventoryError)
    assert found.exception.message == f"{tmp_path / 'hv1.xml'}: is not UTF-8 text"
    assert "virsh capabilities" in found.exception.hint


def test_p06_another_architecture() -> None:
    found = run("p06-another-architecture")
    assert isinstance(found.exception, PlacementError)
    assert found.exception.message == "hv1 is aarch64; meshctl's guests are x86_64"


@pytest.mark.parametrize(
    ("architecture", "runs"), [("x86_64", True), ("i686", False), ("ppc64le", False), ("s390x", False), ("riscv64", False)]
)  # fmt: skip
def test_hosts_of_other_architectures_are_refused(tmp_path: Path, architecture: str, runs: bool) -> None:
    text = (CASES / "p06-another-architecture" / "hv1.xml").read_text()
    (tmp_path / "hv1.xml").write_text(text.replace("aarch64", architecture))
    arguments = [str(CASES / "p06-another-architecture" / "inventory.yaml"), "--capabilities"]
    found = CliRunner().invoke(place, [*arguments, f"hv1={tmp_path / 'hv1.xml'}"])
    assert (found.exit_code == 0) == runs
    assert runs or f"hv1 is {architecture};" in str(found.exception)


def test_two_hosts_with_one_uuid_are_one_machine(tmp_path: Path) -> None:
    inventory = """\
apiVersion: meshctl/v1
cluster: t
hosts: [{name: hv1, uri: "qemu+ssh://hv1/system"}, {name: hv2, uri: "qemu+ssh://10.0.0.2/system"}]
network: {cidr: 10.77.0.0/24, mode: bridge, bridge: br0}
nodes: [{name: cp1, role: control-plane, vcpus: 2, memory: 8GiB, disk: 20GiB}]
ssh: {public_key: ssh-ed25519 AAAA ops}
kubernetes: {version: v1.20.2}
"""
    (tmp_path / "x.yaml").write_text(inventory)
    same = CASES.parent / "capabilities" / "two-sockets-smt.xml"
    (tmp_path / "other.xml").write_text(same.read_text().replace("</uuid>", "</uuid>\n").replace("5b1e", "5B1E"))
    given = ["--capabilities", f"hv1={same}", "--capabilities", f"hv2={tmp_path / 'other.xml'}"]
    found = CliRunner().invoke(place, [str(tmp_path / "x.yaml"), *given])
    assert isinstance(found.exception, PlacementError)
    assert found.exception.message == (
        "hv2 is the machine of hv1 (host uuid 5b1e6a0e-0f0d-4f4a-9f53-3c7f0f6a5d02), whose CPUs and memory would be given twice"
    )
