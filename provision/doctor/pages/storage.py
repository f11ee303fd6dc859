"""Storage below the pool."""

from __future__ import annotations

from provision.doctor.pages.model import error, warning

STORAGE = (
    error(
        "MC131",
        "the pool is not on what the inventory requires",
        happens="A disk at the bottom of the pool is not an NVMe, or turns, or is none of this machine's own (`storage.require`), or there is no "
        "such volume group or device.",
        matters="`plan` refuses it: a turning disk answers in milliseconds, SATA queues 32 requests, and etcd wants its fsync within 10 ms.",
        fix="{remedy}; `lsblk -o NAME,TRAN,ROTA` on {host} shows what there is",
        fixes="put the pool on an NVMe (`pool: {{path: …}}`, `volume_group` or `devices` of {host}; `lsblk -o NAME,TRAN,ROTA` shows what there is), "
        "or say `storage: {{require: ssd}}` or `any`; `vgcreate` a group that is missing",
        near_miss="NVMe below LVM, md, dm-crypt, or a filesystem on several disks: all disks at the bottom are judged. `storage.require: any` judges none.",
        source="etcd.io: hardware recommendations",
    ),
    error(
        "MC132",
        "the pool is full",
        happens="Less is free in the pool's filesystem or volume group than what is still to be made needs at once, or its devices are too few.",
        matters="The upload fails midway; guests that run are paused by QEMU at the first block they cannot write.",
        fix="make room on {host} (look with {look}), or put the pool elsewhere{lacking}",
        fixes="make room on {host} (look with `du -xh --max-depth=1 {folder} | sort -h`, `lvs {group}` or `lsblk`), put the pool elsewhere, "
        "or add devices to it; the finding says how many MiB are lacking",
        near_miss="Overlays grow: that all of them full would not fit is MC133.",
    ),
    warning(
        "MC133",
        "the volumes may outgrow the disk",
        happens="The planned guests' volumes, when full, are larger than what is free below the pool (of thin ones: than the volume group).",
        matters="Overlays and thin volumes take what is written only; when the disk is full, all guests on it are paused.",
        fix="give the nodes smaller `disk:`, move some to another host, or free {lacking} MiB on {host}",
        near_miss="Volumes that have grown already: only what they may still grow by is counted.",
    ),
    error(
        "MC134",
        "no inodes are left",
        happens="The filesystem below the pool has fewer than 1000 free inodes.",
        matters="New files are refused with «No space left on device» while `df -h` shows space.",
        fix="find the folder with very many small files: `du --inodes -x {folder} | sort -n | tail` on {host}",
        near_miss="btrfs and XFS make inodes as needed: a filesystem that counts none is not judged.",
    ),
    warning(
        "MC135",
        "a thin pool is nearly full",
        happens="An LVM thin pool is beyond 80 % of its data or its metadata.",
        matters="When it is full, writes of all volumes in it fail, and with the metadata full the pool needs repair.",
        fix="`lvextend -L +10G {pool}` (data) or `lvextend --poolmetadatasize +256M {pool}` on {host}; let it grow by itself: thin_pool_autoextend_threshold in lvm.conf",
        near_miss="A thick volume group that is allocated to the end: nothing in it grows by itself.",
        source="man lvmthin: running out of space",
    ),
    warning(
        "MC136",
        "the disk's scheduler is not none",
        happens="An NVMe disk or SSD below the pool has an I/O scheduler.",
        matters="It sorts and delays requests for a head that is not there, under a lock that all CPUs share.",
        fix="`echo none > /sys/block/{disk}/queue/scheduler` on {host}; for good: a udev rule that sets ATTR{{queue/scheduler}}",
        near_miss="A turning disk: there the scheduler helps.",
        source="kernel.org: block/switching-sched; Red Hat, «Setting the disk scheduler»",
    ),
    warning(
        "MC137",
        "deleted blocks are never given back",
        happens="The disk below the pool can forget blocks (TRIM), but neither fstrim.timer nor the mount option discard does it.",
        matters="The drive treats deleted data as live: writes become slower and its cells wear out sooner.",
        fix="`systemctl enable --now fstrim.timer` on {host}",
        near_miss="A disk that cannot forget blocks at all.",
        source="man fstrim; Debian wiki: SSDOptimization",
    ),
    error(
        "MC138",
        "QEMU may not reach the pool",
        happens="A folder on the way to the pool does not let the user that QEMU runs as pass.",
        matters="The guest does not start: «Could not open …: Permission denied», though libvirt has made the file.",
        fix="`chmod o+x {folder}` on {host} (or `setfacl -m u:{user}:x {folder}`), or a pool outside of home folders, such as /var/lib/libvirt/meshctl",
        near_miss="The pool's own folder may be closed for others: libvirt gives its files to QEMU's user, but not the folders above.",
        source="libvirt.org/kbase/qemu-passthrough-security; seen in terraform-provider-libvirt #97, #126, #546",
    ),
    error(
        "MC139",
        "AppArmor hides the pool",
        happens="AppArmor confines QEMU, and the pool lies below a hidden folder of a home, or below /etc, /usr/share, /boot and the like.",
        matters="virt-aa-helper may not read there or lets no guest write there: the disks are not in the guest's profile, «Permission denied».",
        fix="move the pool: `pool: {{path: /var/lib/libvirt/meshctl}}` of {host}; or allow {folder} in /etc/apparmor.d/local/usr.lib.libvirt.virt-aa-helper",
        near_miss="Other folders: virt-aa-helper may read every .qcow2 and .iso file there.",
        source="libvirt: src/security/apparmor/usr.lib.libvirt.virt-aa-helper, src/security/virt-aa-helper.c",
    ),
    warning(
        "MC153",
        "placement does not know where the pool's disk hangs",
        happens="The disks below the pool hang on one NUMA node, and the inventory says another or none.",
        matters="A guest on the other node has each block copied across the sockets' link; placement would prefer the near one.",
        fix="`pool: {{numa_node: {cell}}}` for {host} in the inventory; guests that are there stay where they are",
        near_miss="Disks on several NUMA nodes, a host with one, and disks that know none (virtio, most SATA).",
        source="kernel.org: ABI/testing/sysfs-bus-pci, numa_node",
    ),
    error(
        "MC140",
        "SELinux hides the pool",
        happens="SELinux enforces, and the pool's folder has another type than virt_image_t.",
        matters="QEMU is confined to files that libvirt may label: the guest does not start, «Permission denied».",
        fix="`semanage fcontext -a -t virt_image_t '{folder}(/.*)?' && restorecon -R {folder}` on {host}",
        near_miss="SELinux in permissive mode: it says so in the log and allows it.",
        source="man virt_selinux; Red Hat, «Security-Enhanced Linux»",
    ),
)
