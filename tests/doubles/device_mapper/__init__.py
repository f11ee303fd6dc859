"""A double of the kernel's device-mapper, for machines whose kernel has none: `lvcreate`, `lvextend` and `lvremove` for PATH.

LVM itself is real: its own programs write volume groups, logical volumes and tags onto real devices. Only the mapping that
the kernel would make of a logical volume is played: a loop device over the volume's one extent range, under the name
that LVM would give. Strict: linear volumes in one piece, made as meshctl makes them; anything else is refused.
"""
