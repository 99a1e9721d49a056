"""Photographs that come with scikit-image: what a network may learn before it sees films."""

from functools import lru_cache

import numpy as np

from helpers.data.imageset import ImageSet

NAMES = (
    *("astronaut", "brick", "camera", "chelsea", "coffee"),
    *("coins", "grass", "gravel", "rocket"),
)


@lru_cache(maxsize=1)
def photographs() -> ImageSet:
    """Nine photographs of people, animals, things and textures, in grey.

    Returns
    -------
    ImageSet
        8-bit images of 300 x 451 to 512 x 512 pixels; the motif takes the patient's place.
    """
    from skimage import data
    from skimage.color import rgb2gray

    pictures = [getattr(data, name)() for name in NAMES]
    grey = [x if x.ndim == 2 else np.rint(255 * rgb2gray(x)).astype(np.uint8) for x in pictures]
    return ImageSet(
        name="photographs",
        source="scikit-image",
        images=tuple(grey),
        ids=NAMES,
        patients=NAMES,
        labels=("",) * len(NAMES),
        bit_depth=8,
        licence="public domain and CC0",
        citation="van der Walt et al. 2014 (scikit-image), doi 10.7717/peerj.453",
        preparation="Colours became grey by scikit-image's rgb2gray.",
    )
