"""The codec of Baiee and Al-Assadi (2024): auto-encoder, 8-bit quantiser, Brotli.

======= ========= =====================================================
bytes   type      field of the payload
======= ========= =====================================================
1       u8        latent (0: float32, 1: uint8), scale (2: a channel),
                  coder (4 x its number), 16: a window follows
8       2 x i32   darkest and brightest grey value (not for uint8 images)
8 or n  2 x f32   minimum and maximum of the latent, or of each channel
rest    --        the latent in the order height, width, channel, coded
======= ========= =====================================================

Float networks do not compute the same last bits on every machine, so another machine may
decode to pixels that differ by a grey level. A lossy codec can live with that; a lossless
one cannot.
"""

from functools import lru_cache
from typing import ClassVar

import brotli
import numpy as np

from helpers import weights
from helpers.codecs import entropy, window
from helpers.codecs.base import ImageCodec
from helpers.codecs.container import Header
from helpers.errors import BitstreamError, DataError

CODERS = ("none", "brotli", "range")
CHANNELS, SHRINK = 512, 32
MAX_PIXELS = 2**24  # padding included; the widest layer holds 32 floats a pixel
_CHANNEL_SCALE, _WINDOW = 2, 16


def quantise(
    latent: np.ndarray, axis: tuple[int, ...] | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Min-max quantiser to 8 bits, equation 2 of the paper.

    ``q = round(255 (z - min) / (max - min))``

    Parameters
    ----------
    latent : float32 array
    axis : tuple of int, optional
        Axes that share one minimum and maximum; all by default, as in the paper.

    Returns
    -------
    levels : uint8 array of the latent's shape
    low, high : float32 arrays
        The minima and maxima the decoder needs, dimensions kept.
    """
    low = latent.min(axis=axis, keepdims=True)
    high = latent.max(axis=axis, keepdims=True)
    span = np.where(high > low, high - low, 1)
    return np.rint(255 * ((latent - low) / span)).astype(np.uint8), low, high


def dequantise(levels: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Back from 8 bits to floats, equation 3 of the paper.

    ``z = min + q (max - min) / 255``

    Parameters
    ----------
    levels : uint8 array
    low, high : float32 arrays that broadcast against it

    Returns
    -------
    float32 array
    """
    return (low + levels.astype(np.float32) * ((high - low) / np.float32(255))).astype(np.float32)


class CaeCodec(ImageCodec):
    """Auto-encoder codec, plain or with the paper's quantiser and Brotli.

    Parameters
    ----------
    model : str
        Name of the weights in ``reference/weights``.
    latent : {"uint8", "float32"}
        What is stored of the latent: 8-bit levels (the paper's hybrid) or the floats
        themselves (its baseline).
    scale : {"tensor", "channel"}
        Whether one minimum and maximum serve the whole latent, as in the paper, or each of
        the 512 channels has its own.
    coder : {"brotli", "range", "none"}
        What squeezes the bytes: Brotli at its best quality, a static range coder, nothing.

    Notes
    -----
    8-bit images are divided by 255, as in the paper; others by their own range, which then
    travels in the stream. Sides that are no multiple of 32 are padded by repeating the
    edge. Taught in the chapter *A convolutional auto-encoder and Brotli*.
    """

    codec_id: ClassVar[str] = "cae"

    def __init__(
        self,
        model: str = "cae-mri",
        latent: str = "uint8",
        scale: str = "tensor",
        coder: str = "brotli",
    ):
        if latent not in ("uint8", "float32") or scale not in ("tensor", "channel"):
            raise ValueError("latent is 'uint8' or 'float32', scale is 'tensor' or 'channel'.")
        if coder not in CODERS:
            raise ValueError(f"coder is one of {', '.join(CODERS)}, not '{coder}'.")
        if latent == "float32" and (coder == "range" or scale == "channel"):
            raise ValueError("A float32 latent has no levels: use coder='none' or 'brotli'.")
        self.model, self.latent, self.scale, self.coder = model, latent, scale, coder

    def analyse(self, image: np.ndarray) -> np.ndarray:
        """Latent of an image, before any quantisation.

        Parameters
        ----------
        image : (H, W) uint8, uint16 or int16

        Returns
        -------
        (H/32, W/32, 512) float32, sides rounded up
        """
        height, width = image.shape
        unit = window.to_unit(image)
        unit = np.pad(unit, ((0, -height % SHRINK), (0, -width % SHRINK)), mode="edge")
        return _run(self.model, "encoder", unit[None])[0].transpose(1, 2, 0)

    def synthesise(self, latent: np.ndarray) -> np.ndarray:
        """Image of a latent, in [0, 1] and still padded.

        Parameters
        ----------
        latent : (h, w, 512) float32

        Returns
        -------
        (32 h, 32 w) float32
        """
        logits = _run(self.model, "decoder", np.ascontiguousarray(latent.transpose(2, 0, 1)))
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-logits[0, 0]))

    def compress(self, image: np.ndarray) -> bytes:
        """Code a checked image; see the table at the top of this file."""
        height, width, _ = _latent_shape(image.shape)
        if SHRINK**2 * height * width > MAX_PIXELS:
            raise ValueError(
                f"The auto-encoder takes at most {MAX_PIXELS} pixels, this image has "
                f"{SHRINK**2 * height * width} once its sides are padded to multiples of "
                f"{SHRINK}; cut it into tiles."
            )
        latent = self.analyse(image)
        flags = (self.latent == "uint8") | CODERS.index(self.coder) << 2
        side = window.store(image)
        flags |= _WINDOW * bool(side)
        if self.latent == "float32":
            return bytes([flags]) + side + _squeeze(latent.astype("<f4").tobytes(), self.coder)
        levels, low, high = quantise(latent, (0, 1) if self.scale == "channel" else None)
        flags |= _CHANNEL_SCALE * (self.scale == "channel")
        side += low.astype("<f4").tobytes() + high.astype("<f4").tobytes()
        return bytes([flags]) + side + _squeeze(levels.tobytes(), self.coder)

    def expand(self, payload: bytes, header: Header) -> np.ndarray:
        """Decode a payload of any of this codec's configurations."""
        shape = _latent_shape(header.shape)
        if SHRINK**2 * shape[0] * shape[1] > MAX_PIXELS:
            raise BitstreamError(
                f"The header asks for more than {MAX_PIXELS} pixels, padding included; no stream "
                "of this codec does. Copy the stream again from where it was made."
            )
        flags, at = payload[0], 1
        grey = window.EIGHT_BITS
        if flags & _WINDOW:
            grey, at = window.read(payload, at), at + window.SIZE
        coder = CODERS[flags >> 2 & 3]
        if flags & 1:
            count = CHANNELS if flags & _CHANNEL_SCALE else 1
            scales = np.frombuffer(payload, "<f4", 2 * count, at).reshape(2, 1, 1, count)
            raw = _unsqueeze(payload[at + 8 * count :], coder, int(np.prod(shape)))
            with np.errstate(over="ignore", invalid="ignore"):  # forged scales; see below
                latent = dequantise(np.frombuffer(raw, np.uint8).reshape(shape), *scales)
        else:
            raw = _unsqueeze(payload[at:], coder, 4 * int(np.prod(shape)))
            latent = np.frombuffer(raw, "<f4").reshape(shape)
        if not np.isfinite(latent).all():
            raise BitstreamError("The latent holds numbers that are not finite.")
        unit = self.synthesise(latent.astype(np.float32))[: header.shape[0], : header.shape[1]]
        if np.isnan(unit).any():
            raise BitstreamError("The latent is so large that the decoder overflows on it.")
        return window.from_unit(unit, grey, header.dtype)


