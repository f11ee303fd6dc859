"""What a guest takes off itself before others are made from it: the real commands, in a root of their own over this machine's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from provision.base.shell import Completed, Local
from provision.guests import READY
from provision.guests.cloning import _FORGET, _LEAVE, _START

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root")

# $1: a folder; $2: what is done first, $3: the script, $4: its argument, $5: what is asked after it. All that is written goes to memory.
_ROOT = """
set -e
mount --make-rprivate /
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" none "$1/root"
root=$1/root
mkdir -p "$root/dev" "$root/stubs" "$root/run"
: > "$root/dev/null"
: > "$root/dev/console"
for stub in systemctl journalctl loginctl fstrim sync cloud-init sleep; do
    printf '#!/bin/sh\\necho "%s $*" >> /said\\n' "$stub" > "$root/stubs/$stub"
    chmod 755 "$root/stubs/$stub"
done
chroot "$root" env PATH=/stubs:/usr/sbin:/usr/bin:/sbin:/bin sh -c "$2"
chroot "$root" env PATH=/stubs:/usr/sbin:/usr/bin:/sbin:/bin sh -c "$3" script "$4"
chroot "$root" sh -c "$5"
"""

_LIVED = """
set -e
useradd --create-home --shell /bin/sh golden
mkdir -p /home/golden/.ssh /etc/sudoers.d /var/log/journal/0123 /var/lib/systemd /var/lib/dbus /etc/ssh /root/.ssh /var/lib/cloud/x
mkdir -p /etc/systemd/network /etc/sysctl.d
for file in /home/golden/.ssh/authorized_keys /etc/sudoers.d/90-cloud-init-users /var/log/journal/0123/system.journal \\
    /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/dbus/machine-id /etc/ssh/ssh_host_ed25519_key \\
    /etc/ssh/ssh_host_ed25519_key.pub /etc/machine-id /root/.ssh/authorized_keys /etc/systemd/network/10-cloud-init-mesh0.network \\
    /etc/sysctl.d/90-meshctl.conf /etc/hostname; do
    echo golden > "$file"
done
"""


def in_a_root(tmp_path: Path, script: str, after: str, first: str = _LIVED) -> Completed:
    argv = ["unshare", "--mount", "sh", "-c", _ROOT, "root", str(tmp_path), first, script, "golden", after]
    return Local().run(argv, check=False, within_s=60)


def test_what_makes_it_one_guest_is_gone_and_it_says_so_last(tmp_path: Path) -> None:
    done = in_a_root(
        tmp_path,
        _LEAVE,
        "! grep -l golden -r /etc/passwd /etc/shadow /etc/group /etc/sudoers.d /etc/ssh /var/log"
        " /var/lib/systemd /var/lib/dbus /etc/machine-id && test ! -e /etc/shadow- && test ! -e /home/golden"
        " && test -e /etc/machine-id && ls -A /var/log"
        " && cat /dev/console /said",
    )
    assert done.status == 0, done
    lines = done.stdout.splitlines()
    assert lines[0] == READY, lines
    assert lines[-1] == "systemctl poweroff"
    said = [line.split(" ")[0] for line in lines[1:]]
    assert said.index("journalctl") < said.index("fstrim") < said.index("sync")
    assert lines.index("systemctl stop systemd-random-seed.service") < lines.index("journalctl --relinquish-var")


def test_one_that_cannot_take_its_user_away_is_not_ready(tmp_path: Path) -> None:
    broken = f"{_LIVED}\nprintf '#!/bin/sh\\nexit 8\\n' > /stubs/userdel; chmod 755 /stubs/userdel"
    done = in_a_root(tmp_path, _LEAVE, "true", broken)
    assert done.status != 0
    said = in_a_root(tmp_path, f"({_LEAVE}) || true", "cat /dev/console /said", broken).stdout
    assert READY not in said
    assert "poweroff" not in said


def test_what_cloud_init_made_of_the_seed_goes(tmp_path: Path) -> None:
    done = in_a_root(
        tmp_path,
        _FORGET,
        "test ! -e /var/lib/cloud && test ! -e /root/.ssh && test ! -e /etc/sysctl.d/90-meshctl.conf"
        " && ls -A /etc/systemd/network && cat /etc/hostname /etc/hosts /said",
    )
    assert done.status == 0, done
    assert done.stdout.splitlines() == [
        "localhost",
        "127.0.0.1 localhost",
        "::1 localhost ip6-localhost ip6-loopback",
        "cloud-init clean --logs",
    ]


def test_what_takes_the_user_away_is_no_child_of_his_session(tmp_path: Path) -> None:
    """systemd-run(1) has a unit made for it; the script comes by stdin, as systemd reads `$` in a command line."""
    stub = tmp_path / "systemd-run"
    stub.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    stub.chmod(0o755)
    start = _START.replace("/run/meshctl", str(tmp_path / "run"))
    said = Local(env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}).run(
        ["sh", "-c", start, "leave", "mesh"], stdin=_LEAVE.encode()
    )
    words = said.stdout.splitlines()
    assert words[-3:] == ["sh", str(tmp_path / "run/cloning"), "mesh"]
    assert (tmp_path / "run/cloning").read_text() == _LEAVE
