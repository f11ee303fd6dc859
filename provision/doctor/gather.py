"""One read of everything that `doctor` wants to know of a host beyond libvirt: a script, and its answer by sections.

The script only reads. Each section is a line `@@ NAME` and what follows; a section that is absent could not be read.
"""

from __future__ import annotations

from collections.abc import Mapping

from provision.base.shell import Shell
from provision.doctor.facts import Way
from provision.inventory import Host

WITHIN_S = 5.0
"""What a host has to answer; the script took 0.2 s on two cores, most of it for lsblk, ip and iptables."""

# $1: the pool's folder. `grep -sH ''` prints each line of many files behind its path, with one process.
# The daemon of libvirt is the one in our own mount namespace: a lab's may run beside the machine's.
_SCRIPT = r"""
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
exec 2>/dev/null
file() { if [ -r "$2" ]; then printf '@@ %s\n' "$1"; cat -- "$2"; printf '\n'; fi; }
files() { printf '@@ %s\n' "$1"; shift; grep -sH '' -- "$@"; }
tool() { name=$1; shift; if said=$("$@"); then printf '@@ %s\n%s\n' "$name" "$said"; fi; }

cpu=/sys/devices/system/cpu
tool time date +%s.%N
tool user id -u
file cmdline /proc/cmdline
file online $cpu/online
file isolated $cpu/isolated
file nohz_full $cpu/nohz_full
file smt $cpu/smt/active
file clocksource /sys/devices/system/clocksource/clocksource0/current_clocksource
files governors $cpu/cpufreq/policy*/scaling_governor $cpu/cpufreq/policy*/affected_cpus
files idle $cpu/cpu[0-9]*/cpuidle/state*/name $cpu/cpu[0-9]*/cpuidle/state*/latency $cpu/cpu[0-9]*/cpuidle/state*/disable
tool latency_limit od -An -td4 -N4 /dev/cpu_dma_latency
tool cpu_flags grep -m1 -E '^(flags|Features)' /proc/cpuinfo
if [ -e /dev/kvm ]; then printf '@@ dev_kvm\nyes\n'; fi
if [ -e /dev/vhost-net ]; then printf '@@ dev_vhost_net\nyes\n'; fi

file thp /sys/kernel/mm/transparent_hugepage/enabled
files ksm /sys/kernel/mm/ksm/run /sys/kernel/mm/ksm/pages_sharing
files hugepages /sys/devices/system/node/node[0-9]*/hugepages/hugepages-*kB/nr_hugepages \
  /sys/devices/system/node/node[0-9]*/hugepages/hugepages-*kB/free_hugepages
file mounts /proc/self/mounts
file meminfo /proc/meminfo
file swaps /proc/swaps
file numa_balancing /proc/sys/kernel/numa_balancing

printf '@@ processes\n'
here=$(readlink /proc/self/ns/mnt)
for comm in /proc/[0-9]*/comm; do
  read -r name < "$comm" || continue
  case $name in
    libvirtd|virtqemud|irqbalance|ksmtuned) ;;
    *) continue ;;
  esac
  process=${comm%/comm}
  if [ "$name" != libvirtd ] && [ "$name" != virtqemud ] || [ "$(readlink "$process/ns/mnt")" = "$here" ]; then
    printf 'name %s\n' "$name"
    grep -s -E '^(CapEff:)' "$process/status"
    grep -s '^Max locked memory' "$process/limits"
    tr '\0' '\n' < "$process/environ" | grep '^IRQBALANCE_BANNED'
  fi
done

pool=$1
while [ ! -e "$pool" ] && [ "$pool" != / ]; do pool=$(dirname -- "$pool"); done
tool df df -B1 --output=source,fstype,size,avail,itotal,iavail,target -- "$pool"
tool pool_options findmnt -n -o OPTIONS -T "$pool"
printf '@@ parents\n'
part=$pool
while :; do
  stat -c '%a %u %g %n' -- "$part"
  [ "$part" = / ] && break
  part=$(dirname -- "$part")
done
tool pool_label stat -c %C -- "$pool"
file selinux /sys/fs/selinux/enforce
tool lsblk lsblk --json --bytes --nodeps --output KNAME,ROTA,SCHED,DISC-MAX
files disk_cells /sys/block/*/device/numa_node /sys/block/*/device/device/numa_node
tool lvs lvs --reportformat json --units b --nosuffix -o vg_name,lv_name,lv_attr,data_percent,metadata_percent
tool fstrim systemctl is-enabled fstrim.timer

tool links ip -j -d link show
tool addresses ip -j -4 address show
tool routes ip -j -4 route show
file forwarding /proc/sys/net/ipv4/ip_forward
file bridge_nf /proc/sys/net/bridge/bridge-nf-call-iptables
tool iptables iptables -w 1 -S
tool nft nft -j list chains

tool synchronized timedatectl show --property=NTPSynchronized --value
tool sshd sh -c 'sshd -T | grep -iE "^(maxstartups|maxsessions) "'
"""


def gather(shell: Shell, host: Host) -> Mapping[str, str]:
    """The sections by name. Raises ShellError when the host's shell cannot be used or does not answer in time."""
    said = shell.read(["sh", "-c", _SCRIPT, "doctor", host.pool.path], within_s=WITHIN_S, check=False)
    return sections(said.stdout) or sections(said.checked().stdout)


_PING = """
(ping -n -q -c 1 -W 1 -M do -s "$2" "$1" >/dev/null 2>&1 && echo whole) &
ping -n -q -c 1 -W 1 "$1" >/dev/null 2>&1 && echo small
wait
"""
"""Both at once: what is lost is waited for one second."""

IP_AND_ICMP = 28
"""Bytes of a ping's packet that are not its payload: 20 of IPv4 and 8 of ICMP."""


def walk(shell: Shell, to: str, address: str, mtu: int) -> Way:
    """Sends a packet of `mtu` bytes that must not be cut, and a small one. Raises ShellError as `gather`."""
    argv = ["sh", "-c", _PING, "ping", address, str(mtu - IP_AND_ICMP)]
    said = shell.read(argv, within_s=WITHIN_S, check=False).stdout.split()
    return Way(to, address, whole="whole" in said, small="small" in said)


def sections(text: str) -> dict[str, str]:
    """The text below each `@@ NAME`."""
    found: dict[str, str] = {}
    for part in f"\n{text}".split("\n@@ ")[1:]:
        name, _, content = part.partition("\n")
        found[name] = content.strip("\n")
    return found
