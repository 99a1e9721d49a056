"""The codecs of Abdelrahman: a whole film as the few numbers of an auto-encoder's latent.

========= ======== =====================================================================
bytes     type     field of the payload
========= ======== =====================================================================
1         u8       latent (0: float32, 1: float16, 2: 8 bits), 16: a window follows
8         2 x i32  darkest and brightest grey value (not for uint8 images)
4 L, or   f32      latent, or
2 L, or   f16      latent, or
1 + L     i8       exponent of two and latent in 8 bits
========= ======== =====================================================================

All else is in the weights. An image of any shape is resized to the square that the network
knows, and what the decoder draws is resized back: bilinear both ways, shrinking with the
filter widened to the area that a pixel comes to stand for, so no pixel is skipped.

Float networks do not compute the same last bits on every machine, so another machine may
decode to pixels that differ by a grey level. A lossy codec can live with that.
"""

from collections.abc import Sequence
from functools import lru_cache
from math import isqrt, prod
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PIL import Image

from helpers import weights
from helpers.codecs import window
from helpers.codecs.base import ImageCodec
from helpers.codecs.container import Header
from helpers.codecs.latents import to_int8
from helpers.errors import BitstreamError, DataError

if TYPE_CHECKING:
    from keras import Model

LATENTS = ("float32", "float16", "int8")
MAX_PIXELS = 2**24
_BATCH, _BATCH_PIXELS = 16, 2**22  # the widest layer holds 32 floats a pixel
_WINDOW = 16
_FLOATS = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}


class LatentCodec(ImageCodec):
    """The latent of an auto-encoder or a variational auto-encoder, and nothing beside it.

    Parameters
    ----------
    model : str
        Name of the weights: ``ae-mammo``, ``vae-mammo``, or some trained on this machine. They
        alone say how large the square is, how long the latent, and whether it has a variance.
    latent : {"float32", "float16", "int8"}
        Numbers of the latent as stored: 4 bytes each (the paper), 2, or one and an exponent
        for all.

    Notes
    -----
    8-bit images are divided by 255, others mapped by their own range, which then travels in
    the stream. Taught in the chapter *Sixteen numbers for a mammogram*.
    """

    codec_id: ClassVar[str] = "ae-latent"

    def __init__(self, model: str = "ae-mammo", latent: str = "float32"):
        if latent not in LATENTS:
            raise ValueError(f"latent is one of {', '.join(LATENTS)}, not '{latent}'.")
        self.model, self.latent = model, latent

    @property
    def side(self) -> int:
        """Height and width of the square that the network takes and draws, in pixels."""
        return self._half("encoder").input_shape[1]

    def analyse(self, images: "Sequence[np.ndarray]") -> np.ndarray:
        """Latents of images, before any rounding; of a variational encoder the means.

        Parameters
        ----------
        images : (N, H, W) uint8, uint16 or int16
            Of any size, which need not be the same for all.

        Returns
        -------
        (N, L) float32
        """
        encoder, side = self._half("encoder"), self.side
        latents = []
        for part in _batches(images, side):
            units = [_resize(window.to_unit(image), (side, side)) for image in part]
            latents.append(_run(encoder, np.stack(units)[..., None]))
        return np.concatenate(latents)

    def synthesise(self, latents: np.ndarray) -> np.ndarray:
        """Draw images of latents, on the network's own square.

        Parameters
        ----------
        latents : (N, L) float32

        Returns
        -------
        (N, S, S) float32
            In [0, 1]; S is `side`.
        """
        decoder = self._half("decoder")
        drawings = [_run(decoder, part)[..., 0] for part in _batches(latents, self.side)]
        return np.concatenate(drawings)

    def compress(self, image: np.ndarray) -> bytes:
        """Code a checked image; see the table at the top of this file."""
        if image.size > MAX_PIXELS:
            raise ValueError(
                f"The auto-encoder takes at most {MAX_PIXELS} pixels, this image has "
                f"{image.size}; reduce it first, since the network sees only {self.side} x "
                f"{self.side} of them."
            )
        latent = self.analyse(image[None])[0]
        side = window.store(image)
        flags = LATENTS.index(self.latent) | _WINDOW * bool(side)
        return bytes([flags]) + side + _store(latent, self.latent)

    def expand(self, payload: bytes, header: Header) -> np.ndarray:
        """Decode a payload of any of this codec's configurations."""
        height, width = header.shape
        if height * width > MAX_PIXELS:
            raise BitstreamError(
                f"The header asks for more than {MAX_PIXELS} pixels; no stream of this codec "
                "does, copy it again from where it was made."
            )
        flags, at = payload[0], 1
        windowed = bool(flags & _WINDOW)
        kind = flags & ~_WINDOW
        if kind >= len(LATENTS) or windowed == (header.dtype == np.uint8):
            raise BitstreamError(
                "The payload's first byte names no latent that this codec writes for such "
                "pixels; copy the stream again from where it was made."
            )
        grey = window.EIGHT_BITS
        if windowed:
            grey, at = window.read(payload, at), at + window.SIZE
        latent = _restore(payload[at:], LATENTS[kind], self._half("decoder").input_shape[1])
        unit = self.synthesise(latent[None])[0]
        if np.isnan(unit).any():
            raise BitstreamError("The latent is so large that the decoder overflows on it.")
        return window.from_unit(_resize(unit, header.shape), grey, header.dtype)

    def _half(self, name: str) -> "Model":
        return network(self.model).get_layer(name)


