"""Memory: huge pages, merging, swap, locked memory, head-room."""

from __future__ import annotations

from provision.doctor.pages.model import error, warning

MEMORY = (
    warning(
        "MC121",
        "transparent huge pages are always on",
        happens="/sys/kernel/mm/transparent_hugepage/enabled is `always`.",
        matters="The kernel compacts memory while guests run, and stops their threads for it: pauses without a cause in the guest.",
        fix="`echo madvise > /sys/kernel/mm/transparent_hugepage/enabled` on {host}; for good: `transparent_hugepage=madvise` on the kernel command line (`never` with static huge pages)",
        near_miss="madvise: QEMU asks for huge pages for its guests' memory itself, and nothing else does.",
        source="kernel.org: admin-guide/mm/transhuge; Nova: real-time guide",
    ),
    warning(
        "MC122",
        "KSM merges memory",
        happens="Kernel same-page merging runs.",
        matters="It reads all of the guests' memory in turn and makes writes to merged pages fault; also across NUMA nodes.",
        fix="`systemctl disable --now ksmtuned ksm; echo 2 > /sys/kernel/mm/ksm/run` on {host} (2 also parts what was merged)",
        near_miss="Guests with `<nosharepages/>` are left alone; others on the host are not, and the scan costs all.",
        source="kernel.org: admin-guide/mm/ksm; libvirt.org/formatdomain.html: nosharepages",
    ),
    error(
        "MC123",
        "too few huge pages",
        happens="A NUMA node has fewer free huge pages than the guests planned there need.",
        matters="The guest would not start: «unable to map backing store for guest RAM».",
        fix="`echo {wanted} > {file}` on {host}; at boot, before memory is in pieces: `hugepagesz={size} hugepages=…` on the kernel command line",
        near_miss="The host has enough in all, but on another NUMA node: that does not help.",
        source="kernel.org: admin-guide/mm/hugetlbpage; Nova counts per cell too",
    ),
    error(
        "MC124",
        "hugetlbfs is not mounted",
        happens="Guests are planned on huge pages, and the host has no hugetlbfs with pages of that size.",
        matters="libvirt looks for it when it starts: without it the guest is refused with «hugetlbfs filesystem is not mounted».",
        fix="`mkdir -p /dev/hugepages-{name} && mount -t hugetlbfs -o pagesize={size} hugetlbfs /dev/hugepages-{name} && systemctl restart libvirtd` on {host}",
        near_miss="No guest on huge pages is planned there, or on those of another size.",
        source="libvirt.org/formatdomain.html#memory-backing; tried with libvirt 9.0",
    ),
    warning(
        "MC125",
        "libvirt may not lock a guest's memory",
        happens="The running libvirtd has a limit for locked memory below the largest planned guest, and not the right to raise it (CAP_SYS_RESOURCE).",
        matters="A guest with `<locked/>` (or a passed-through device) does not start: «cannot limit locked memory of process».",
        fix="`prlimit --pid $(pidof virtqemud libvirtd | cut -d' ' -f1) --memlock=unlimited` now, and `LimitMEMLOCK=infinity` by `systemctl edit libvirtd` on {host}",
        near_miss="A low limit with CAP_SYS_RESOURCE, as root has it: libvirt raises it for each guest.",
        source="libvirt.org/formatdomain.html#memory-tuning; tried with libvirt 9.0",
    ),
    warning(
        "MC126",
        "swap is on",
        happens="The host has swap.",
        matters="A guest's memory that is neither locked nor huge may be written out: its next use waits for a disk.",
        fix="`swapoff -a` on {host}, and take it out of /etc/fstab; or give guests huge pages, which are never swapped",
        near_miss="Swap on a host whose guests all have huge pages.",
        source="kernel.org: admin-guide/mm/hugetlbpage",
    ),
    error(
        "MC127",
        "too little memory",
        happens="The guests planned here that do not run yet need more memory than the host has available.",
        matters="Memory is allocated at the start: the last guest would fail, or the kernel would kill one that runs.",
        fix="stop what uses memory on {host} (`ps aux --sort -rss | head`), or give the guests less: {lacking} MiB are lacking",
        near_miss="Memory that files occupy: the kernel gives it back, it counts as available.",
        source="kernel.org: filesystems/proc, MemAvailable",
    ),
    warning(
        "MC128",
        "automatic NUMA balancing is on",
        happens="kernel.numa_balancing is on, and guests are pinned.",
        matters="It unmaps pages to learn who uses them: faults in memory that is where it belongs already.",
        fix="`sysctl -w kernel.numa_balancing=0` on {host}; for good in /etc/sysctl.d",
        near_miss="A host with one NUMA node, where it has nothing to do.",
        source="kernel.org: admin-guide/sysctl/kernel; RHEL, «Virtualization Tuning»",
    ),
)
