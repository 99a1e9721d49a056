"""From a rate in bits per pixel to the bytes left for a payload, and back to a sanity check."""

import numpy as np

from helpers.codecs.container import Header, pack
from helpers.errors import BitstreamError

_PIXELS_PER_BYTE = 2**14  # no stream is thinner: a decoder need not trust a header that says so


def payload_budget(
    codec: str,
    image: np.ndarray,
    *,
    bpp: float | None = None,
    size: int | None = None,
    least: int = 0,
) -> int | None:
    """Bytes that a lossy codec may spend on its payload so that the whole stream fits.

    Parameters
    ----------
    codec : str
        Codec id, which the header spells out.
    image : (H, W) uint8, uint16 or int16
    bpp : float, optional
        Largest size of the stream in bits per pixel, header included.
    size : int, optional
        The same in bytes.
    least : int
        Bytes without which the codec's payload cannot do.

    Returns
    -------
    int or None
        At least `least_payload`; None where neither `bpp` nor `size` is given.

    Raises
    ------
    ValueError
        If the stream cannot be that small.
    """
    if bpp is None and size is None:
        return None
    total = int(bpp * image.size / 8) if size is None else int(size)
    header = Header(codec, image.dtype, image.shape, 8 * image.dtype.itemsize)
    empty = len(pack(header, b""))
    # The payload's length is written in 1 byte below 128, in one more for each 7 bits above.
    budget = total - empty
    for more in range(1, 5):
        if budget >= 1 << (7 * more):
            budget = max(budget - 1, (1 << (7 * more)) - 1)
    least += least_payload(image.size)
    if budget < least:
        raise ValueError(
            f"{total} bytes are too few for this image: the smallest stream of '{codec}' takes "
            f"{empty + least}; ask for a higher rate."
        )
    return budget


def least_payload(pixels: int) -> int:
    """Bytes of coded data that even the emptiest stream of an image must hold.

    Parameters
    ----------
    pixels : int

    Returns
    -------
    int
        One for every 16,384 pixels, 0.0005 bits per pixel.
    """
    return pixels // _PIXELS_PER_BYTE


def check_length(payload: bytes, header: Header) -> None:
    """Refuse a payload too short for the image its header names, before memory is taken.

    Parameters
    ----------
    payload : bytes
    header : Header

    Raises
    ------
    BitstreamError
        If a forged header asks for more pixels than so few bytes can code.
    """
    height, width = header.shape
    if len(payload) < least_payload(height * width):
        raise BitstreamError(
            f"The header names {height} x {width} pixels, which {len(payload)} bytes cannot code."
        )
