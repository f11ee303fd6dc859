"""Which way leads to a host's shell."""

from __future__ import annotations

import pytest

from provision.base.calls import Calls
from provision.base.errors import MeshctlError
from provision.base.shell import Local
from provision.hosts.host_shell import Through, host_shell
from provision.inventory.model import Host
from provision.lab import Lab, of_uri


def _shell(uri: str) -> object:
    return host_shell(Host(name="hv1", uri=uri), Calls())


@pytest.mark.parametrize(
    ("uri", "way"),
    [
        ("qemu+ssh://root@hv1/system", ("--", "hv1")),
        ("qemu+ssh://root@hv1:2222/system", ("-p", "2222", "-l", "root", "--", "hv1")),
        ("qemu+ssh://hv1/system", ("ServerAliveCountMax=4", "--", "hv1")),
        ("qemu+ssh://root@hv1/system?keyfile=/k", ("-i", "/k", "--", "hv1")),
        ("qemu+libssh://ann@hv1/system", ("-l", "ann", "--", "hv1", "sudo", "-n", "--")),
    ],
)
def test_ssh_as_libvirt_does(uri: str, way: tuple[str, ...]) -> None:
    shell = _shell(uri)
    assert isinstance(shell, Through)
    assert shell.quoted
    assert shell.prefix[:3] == ("ssh", "-o", "BatchMode=yes")
    assert shell.prefix[-len(way) :] == way


def test_the_program_is_the_one_that_libvirt_is_told() -> None:
    shell = _shell("qemu+ssh://root@hv1/system?command=/usr/local/bin/ssh&keyfile=/k")
    assert isinstance(shell, Through)
    assert shell.prefix[0] == "/usr/local/bin/ssh"


@pytest.mark.parametrize("uri", ["qemu:///system", "qemu+unix:///system", "qemu+unix:///system?socket=/run/other/s"])
def test_here(uri: str) -> None:
    shell = _shell(uri)
    assert type(shell) is Local
    assert shell.where == "hv1"


@pytest.mark.parametrize("uri", ["test:///default", "test:////n.xml", "qemu+tcp://hv1/system", "qemu+tls://hv1/system"])
def test_none(uri: str) -> None:
    assert _shell(uri) is None


def test_a_lab_is_known_by_its_socket() -> None:
    assert of_uri(Lab("try").uri) == Lab("try")
    assert of_uri(Lab("try").uri + "x") is None
    with pytest.raises(MeshctlError, match="lab no-such-lab is not up"):
        _shell(Lab("no-such-lab").uri)


def test_words_reach_a_shell_behind_ssh_unharmed() -> None:
    shell = Through("here", prefix=("sh", "-c"), quoted=True)
    assert shell.read(["printf", "%s|", "a b", "$HOME", "'"]).stdout == "a b|$HOME|'|"
    assert Through("here", prefix=("env",)).read(["printf", "%s", "a b"]).stdout == "a b"
