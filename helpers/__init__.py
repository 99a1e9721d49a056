"""Shared tools of the book: data in, real bytes out, everything measured from those bytes."""

__version__ = "0.1.0"
