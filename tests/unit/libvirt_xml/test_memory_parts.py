"""Where a guest's memory is: virt-manager's, VFIO guides' and OpenStack's ways to say it."""

from __future__ import annotations

import pytest

from provision.libvirt_xml import MemoryPart, parse_domain

CELLS = "<cpu><numa><cell id='0' cpus='0-1' memory='8' unit='GiB'/><cell id='1' cpus='2-3' memory='6' unit='GiB'/></numa></cpu>"
PINNED = "<numatune><memory mode='strict' nodeset='0-1'/><memnode cellid='1' mode='strict' nodeset='3'/></numatune>"


def parts(inside: str, memory: str = "<memory unit='GiB'>14</memory>") -> tuple[MemoryPart, ...]:
    return parse_domain(f"<domain><name>x</name>{memory}<vcpu>4</vcpu>{inside}</domain>", active=True).memory_parts


def backed(pages: str) -> str:
    return f"<memoryBacking><hugepages>{pages}</hugepages></memoryBacking>"


@pytest.mark.parametrize(
    ("inside", "found"),
    [
        ("", [MemoryPart(14336)]),
        ("<numatune><memory mode='strict' nodeset='1'/></numatune>", [MemoryPart(14336, "1")]),
        ("<numatune><memory mode='strict' placement='auto'/></numatune>", [MemoryPart(14336)]),
        (CELLS, [MemoryPart(8192, "", 0, "0-1"), MemoryPart(6144, "", 0, "2-3")]),
        (CELLS + PINNED, [MemoryPart(8192, "0-1", 0, "0-1"), MemoryPart(6144, "3", 0, "2-3")]),
        (CELLS.replace(" id='0'", "").replace(" id='1'", "") + PINNED,
         [MemoryPart(8192, "0-1", 0, "0-1"), MemoryPart(6144, "3", 0, "2-3")]),
        (backed(""), [MemoryPart(14336, "", 2048)]),
        (backed("<page size='1' unit='G'/>"), [MemoryPart(14336, "", 1048576)]),
        (backed("<page size='1' unit='G' nodeset='0'/>"), [MemoryPart(14336, "", 1048576)]),
        (CELLS + backed("<page size='2048' nodeset='1'/>"), [MemoryPart(8192, "", 0, "0-1"), MemoryPart(6144, "", 2048, "2-3")]),
        (
            CELLS + backed("<page size='2048'/><page size='1' unit='GiB' nodeset='1'/>"),
            [MemoryPart(8192, "", 2048, "0-1"), MemoryPart(6144, "", 1048576, "2-3")],
        ),
        ("<cpu><numa><cell cpus='0-3' memory='garbage'/></numa></cpu>", [MemoryPart(14336)]),
    ],
)  # fmt: skip
def test_each_cell_has_its_size_its_nodes_and_its_pages(inside: str, found: list[MemoryPart]) -> None:
    assert list(parts(inside)) == found


DIMM = """<devices>
<memory model='dimm'><source><pagesize unit='KiB'>2048</pagesize><nodemask>2</nodemask></source>
  <target><size unit='GiB'>4</size><node>0</node></target></memory>
<memory model='dimm'><target><size unit='KiB'>524288</size><node>1</node></target></memory>
<memory model='virtio-mem'><target><size unit='GiB'>8</size><node>1</node><requested unit='GiB'>2</requested>
  <current unit='GiB'>1</current></target></memory>
<memory model='nvdimm'><source><path>/srv/pmem</path></source><target><size unit='GiB'>64</size><node>0</node></target></memory>
</devices>"""


def test_dimms_are_memory_and_files_are_none() -> None:
    found = parts(CELLS + PINNED + DIMM)
    assert found[2:] == (MemoryPart(4096, "2", 2048), MemoryPart(512, "3"), MemoryPart(1024, "3"))
