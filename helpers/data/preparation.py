"""From the pixels of a file to the pixels of an `ImageSet`: window, pad, resize, round once."""

from dataclasses import dataclass

import numpy as np

RESAMPLE = ("bicubic", "bilinear")


@dataclass(frozen=True)
class Picture:
    """One image as its file holds it, and the window that shows it in 8 bits.

    Parameters
    ----------
    pixels : (H, W) array
        Non-negative whole numbers, bigger is brighter.
    low, high : float
        The values that become 0 and 255 in 8 bits.
    bits : int
        Significant bits of a pixel in the file, 1 to 16.
    """

    pixels: np.ndarray
    low: float
    high: float
    bits: int


def prepare(
    picture: Picture, size: int | None, depth: int, resample: str = "bicubic"
) -> np.ndarray:
    """Pixels ready for a codec.

    Everything happens in float32 and is rounded once, at the end.

    Parameters
    ----------
    picture : Picture
    size : int or None
        Side of the square image to return; None keeps the file's height and width.
    depth : {8, 16}
        8: the window ``low..high`` becomes 0..255; 16: the file's own numbers.
    resample : {"bicubic", "bilinear"}
        See `fit_square`.

    Returns
    -------
    (H, W) or (size, size) array, uint8 for depth 8 and uint16 for depth 16
    """
    pixels = picture.pixels.astype(np.float32)
    if size is not None:
        pixels = fit_square(pixels, size, resample)
    if depth == 8:
        pixels = (pixels - picture.low) * (255 / max(picture.high - picture.low, 1e-9))
        return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return np.clip(np.rint(pixels), 0, 2**picture.bits - 1).astype(np.uint16)


def fit_square(image: np.ndarray, size: int, resample: str = "bicubic") -> np.ndarray:
    """Zero-pad an image to a centred square and resample it.

    The filter widens with the reduction factor, so fine detail is averaged instead of folded
    back as false patterns (aliasing).

    Parameters
    ----------
    image : (H, W) float32
    size : int
        Side of the result in pixels, at least 1.
    resample : {"bicubic", "bilinear"}
        The filter.

    Returns
    -------
    (size, size) float32
        May exceed the input's range slightly: bicubic filters overshoot at edges.
    """
    from PIL import Image

    side = max(image.shape)
    before = [(side - length) // 2 for length in image.shape]
    after = [side - length - gap for length, gap in zip(image.shape, before, strict=True)]
    square = np.pad(image, list(zip(before, after, strict=True)))
    if side == size:
        return square
    resized = Image.fromarray(square).resize((size, size), Image.Resampling[resample.upper()])
    return np.asarray(resized)


def evenly(count: int, wanted: int) -> list[int]:
    """Positions of at most `wanted` items spread evenly over `count`, ends included.

    Parameters
    ----------
    count, wanted : int

    Returns
    -------
    list of int
        Increasing, without repeats.
    """
    if wanted >= count:
        return list(range(count))
    if wanted == 1:
        return [count // 2]
    return [round(i * (count - 1) / (wanted - 1)) for i in range(wanted)]
