"""The small envelope every stream of this book travels in.

====== ===== ==========================================================
bytes  type  field
====== ===== ==========================================================
3      --    magic ``MIC``
1      u8    container version, 1
1+n    text  codec id, for example ``spiht``
1      u8    dtype (low nibble), flags (0x10: pixel CRC, 0x20: model)
1      u8    bit depth of the image, 1 to 16
1 to 4 uint  height, LEB128
1 to 4 uint  width, LEB128
1+n+4  --    model id and first 4 bytes of the SHA-256 of its weights (if flagged)
1 to 5 uint  payload length, LEB128
n      --    payload, written by the codec
4      u32   CRC-32 of the decoded pixels (lossless codecs only)
4      u32   CRC-32 of everything before it
====== ===== ==========================================================

All of it counts as bytes of the coded image: about 20 of them. The book explains the
fields in the section "Header and side information" of *Measuring compression*.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from helpers.errors import BitstreamError

MAGIC = b"MIC"
VERSION = 1
DTYPES = (np.dtype("uint8"), np.dtype("uint16"), np.dtype("int16"))
MAX_PIXELS = 2**26  # 8192 x 8192; a forged header cannot make a decoder ask for more
_HAS_PIXEL_CRC, _HAS_MODEL = 0x10, 0x20


@dataclass(frozen=True)
class Header:
    """What a stream says about the image inside it.

    Parameters
    ----------
    codec : str
        Id of the codec that wrote the payload.
    dtype : numpy.dtype
        uint8, uint16 or int16.
    shape : tuple of int
        Height and width in pixels, each at least 1.
    bit_depth : int
        Number of significant bits per pixel, 1 to 16.
    model : str
        Id of the network that a learned codec used, empty for the others.
    weights : bytes
        First four bytes of the SHA-256 of that network's weights.
    pixel_crc : int or None
        CRC-32 of the decoded pixels, present where the codec is lossless.
    """

    codec: str
    dtype: np.dtype
    shape: tuple[int, int]
    bit_depth: int
    model: str = ""
    weights: bytes = b""
    pixel_crc: int | None = None


def pack(header: Header, payload: bytes) -> bytes:
    """Put a payload into its envelope.

    Parameters
    ----------
    header : Header
    payload : bytes

    Returns
    -------
    bytes
        The whole stream: what is stored, sent and counted.
    """
    flags = DTYPES.index(header.dtype)
    flags |= _HAS_PIXEL_CRC * (header.pixel_crc is not None) | _HAS_MODEL * bool(header.model)
    height, width = header.shape
    parts = [MAGIC, bytes([VERSION]), _text(header.codec), bytes([flags, header.bit_depth])]
    parts += [_uint(height), _uint(width)]
    if header.model:
        parts += [_text(header.model), header.weights[:4]]
    parts += [_uint(len(payload)), payload]
    if header.pixel_crc is not None:
        parts.append(header.pixel_crc.to_bytes(4, "little"))
    body = b"".join(parts)
    return body + zlib.crc32(body).to_bytes(4, "little")


def unpack(stream: bytes, codec: str | None = None) -> tuple[Header, bytes]:
    """Open an envelope, after checking that nothing in it was lost or changed.

    Parameters
    ----------
    stream : bytes
        A whole stream as `pack` made it.
    codec : str, optional
        The codec the caller expects; any when omitted.

    Returns
    -------
    header : Header
    payload : bytes

    Raises
    ------
    BitstreamError
        If the stream is not ours, truncated, altered, or of another codec.
    """
    stream = bytes(stream)
    if not stream.startswith(MAGIC):
        raise BitstreamError(
            "This is not a stream of this book (it does not start with 'MIC'); "
            "decode it with the program that wrote it."
        )
    if len(stream) < 4 or stream[3] != VERSION:
        raise BitstreamError(
            "This stream has another container version than this release reads (1); "
            "decode it with the release that wrote it."
        )
    body, crc = stream[:-4], int.from_bytes(stream[-4:], "little")
    if len(stream) < 8 or zlib.crc32(body) != crc:
        raise BitstreamError(
            "The stream was truncated or altered: its CRC-32 does not match; "
            "copy it again from where it was made."
        )
    header, payload = _parse(_Reader(body, 4))
    if codec is not None and header.codec != codec:
        raise BitstreamError(
            f"The stream was written by the codec '{header.codec}', not '{codec}'; "
            f"decode it with '{header.codec}'."
        )
    return header, payload


def check_image(image: np.ndarray) -> np.ndarray:
    """Return the image as a C-contiguous array, or say why it cannot be coded.

    Parameters
    ----------
    image : (H, W) uint8, uint16 or int16

    Raises
    ------
    ValueError
        If it has another rank or dtype, is empty, or has more than `MAX_PIXELS` pixels.
    """
    image = np.asarray(image)
    if image.ndim != 2 or image.dtype not in DTYPES:
        raise ValueError(
            f"A codec takes one grey image as a 2-D array of uint8, uint16 or int16, not "
            f"{image.ndim}-D {image.dtype}; pick a slice or a channel and convert it first."
        )
    if not 0 < image.size <= MAX_PIXELS:
        raise ValueError(
            f"An image must have between 1 and {MAX_PIXELS} pixels, this one has {image.size}; "
            "cut it into tiles."
        )
    return np.ascontiguousarray(image)


def pixel_crc(image: np.ndarray) -> int:
    """CRC-32 of an image's pixels in little-endian row order.

    Parameters
    ----------
    image : (H, W) integer array

    Returns
    -------
    int
    """
    return zlib.crc32(np.ascontiguousarray(image, image.dtype.newbyteorder("<")).tobytes())


def check_decoded(image: np.ndarray, header: Header) -> None:
    """Make sure that decoded pixels are those that the header announces.

    Parameters
    ----------
    image : array
    header : Header

    Raises
    ------
    BitstreamError
        If shape or dtype differ, or the CRC-32 of the pixels does where the header has one.
    """
    if image.shape != header.shape or image.dtype != header.dtype:
        raise BitstreamError("The payload decodes to another image than its header names.")
    if header.pixel_crc is not None and pixel_crc(image) != header.pixel_crc:
        raise BitstreamError(
            "The decoded pixels are not those that were coded (their CRC-32 differs)."
        )


class _Reader:
    """Reads fields from bytes and raises `BitstreamError` instead of running past the end."""

    def __init__(self, data: bytes, position: int = 0):
        self.data, self.position = data, position

    def take(self, count: int) -> bytes:
        piece = self.data[self.position : self.position + count]
        if len(piece) != count:
            raise BitstreamError("The stream ends inside its header; it was not made by this book.")
        self.position += count
        return piece

    def uint(self) -> int:
        value, shift = 0, 0
        while shift < 35:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
        raise BitstreamError("The stream's header holds an impossible number.")

    def text(self) -> str:
        raw = self.take(self.take(1)[0])
        if not raw.isascii() or not raw.decode("ascii").isprintable():
            raise BitstreamError("The stream's header holds an impossible name.")
        return raw.decode("ascii")


def _parse(reader: _Reader) -> tuple[Header, bytes]:
    codec = reader.text()
    flags, bit_depth = reader.take(2)
    shape = reader.uint(), reader.uint()
    dtype = flags & 0x0F
    if dtype >= len(DTYPES) or flags >= 0x40 or not 1 <= bit_depth <= 8 * DTYPES[dtype].itemsize:
        raise BitstreamError("The stream's header names a pixel type this release does not know.")
    if not 0 < shape[0] * shape[1] <= MAX_PIXELS:
        raise BitstreamError(
            f"The stream's header asks for {shape[0]} x {shape[1]} pixels; "
            f"at most {MAX_PIXELS} are decoded."
        )
    model = reader.text() if flags & _HAS_MODEL else ""
    weights = reader.take(4) if flags & _HAS_MODEL else b""
    payload = reader.take(reader.uint())
    crc = int.from_bytes(reader.take(4), "little") if flags & _HAS_PIXEL_CRC else None
    if reader.position != len(reader.data):
        raise BitstreamError("The stream holds more bytes than its header announces.")
    return Header(codec, DTYPES[dtype], shape, bit_depth, model, weights, crc), payload


def _uint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _text(value: str) -> bytes:
    raw = value.encode("ascii")
    return bytes([len(raw)]) + raw
