"""Codecs: grey images in, bytes out and back; `get` one by name, or at a rate or a quality."""

from helpers.codecs.catalogue import CATALOGUE, Entry, fitting, get, names
from helpers.codecs.rate import at_psnr, at_rate

__all__ = ["CATALOGUE", "Entry", "at_psnr", "at_rate", "fitting", "get", "names"]
