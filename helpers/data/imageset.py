"""A set of images that never travels without its patients, its licence and its source."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np


@dataclass(frozen=True)
class ImageSet:
    """Grey images and what must be known about them.

    Parameters
    ----------
    name : str
        Name of the data set, for example ``"brain-mri"``.
    source : str
        Where these images came from: ``"open-pack"``, ``"siar"``, ...
    images : sequence of (H, W) uint8 or uint16 arrays
    ids : sequence of str
        One id an image, free of identifying information.
    patients : sequence of str
        One pseudonymous patient id an image; splits never separate equal ones.
    labels : sequence of str
        One class an image, ``""`` where there is none.
    bit_depth : int
        Number of significant bits of a pixel.
    licence, citation : str
        Both are printed beside every result made from the set.
    preparation : str
        One sentence: what was done to the pixels between the file and here.
    """

    name: str
    source: str
    images: Sequence[np.ndarray] = field(repr=False)
    ids: Sequence[str] = field(repr=False)
    patients: Sequence[str] = field(repr=False)
    labels: Sequence[str] = field(repr=False)
    bit_depth: int
    licence: str
    citation: str = field(repr=False)
    preparation: str = field(repr=False, default="")

    def __post_init__(self):
        counts = {len(self.images), len(self.ids), len(self.patients), len(self.labels)}
        if len(counts) != 1:
            raise ValueError("An ImageSet needs one id, one patient and one label an image.")

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def __iter__(self) -> Iterator[np.ndarray]:
        """Iterate over the pixel arrays."""
        return iter(self.images)

    def take(self, indices: Sequence[int]) -> "ImageSet":
        """Images at the given positions, as a set of the same source.

        Parameters
        ----------
        indices : sequence of int
        """
        pick = {
            key: tuple(getattr(self, key)[i] for i in indices)
            for key in ("images", "ids", "patients", "labels")
        }
        return replace(self, **pick)

    def spread(self, count: int | None) -> "ImageSet":
        """At most ``count`` images, spread evenly over the set; all of them for None.

        Parameters
        ----------
        count : int or None
        """
        if count is None or count >= len(self):
            return self
        return self.take([int((i + 0.5) * len(self) / count) for i in range(count)])

    def stack(self) -> np.ndarray:
        """All images as one (N, H, W) array; they must share one shape and dtype."""
        return np.stack(self.images)

    @property
    def fingerprint(self) -> str:
        """SHA-256 over every id and pixel, in hexadecimal: equal sets have equal ones."""
        digest = hashlib.sha256()
        for name, image in zip(self.ids, self.images, strict=True):
            digest.update(f"{name}|{image.shape}|{image.dtype.str}|".encode())
            digest.update(np.ascontiguousarray(image).tobytes())
        return digest.hexdigest()
