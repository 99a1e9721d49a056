"""The lossy codec that learns: mean-scale hyperprior, hierarchical context, any rate.

===== ======= ==========================================
bytes type    field of the payload
===== ======= ==========================================
1     u8      level, 0 (fewest bits) to 63
8     2 x i32 darkest and brightest grey value (not for uint8 images)
rest  --      hyper-latent, then latents, range coded
===== ======= ==========================================

Which symbols the bytes mean is settled in whole numbers. The picture is then computed in floats, so
another machine may show a grey level more or less in a few places, as with JPEG.
"""

from typing import ClassVar

import numpy as np

from helpers.codecs import window
from helpers.codecs.base import ImageCodec
from helpers.codecs.container import Header
from helpers.codecs.hyperprior.floats import analysed, blocks, synthesised
from helpers.codecs.hyperprior.integers import LEVELS
from helpers.codecs.hyperprior.model import trained
from helpers.codecs.hyperprior.stream import decode, encode
from helpers.errors import BitstreamError
from helpers.models.hyperprior.layout import BLOCK, MIDDLE

MAX_PIXELS = 2**24  # padding included


class HyperCodec(ImageCodec):
    """Learned lossy codec; 8 bit, and 16 bit by a window; any size.

    Parameters
    ----------
    level : int
        Rate, 0 (fewest bits) to 63.
    model : str
        Name of the weights.

    Notes
    -----
    Sides are padded to multiples of 16 by repeating the edge. Images of 16 bits are mapped from
    their darkest and brightest value to 0..255 without rounding. Taught in
    *Beyond the papers: a lossy codec that learns*.
    """

    codec_id: ClassVar[str] = "hyper"

    def __init__(self, level: int = 32, model: str = "hyper-mse"):
        if level not in range(LEVELS):
            raise ValueError(f"level is a whole number from 0 to {LEVELS - 1}, not {level}.")
        self.level, self.model = int(level), model

    def compress(self, image: np.ndarray) -> bytes:
        """Code a checked image; see the table at the top of this file."""
        height, width = blocks(image.shape)
        if BLOCK**2 * height * width > MAX_PIXELS:
            raise ValueError(
                f"This codec takes at most {MAX_PIXELS} pixels, padding included; cut the image "
                "into tiles."
            )
        model = trained(self.model)
        unit = window.to_unit(image) * np.float32(255) - MIDDLE
        unit = np.pad(unit, [(0, -side % BLOCK) for side in image.shape], mode="edge")
        latents, side = analysed(model, unit, self.level)
        payload, _ = encode(model, latents, side, self.level)
        return bytes([self.level]) + window.store(image) + payload

    def expand(self, payload: bytes, header: Header) -> np.ndarray:
        """Decode a payload."""
        shape = blocks(header.shape)
        if BLOCK**2 * shape[0] * shape[1] > MAX_PIXELS:
            raise BitstreamError(
                f"The header asks for more than {MAX_PIXELS} pixels, padding included; no stream "
                "of this codec does. Copy the stream again from where it was made."
            )
        if not payload or payload[0] >= LEVELS:
            raise BitstreamError("The payload does not name a rate that this codec knows.")
        level, at, grey = payload[0], 1, window.EIGHT_BITS
        if header.dtype != np.uint8:
            grey, at = window.read(payload, at), at + window.SIZE
        model = trained(self.model)
        latents = decode(model, payload[at:], shape, level)
        picture = synthesised(model, latents, level)[: header.shape[0], : header.shape[1]]
        return window.from_unit(np.clip((picture + MIDDLE) / 255, 0, 1), grey, header.dtype)
