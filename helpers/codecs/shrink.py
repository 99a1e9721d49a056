"""The codec of Hwang and Woo (2023): a smaller image as PNG, which its decoder enlarges.

======  =====  ===============================================================
bytes   type   field of the payload
======  =====  ===============================================================
1       u8     factor by which height and width were divided, 2 or 4
1       u8     bits of the image's grey values, 8 to 16
n       --     the smaller image, PNG
======  =====  ===============================================================

What enlarges is the stream's model: a filter, a network or a diffusion model of
`helpers.upscalers`. Networks do not compute the same last bits on every machine, so another
machine may decode to pixels that differ by a grey level. A lossy codec can live with that.
"""

from functools import lru_cache
from typing import ClassVar

import numpy as np

from helpers import upscalers, weights
from helpers.codecs.base import ImageCodec
from helpers.codecs.classical import Png
from helpers.codecs.container import Header
from helpers.errors import BitstreamError

FACTORS = (2, 4)
MAX_PIXELS = 2**24
_WEIGHTS = {
    "superres": "superres",
    upscalers.OWN: upscalers.own.UNET,
    upscalers.GENERAL: upscalers.own.BEFORE,
}
_SIZE = slice(16, 24)  # of width and height in a PNG file, 4 bytes each, the higher ones first


class ShrinkCodec(ImageCodec):
    """A bicubic filter makes the image smaller, PNG keeps it, an upscaler makes it large again.

    Parameters
    ----------
    factor : {2, 4}
        By which height and width are divided.
    model : str
        What enlarges, a name of `helpers.upscalers`.

    Notes
    -----
    Taught in the chapter *Latent diffusion for mammograms*.
    """

    codec_id: ClassVar[str] = "shrink"

    def __init__(self, factor: int = 2, model: str = "bicubic"):
        if factor not in FACTORS:
            raise ValueError(f"Images are reduced by a factor of 2 or 4, not {factor}.")
        if model not in upscalers.names():
            raise ValueError(
                f"There is no upscaler '{model}'; there are {', '.join(upscalers.names())}."
            )
        self.factor, self.model = factor, model

    @property
    def weights_hash(self) -> bytes:
        """First four bytes of the SHA-256 of the network's weights; zeros for a filter."""
        name = _WEIGHTS.get(self.model)
        return weights.sha256(name)[:4] if name else bytes(4)

    def compress(self, image: np.ndarray) -> bytes:
        """Code a checked image; see the table at the top of this file."""
        if image.dtype == np.int16:
            from helpers.codecs.catalogue import fitting  # which knows this codec, too

            raise ValueError(
                "A PNG file holds no negative values; shift them above 0 as uint16, or use one of "
                f"{', '.join(fitting(image.dtype))}."
            )
        if image.size > MAX_PIXELS:
            raise ValueError(
                f"This codec takes at most {MAX_PIXELS} pixels, this one has {image.size}; cut it "
                "into tiles."
            )
        bits = max(8, int(image.max()).bit_length())
        small = reduced(_padded(image, self.factor), self.factor, bits)
        return bytes([self.factor, bits]) + Png().encode(small)

    def expand(self, payload: bytes, header: Header) -> np.ndarray:
        """Decode a payload of any of this codec's configurations with this model."""
        factor, bits, file = payload[0], payload[1], payload[2:]
        height, width = header.shape
        if factor not in FACTORS or not 8 <= bits <= 16 or height * width > MAX_PIXELS:
            raise BitstreamError(
                "The payload begins with numbers that this codec never writes; copy the stream "
                "again from where it was made."
            )
        told = tuple(np.frombuffer(file[_SIZE], ">u4")[::-1].tolist())
        if told != _small_shape(header.shape, factor):
            raise BitstreamError(f"The PNG file in the stream has {told} pixels, too few or many.")
        small = Png().decode(file)
        if small.dtype != header.dtype:
            raise BitstreamError("The PNG file in the stream has other bits a pixel.")
        enlarge = _upscaler(self.model, self.weights_hash)
        return np.ascontiguousarray(enlarge(small, factor, bits=bits)[:height, :width])


def reduced(image: np.ndarray, factor: int, bits: int) -> np.ndarray:
    """Reduce an image by torchvision's bicubic filter with anti-aliasing.

    Parameters
    ----------
    image : (H, W) uint8 or uint16
        Sides are multiples of the factor.
    factor : int
    bits : int
        The filter may overshoot at edges; what exceeds these bits is set to their end.

    Returns
    -------
    (H / factor, W / factor) array of the same dtype
        Rounded once: torch resizes no uint16, and float32 holds 16 bits exactly.
    """
    import torch
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import resize

    pixels = torch.from_numpy(image.astype(np.float32))[None]
    size = [side // factor for side in image.shape]
    small = resize(pixels, size, InterpolationMode.BICUBIC, antialias=True)[0].numpy()
    return np.clip(np.rint(small), 0, 2**bits - 1).astype(image.dtype)


def _small_shape(shape: tuple[int, int], factor: int) -> tuple[int, int]:
    return tuple(max(-(-side // factor), upscalers.LEAST) for side in shape)


def _padded(image: np.ndarray, factor: int) -> np.ndarray:
    """Repeat the last row and column until the sides can be divided and enlarged again."""
    small = _small_shape(image.shape, factor)
    more = [(0, factor * s - side) for s, side in zip(small, image.shape, strict=True)]
    return np.pad(image, more, mode="edge")


@lru_cache(maxsize=4)
def _upscaler(name: str, digest: bytes) -> upscalers.Upscaler:
    """Upscaler of this name; anew where its weights changed."""
    return upscalers.get(name, download=False)
