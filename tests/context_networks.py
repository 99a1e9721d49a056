"""Small networks of the lossless codec for tests, in the layout of `helpers.models.context`.

NumPy alone draws them, so that tests of the codec need not wait for PyTorch. Every weight is a
small whole number times a power of two: float16 holds it, and all machines draw the same ones.
"""

import zlib
from dataclasses import replace

import numpy as np

from helpers import weights
from helpers.codecs.causal.scene import FEATURES
from helpers.codecs.container import pack, unpack

FIRST, SECOND, COMPONENTS = 8, 6, 2


def draw(first=FIRST, second=SECOND, components=COMPONENTS, seed=0, loudness=1.0):
    """Draw weights by name; those of the last layer are small, as training leaves them."""
    rng, arrays = np.random.default_rng(seed), {}
    for name, units, inputs, share in (
        ("first", first, FEATURES, 2**-4),
        ("second", second, first, 2**-2),
        ("last", 3 * components, second + FEATURES, 2**-7),
    ):
        arrays[f"{name}.weight"] = share * rng.integers(-256, 257, (units, inputs)) / 256
        arrays[f"{name}.bias"] = 0.5 * rng.integers(-256, 257, units) / 256
    return {name: (loudness * values).astype(np.float32) for name, values in arrays.items()}


def save(folder, name, arrays):
    """Store weights under a name, with a bare card."""
    return weights.save(arrays, folder / f"{name}.safetensors", {"name": name})


def save_all(folder):
    """A network, and three others under the names of the book's own."""
    from helpers.codecs.learned import MODELS

    for seed, name in enumerate(("tiny-context", *MODELS)):
        save(folder, name, draw(seed=seed))


def rewrite(stream, **fields):
    """Put other header fields or another payload into a stream, its checksum made to fit."""
    header, payload = unpack(stream)
    payload = fields.pop("payload", payload)
    return pack(replace(header, **fields), payload)


def resealed(body):
    """Append the checksum of a stream that has lost its own."""
    return body + zlib.crc32(body).to_bytes(4, "little")


def texture(shape=(24, 40), bits=8, signed=False):
    """A shaded grid with a little noise, from whole numbers only: the same on every machine."""
    row, column = np.indices(shape, np.int64)
    shade = 90 + 3 * row - 2 * column + (row // 6 % 2) * 25 + (column * column) // 40
    noise = (row * 7919 + column * 104729 + row * column * 31) % 257 % 9
    image = (shade + noise).clip(0, 255)
    if bits > 8:
        image = image * 2 ** (bits - 8) + (row * 131 + column * 37) % 2 ** (bits - 9)
    if signed:
        return (image - image.max() // 3).astype(np.int16)
    return image.astype(np.uint8 if bits == 8 else np.uint16)