def network(model: str) -> "Model":
    """Whole network that weights describe, with its layers ``encoder`` and ``decoder``.

    Parameters
    ----------
    model : str
        Name of the weights; they alone say side, latent and whether it is variational.

    Raises
    ------
    DataError
        If there are no such weights, or they are those of another kind of network.
    """
    return _network(model, weights.sha256(model))


def _resize(image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a float32 image; the side that leaves fewer pixels goes first, to save memory."""
    height, width = shape
    between = min((width, image.shape[0]), (image.shape[1], height), key=prod)
    picture = Image.fromarray(image)
    for size in (between, (width, height)):
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(picture)


def _store(latent: np.ndarray, kind: str) -> bytes:
    """Bytes of a float32 latent."""
    if not np.isfinite(latent).all():
        raise ValueError(
            "The encoder's numbers for this image are not finite; choose other weights with model=."
        )
    if kind == "int8":
        exponent, levels = to_int8(latent)
        return np.int8(exponent).tobytes() + levels.tobytes()
    with np.errstate(over="ignore"):
        stored = latent.astype(_FLOATS[kind])
    if not np.isfinite(stored).all():
        raise ValueError(
            f"The latent holds {np.abs(latent).max():.6g}, and float16 ends at 65,504; code it "
            "with latent='float32' or latent='int8'."
        )
    return stored.tobytes()


def _restore(code: bytes, kind: str, length: int) -> np.ndarray:
    """Float32 latent, finite whatever the bytes say."""
    size = 1 + length if kind == "int8" else _FLOATS[kind].itemsize * length
    if len(code) != size:
        raise BitstreamError(
            f"The latent takes {len(code)} bytes instead of {size}; copy the stream again."
        )
    if kind == "int8":
        exponent, levels = np.split(np.frombuffer(code, np.int8), [1])
        with np.errstate(over="ignore"):
            values = np.ldexp(levels.astype(np.float32), exponent)
    else:
        values = np.frombuffer(code, _FLOATS[kind])
    if not np.isfinite(values).all():
        raise BitstreamError("The latent holds numbers that are not finite.")
    return values.astype(np.float32)


def _batches(items: Sequence, side: int) -> list:
    """Cut images or latents into as many at a time as fit the memory, 16 at most."""
    count = max(1, min(_BATCH, _BATCH_PIXELS // side**2))
    return [items[at : at + count] for at in range(0, len(items), count)]


def _run(half: "Model", batch: np.ndarray) -> np.ndarray:
    """Run an encoder or a decoder; the first output where there are two."""
    from helpers.keras_setup import keras

    # not .predict, which makes ready for large sets of data anew at every call
    out = half(np.asarray(batch, np.float32), training=False)
    return keras.ops.convert_to_numpy(out[0] if isinstance(out, (list, tuple)) else out)


@lru_cache(maxsize=4)
def _network(model: str, digest: bytes) -> "Model":
    """Network that a weights file describes; anew where the file changed."""
    from helpers.models import ae, halves

    values = weights.arrays(model)
    try:
        length, width = values["decoder/dense/kernel"].shape
        side = 4 * isqrt(width // ae.FILTERS[-1])
        variational = "encoder/mean/kernel" in values
        made = ae.build(side, variational=variational, latent=length)
        halves.restore(made, values)
        if len(values) != sum(len(made.get_layer(half).weights) for half in halves.HALVES):
            raise ValueError("the file holds more layers")
    except (KeyError, ValueError) as error:
        raise DataError(
            f"The weights '{model}' are those of another network; choose others with model=."
        ) from error
    return made
