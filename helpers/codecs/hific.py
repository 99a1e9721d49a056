"""A codec after HiFiC: few bits, a decoder that invents what they do not say, and a delta.

===== ======= ====================================================================
bytes type    field of the payload
===== ======= ====================================================================
1     u8      0: no delta; else 1 + the coder's place in `helpers.codecs.residual`
4     u32     bytes of the latents (only where there is a delta)
n     --      latents, range coded (`helpers.codecs.hyperprior.stream`)
rest  --      the delta of the picture, by that coder
===== ======= ====================================================================

The latents are those of the lossy codec `helpers.codecs.hyperprior.codec` at one low rate. What
differs is the network that makes a picture of them: it was trained against a critic (Mentzer et al.
2020). Its arithmetic is in whole numbers, so a delta that is taken from its picture gives the image
back exactly, on any machine.
"""

import hashlib
import struct
from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np

from helpers import weights
from helpers.codecs import residual
from helpers.codecs.base import ImageCodec
from helpers.codecs.container import Header
from helpers.codecs.hyperprior.closed_loop import refined
from helpers.codecs.hyperprior.floats import blocks
from helpers.codecs.hyperprior.model import trained
from helpers.codecs.hyperprior.painter import IntegerPainter
from helpers.codecs.hyperprior.stream import AT_PRICE, decode_steps, encode
from helpers.errors import BitstreamError, DataError
from helpers.models.hyperprior.layout import BLOCK, MIDDLE

BASE = "hyper-mse"  # the codec whose latents these are,
AS_TRAINED = {"rounds": 0, "margin": AT_PRICE}  # from an encoder like that of the training
MAX_PIXELS = 2**22  # padding included: whole numbers are slow


class Painted(NamedTuple):
    """What the bytes of the latents are, and what the decoder paints of them.

    Parameters
    ----------
    code : bytes
    picture : (H, W) int64 array
        Grey levels, 0 to 255.
    """

    code: bytes
    picture: np.ndarray


class HificCodec(ImageCodec):
    """Adversarially trained codec for chest films of 8 bits, lossless where it sends the delta.

    Parameters
    ----------
    coder : str, optional
        What codes the delta, one of `helpers.codecs.residual.CODERS`; no delta when omitted.
    model : str
        Name of the decoder's weights.

    Notes
    -----
    Taught in *Beyond the papers: a lossy codec that learns*, section "A decoder that believes too
    much"; with the delta it is a row of *Lossless by auto-encoder and delta*.
    """

    codec_id: ClassVar[str] = "hific"

    def __init__(self, coder: str | None = None, model: str = "hific-chest"):
        if coder is not None and coder not in residual.CODERS:
            raise ValueError(f"coder is one of {', '.join(residual.CODERS)}, not '{coder}'.")
        self.coder, self.model = coder, model

    @property
    def lossless(self) -> bool:
        """Whether every pixel comes back."""
        return self.coder is not None

    @property
    def weights_hash(self) -> bytes:
        """First four bytes of the SHA-256 of both weights' SHA-256, one after the other."""
        return hashlib.sha256(weights.sha256(BASE) + weights.sha256(self.model)).digest()[:4]

    @property
    def level(self) -> int:
        """Rate of the base codec at which the decoder was trained, 0 to 63."""
        return _painter(self.model, weights.sha256(self.model))[1]

    def paint(self, image: np.ndarray) -> Painted:
        """Code the latents of an image and paint what they say.

        Parameters
        ----------
        image : (H, W) uint8
        """
        height, width = blocks(image.shape)
        if image.dtype != np.uint8:
            from helpers.codecs.catalogue import fitting

            raise ValueError(
                f"The decoder was trained on 8-bit films, this image is {image.dtype}; window it "
                f"to 8 bits, or use one of {', '.join(fitting(image.dtype))}."
            )
        if BLOCK**2 * height * width > MAX_PIXELS:
            raise ValueError(
                f"This codec takes at most {MAX_PIXELS} pixels, padding included; cut the image "
                "into several."
            )
        model, level = trained(BASE), self.level
        unit = np.pad(
            image.astype(np.float32) - MIDDLE,
            [(0, -side % BLOCK) for side in image.shape],
            mode="edge",
        )
        latents = refined(model, unit, level, **AS_TRAINED)
        code, _ = encode(model, *latents, level, margin=AS_TRAINED["margin"])
        return Painted(code, self._painted(code, image.shape))

    def compress(self, image: np.ndarray) -> bytes:
        """Code a checked image; see the table at the top of this file."""
        return self.payload(image, self.paint(image))

    def payload(self, image: np.ndarray, painted: Painted) -> bytes:
        """Payload of an image that is painted already, to try several coders on one.

        Parameters
        ----------
        image : (H, W) uint8
        painted : Painted
            From `paint` of a codec with the same weights.
        """
        if self.coder is None:
            return b"\0" + painted.code
        rest = residual.encode(residual.difference(image, painted.picture), self.coder)
        flag = 1 + list(residual.CODERS).index(self.coder)
        return struct.pack("<BI", flag, len(painted.code)) + painted.code + rest

    def expand(self, payload: bytes, header: Header) -> np.ndarray:
        """Decode a payload, with or without a delta."""
        height, width = blocks(header.shape)
        if header.dtype != np.uint8 or BLOCK**2 * height * width > MAX_PIXELS:
            raise BitstreamError(
                "The header names an image that this codec does not write; copy the stream again."
            )
        flag, names = payload[0], list(residual.CODERS)
        if flag == 0:
            return self._painted(payload[1:], header.shape).astype(np.uint8)
        if flag > len(names):
            raise BitstreamError("The payload names a coder this release does not know.")
        start = struct.calcsize("<BI")
        (size,) = struct.unpack("<I", payload[1:start])
        if len(payload) < start + size:
            raise BitstreamError("The payload ends inside its latents; copy the stream again.")
        picture = self._painted(payload[start : start + size], header.shape)
        rest = residual.decode(payload[start + size :], header.shape, names[flag - 1])
        return residual.undo_difference(rest, picture)

    def _painted(self, code: bytes, shape: tuple[int, int]) -> np.ndarray:
        """Picture of the bytes of some latents."""
        painter, level = _painter(self.model, weights.sha256(self.model))
        model = trained(BASE)
        values = decode_steps(model, code, blocks(shape), level)
        picture = painter.paint(*model.context.latents(values, level))
        return picture[: shape[0], : shape[1]]


@lru_cache(maxsize=2)
def _painter(name: str, version: bytes) -> tuple[IntegerPainter, int]:
    """Decoder of some weights, and the rate it was trained for."""
    arrays = weights.arrays(name)
    try:
        painter, level = IntegerPainter(arrays), int(np.asarray(arrays["level"]).ravel()[0])
        base = np.asarray(arrays["base"]).astype(np.uint8).tobytes()
    except (KeyError, ValueError, IndexError) as error:
        raise DataError(
            f"The weights '{name}' are those of another network; choose others with model=."
        ) from error
    if base != weights.sha256(BASE):
        raise DataError(
            f"The weights '{name}' were trained for other weights '{BASE}' than those at hand; "
            "train them again (python -m helpers train beyond-the-papers --network hific-chest)."
        )
    return painter, level
