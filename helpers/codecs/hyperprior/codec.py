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
from helpers.codecs.hyperprior.closed_loop import ROUNDS, refined
from helpers.codecs.hyperprior.floats import blocks, synthesised
from helpers.codecs.hyperprior.integers import LEVELS
from helpers.codecs.hyperprior.model import trained
from helpers.codecs.hyperprior.stream import MARGIN, decode, encode
from helpers.errors import BitstreamError
from helpers.models.hyperprior.layout import BLOCK, MIDDLE

MAX_PIXELS = 2**24  # padding included
MOST_ROUNDS = 16


class HyperCodec(ImageCodec):
    """Learned lossy codec; 8 bit, and 16 bit by a window; any size.

    Parameters
    ----------
    level : int
        Rate, 0 (fewest bits) to 63.
    model : str
        Name of the weights.
    rounds : int
        How often the encoder looks at what its decoder will show, 0 to 16.
    margin : float
        How many times the price of the added error rounding towards the mean must save in bits.

    Notes
    -----
    Sides are padded to multiples of 16 by repeating the edge. Images of 16 bits are mapped from
    their darkest and brightest value to 0..255 without rounding. Taught in
    *Beyond the papers: a lossy codec that learns*.
    """

    codec_id: ClassVar[str] = "hyper"

    def __init__(
        self,
        level: int = 32,
        model: str = "hyper-mse",
        rounds: int = ROUNDS,
        margin: float = MARGIN,
    ):
        for name, value, end in (("level", level, LEVELS), ("rounds", rounds, MOST_ROUNDS + 1)):
            if value not in range(end):
                raise ValueError(f"{name} is a whole number from 0 to {end - 1}, not {value}.")
        if not margin > 0:
            raise ValueError(f"margin is a number above 0, not {margin}.")
        self.level, self.model = int(level), model
        self.rounds, self.margin = int(rounds), float(margin)

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
        found = refined(model, unit, self.level, self.rounds, self.margin)
        payload, _ = encode(model, *found, self.level, margin=self.margin)
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
