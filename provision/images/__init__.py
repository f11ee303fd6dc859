"""Base images: built once from a recipe, kept in the user's cache under the digest of all that goes into them.

To live here a line is about what guests boot from. Nothing here knows a host.
"""

from provision.images.builder import build, cached, digest
from provision.images.recipes import Recipe, names, recipe
from provision.images.reproducible import EPOCH

__all__ = ["EPOCH", "Recipe", "build", "cached", "digest", "names", "recipe"]
