"""Kernel settings of the guests: what no supported kernel has, what others set in any case, and values that cannot be.

The guests' kernel is Debian 12's, 6.1. A setting that somebody sets after the boot is not as the inventory says ever after, and
the next `provision` would take that for somebody's hand.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any

from provision.base.errors import Problem
from provision.inventory.loader.document import Document, Location

_KEY = re.compile(r"[a-z0-9_-]+([./][A-Za-z0-9_@:*-]+)+")
FOLDERS = ("abi", "crypto", "debug", "dev", "fs", "kernel", "net", "sunrpc", "user", "vm")
"""What /proc/sys holds (Documentation/admin-guide/sysctl/index.rst)."""

NET = (
    *(
        "core",
        "ipv4",
        "ipv6",
        "netfilter",
        "nf_conntrack_max",
        "unix",
        "bridge",
        "mptcp",
        "sctp",
        "dccp",
        "mpls",
        "rds",
        "smc",
        "tipc",
    ),
    *(
        "vsock",
        "rxrpc",
        "xfrm",
        "fan",
        "iw_cm",
        "llc",
        "can",
        "phonet",
        "ieee802154",
        "appletalk",
        "ax25",
        "netrom",
        "rose",
        "x25",
    ),
)
"""What is below net, with modules that somebody may load (Documentation/admin-guide/sysctl/net.rst, and net/ itself)."""

GONE = {
    "net.ipv4.tcp_tw_recycle": "4.12",
    "net.ipv4.tcp_abc": "4.0",
    "net.ipv4.tcp_frto_response": "4.0",
    "net.ipv4.tcp_max_ssthresh": "4.0",
    "net.ipv4.tcp_cookie_size": "4.0",
    "net.ipv4.tcp_dma_copybreak": "4.0",
    "net.ipv4.rt_cache_rebuild_count": "4.0",
    "net.ipv4.inet_peer_gc_mintime": "4.0",
    "net.ipv4.inet_peer_gc_maxtime": "4.0",
    "net.ipv4.ip_conntrack_max": "5.0",
    "net.ipv4.netfilter.ip_conntrack_max": "5.0",
    "net.ipv4.netfilter.ip_conntrack_tcp_timeout_established": "5.0",
    "kernel.sched_latency_ns": "5.13",
    "kernel.sched_min_granularity_ns": "5.13",
    "kernel.sched_wakeup_granularity_ns": "5.13",
    "kernel.sched_migration_cost_ns": "5.13",
    "kernel.sched_nr_migrate": "5.13",
    "kernel.sched_tunable_scaling": "5.13",
    "kernel.sched_time_avg_ms": "5.0",
    "kernel.sched_compat_yield": "4.0",
    "kernel.vsyscall64": "4.0",
    "vm.swap_token_timeout": "4.0",
    "vm.block_dump": "5.13",
}
"""Settings that tuning guides name, and a kernel without them, the first one or a later one; the sched ones are in debugfs since."""

OURS, KUBELET, PROXY = "meshctl", "the kubelet", "kube-proxy"
SET: dict[str, tuple[str, int | None]] = {
    "net.ipv4.ip_forward": (OURS, 1),
    "net.ipv4.conf.all.forwarding": (OURS, 1),
    "net.bridge.bridge-nf-call-iptables": (OURS, 1),
    "vm.overcommit_memory": (KUBELET, 1),
    "vm.panic_on_oom": (KUBELET, 0),
    "kernel.panic": (KUBELET, 10),
    "kernel.panic_on_oops": (KUBELET, 1),
    "kernel.keys.root_maxkeys": (KUBELET, 1000000),
    "kernel.keys.root_maxbytes": (KUBELET, 25000000),
    "net.ipv4.conf.all.route_localnet": (PROXY, 1),
    "net.netfilter.nf_conntrack_max": (PROXY, None),
    "net.nf_conntrack_max": (PROXY, None),
    "net.netfilter.nf_conntrack_buckets": (PROXY, None),
    "net.netfilter.nf_conntrack_tcp_timeout_established": (PROXY, 86400),
    "net.netfilter.nf_conntrack_tcp_timeout_close_wait": (PROXY, 3600),
}
"""Who sets it after the boot, and to what (None: by the number of CPUs). meshctl: kubernetes.files; the kubelet:
pkg/kubelet/cm/container_manager_linux.go, setupKernelTunables; kube-proxy: cmd/kube-proxy/app/conntrack.go and
pkg/proxy/iptables/proxier.go; the same in 1.5 and 1.20, but for the keys, which 1.5 leaves alone."""

HARMFUL = {
    "kernel.hostname": ("a node is called as `nodes` says", "nodes[].name"),
    "kernel.modules_disabled": ("Docker and kube-proxy load modules after the boot", "take it out"),
}
"""What breaks a node, and what to do instead."""

_INT = 2**31 - 1
BOUNDS: dict[str, tuple[int, int]] = {
    "net.ipv4.tcp_tw_reuse": (0, 2),
    "net.core.somaxconn": (0, _INT),
    "net.core.netdev_max_backlog": (0, _INT),
    "net.core.rmem_max": (2304, _INT),
    "net.core.wmem_max": (4608, _INT),
    "net.core.rmem_default": (2304, _INT),
    "net.core.wmem_default": (4608, _INT),
    "net.ipv4.tcp_max_syn_backlog": (0, _INT),
    "net.ipv4.tcp_max_tw_buckets": (0, _INT),
    "net.ipv4.tcp_fin_timeout": (0, _INT // 1000),
    "net.ipv4.tcp_keepalive_time": (1, 32767),
    "net.ipv4.tcp_keepalive_intvl": (1, 32767),
    "net.ipv4.tcp_keepalive_probes": (1, 127),
    "net.ipv4.tcp_syn_retries": (1, 127),
    "net.ipv4.tcp_synack_retries": (0, 255),
    "net.ipv4.tcp_retries2": (0, 255),
    "net.ipv4.tcp_syncookies": (0, 2),
    "net.ipv4.tcp_timestamps": (0, 2),
    "net.ipv4.tcp_sack": (0, 1),
    "net.ipv4.tcp_window_scaling": (0, 1),
    "net.ipv4.tcp_slow_start_after_idle": (0, 1),
    "net.ipv4.tcp_mtu_probing": (0, 2),
    "net.ipv4.tcp_fastopen": (0, _INT),
    "net.ipv4.conf.all.rp_filter": (0, 2),
    "net.ipv4.conf.default.rp_filter": (0, 2),
    "net.ipv4.ip_nonlocal_bind": (0, 1),
    "net.ipv4.ip_unprivileged_port_start": (0, 65535),
    "vm.swappiness": (0, 200),
    "vm.dirty_ratio": (0, 100),
    "vm.dirty_background_ratio": (0, 100),
    "vm.overcommit_memory": (0, 2),
    "vm.max_map_count": (0, _INT),
    "vm.zone_reclaim_mode": (0, 7),
    "vm.min_free_kbytes": (0, _INT),
    "kernel.pid_max": (301, 2**22),
    "kernel.randomize_va_space": (0, 2),
    "kernel.sysrq": (0, 511),
    "fs.file-max": (0, 2**63 - 1),
    "fs.nr_open": (64, _INT),
    "fs.inotify.max_user_instances": (0, _INT),
    "fs.inotify.max_user_watches": (0, _INT),
    "fs.aio-max-nr": (0, 2**63 - 1),
}
"""What the kernel takes for whole numbers (the tables of kernel/sysctl.c, fs/ and net/; net/core/sysctl_net_core.c has the
buffers' least sizes, SOCK_MIN_RCVBUF and SOCK_MIN_SNDBUF, on 64 bits)."""

TRIPLES = ("net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem", "net.ipv4.tcp_mem", "net.ipv4.udp_mem")
"""Least, usual and most: three numbers that rise."""

PORTS = "net.ipv4.ip_local_port_range"


def problems(document: Document) -> Iterator[Problem]:
    """Every setting that a guest could not have, or not keep."""
    value = document.value.get("sysctl") if isinstance(document.value, dict) else None
    seen: dict[str, str] = {}
    for key, setting in value.items() if isinstance(value, dict) else ():
        name, here = plain_name(str(key)), ("sysctl", str(key))
        if not isinstance(key, str) or _KEY.fullmatch(key) is None:
            yield document.problem(
                here, f"{key!r} is not the name of a kernel setting", "for example net.core.somaxconn", key=True
            )
        elif name in seen:
            yield document.problem(here, f"is {seen[name]} once more", "keep one of the two", key=True)
        else:
            yield from _key_problems(document, here, name)
            yield from _value_problems(document, here, name, setting)
        seen.setdefault(name, str(key))


def doubts(document: Document) -> Iterator[Problem]:
    """Settings that somebody else sets to the very same value."""
    value = document.value.get("sysctl") if isinstance(document.value, dict) else None
    for key in value if isinstance(value, dict) else ():
        if plain_name(key) in SET:
            who = SET[plain_name(key)][0]
            yield document.warning(("sysctl", key), f"{who} sets it to that in any case", "take it out", key=True)


def plain_name(key: str) -> str:
    """The name with dots: sysctl.d(5) takes slashes too, and then dots are parts of names."""
    first = re.search(r"[./]", key)
    return key.translate(str.maketrans("/.", "./")) if first is not None and first[0] == "/" else key


def _key_problems(document: Document, here: Location, name: str) -> Iterator[Problem]:
    folder, below, *_ = name.split(".")
    if folder not in FOLDERS:
        yield document.problem(here, f"no kernel has settings below {folder}", _near(name, folder, FOLDERS), key=True)
    elif folder == "net" and below not in NET:
        known = [f"net.{one}" for one in NET]
        message = f"no kernel has settings below net.{below}"
        yield document.problem(here, message, _near(name, f"net.{below}", known), key=True)
    elif name in GONE:
        message = f"no kernel from {GONE[name]} on has it; the guests' is 6.1"
        yield document.problem(here, message, "take it out", key=True)
    elif name in HARMFUL:
        yield document.problem(here, *HARMFUL[name], key=True)
    elif "*" in name:
        yield document.problem(here, "a pattern is not a setting that can be read back", "name each", key=True)


def _near(name: str, begin: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(begin, known, n=1)
    return f"did you mean {near[0]}{name[len(begin) :]}?" if near else f"they begin with {', '.join(known)}"


def _value_problems(document: Document, here: Location, name: str, setting: Any) -> Iterator[Problem]:
    if not document.sound(here) or isinstance(setting, bool) or not isinstance(setting, int | str):
        return  # the model says it
    text = str(setting)
    if isinstance(setting, str) and re.fullmatch(r"[^\n#;]+", setting) is None:
        message = f"{setting!r} is not a value" if setting else "is empty"
        yield document.problem(here, message, "one line without # and ;")
    elif (fault := _impossible(name, text)) is not None:
        yield document.problem(here, f"{text} cannot be: {fault}", "see the kernel's Documentation/admin-guide/sysctl")
    elif name in SET and text.strip() != str(SET[name][1]):
        yield _set_by_others(document, here, name, text)


def _set_by_others(document: Document, here: Location, name: str, text: str) -> Problem:
    who, to = SET[name]
    value = "a number that follows from the CPUs" if to is None else str(to)
    message = f"{who} sets it to {value} after each boot, so it does not stay {text}"
    if who == OURS:
        message = f"meshctl sets it to {value}: without that no pod reaches another"
    return document.problem(here, message, "take it out", key=True)


def _impossible(name: str, text: str) -> str | None:
    """Why the kernel does not take a value, None when nothing speaks against it."""
    words = text.split()
    if not words:
        return "it says nothing"
    numbers = [int(word) for word in words if re.fullmatch(r"-?[0-9]{1,20}", word)]
    if name == PORTS:
        return (
            None
            if len(numbers) == len(words) == 2 and 1 <= numbers[0] < numbers[1] <= 65535
            else "LOW HIGH, within 1 and 65535"
        )
    if name in TRIPLES:
        rises = len(numbers) == len(words) == 3 and 0 < numbers[0] <= numbers[1] <= numbers[2]
        return None if rises else "three numbers that rise"
    if name in BOUNDS:
        low, high = BOUNDS[name]
        within = len(numbers) == len(words) == 1 and low <= numbers[0] <= high
        return None if within else f"a whole number from {low} to {high}"
    if any(not -(2**63) <= number < 2**64 for number in numbers):
        return "the kernel's numbers have 64 bits"
    return None
