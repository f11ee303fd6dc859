"""Base images: built once from a recipe, kept in the user's cache under the digest of all that goes into them."""

from provision.images.build import build, cached, digest
from provision.images.recipe import Recipe, names, recipe

__all__ = ["Recipe", "build", "cached", "digest", "names", "recipe"]
