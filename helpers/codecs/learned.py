"""A lossless codec that learns: a network before the image, least squares and mixing inside it.

========= ======== =======================================================================
bytes     type     field of the payload
========= ======== =======================================================================
1         u8       what follows: 0 nothing, 1 the network's code, 2 JPEG XL, 3 JPEG-LS
2         u16      smallest pixel, plus 32,768 where pixels are signed
2         u16      largest value less the smallest, or the number of grey levels less one
3         u24      length of the list of grey levels; 0 where all are used
n         --       list of grey levels, Brotli
rest      --       the code (`helpers.codecs.causal.walk`), or a whole stream of the standard
========= ======== =======================================================================

Of a standard's payload only the first three bytes precede its stream. The codec writes JPEG-LS or
JPEG XL's effort 7 where that is smaller, and tries efforts 3 and 9 where the network's code saves
little on effort 7: no image costs more than in what was tried, by more than the envelope.
"""

from functools import lru_cache
from typing import ClassVar

import numpy as np

from helpers import weights
from helpers.codecs.base import ImageCodec
from helpers.codecs.causal import levels, network, walk
from helpers.codecs.classical import JpegLs, JpegXl
from helpers.codecs.container import Header, check_image, unpack
from helpers.errors import BitstreamError

MODELS = ("lossless-chest", "lossless-mri", "lossless-mammography")
AUTO = "auto"
_NOTHING, _NETWORK, _JPEG_XL, _JPEG_LS = range(4)
_STANDARDS = {_JPEG_XL: JpegXl, _JPEG_LS: JpegLs}
# Where the network saves less than this on JPEG XL's effort 7, the other efforts are tried, too:
# they take most of the time, and gain less than that on pictures a network is at home in.
_CLOSE = 0.96
_PIECE = 64, 128  # pixels in the middle of an image, by which its network is chosen


class LearnedCodec(ImageCodec):
    """Context network, local least squares and mixing; 8 and 16 bit, signed too, any size.

    Parameters
    ----------
    model : str
        Name of the weights, one of `MODELS` or trained on this machine; "auto" takes the one
        of `MODELS` that codes the middle of the image best.
    standards : bool
        Write JPEG XL or JPEG-LS where that is smaller. Without, the codec's own code is written
        whatever its size: for measuring.

    Notes
    -----
    Taught in *Beyond the papers*.
    """

    codec_id: ClassVar[str] = "learned"
    lossless: ClassVar[bool] = True

    def __init__(self, model: str = AUTO, standards: bool = True):
        self.model, self.standards = model, standards

    def encode(self, buf: np.ndarray) -> bytes:
        """Code an image; see `ImageCodec.encode`."""
        if self.model != AUTO:
            return super().encode(buf)
        return LearnedCodec(choose(check_image(buf)), self.standards).encode(buf)

    def decode(self, buf: bytes, out: np.ndarray | None = None) -> np.ndarray:
        """Decode a stream; see `ImageCodec.decode`. "auto" decodes those of all `MODELS`."""
        if self.model != AUTO:
            return super().decode(buf, out)
        header, _ = unpack(buf, self.codec_id)
        if header.model not in MODELS:
            raise BitstreamError(
                f"The stream was made with the weights '{header.model}', which are none of "
                f"{', '.join(MODELS)}; name them as the codec's model."
            )
        return LearnedCodec(header.model).decode(buf, out)

    def compress(self, image: np.ndarray) -> bytes:
        """Code a checked image; see the table at the top of this file."""
        least, values = _from_zero(image)
        begin = least.to_bytes(2, "little")
        if not values.any():
            return bytes([_NOTHING]) + begin
        own = bytes([_NETWORK]) + begin + _own(values, trained(self.model))
        if not self.standards:
            return own
        pixels = values if image.dtype == np.int16 else image
        kind, best = min(_standards(pixels, len(own)), key=lambda found: len(found[1]))
        return min(own, bytes([kind]) + begin + best, key=len)

    def expand(self, payload: bytes, header: Header) -> np.ndarray:
        """Decode a payload."""
        if len(payload) < 3 or payload[0] > _JPEG_LS:
            raise BitstreamError("The payload does not say how its pixels are coded.")
        kind, least = payload[0], int.from_bytes(payload[1:3], "little")
        signed = header.dtype == np.int16
        least -= 32768 * signed
        if kind == _NOTHING:
            return np.full(header.shape, least, header.dtype)
        if kind in _STANDARDS:
            pixels = np.uint16 if signed else header.dtype
            image = _STANDARDS[kind]().decode_as(payload[3:], header.shape, pixels)
            return (image.astype(np.int32) + least).astype(np.int16) if signed else image
        values = _expanded(payload[3:], header.shape, trained(self.model))
        limits = np.iinfo(header.dtype)
        if values.min() + least < limits.min or values.max() + least > limits.max:
            raise BitstreamError("The payload holds pixels that its header's type does not.")
        return (values + least).astype(header.dtype)


