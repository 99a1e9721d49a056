"""The coders for a residual image, what a prediction leaves over of an image, in one table.

A residual image holds ``(image - prediction + 128) mod 256``: 128 where they agree. Each coder
takes it as bytes, as values with neighbours, as a picture or as waves, and gives it back exactly.

Taught in the chapter *Lossless by auto-encoder and delta*.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from helpers.codecs.adaptive import CLASSES, check_residual, decode_adaptive, encode_adaptive
from helpers.codecs.classical import Png
from helpers.codecs.entropy import decode_bytes, encode_bytes
from helpers.codecs.huffman import decode_huffman, encode_huffman
from helpers.codecs.intdct import decode_dct, encode_dct

_PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_PNG_GREY = b"\x08\0\0\0"  # 8 bits, grey, the only compression and the only filter method


@dataclass(frozen=True)
class ResidualCoder:
    """One way to code a residual image.

    Parameters
    ----------
    name : str
        Key in `CODERS`.
    label : str
        Name in tables and figures.
    encode : callable
        From an (H, W) uint8 array to bytes.
    decode : callable
        From these bytes and the shape (H, W) to the array.
    """

    name: str
    label: str
    encode: Callable[[np.ndarray], bytes]
    decode: Callable[[bytes, tuple[int, int]], np.ndarray]


def difference(image: np.ndarray, prediction: np.ndarray, convention: str = "exact") -> np.ndarray:
    """Delta of an image, as the bytes that are coded.

    Parameters
    ----------
    image : (H, W) uint8
    prediction : (H, W) integer array
    convention : {"exact", "float8"}
        See `helpers.codecs.delta.DeltaCodec`.

    Returns
    -------
    (H, W) uint8
        128 where there is no difference. In float8 each byte stands for two differences, 128
        for 0 and 1.
    """
    if convention == "exact":
        return ((image.astype(np.int64) - prediction + 128) % 256).astype(np.uint8)
    # 8 bits span -255..255 only, and a second stage may predict more than that away
    delta = image.astype(np.int64) - np.clip(prediction, 0, 255)
    return ((delta + 256) // 2).astype(np.uint8)


def undo_difference(
    delta: np.ndarray, prediction: np.ndarray, convention: str = "exact"
) -> np.ndarray:
    """Image of a delta; the inverse of `difference`, exact or up to one grey level.

    Parameters
    ----------
    delta : (H, W) uint8
    prediction : (H, W) integer array
    convention : {"exact", "float8"}

    Returns
    -------
    (H, W) uint8
    """
    if convention == "exact":
        return ((prediction + delta - 128) % 256).astype(np.uint8)
    restored = np.clip(prediction, 0, 255) + 2 * delta.astype(np.int64) - 255
    return np.clip(restored, 0, 255).astype(np.uint8)


def encode(residual: np.ndarray, name: str) -> bytes:
    """Code a residual image.

    Parameters
    ----------
    residual : (H, W) uint8
        Differences, centred on 128.
    name : str
        Key of `CODERS`.

    Returns
    -------
    bytes
        The code with its tables; neither the shape nor the name is in it.

    Raises
    ------
    ValueError
        If `residual` is no residual image, or there is no such coder.

    Examples
    --------
    >>> residual = np.full((32, 48), 128, np.uint8)
    >>> np.array_equal(decode(encode(residual, "context"), (32, 48), "context"), residual)
    True
    """
    return _coder(name).encode(check_residual(residual))


def decode(data: bytes, shape: tuple[int, int], name: str) -> np.ndarray:
    """Decode what `encode` coded.

    Parameters
    ----------
    data : bytes
    shape : tuple of int
        Height and width.
    name : str

    Returns
    -------
    (H, W) uint8 array
        Of damaged bytes it may hold other values: a checksum around them is the caller's.

    Raises
    ------
    ValueError
        If the data are not the code of an image of this shape, or there is no such coder.
    """
    return _coder(name).decode(bytes(data), tuple(shape))


def _coder(name: str) -> ResidualCoder:
    if name not in CODERS:
        raise ValueError(f"There is no residual coder '{name}'; take one of {', '.join(CODERS)}.")
    return CODERS[name]


def _from_bytes(decoder: Callable[[bytes, int], bytes], data: bytes, shape) -> np.ndarray:
    raw = decoder(data, shape[0] * shape[1])
    return np.frombuffer(raw, np.uint8).reshape(shape).copy()


def _decode_png(data: bytes, shape: tuple[int, int]) -> np.ndarray:
    # libpng takes the memory that the file's header asks for, so the header is read first.
    size = struct.pack(">II", shape[1], shape[0])
    if not data.startswith(_PNG_START + size + _PNG_GREY) or not data.endswith(_PNG_END):
        raise ValueError(f"This is no whole 8-bit grey PNG of {shape[0]} x {shape[1]} pixels.")
    image = Png().decode(data)
    if image.shape != shape or image.dtype != np.uint8:
        raise ValueError("The PNG decodes to another image than its header names; copy it again.")
    return image


# The order is part of the streams, which store a coder's place in it: append only.
CODERS: dict[str, ResidualCoder] = {
    coder.name: coder
    for coder in (
        ResidualCoder(
            "huffman",
            "Huffman",
            lambda residual: encode_huffman(residual.tobytes()),
            lambda data, shape: _from_bytes(decode_huffman, data, shape),
        ),
        ResidualCoder(
            "range",
            "range coder, static",
            lambda residual: encode_bytes(residual.tobytes()),
            lambda data, shape: _from_bytes(decode_bytes, data, shape),
        ),
        ResidualCoder("adaptive", "range coder, adaptive", encode_adaptive, decode_adaptive),
        ResidualCoder(
            "context",
            "range coder, with contexts",
            lambda residual: encode_adaptive(residual, CLASSES),
            lambda data, shape: decode_adaptive(data, shape, CLASSES),
        ),
        ResidualCoder("png", "PNG", lambda residual: Png().encode(residual), _decode_png),
        ResidualCoder("dct", "integer DCT", encode_dct, decode_dct),
    )
}
