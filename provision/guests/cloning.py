"""A guest that others are made from loses what makes it one: its name, keys, users, ids and logs, as a base image has none of them.

What goes is what the recipe's build takes away (`images.system`), and what cloud-init made of the seed.
"""

from __future__ import annotations

from provision.base.shell import Shell

READY = "meshctl: this guest is ready to be cloned"
"""What it says on its console last, when all went well."""

_PLACE = "/run/meshctl/cloning"

# As root over SSH; nothing here ends the session. cloud-init's file of the network matches the MAC address of this guest.
_FORGET = """
set -eu
cloud-init clean --logs
rm -rf /var/lib/cloud /etc/systemd/network/*cloud-init* /etc/udev/rules.d/*cloud-init* /etc/sysctl.d/90-meshctl.conf
echo localhost > /etc/hostname
printf '127.0.0.1 localhost\\n::1 localhost ip6-localhost ip6-loopback\\n' > /etc/hosts
rm -rf /root/.ssh /root/.bash_history /var/tmp/meshctl* /var/lib/dhcp/*
"""

# In a unit of its own, as it takes away the user whose session began it. It ends with the power off, and only when all of it went well.
# The machine's id becomes empty, not absent: systemd then draws one at boot without taking the boot for a first one. dbus has a copy of it,
# from which it would be taken. The random seed is written when its service stops, so that is stopped first; journald writes to memory from
# here on. userdel's 12: it could not remove what was not there.
_LEAVE = f"""
set -eu
user=$1
sleep 2
rm -f /etc/sudoers.d/90-cloud-init-users
loginctl terminate-user "$user" 2>/dev/null || true
userdel --force --remove "$user" || [ $? = 12 ]
if getent passwd "$user"; then echo "user $user is still there"; exit 1; fi
for file in passwd shadow group gshadow subuid subgid; do rm -f "/etc/$file-"; done
rm -f /etc/ssh/ssh_host_*
systemctl stop systemd-random-seed.service
rm -f /var/lib/systemd/random-seed /var/lib/systemd/credential.secret /var/lib/dbus/machine-id
journalctl --relinquish-var
rm -rf /var/log/*
: > /etc/machine-id
fstrim / || true
sync
echo "{READY}" > /dev/console
systemctl poweroff
"""

_START = f"""
set -eu
mkdir -p {_PLACE.rpartition("/")[0]}
cat > {_PLACE}
exec systemd-run --quiet --collect --unit=meshctl-cloning --property=StandardOutput=journal+console \\
    --property=StandardError=journal+console sh {_PLACE} "$1"
"""


def forget_guest(shell: Shell) -> None:
    """Takes off a guest what can go while it is used. Raises CommandFailed."""
    shell.run(["sh", "-c", _FORGET, "forget"], within_s=300)


def leave(shell: Shell, user: str) -> None:
    """Has a guest take away the rest, with the user by whom it is reached, and power itself off: it says `READY` on its console before.

    Returns when that has begun. Raises CommandFailed.
    """
    shell.run(["sh", "-c", _START, "leave", user], stdin=_LEAVE.encode(), within_s=120)
