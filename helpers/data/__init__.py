"""Medical images with their patients, licence and source: `load` one of `names()`."""

from helpers.data.imageset import ImageSet
from helpers.data.registry import load, names

__all__ = ["ImageSet", "load", "names"]
