"""A strict double of a guest's services: systemd, Docker and the bundle's disk, for a root that is a namespace.

It accepts the commands that meshctl uses, in the forms that the real programs accept, and fails on any other. What
is real in such a guest: the shell, files, processes, `ip`, `iptables`, network namespaces. State: /var/lib/double.
"""
