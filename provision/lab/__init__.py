"""The embedded lab: a private place on this machine, with its own libvirtd in its own network namespace.

To live here a line makes or removes the place; what is provisioned in it knows it by its URI only.
"""

from provision.lab.lab import connect_argv, down, exec_argv, up
from provision.lab.places import Lab, of_uri

__all__ = [
    "Lab",
    "connect_argv",
    "down",
    "exec_argv",
    "of_uri",
    "up",
]
