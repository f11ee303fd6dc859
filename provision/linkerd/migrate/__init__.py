"""A configuration for another release: the steps between, each change with its reason.

To live here a line turns what the knowledge says of two releases into a change of a text.
"""

from provision.linkerd.migrate.way import Change, Migrated, migrate

__all__ = [
    "Change",
    "Migrated",
    "migrate",
]