def _latent_shape(shape: tuple[int, int]) -> tuple[int, int, int]:
    """Height, width and channels of the latent of an image of this shape."""
    return -(-shape[0] // SHRINK), -(-shape[1] // SHRINK), CHANNELS


def _squeeze(raw: bytes, coder: str) -> bytes:
    if coder == "brotli":
        return brotli.compress(raw, quality=11, lgwin=24)
    return entropy.encode_bytes(raw) if coder == "range" else raw


def _unsqueeze(data: bytes, coder: str, count: int) -> bytes:
    """Exactly ``count`` bytes, or an error: a forged stream cannot ask for more."""
    if coder == "brotli":
        decoder = brotli.Decompressor()
        raw = decoder.process(data, output_buffer_limit=count + 1)
    else:
        raw = entropy.decode_bytes(data, count) if coder == "range" else data
    if len(raw) != count:
        raise BitstreamError(f"The latent decodes to {len(raw)} bytes instead of {count}.")
    return raw


@lru_cache(maxsize=2)
def _network(model: str, digest: bytes):
    """Auto-encoder with the named weights, ready for inference; anew where the file changed."""
    import torch

    from helpers.models.cae import ConvAutoencoder

    network = ConvAutoencoder()
    try:
        network.load_state_dict(weights.load(model))
    except RuntimeError as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"The weights '{model}' are those of another network; choose others with model=."
        ) from error
    return network.eval().to(memory_format=torch.channels_last)


def _run(model: str, part: str, array: np.ndarray) -> np.ndarray:
    """Run the encoder or decoder on one (C, H, W) float32 array."""
    import torch

    with torch.inference_mode():
        batch = torch.from_numpy(np.ascontiguousarray(array, np.float32))[None]
        return getattr(_network(model, weights.sha256(model)), part)(batch).contiguous().numpy()
