"""Grey values to [0, 1] and back, for the codecs whose networks know nothing else.

8-bit images are divided by 255. Others have a *window*, their darkest and brightest value, which
travels in the stream as two i32: few images use all 65,536 levels of their type.
"""

import numpy as np

EIGHT_BITS = (0, 255)
SIZE = 8  # bytes of a stored window


def of(image: np.ndarray) -> tuple[int, int]:
    """Grey values that map to 0 and 1.

    Parameters
    ----------
    image : uint8, uint16 or int16 array

    Returns
    -------
    tuple of int
    """
    return EIGHT_BITS if image.dtype == np.uint8 else (int(image.min()), int(image.max()))


def to_unit(image: np.ndarray) -> np.ndarray:
    """Map an image to [0, 1] by its window; a constant one without 8 bits becomes 0.

    Parameters
    ----------
    image : uint8, uint16 or int16 array

    Returns
    -------
    float32 array of its shape
    """
    low, high = of(image)
    return (image.astype(np.float32) - low) / max(high - low, 1)


def from_unit(unit: np.ndarray, window: tuple[int, int], dtype: np.dtype) -> np.ndarray:
    """Map [0, 1] back to whole grey values, which stay within their type.

    Parameters
    ----------
    unit : float array
    window : tuple of int
    dtype : numpy.dtype

    Returns
    -------
    array of `dtype`
    """
    low, high = window
    limits = np.iinfo(dtype)
    grey = np.rint(low + unit * np.float64(high - low))
    return np.clip(grey, limits.min, limits.max).astype(dtype)


def store(image: np.ndarray) -> bytes:
    """Window of an image as it stands in a stream: 8 bytes, none for an 8-bit image."""
    return b"" if image.dtype == np.uint8 else np.array(of(image), "<i4").tobytes()


def read(payload: bytes, at: int) -> tuple[int, int]:
    """Read a window from a stream.

    Parameters
    ----------
    payload : bytes
    at : int
        Where it begins.

    Returns
    -------
    tuple of int

    Raises
    ------
    ValueError
        If the payload ends inside it.
    """
    low, high = np.frombuffer(payload, "<i4", 2, at).tolist()
    return low, high
