"""A jump host in every spelling that ssh(1) takes."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from provision.inventory import Jump, parse_jump
from provision.inventory.model import Ssh


@pytest.mark.parametrize(
    ("text", "jump"),
    [
        ("hv1", Jump("hv1")),
        ("root@hv1.example.net", Jump("hv1.example.net", "root")),
        ("root@hv1.example.net:2222", Jump("hv1.example.net", "root", 2222)),
        ("192.0.2.7:22", Jump("192.0.2.7", None, 22)),
        ("[2001:db8::1]:22", Jump("2001:db8::1", None, 22)),
        ("[2001:db8::1]", Jump("2001:db8::1")),
        ("user@[::1]", Jump("::1", "user")),
        ("user@[::1]:2222", Jump("::1", "user", 2222)),
        ("2001:db8::1", Jump("2001:db8::1")),
        ("root@2001:db8::1:22", Jump("2001:db8::1:22", "root")),
        ("::1", Jump("::1")),
        ("::ffff:192.0.2.7", Jump("::ffff:192.0.2.7")),
    ],
)
def test_spellings(text: str, jump: Jump) -> None:
    assert parse_jump(text) == jump
    assert Ssh(jump=text, public_key="ssh-ed25519 AAAA").jump == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "@hv1",
        "root@",
        "hv1:",
        "hv1:ssh",
        "hv1:0",
        "hv1:65536",
        "[hv1]:22",
        "1:2:3",
        "-oProxyCommand=x",
        "a b",
        "root@-x",
    ],
)
def test_what_is_no_host_is_refused_with_the_inventory(text: str) -> None:
    with pytest.raises(ValueError, match="not"):
        parse_jump(text)
    with pytest.raises(ValidationError):
        Ssh(jump=text, public_key="ssh-ed25519 AAAA")
