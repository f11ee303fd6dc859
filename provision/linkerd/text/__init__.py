"""Configurations as text: nodes with positions, and changes that leave every other byte as it is.

To live here a line would be the same if linkerd had other keys. What reads is handed on; what edits (`edit`, `plain`) is
imported where it is used, since a validation does without.
"""

from provision.linkerd.text.document import (
    ALIAS,
    BOOL,
    FLOAT,
    INT,
    NULL,
    TEXT,
    Inside,
    Location,
    Spot,
    Unreadable,
    compose,
    compose_all,
    fields,
    find,
    get,
    is_null,
    items,
    scalar,
    spot,
    text,
    text_of,
    uncollected,
)

__all__ = [
    "ALIAS",
    "BOOL",
    "FLOAT",
    "INT",
    "NULL",
    "TEXT",
    "Inside",
    "Location",
    "Spot",
    "Unreadable",
    "compose",
    "compose_all",
    "fields",
    "find",
    "get",
    "is_null",
    "items",
    "scalar",
    "spot",
    "text",
    "text_of",
    "uncollected",
]
