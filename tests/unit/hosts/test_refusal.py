"""One next step per cause, from what libvirt says: recorded from libvirt 9.0.0 and OpenSSH 9.2, polkit's from libvirt's source."""

from __future__ import annotations

import pytest

from provision.hosts.refusal import advice, unasking
from provision.lab import Lab, host_uri

URI = "qemu+ssh://ann@hv1:2222/system"
SOCKET = "/var/run/libvirt/libvirt-sock"
HELPER = f"End of file while reading data: virt-ssh-helper: cannot connect to '{SOCKET}': Failed to connect socket to '{SOCKET}': "

SAID = [
    ("End of file while reading data: nc: invalid option -- 'U'\nnc -h for help: Input/output error", "proxy=native"),
    ("End of file while reading data: Ncat: unrecognized option '-U'. QUITTING.: Input/output error", "netcat-openbsd"),
    (
        "End of file while reading data: nc: invalid option -- 'U'\nBusyBox v1.35.0 multi-call binary.",
        "no Unix sockets",
    ),
    ("Cannot find 'ssh' in path: No such file or directory", "openssh-client"),
    (
        "Cannot recv data: Bad owner or permissions on /root/.ssh/config: Connection reset by peer",
        "its own settings: `ssh -p 2222 ann@hv1 true`",
    ),
    (
        'Cannot recv data: @         WARNING: UNPROTECTED PRIVATE KEY FILE!          @\r\nLoad key "k": bad permissions\r\n'
        "ann@hv1: Permission denied (publickey).: Connection reset by peer",
        "`chmod 600`",
    ),
    ("End of file while reading data: This account is currently not available.: Input/output error", "has no shell"),
    (
        "Cannot recv data: Unable to negotiate with 10.78.0.11 port 22: no matching host key type found. Their offer: ssh-rsa",
        "no algorithm in common",
    ),
    (
        "Cannot recv data: channel 0: open failed: administratively prohibited: open failed\r\nstdio forwarding failed",
        "AllowTcpForwarding",
    ),
    (
        "Cannot recv data: kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 10.78.0.11 port 22",
        "MaxStartups",
    ),
    (
        "Cannot recv data: 2026/11/29 18:31:24 socat[4746] E connect(5, AF=2 10.78.0.12:2222, 16): Connection refused\n"
        "kex_exchange_identification: Connection closed by remote host\nConnection closed by UNKNOWN port 65535",
        "no sshd listens",
    ),
    ("Unable to verify server certificate /etc/pki/libvirt/servercert.pem against CA", "virt-pki-validate"),
    ("no connection driver available for qemu:///system", "libvirt-daemon-driver-qemu"),
    ("Too many active clients (5000), dropping connection from 127.0.0.1", "max_clients"),
    (
        "Failed to connect socket to '/var/run/libvirt/virtqemud-sock': No such file or directory",
        "`systemctl enable --now virtqemud.socket",
    ),
    ("End of file while reading data: sh: 1: nc: not found: Input/output error", "netcat-openbsd"),
    ("End of file while reading data: sh: line 1: nc: command not found: Input/output error", "netcat-openbsd"),
    ("End of file while reading data: sh: 1: virt-ssh-helper: not found: Input/output error", "netcat-openbsd"),
    (
        "Cannot recv data: No ED25519 host key is known for hv1 and you have requested strict checking.\r\n"
        "Host key verification failed.: Connection reset by peer",
        "not known, and is never taken unseen: log in once by hand and compare the fingerprint: `ssh -p 2222 ann@hv1`",
    ),
    (
        "Cannot recv data: @    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n"
        "Host key for hv1 has changed and you have requested strict checking.\r\nHost key verification failed.: Connection reset by peer",
        "the host's key is not the known one",
    ),
    (
        "Cannot recv data: ann@10.78.0.11: Permission denied (publickey).: Connection reset by peer",
        "lets ann not in: `ssh -p 2222 ann@hv1 true`",
    ),
    (HELPER + "Permission denied: Input/output error", "`usermod --append --groups libvirt ann`"),
    (
        f"End of file while reading data: nc: {SOCKET}: Permission denied: Input/output error",
        "`usermod --append --groups libvirt ann`",
    ),
    (
        f"End of file while reading data: nc: unix connect failed: Permission denied\nnc: {SOCKET}: Permission denied: Input/output error",
        "`usermod --append --groups libvirt ann`",
    ),
    (
        "authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'",
        "polkit",
    ),
    (
        "Cannot recv data: ssh: Could not resolve hostname hv1: Name or service not known: Connection reset by peer",
        "`getent hosts hv1`",
    ),
    (
        "Cannot recv data: ssh: connect to host hv1 port 2222: Connection refused: Connection reset by peer",
        "no sshd listens",
    ),
    (
        "Cannot recv data: channel 0: open failed: connect failed: Connection refused\r\nstdio forwarding failed: Connection reset by peer",
        "no sshd listens",
    ),
    (
        "Cannot recv data: ssh: connect to host hv1 port 22: No route to host: Connection reset by peer",
        "nothing answers",
    ),
    ("Cannot recv data: Connection timed out during banner exchange: Connection reset by peer", "nothing answers"),
    (HELPER + "No such file or directory: Input/output error", "libvirtd does not run"),
    (
        f"End of file while reading data: nc: {SOCKET}: No such file or directory: Input/output error",
        "libvirtd does not run",
    ),
    (HELPER + "Connection refused: Input/output error", "libvirtd does not run"),
    ("internal error: client socket is closed", f"try: virsh -c '{URI}' version"),
]


@pytest.mark.parametrize(("said", "step"), SAID)
def test_one_step_for_one_cause(said: str, step: str) -> None:
    assert step in advice(URI, said)
    assert "lab" not in advice(URI, said)


@pytest.mark.parametrize(("said", "step"), SAID)
def test_a_lab_that_is_up_is_not_called_down(said: str, step: str) -> None:
    assert "is not up" not in advice(host_uri(Lab("x"), "hv1"), said)


def test_a_lab_that_is_down_is_called_so() -> None:
    gone = "Failed to connect socket to '/run/meshctl/x/libvirt-sock': No such file or directory"
    assert advice(Lab("x").uri, gone) == "the lab is not up: `meshctl lab up`"
    assert advice(Lab("x").uri, gone.replace("No such file or directory", "Permission denied")) != advice(
        Lab("x").uri, gone
    )
    assert "libvirtd does not run" in advice("qemu:///system", gone)


def test_the_labs_own_ssh_is_named() -> None:
    said = "Cannot recv data: root@hv1: Permission denied (publickey).: Connection reset by peer"
    assert "`/var/lib/meshctl/x/ssh root@hv1 true`" in advice(host_uri(Lab("x"), "hv1"), said)


@pytest.mark.parametrize(
    ("uri", "opened"),
    [
        ("qemu+ssh://hv1/system", "qemu+ssh://hv1/system?no_tty=1"),
        ("qemu+ssh://hv1/system?proxy=native", "qemu+ssh://hv1/system?proxy=native&no_tty=1"),
        ("qemu+ssh://hv1/system?no_tty=0", "qemu+ssh://hv1/system?no_tty=0"),
        ("qemu+libssh://hv1/system", "qemu+libssh://hv1/system"),
        ("qemu:///system", "qemu:///system"),
        ("test:////n.xml", "test:////n.xml"),
    ],
)
def test_libvirts_ssh_asks_nothing(uri: str, opened: str) -> None:
    assert unasking(uri) == opened
