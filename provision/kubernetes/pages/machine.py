"""What is told of failures of the machine itself: one line as it was printed, what it means, why it happens."""

from __future__ import annotations

from provision.kubernetes.pages.model import Told

MACHINE = {
    "panic": Told(
        seen="Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
        means="The kernel has met something that it cannot go on after: the guest stands still until it is ended.",
        why="No root file system, too little memory to start in, or a kernel that does not fit the virtual machine.",
    ),
    "boot": Told(
        seen='You are in emergency mode. After logging in, type "journalctl -xb" to view system logs.',
        means="The boot loader finds no system, or the system stops before services start and asks for a person.",
        why="A damaged root volume, a base image that was not built to its end, or a mount in /etc/fstab that there is not.",
    ),
    "root": Told(
        seen="[ERROR IsPrivilegedUser]: user is not running as root",
        means="kubeadm or a command of ours runs without the rights of root.",
        why="The login of the guest has no sudo, or its sudo asks for a password that nobody types.",
    ),
    "cpus": Told(
        seen="[ERROR NumCPU]: the number of available CPUs 1 is less than the required 2",
        means="kubeadm refuses to make a control plane on fewer than two CPUs.",
        why="The node was given `vcpus: 1`, or the guest was defined by hand with fewer than the inventory says.",
    ),
    "memory": Told(
        seen="[ERROR Mem]: the system RAM (982 MB) is less than the minimum 1700 MB",
        means="kubeadm refuses to make a control plane with less than 1700 MB.",
        why="The node's `memory` is too small, or the kernel kept a part of it back (crash kernel, huge pages inside the guest).",
    ),
    "swap": Told(
        seen="running with swap on is not supported. Please disable swap",
        means="The guest has swap, and a kubelet of this generation does not start with it.",
        why="An image of one's own brings a swap file or a swap partition; the shipped recipes make none.",
    ),
    "inotify": Told(
        seen="failed to create fsnotify watcher: too many open files",
        means="The kernel has no watches or instances of inotify left, which it reports as a full disk.",
        why="Each container, and each follower of a log, takes some; the kernel's limits are those of a small machine.",
    ),
    "open-files": Told(
        seen="accept4: too many open files; retrying in 1s",
        means="A process, or the whole kernel, has as many open files as it may have.",
        why="Many connections or containers meet a low limit of a service, or a process leaks them.",
    ),
    "cgroups-full": Told(
        seen="mkdir /sys/fs/cgroup/memory/kubepods/burstable/pod1: no space left on device",
        means="The kernel makes no more cgroups: the message names a folder below /sys/fs/cgroup, and no disk is full.",
        why="Kernels before 4.19 or so lose memory cgroups of containers that ended, up to their limit of 65535.",
    ),
    "processes": Told(
        seen="runtime: failed to create new OS thread (have 11 already; errno=11)",
        means="No further process or thread can be made.",
        why="A limit of the kernel (pid_max, threads-max) or of a unit (TasksMax) is reached, often by a program that starts others "
        "without end.",
    ),
    "disk": Told(
        seen="write /var/lib/docker/tmp/GetImageBlob1: no space left on device",
        means="The root volume is full, or so full that the kubelet evicts pods.",
        why="Images, logs and etcd share it: images of one's own beside the bundle's, or logs that nobody ends, fill it.",
    ),
    "read-only": Told(
        seen="open /var/lib/kubelet/cpu_manager_state: read-only file system",
        means="The guest's disk gives errors, and the kernel has stopped writing to it.",
        why="The pool's device on the host has errors or is full; a thin pool that has run out looks the same.",
    ),
    "out-of-memory": Told(
        seen="Memory cgroup out of memory: Killed process 1234 (kube-apiserver)",
        means="The kernel ended a process for want of memory, or the kubelet evicts pods for it.",
        why="The node's `memory` does not suffice for what runs there, or a container has a limit that is too low.",
    ),
    "kernel-release": Told(
        seen="unsupported kernel release: 6.1.0-37-amd64",
        means="kubeadm's check knows only kernels up to a release of its own time.",
        why="An old kubeadm meets a young kernel. Kubernetes works with it; only the check does not know that.",
    ),
    "kernel-configuration": Told(
        seen="[ERROR SystemVerification]: unexpected kernel config: CONFIG_CGROUP_PIDS",
        means="kubeadm's check cannot read how the kernel was built, or an option that it requires is not set.",
        why="A kernel of one's own, or an image without /boot/config-*: the check reads that file.",
    ),
    "kernel-flag": Told(
        seen="failed to run Kubelet: invalid kernel flag: vm/overcommit_memory, expected value: 1, actual value: 0",
        means="The kubelet was told to protect the kernel's settings, and one is not what it wants.",
        why="`protectKernelDefaults` is on: the kubelet then refuses to set vm.overcommit_memory and others itself.",
    ),
    "br-netfilter": Told(
        seen="[ERROR FileContent--proc-sys-net-bridge-bridge-nf-call-iptables]: /proc/sys/net/bridge/bridge-nf-call-iptables does not "
        "exist",
        means="Packets that cross a bridge are not shown to iptables: Services do not work between pods of a node.",
        why="The module br_netfilter is not loaded, so the setting has no file.",
    ),
    "bridge-nf": Told(
        seen="/proc/sys/net/bridge/bridge-nf-call-iptables contents are not set to 1",
        means="Packets that cross a bridge are not shown to iptables: Services do not work between pods of a node.",
        why="The module is loaded and the setting is off; something set it back, such as another package's file in /etc/sysctl.d.",
    ),
    "forwarding": Told(
        seen="[ERROR FileContent--proc-sys-net-ipv4-ip_forward]: /proc/sys/net/ipv4/ip_forward contents are not set to 1",
        means="The kernel does not pass packets on, so no pod reaches another node.",
        why="The setting was never set, or a file in /etc/sysctl.d that is read later sets it back.",
    ),
    "module": Told(
        seen="modprobe: FATAL: Module nf_nat not found in directory /lib/modules/6.1.0",
        means="A program asks for a module that this kernel was not built with.",
        why="Kernels for clouds leave out many; or the kernel was upgraded and the guest not restarted, so that its modules are gone.",
    ),
    "conntrack-full": Told(
        seen="nf_conntrack: nf_conntrack: table full, dropping packet",
        means="The kernel follows as many connections as it may, and drops packets of new ones.",
        why="Many short connections through Services; each stays in the table for two minutes after its end.",
    ),
    "iptables": Told(
        seen="iptables v1.8.9 (legacy): can't initialize iptables table `nat': Table does not exist (do you need to insmod?)",
        means="The program iptables and the kernel do not fit: rules are not written.",
        why="The variant (nft or legacy) has no support in this kernel, or both are used side by side.",
    ),
    "firewall": Told(
        seen="[WARNING Firewalld]: firewalld is active, please ensure ports [6443 10250] are open or your cluster may not function "
        "correctly",
        means="firewalld runs in the guest and drops what nobody allowed.",
        why="An image of one's own brings it; kubeadm only warns.",
    ),
    "proxy": Told(
        seen='[WARNING HTTPProxy]: Connection to "https://10.0.0.2" uses proxy "http://10.9.9.9:3128". If that is not intended, adjust '
        "your proxy settings",
        means="Requests between nodes go to a proxy that does not know them.",
        why="http_proxy or https_proxy is set for everything in the guest, without the cluster's ranges in no_proxy.",
    ),
    "clock": Told(
        seen="x509: certificate has expired or is not yet valid: current time 2026-01-01T00:00:00Z is before 2026-01-02T00:00:00Z",
        means="A certificate is used outside of its time.",
        why="Two machines disagree about what time it is: a guest was suspended, or its host has no time service. Or a year has "
        "passed since kubeadm made it.",
    ),
    "host-name": Told(
        seen='[WARNING Hostname]: hostname "cp1" could not be reached',
        means="The guest's host name cannot be the name of a node, or nobody resolves it.",
        why="Capitals or underscores in a name that was set by hand, or a line that is missing in /etc/hosts.",
    ),
    "apparmor": Told(
        seen="Error response from daemon: AppArmor enabled on system but the docker-default profile could not be loaded: running "
        "`/sbin/apparmor_parser apparmor_parser` failed",
        means="The kernel has AppArmor switched on and the program that loads its profiles is missing: Docker starts no container.",
        why="Docker's package only recommends apparmor, and images are built without recommended packages.",
    ),
    "selinux": Told(
        seen='audit: type=1400 avc:  denied  { read } for pid=1 comm="etcd"',
        means="SELinux kept a process from a file or a socket.",
        why="The policy for containers is not installed in an image of one's own.",
    ),
    "program": Told(
        seen="[WARNING FileExisting-ethtool]: ethtool not found in system path",
        means="kubeadm, the kubelet or a plugin calls a program that is not there.",
        why="The recipe of the base image does not name its package.",
    ),
    "architecture": Told(
        seen="standard_init_linux.go:228: exec user process caused: exec format error",
        means="A program was started that is for another kind of CPU, or for more of a CPU than the guest has.",
        why="The bundle was built for another architecture, or the guest's CPU model lacks instructions that the program was built for.",
    ),
    "system": Told(
        seen="unsupported operating system: FreeBSD",
        means="kubeadm runs on Linux only (and joins Windows).",
        why="The guest was made from another system's image.",
    ),
    "cgroup-controllers": Told(
        seen="[ERROR SystemVerification]: missing required cgroups: memory",
        means="The kernel does not offer cgroup controllers that the kubelet needs.",
        why="Debian's kernels keep `memory` off on some machines until the command line names it; kernels of one's own leave others out.",
    ),
    "cgroup-v1": Told(
        seen="failed to run Kubelet: failed to get mounted cgroup subsystems: failed to find cgroup mounts",
        means="Software that knows only cgroup v1 finds v2.",
        why="Kubernetes before 1.19 and old runtimes need v1; systemd mounts v2 unless the kernel's command line says otherwise.",
    ),
    "cgroup-v2": Told(
        seen="failed to validate kubelet configuration, error: kubelet is configured to not run on a host using cgroup v1. cgroup v1 "
        "support is unsupported",
        means="The kubelet needs cgroup v2 and finds v1.",
        why="From 1.35 on Kubernetes no longer takes v1; the image's kernel command line still asks for it.",
    ),
}
"""By the failure's name."""