def choose(image: np.ndarray) -> str:
    """Name of the weights among `MODELS` that code the middle of an image best.

    Parameters
    ----------
    image : (H, W) uint8, uint16 or int16
    """
    row, column = (max(0, (n - m) // 2) for n, m in zip(image.shape, _PIECE, strict=True))
    piece = image[row : row + _PIECE[0], column : column + _PIECE[1]]
    _, values = _from_zero(piece)
    if not values.any():
        return MODELS[0]
    return min(MODELS, key=lambda model: len(walk.encode(values, trained(model))))


@lru_cache(maxsize=8)
def _loaded(name: str, version: bytes) -> network.Network:
    return network.load(weights.arrays(name))


def trained(name: str) -> network.Network:
    """Network of some weights, in whole numbers.

    Parameters
    ----------
    name : str
        Of the weights.
    """
    return _loaded(name, weights.sha256(name))


def _from_zero(image: np.ndarray) -> tuple[int, np.ndarray]:
    """Smallest pixel as it is stored, and what the pixels exceed it by, as uint16."""
    least = int(image.min())
    values = (image.astype(np.int32) - least).astype(np.uint16)
    return least + 32768 * (image.dtype == np.int16), values


def _own(values: np.ndarray, net: network.Network) -> bytes:
    codes = [_coded(values, b"", net)]
    numbers, gaps = levels.pack(values)
    if gaps:  # few pixels leave levels out by chance: numbering them hides how far apart they are
        codes.append(_coded(numbers, gaps, net))
    return min(codes, key=len)


def _coded(values: np.ndarray, gaps: bytes, net: network.Network) -> bytes:
    top, length = int(values.max()).to_bytes(2, "little"), len(gaps).to_bytes(3, "little")
    return top + length + gaps + walk.encode(values, net)


def _expanded(payload: bytes, shape: tuple[int, int], net: network.Network) -> np.ndarray:
    top, length = int.from_bytes(payload[:2], "little"), int.from_bytes(payload[2:5], "little")
    if not top or len(payload) < 5 + length:
        raise BitstreamError("The payload ends inside its header.")
    values = walk.decode(payload[5 + length :], shape, top, net)
    return levels.unpack(values, payload[5 : 5 + length]) if length else values.astype(np.int64)


def _standards(pixels: np.ndarray, size: int) -> list[tuple[int, bytes]]:
    """Kind and stream of the standards that may be smaller than so many bytes."""
    streams = [JpegXl(effort=7).encode(pixels)]
    if size > _CLOSE * len(streams[0]):
        others = [effort for effort in JpegXl.efforts if effort != 7]
        streams += [JpegXl(effort=effort).encode(pixels) for effort in others]
    return [(_JPEG_LS, JpegLs().encode(pixels)), *((_JPEG_XL, stream) for stream in streams)]
