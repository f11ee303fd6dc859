"""What is wrong with the machine itself: CPUs, memory, disk, kernel, clock, programs. All else follows from these."""

from __future__ import annotations

from provision.kubernetes.failures.model import Failure

MACHINE: tuple[Failure, ...] = (
    Failure(
        "root",
        (r"not running as root|/etc/kubernetes/\S+ permission denied|ERROR IsPrivilegedUser|needs to run as uid .?0",),
        "it does not run as root",
        "the login of `ssh.user` needs sudo without a password",
    ),
    Failure(
        "cpus",
        (r"ERROR NumCPU|number of available CPUs \d+ is less than",),
        "a control plane needs two CPUs",
        "give the node `vcpus: 2` or more",
    ),
    Failure(
        "memory",
        (r"ERROR Mem\]|system RAM \(\d+ MB\) is less than",),
        "a control plane needs 1700 MB",
        "give the node a larger `memory`: 2 GiB or more",
    ),
    Failure(
        "swap",
        (r"running with swap on|swap is (enabled|supported|on\b)|(ERROR|WARNING) Swap\]|fail-swap-on",),
        "swap is on",
        "turn it off (`swapoff -a`) and remove it from the guest's /etc/fstab",
        symptoms=("kubelet",),
    ),
    Failure(
        "inotify",
        (
            r"inotify.*no space left on device",
            r"user limit on the total number of inotify",
            r"inotify.*too many open files",
            r"(fsnotify|file watcher|create watcher).*(too many open files|no space left on device)",
        ),
        "inotify watches are used up",
        "raise fs.inotify.max_user_watches and fs.inotify.max_user_instances by `sysctl:` in the inventory",
        symptoms=("kubelet",),
    ),
    Failure(
        "open-files",
        (r"^(?!.*(inotify|fsnotify|watcher)).*too many open files",),
        "open files are used up",
        "raise fs.file-max by `sysctl:` in the inventory, or LimitNOFILE of the service that says so",
    ),
    Failure(
        "cgroups-full",
        (
            r"no space left on device.*mkdir /sys/fs/cgroup|mkdir /sys/fs/cgroup.*(no space left on device|cannot allocate memory)",
        ),
        "cgroups are used up",
        "restart the guest: old kernels do not give memory cgroups of ended containers back",
        symptoms=("container", "out-of-memory"),
    ),
    Failure(
        "processes",
        (r"resource temporarily unavailable|failed to create new OS thread|pids?[. ]max|fork failed",),
        "processes or threads are used up",
        "raise kernel.pid_max and kernel.threads-max by `sysctl:` in the inventory, or TasksMax of the service that says so",
        symptoms=("container", "docker", "cri", "kubelet"),
    ),
    Failure(
        "disk",
        (
            r"^(?!.*(inotify|fsnotify|watcher|mkdir /sys/fs/cgroup)).*no space left on device",
            r"disk quota exceeded|no space on device",
            r"DiskPressure(?!.*False)|disk pressure|FreeDiskSpaceFailed|failed to garbage collect required amount of images",
            r"attempting to reclaim (ephemeral-storage|nodefs|imagefs|inodes)|low on resource: (ephemeral-storage|inodes|imagefs|nodefs)",
            r"OutOfDisk(?!.*False)",
        ),
        "the root volume is full",
        "give the node a larger `disk`",
        symptoms=("docker", "cri", "kubelet", "etcd", "api", "image", "etcd-slow"),
    ),
    Failure(
        "read-only",
        (r"read-only file system|(Buffer )?I/O error,? (on|dev)|EXT4-fs error|input/output error",),
        "the disk has errors or is mounted read-only",
        "look at `dmesg` in the guest and at the pool of its host",
        symptoms=("docker", "cri", "kubelet", "etcd", "api"),
    ),
    Failure(
        "out-of-memory",
        (
            r"out of memory|oom-?kill|oom_kill|killed process \d+|cannot allocate memory|system OOM encountered",
            r"exit(ed)? (code|status)[ :=]*137|exited \(137\)|signal: killed|MemoryPressure(?!.*False)|low on resource: memory",
            r"attempting to reclaim memory",
        ),
        "out of memory",
        "give the node a larger `memory`",
        symptoms=("docker", "cri", "kubelet", "etcd", "api", "etcd-slow"),
    ),
    Failure(
        "kernel-release",
        (r"unsupported kernel release",),
        "the kernel is of a release that kubeadm does not know",
        "boot the guest with a kernel that this kubeadm supports, or have its check SystemVerification ignored",
        advice_of={"1.5": "kubeadm 1.5's pre-flight checks know no kernel after 4.x: they must be skipped"},
    ),
    Failure(
        "kernel-configuration",
        (
            r"unexpected kernel config|missing required kernel|CONFIG_\w+: (missing|not set)|failed to parse kernel config",
            r"no config path in .* is available|unable to load kernel module: .?.?configs",
        ),
        "the kernel's configuration lacks what is needed, or cannot be read",
        "the base image needs Debian's kernel package with its /boot/config-*, or one with the options named",
        symptoms=("module",),
    ),
    Failure(
        "kernel-flag",
        (r"invalid kernel flag: (?P<what>\S+?),",),
        "a kernel setting is not the kubelet's ({what})",
        "set it by `sysctl:` in the inventory, or leave protectKernelDefaults off",
        symptoms=("kubelet",),
    ),
    Failure(
        "br-netfilter",
        (
            r"bridge-nf-call-ip6?tables.*(does not exist|no such file)|module br_netfilter not found|br_netfilter.*not (loaded|found)",
        ),
        "bridge-nf-call-iptables is missing: the kernel module br_netfilter is not loaded",
        "`modprobe br_netfilter`, and name it in /etc/modules-load.d",
    ),
    Failure(
        "bridge-nf",
        (r"(?P<what>bridge-nf-call-ip6?tables).*not set to 1",),
        "{what} is not 1",
        "`sysctl -w net.bridge.{what}=1`, and in /etc/sysctl.d; the module br_netfilter must be loaded before",
    ),
    Failure(
        "forwarding",
        (
            r"ip_forward.*(not set to 1|does not exist)|conf/\w+/forwarding.*(not set to 1|does not exist)",
            r"IPv[46] forwarding is disabled",
        ),
        "ip_forward is not 1: the kernel does not forward packets",
        "`sysctl -w net.ipv4.ip_forward=1` (net.ipv6.conf.all.forwarding=1 for IPv6), and in /etc/sysctl.d",
    ),
    Failure(
        "module",
        (
            r"module (?P<what>(?!br_netfilter)[\w-]+) not found in directory|IPVS.*required kernel modules|RequiredIPVSKernelModules",
        ),
        "a kernel module is missing",
        "boot the base image with a kernel that has it; the cloud kernels leave out many",
    ),
    Failure(
        "conntrack-full",
        (r"nf_conntrack: .*table full|conntrack.*table full",),
        "the table of connections is full",
        "raise net.netfilter.nf_conntrack_max by `sysctl:` in the inventory",
        symptoms=("unreachable",),
    ),
    Failure(
        "iptables",
        (
            r"can't initialize ip6?tables table|failed to initialize nft|ip6?tables.*(table does not exist|no chain/target/match)",
            r"failed to program (nat|filter) chain|iptables.*(permission denied|operation not supported)|iptables-restore.* failed",
        ),
        "iptables does not work on this kernel",
        "choose the one that the kernel supports: `update-alternatives --config iptables` (nft or legacy)",
        symptoms=("docker", "unreachable"),
    ),
    Failure(
        "firewall",
        (r"firewalld is active|(ERROR|WARNING) Firewalld",),
        "a firewall is active (firewalld)",
        "`systemctl disable --now firewalld`, or open 6443, 10250 and what the pods use",
        symptoms=("unreachable", "api"),
    ),
    Failure(
        "proxy",
        (r"uses proxy .|proxyconnect tcp|(ERROR|WARNING) HTTPProxy",),
        "a proxy stands between the nodes",
        "unset http_proxy and https_proxy on the node, or put the nodes', the pods' and the Services' ranges into no_proxy",
        symptoms=("unreachable", "api"),
    ),
    Failure(
        "clock",
        (
            r"certificate has expired|is not yet valid|certificate is (expired|not valid (before|after|yet))|clock skew",
            r"current time \S+ is (before|after)|expired certificate|system clock (is |not )?(wrong|unsynchroni[sz]ed|not synchroni[sz]ed)",
            r"cert(ificate)?s? .*(expired|is past its)|used before issued",
        ),
        "clocks differ or certificates expired",
        "compare `date` on all nodes and let chrony or systemd-timesyncd set it; certificates last a year: `kubeadm certs renew all`",
        symptoms=("api", "kubelet", "authority"),
        advice_of={
            "1.5": "compare `date` on all nodes and let chrony or systemd-timesyncd set it; certificates last a year, "
            "and kubeadm 1.5 renews none: make the cluster anew"
        },
    ),
    Failure(
        "host-name",
        (
            r"(ERROR|WARNING) Hostname|hostname .{1,80} could not be reached|invalid node name|hostname .*not valid",
            r"(nodeRegistration\.name|node ?name|metadata\.name).*(invalid value|RFC.?1123)|must be a (lowercase )?RFC 1123|a DNS-?1123 subdomain must",
        ),
        "the host name is no DNS name, or does not resolve",
        "set it to the node's `name` (`hostnamectl set-hostname`), and give it a line in /etc/hosts",
        symptoms=("dns",),
    ),
    Failure(
        "apparmor",
        (
            r"apparmor_parser|docker-default profile could not be loaded|AppArmor.*(not found|could not be loaded|failed)",
        ),
        "the package apparmor is missing",
        "install it in the base image: apparmor_parser is its program",
        symptoms=("container",),
    ),
    Failure(
        "selinux",
        (r"avc: +denied|SELinux.*(denied|prevent)",),
        "SELinux forbids it",
        "`setenforce 0`, or install the policy of container-selinux",
    ),
    Failure(
        "program",
        (
            r"(?P<what>[\w.+-]+) not found in system path",
            r"(?P<what>[\w.+-]+) is required for container runtime",
            r"^(?!.*(OCI|container process|shim)).*exec: .?\"(?P<what>[^\"\\]+).?\": executable file not found",
            r"(?P<what>[\w.+/-]+): (command )?not found$",
            r"failed to find .?(?P<what>conntrack|ebtables|socat|crictl|nsenter|iptables|ethtool)\b",
            r"(?P<what>conntrack|ebtables|socat|crictl|nsenter|ethtool|mount\.\w+)\b.*(not installed|no such file or directory)",
        ),
        "a program is missing in the base image ({what})",
        "add its package to the image's recipe (`packages:`) and build the image again",
    ),
    Failure(
        "architecture",
        (
            r"exec format error|cannot execute binary file|illegal instruction|does not match the (detected|specified) (host )?platform",
        ),
        "a program or an image is for another CPU",
        "seal a bundle for the guests' architecture and CPU model",
        symptoms=("kubelet", "docker", "api"),
    ),
    Failure(
        "system",
        (r"unsupported operating system|failed to get OS distro",),
        "kubeadm does not know this operating system",
        "build the guests from a Linux image",
    ),
    Failure(
        "cgroup-controllers",
        (
            r"missing (required )?cgroups?: ?(?P<what>[\w ]+)",
            r"CGROUPS_(?P<what>\w+): missing",
            r"cgroups?: (?P<what>\w+) (controller )?(is )?(missing|not enabled)",
            r"failed to find (?P<what>\w+) cgroup \(v2\)",
        ),
        "the kernel lacks cgroup controllers ({what})",
        "put `cgroup_enable=memory` or what is missing on the guest's kernel command line",
        symptoms=("kubelet",),
    ),
    Failure(
        "cgroup-v1",
        (
            r"mountpoint for \w+ not found|cgroup mountpoint does not exist|failed to find cgroup mounts|cgroup subsystems?.* not mounted",
            r"cgroups?: cannot find cgroup mount|failed to get mounted cgroup subsystems|/sys/fs/cgroup/(cpu|memory)\b.*no such file",
        ),
        "cgroup v1 is not mounted",
        "the guest runs cgroup v2: put systemd.unified_cgroup_hierarchy=0 on its kernel command line",
        symptoms=("kubelet", "container"),
    ),
    Failure(
        "cgroup-v2",
        (r"not run on a host using cgroup v1|cgroup ?v1.*(unsupported|not supported|maintenance mode)",),
        "cgroup v1 is mounted, this kubelet needs v2",
        "put systemd.unified_cgroup_hierarchy=1 on the guest's kernel command line",
        symptoms=("kubelet", "kubelet-configuration"),
    ),
)
"""In the order in which they are said."""
