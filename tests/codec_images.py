"""Images that codecs trip over, as a hypothesis strategy, and a phantom that looks medical."""

import numpy as np
from hypothesis import strategies as st

SIDES = st.one_of(st.sampled_from([1, 2, 3]), st.integers(4, 40))
KINDS = ("noise", "constant", "extreme", "margin", "smooth", "sparse")


@st.composite
def images(draw, dtypes):
    """Grey images of 1 x 1 to 40 x 40 pixels of one of the dtypes."""
    dtype = np.dtype(draw(st.sampled_from(list(dtypes))))
    shape = draw(SIDES), draw(SIDES)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return make(draw(st.sampled_from(KINDS)), dtype, shape, rng)


def make(kind, dtype, shape, rng):
    limits = np.iinfo(dtype)
    noise = rng.integers(limits.min, limits.max, shape, endpoint=True)
    if kind == "constant":
        noise[:] = rng.choice([limits.min, limits.max, noise[0, 0]])
    elif kind == "extreme":
        noise = np.where(rng.random(shape) < 0.5, limits.min, limits.max)
    elif kind == "margin":
        noise[: shape[0] // 2], noise[:, shape[1] // 2 :] = 0, 0
    elif kind == "smooth":
        ramp = np.add.outer(np.linspace(0, 1, shape[0]), np.linspace(0, 1, shape[1])) / 2
        noise = limits.min + ramp * (limits.max - limits.min)
    elif kind == "sparse":
        noise = np.where(rng.random(shape) < 0.05, noise, 0)
    return np.asarray(noise).astype(dtype)


def phantom(side=128, dtype=np.uint8, seed=0):
    """A bright rim, textured tissue and an empty margin, as a slice of a head has."""
    row, column = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    radius = np.hypot(row / 0.85, column / 0.7)
    tissue = 0.45 + 0.12 * np.sin(9 * row + 4 * np.cos(7 * column)) + 0.1 * (radius < 0.3)
    image = np.where(radius < 0.8, tissue, 0) + 0.4 * np.exp(-(((radius - 0.9) / 0.05) ** 2))
    image += np.random.default_rng(seed).normal(0, 0.01, image.shape) * (radius < 1)
    return np.clip(image * np.iinfo(dtype).max, 0, np.iinfo(dtype).max).astype(dtype)


def damage(stream, other, rng):
    """One flipped bit, one other byte, a cut, a splice, or bytes put in or taken out."""
    data, kind, at = bytearray(stream), rng.integers(6), int(rng.integers(len(stream)))
    if kind == 0:
        data[at] ^= 1 << rng.integers(8)
    elif kind == 1:
        data[at] = (data[at] + rng.integers(1, 256)) % 256
    elif kind == 2:
        del data[at:]
    elif kind == 3:
        data[at:] = other[at:]
    elif kind == 4:
        data[at:at] = rng.bytes(int(rng.integers(1, 5)))
    else:
        del data[at : at + int(rng.integers(1, 5))]
    return bytes(data)
