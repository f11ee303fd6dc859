"""The embedded lab: a private place on this machine, with its own libvirtd in its own network namespace.

With hosts it holds several of them, each with an sshd, joined by one bridge.
To live here a line makes or removes the place; what is provisioned in it knows it by its URI only.
"""

from provision.lab.hosts import uri as host_uri
from provision.lab.lab import connect_argv, down, exec_argv, up
from provision.lab.places import Lab, of_uri

__all__ = [
    "Lab",
    "connect_argv",
    "down",
    "exec_argv",
    "host_uri",
    "of_uri",
    "up",
]
