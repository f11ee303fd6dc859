"""The host as such: its libvirt, its shell, KVM, the clock, and sshd."""

from __future__ import annotations

from provision.doctor.pages.model import error, warning

HOST = (
    error(
        "MC101",
        "libvirt does not answer",
        happens="The host's libvirt could not be asked: no connection, no permission, no daemon, or no answer within 5 s.",
        matters="Nothing can be planned or made on this host.",
        fix="{fix}",
        fixes="what the finding says for its cause: a name or key that is not known, a user without the group libvirt, no sshd, no nc, "
        "no libvirtd (`systemctl start libvirtd` or virtqemud.socket); else `virsh -c URI version` shows libvirt's own words",
        near_miss="A lab that has been taken down: `meshctl lab up` starts it.",
    ),
    warning(
        "MC102",
        "part of the host cannot be looked at",
        happens="Its shell does not answer, its URI leads to none (TCP, TLS), or the user there is not root.",
        matters="What could not be read has not been judged: silence about it is not good news.",
        fix="use a URI that leads to root, such as `qemu+ssh://root@{host}/system`, or let the user `sudo -n` there; then: {command}",
        fixes="use a URI that leads to root, such as `qemu+ssh://root@{host}/system`, or let the user `sudo -n` there; "
        "`apt-get install iproute2 util-linux coreutils` where one of these is missing",
        near_miss="libvirt's test driver has no host behind it: nothing is said of one.",
    ),
    error(
        "MC103",
        "libvirt or QEMU is too old",
        happens="The host has libvirt before 7.0 or QEMU before 5.2 (Debian 11's).",
        matters="Their schema refuses elements that guests are defined with, such as io_uring (QEMU 5.0) and poll-control (libvirt 6.10).",
        fix="upgrade the host: `apt-get install --only-upgrade libvirt-daemon-system qemu-system-x86` on Debian 11 or later",
        near_miss="libvirt 9.0 with QEMU 7.2 (Debian 12) is what meshctl is tested with.",
        source="libvirt.org/formatdomain.html: «since» notes of each element",
    ),
    warning(
        "MC104",
        "libvirt cannot allocate memory with several threads",
        happens="libvirt is older than 8.2, or QEMU than 5.0: `<allocation threads=…>` is not there.",
        matters="A guest of 256 GiB is then touched page by page by one thread, which takes minutes at each start.",
        fix="upgrade libvirt to 8.2 or later; until then large guests start slowly, nothing else",
        near_miss="Guests of 64 GiB and less start within seconds with one thread too: said from 64 GiB on only.",
        source="libvirt.org/formatdomain.html#memory-backing",
    ),
    error(
        "MC105",
        "KVM does not start a guest",
        happens="A throw-away guest did not survive two seconds under KVM, or its firmware took twenty times the CPU time that it needs: "
        "guests run in software emulation. Only a "
        "warning where `require: any` takes them so, or where no guest is to run.",
        matters="Emulation is ten to fifty times slower, and pins cannot mend that. The device node alone proves nothing.",
        fix="{remedy}",
        fixes="switch virtualization (VT-x, AMD-V) on in {host}'s firmware, or nested virtualization in its hypervisor; "
        "`modprobe kvm_intel || modprobe kvm_amd` where there is no /dev/kvm; else QEMU's words are in /var/log/libvirt/qemu/meshctl-probe-*.log",
        near_miss="/dev/kvm is absent because the modules are not loaded: `modprobe kvm_intel` or `kvm_amd` is enough.",
        source="kernel.org: Documentation/virt/kvm; tried: a /dev/kvm that opens, and a guest that aborts on an MSR",
    ),
    warning(
        "MC106",
        "the host is itself a virtual machine",
        happens="Its CPU says that a hypervisor runs below it.",
        matters="Its CPUs are somebody else's threads: pins and NUMA nodes hold against the wrong machine, and each exit costs twice.",
        fix="run guests on the physical machine; for a try nothing needs to be done",
        near_miss="A physical host on which guests use nested virtualization themselves: its own CPU does not say so.",
    ),
    warning(
        "MC107",
        "the clock is not synchronized",
        happens="The kernel's clock is not disciplined by NTP (timedatectl: NTPSynchronized=no).",
        matters="Certificates that kubeadm makes are valid from now on, by the control plane's clock; a node that is behind refuses them.",
        fix="`apt-get install chrony && systemctl enable --now chrony` on {host}",
        near_miss="The daemon has just been started: it says so once it is in step, a minute later.",
    ),
    warning(
        "MC108",
        "the clock differs",
        happens="The host's clock differs from this machine's by more than a second, beyond what the read's own duration explains.",
        matters="Certificates and lease times are compared across hosts; logs cannot be put in order.",
        fix="`chronyc makestep` on {host} (and see that this machine's clock is right: `timedatectl`)",
        near_miss="A slow connection: half the time that the question took is taken off.",
    ),
    warning(
        "MC151",
        "sshd drops connections that come at once",
        happens="sshd's MaxStartups begins to refuse before all of the planned sessions through this host have logged in.",
        matters="Beyond it sshd closes connections at random, which looks like a network that fails now and then.",
        fix="`echo 'MaxStartups {wanted}' > /etc/ssh/sshd_config.d/meshctl.conf && systemctl reload ssh` on {host}",
        near_miss="Hosts that are not the jump host get two connections: 10, OpenSSH's default, is plenty for them.",
        source="man sshd_config: MaxStartups; seen in UPC/ravada#117, truenas/middleware#5262",
    ),
    warning(
        "MC152",
        "sshd allows too few sessions",
        happens="sshd's MaxSessions is below what meshctl opens over one connection that ssh shares (ControlMaster).",
        matters="The next session is refused: «open failed: administratively prohibited».",
        fix="`echo 'MaxSessions {wanted}' > /etc/ssh/sshd_config.d/meshctl.conf && systemctl reload ssh` on {host}",
        near_miss="MaxSessions 10, OpenSSH's default, on a host that guests are not reached through.",
        source="man sshd_config: MaxSessions",
    ),
    error(
        "MC162",
        "the inventory names what the host does not have",
        happens="`reserved_cpus` names CPUs that are offline or absent, or `pool.numa_node` a NUMA node that there is not.",
        matters="It would reserve nothing and prefer nothing without a word; placement refuses it, and no guest is placed.",
        fix="correct the inventory by what `lscpu -e` shows on {host}, or bring the CPUs online: `chcpu -e LIST`",
        near_miss="`reserved_cpus: []`, which reserves none on purpose.",
    ),
    error(
        "MC163",
        "the host has another architecture",
        happens="libvirt's capabilities name an architecture other than x86_64, which the base image, the bundle and the domains are made for.",
        matters="Its CPUs would have to emulate every instruction of a guest; no pin mends that, and placement refuses the host.",
        fix="take {host} out of the inventory; docs/supported.md says what meshctl runs on",
        near_miss="A 64-bit host whose `uname -m` says i686: its kernel is a 32-bit one, and runs no 64-bit guest under KVM.",
    ),
    error(
        "MC164",
        "two hosts are one machine",
        happens="Two hosts of the inventory have the same uuid (`<uuid>` in `virsh capabilities`): two names or ways lead to one machine.",
        matters="Each of its CPUs and all of its memory would be given twice; placement refuses it.",
        fix="{fix}",
        fixes="keep one of the two in the inventory; where they are two, whose boards carry the same uuid, give one another: host_uuid in "
        "/etc/libvirt/libvirtd.conf (virtqemud.conf)",
        near_miss="Boards of some makers all carry 03000200-0400-0500-0006-000700080009: different machines, one uuid; libvirt's own "
        "migration refuses these too.",
        source="libvirt.org/drvqemu.html, libvirtd.conf: host_uuid",
    ),
    warning(
        "MC165",
        "CPUs stand in several NUMA nodes",
        happens="The host names a CPU, or the threads of one core, in more than one NUMA node: `numa=fake=N` on the kernel's command line, or "
        "firmware that lies.",
        matters="A CPU is given once: each core is taken for the first of its nodes, so the memory of the others may be out of guests' reach.",
        fix="take `numa=fake` out of {host}'s kernel command line (`cat /proc/cmdline`), or update its firmware; `lscpu -e` shows the nodes",
        near_miss="Nodes without CPUs of their own (CXL, HBM) are no fault: their memory is simply nobody's.",
        source="open-mpi/hwloc#568",
    ),
    error(
        "MC161",
        "a guest fits on no host",
        happens="Placement refuses the guest: no host has the CPUs, memory or huge pages that it asks for.",
        matters="`provision` could not make it.",
        fix="`meshctl plan INVENTORY` says what each host and NUMA node lacks; ask for less, or add a host",
        near_miss="A guest that fits when another is removed: placement never moves guests by itself.",
    ),
)
