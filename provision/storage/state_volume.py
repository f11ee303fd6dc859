"""The state volume of a control plane: what of a cluster lies on it, and where its guest has it. Data only.

The volume is mounted at one place, and folders of it are bound over those of etcd, kubeadm and the kubelet: a filesystem's own
`lost+found` would be in the way of kubeadm, which wants an empty folder for etcd.
"""

from __future__ import annotations

from provision.base.units import MIB

STATE_KIND = "state"
"""The volume's kind, and the serial number of its disk in the guest."""

STATE_VOLUME_SIZE = 8192 * MIB
"""Bytes, where the inventory says nothing. etcd's database has 2 GiB at the most (its default `quota-backend-bytes`) and its log six
files of 64 MiB; a restore has them three times for a moment: what is there, what comes, and what is set aside. The volume is sparse."""

STATE_MOUNT = "/var/lib/meshctl-state"
"""Where the guest mounts the volume."""

BOUND = {"etcd": "/var/lib/etcd", "kubernetes": "/etc/kubernetes", "kubelet-pki": "/var/lib/kubelet/pki"}
"""Folders of the volume, and over which folders of the guest they are bound. In the last one kubelets keep the certificate that they renew
by themselves."""

KEPT = "kept"
"""The folder of the volume with copies of what lies elsewhere, and of which control plane they are."""

STATE_UNITS = tuple(f"/etc/systemd/system/{unit}.service.d/05-meshctl-state.conf" for unit in ("docker", "kubelet"))
"""What lets neither start while the volume is not mounted; on guests that have one."""
