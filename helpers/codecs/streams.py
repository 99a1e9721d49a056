"""Files on disk: any codec's stream in the book's envelope, so that it says what it is."""

import numpy as np
from numcodecs.abc import Codec

from helpers.codecs.base import ImageCodec
from helpers.codecs.catalogue import get
from helpers.codecs.container import Header, check_decoded, check_image, pack, pixel_crc, unpack
from helpers.errors import BitstreamError


def wrap(name: str, codec: Codec, image: np.ndarray) -> bytes:
    """Code an image into a stream that `unwrap` decodes without being told the codec.

    Parameters
    ----------
    name : str
        Name of the codec's family in the catalogue.
    codec : numcodecs.abc.Codec
        A codec of that family, for example from `get` or `at_rate`.
    image : (H, W) uint8, uint16 or int16

    Returns
    -------
    bytes
        A classical payload carries the CRC-32 of its pixels where it turns out exact.
    """
    image = check_image(image)
    payload = codec.encode(image)
    if _is_own(name):
        return payload
    exact = np.array_equal(codec.decode(payload), image)
    return pack(_header(name, image, pixel_crc(image) if exact else None), payload)


def envelope_size(name: str, image: np.ndarray) -> int:
    """Most bytes that `wrap` adds to a codec's own stream of an image.

    Parameters
    ----------
    name : str
    image : (H, W) uint8, uint16 or int16

    Returns
    -------
    int
    """
    if _is_own(name):
        return 0
    length_field = 4  # up to five bytes, one of which an empty payload already has
    return len(pack(_header(name, image, 0), b"")) + length_field


def unwrap(stream: bytes) -> tuple[Header, np.ndarray]:
    """Decode any stream that `wrap` made.

    Parameters
    ----------
    stream : bytes

    Returns
    -------
    header : Header
    image : (H, W) array of the coded image's dtype

    Raises
    ------
    BitstreamError
        If the stream is truncated, altered, foreign, or of an unknown codec.
    """
    header, payload = unpack(stream)
    try:
        codec = _decoder(header)
    except ValueError as error:
        raise BitstreamError(f"The stream was made by a codec unknown here: {error}") from error
    if isinstance(codec, ImageCodec):
        return header, codec.decode(stream)
    image = codec.decode(payload)
    check_decoded(image, header)
    return header, image


def _decoder(header: Header) -> Codec:
    return get(header.codec, model=header.model) if header.model else get(header.codec)


def _is_own(name: str) -> bool:
    return isinstance(get(name), ImageCodec)


def _header(name: str, image: np.ndarray, crc: int | None) -> Header:
    return Header(name, image.dtype, image.shape, 8 * image.dtype.itemsize, pixel_crc=crc)
