"""SPIHT (Said and Pearlman 1996): an embedded wavelet codec, any prefix of which decodes.

No package has it, and the book needs it: the papers compare against it.
Payload: number of bit planes (u8), mean grey level (2 bytes), then the range-coded planes.

Taught in the section "Wavelets: JPEG 2000 and SPIHT" of *How classical codecs work*.
"""

import numpy as np

from helpers.codecs.base import ImageCodec, to_pixels
from helpers.codecs.budget import check_length, least_payload, payload_budget
from helpers.codecs.container import Header, pack, unpack
from helpers.codecs.lifting import forward, inverse
from helpers.codecs.rangecoder import (
    POSITION,
    STOPPED,
    as_buffer,
    finish,
    start_decoder,
    start_encoder,
)
from helpers.codecs.spiht_trees import code_planes, largest_descendants, padded_shape
from helpers.errors import BitstreamError

_FRACTION = 2  # bits below the point: without a budget the last plane is a quarter grey level
_SIDE = 3  # bytes of payload before the planes
_TOP_PLANE = 29


class SpihtCodec(ImageCodec):
    """Set partitioning in hierarchical trees on the 9/7 transform.

    Parameters
    ----------
    bpp : float, optional
        Largest size of the whole stream in bits per pixel.
    size : int, optional
        The same in bytes. Without either the stream holds every bit plane down to a quarter
        of a grey level, which is nearly, but not provably, lossless.

    Raises
    ------
    ValueError
        If both are given, or either is not positive.

    References
    ----------
    Said, A. and Pearlman, W. A. (1996), IEEE Transactions on Circuits and Systems for Video
    Technology 6(3), 243-250.

    Examples
    --------
    >>> image = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    >>> stream = SpihtCodec(bpp=1).encode(image)
    >>> len(stream) <= 64 * 64 // 8
    True
    >>> SpihtCodec().decode(truncate(stream, 100)).shape
    (64, 64)
    """

    codec_id = "spiht"

    def __init__(self, bpp: float | None = None, size: int | None = None):
        if (bpp is not None and size is not None) or any(
            value is not None and not 0 < value < np.inf for value in (bpp, size)
        ):
            raise ValueError("SPIHT takes one of bpp= and size=, finite and above 0, or neither.")
        self.bpp = bpp
        self.size = size

    def compress(self, image: np.ndarray) -> bytes:
        """Code an image; see `ImageCodec.compress`."""
        budget = payload_budget(self.codec_id, image, bpp=self.bpp, size=self.size, least=_SIDE)
        mean = int(np.rint(image.mean()))
        levels, rows, columns = padded_shape(image.shape)
        coefficients = _to_grid(
            forward(image.astype(np.float32) - mean, levels), levels, rows, columns
        ).ravel()
        magnitude = (np.abs(coefficients) * 2**_FRACTION).astype(np.int32)
        planes = int(magnitude.max()).bit_length()
        side = bytes([planes]) + (mean & 0xFFFF).to_bytes(2, "little")
        arguments = (
            magnitude,
            (coefficients < 0).astype(np.uint8),
            largest_descendants(magnitude, rows, columns, levels),
            *(rows, columns, levels, planes - 1),
        )
        room = magnitude.size * (planes + 4) // 8 + 64 if budget is None else budget - _SIDE
        while True:
            coder, data = start_encoder(), np.zeros(room, np.uint8)
            if planes:
                code_planes(coder, data, *arguments)
            if planes and not coder[STOPPED]:
                finish(coder, data)
            if budget is not None or not coder[STOPPED]:
                # Bytes after the last plane are never looked at: they only fill up.
                least = _SIDE + least_payload(image.size)
                return (side + data[: coder[POSITION]].tobytes()).ljust(least, b"\0")
            room *= 2

    def expand(self, payload: bytes, header: Header) -> np.ndarray:
        """Decode a payload, whole or cut; see `ImageCodec.expand`."""
        if len(payload) < _SIDE or payload[0] > _TOP_PLANE + 1:
            raise BitstreamError("The SPIHT payload names more bit planes than an image has.")
        check_length(payload, header)
        planes = payload[0]
        mean = int(np.frombuffer(payload[1:3], "<i2" if header.dtype.kind == "i" else "<u2")[0])
        levels, rows, columns = padded_shape(header.shape)
        image = np.full(header.shape, mean, np.float32)
        if planes:
            data = as_buffer(payload[_SIDE:])
            magnitude = np.zeros(rows * columns, np.int32)
            negative = np.zeros(rows * columns, np.uint8)
            unused = np.zeros(1, np.int32)
            code_planes(
                *(start_decoder(data), data, magnitude, negative, unused),
                *(rows, columns, levels, planes - 1),
            )
            # Magnitudes were cut to whole units: on average half a unit was lost.
            values = magnitude.astype(np.float32)
            values[magnitude > 0] += 0.5
            values *= np.where(negative == 1, -1, 1) * np.float32(0.5**_FRACTION)
            grid = values.reshape(rows, columns)
            image += inverse(_from_grid(grid, header.shape, levels), levels)
        return to_pixels(image, header.dtype)


def truncate(stream: bytes, size: int) -> bytes:
    """Cut a SPIHT stream to a size; what is left decodes to a coarser image.

    Parameters
    ----------
    stream : bytes
        A stream of `SpihtCodec`.
    size : int
        Largest length of the result in bytes, header included.

    Returns
    -------
    bytes

    Raises
    ------
    BitstreamError
        If the stream is damaged or of another codec.
    ValueError
        If not even the header fits in `size`.
    """
    header, payload = unpack(stream, SpihtCodec.codec_id)
    if size >= len(stream):
        return stream
    least = _SIDE + least_payload(header.shape[0] * header.shape[1])
    smallest = pack(header, payload[:least])
    if size < len(smallest):
        raise ValueError(
            f"A SPIHT stream of this image takes at least {len(smallest)} bytes, not {size}."
        )
    length = len(payload) - (len(stream) - size)  # a shorter length field only makes it smaller
    return pack(header, payload[: max(length, least)])


def _bands(shape: tuple[int, int], levels: int, rows: int, columns: int):
    """Pairs of places, on the grid and among the coefficients, of each subband."""
    low = [-(-side >> levels) for side in shape]
    yield (slice(0, low[0]), slice(0, low[1])), (slice(0, low[0]), slice(0, low[1]))
    for level in range(levels):
        whole = [-(-side >> level) for side in shape]
        half = [-(-side >> (level + 1)) for side in shape]
        start = rows >> (level + 1), columns >> (level + 1)
        for down, right in ((0, 1), (1, 0), (1, 1)):
            here, there = [], []
            for axis, high in enumerate((down, right)):
                count = whole[axis] - half[axis] if high else half[axis]
                here.append(slice(high * start[axis], high * start[axis] + count))
                there.append(slice(high * half[axis], high * half[axis] + count))
            yield tuple(here), tuple(there)


def _to_grid(coefficients: np.ndarray, levels: int, rows: int, columns: int) -> np.ndarray:
    grid = np.zeros((rows, columns), np.float32)
    for here, there in _bands(coefficients.shape, levels, rows, columns):
        grid[here] = coefficients[there]
    return grid


def _from_grid(grid: np.ndarray, shape: tuple[int, int], levels: int) -> np.ndarray:
    coefficients = np.empty(shape, np.float32)
    for here, there in _bands(shape, levels, *grid.shape):
        coefficients[there] = grid[here]
    return coefficients
