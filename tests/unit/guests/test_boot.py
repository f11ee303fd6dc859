"""What cloud-init's status file and the kernel's settings mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from provision.base.shell import Local
from provision.guests.boot import Boot, Differing, judge, observe_boot

WANTED: dict[str, int | str] = {"net.core.somaxconn": 4096, "net.ipv4.ip_local_port_range": "1024 65000"}
FILE = """\
/etc/sysctl.d/90-meshctl.conf:net.core.somaxconn = 4096
/etc/sysctl.d/90-meshctl.conf:net.ipv4.ip_local_port_range = 1024 65000
"""
RIGHT = FILE + "/proc/sys/net/core/somaxconn:4096\n/proc/sys/net/ipv4/ip_local_port_range:1024\t65000\n"


def status(**stages: Any) -> str:
    done = {"errors": [], "start": 1.0, "finished": 2.0}
    said = {"datasource": "DataSourceNoCloud", "stage": None, "init-local": done, "init": done, "modules-final": done}
    return json.dumps({"v1": {**said, **{name.replace("_", "-"): stage for name, stage in stages.items()}}})


def test_done_and_right_has_no_fault() -> None:
    assert judge(status(), RIGHT, WANTED) == Boot()


def test_a_boot_that_is_not_finished_says_where_it_is() -> None:
    running = status(stage="init", modules_final={"errors": [], "start": None, "finished": None})
    assert judge(running, "", WANTED).waiting == "cloud-init is at init"
    assert judge("", "", WANTED).waiting == "cloud-init is at its beginning"
    assert judge('{"v1": {"sta', "", WANTED).waiting


def test_a_stage_that_is_masked_is_not_waited_for() -> None:
    assert judge(status(modules_config={"errors": [], "start": None, "finished": None}), RIGHT, WANTED) == Boot()


def test_errors_are_faults_and_recoverable_ones_are_not() -> None:
    failed = judge(status(init={"errors": ["('ssh', KeyError)"], "start": 1, "finished": 2}), RIGHT, WANTED)
    assert failed.faults == ("cloud-init init: ('ssh', KeyError)",)
    degraded = {"errors": [], "recoverable_errors": {"WARNING": ["old key"]}, "start": 1, "finished": 2}
    found = judge(status(init=degraded), RIGHT, WANTED)
    assert (found.degraded, found.faults) == (("init: old key",), ())


def test_each_setting_that_differs_is_named_with_both_values() -> None:
    found = judge(status(), RIGHT.replace(":4096", ":128"), WANTED)
    assert list(map(str, found.sysctl)) == ["net.core.somaxconn: wanted 4096, found 128"]
    assert judge(status(), "", {"net.x": 1}).sysctl == (Differing("net.x", "1", "nothing"),)


@pytest.mark.parametrize(
    "file",
    ["", FILE.replace("4096", "128"), FILE + "/etc/sysctl.d/90-meshctl.conf:vm.swappiness = 1\n"],
    ids=["none", "another value", "a key that was taken out"],
)
def test_a_setting_that_would_be_lost_at_the_next_start_is_a_fault(file: str) -> None:
    found = judge(status(), RIGHT.replace(FILE, file), WANTED)
    assert (found.sysctl, found.old_file) == ((), True)
    assert found.faults == ("what is set at each start is not the inventory's sysctl",)


def test_a_data_volume_that_is_not_mounted_is_a_fault() -> None:
    mounts = "/proc/self/mounts:/dev/vda1 / ext4 rw 0 0\n/proc/self/mounts:/dev/vdd /var/lib/tracing ext4 rw 0 0\n"
    assert judge(status(), RIGHT + mounts, WANTED, ["/var/lib/tracing"]) == Boot()
    found = judge(status(), RIGHT + mounts, WANTED, ["/srv"])
    assert found.faults == ("no volume is mounted at /srv",)


def test_this_machine_is_read_as_a_guest_would_be() -> None:
    found = observe_boot(Local(), {"kernel.ostype": "Linux", "net.no.such": 1})
    assert found.waiting or found.sysctl == (Differing("net.no.such", "1", "nothing"),)
    assert observe_boot(Local(), {}, ["/"]).unmounted == ()
    settings = Local().read(["grep", "-H", "", "/proc/sys/kernel/ostype"]).stdout
    assert judge(status(), settings, {"kernel.ostype": "Linux"}).sysctl == ()
