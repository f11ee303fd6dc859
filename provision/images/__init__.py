"""Base images: built once from a recipe, kept in the user's cache under the digest of all that goes into them; and those that were
baked of one and a bundle, by their content.

To live here a line is about what guests boot from. Nothing here knows a host.
"""

from provision.images.baked import Baked, Origin, all_baked, baked_folder, baked_of, check_room, keep, place_to_bake
from provision.images.builder import build, cached, digest
from provision.images.recipes import Recipe, names, recipe
from provision.images.reproducible import EPOCH

__all__ = [
    "EPOCH",
    "Baked",
    "Origin",
    "Recipe",
    "all_baked",
    "baked_folder",
    "baked_of",
    "build",
    "cached",
    "check_room",
    "digest",
    "keep",
    "names",
    "place_to_bake",
    "recipe",
]
