"""A synthesis in whole numbers: the same picture on every machine.

The lossy codec may leave the last bit of its picture to the machine. A codec that adds what is
missing to that picture may not: both sides must start from the very same pixels. So the layers of
`helpers.models.hyperprior.transform` are repeated in the arithmetic of `helpers.models.integer`.

=============== ====================================
what            unit
=============== ====================================
latents         2**-12 grey levels, and of the spread
activations     2**-12
cosines         2**-16, as they stand in the weights
=============== ====================================
"""

from collections.abc import Mapping

import numpy as np

from helpers.codecs.hyperprior.integers import shuffled
from helpers.codecs.threads import few_threads
from helpers.models.hyperprior.layout import BANDS, BLOCK, MIDDLE
from helpers.models.integer import FRACTION, LIMIT, Affine, Matmul

SLOPE = 0.1  # of LeakyReLU: one multiplication, which IEEE 754 rounds alike everywhere
UNIT = 64  # grey levels that are 1 inside the network
COSINE_BITS = 16


class IntegerPainter:
    """Synthesis for a single rate.

    Parameters
    ----------
    arrays : mapping of str to array
        The state of a `helpers.models.hyperprior.transform.Synthesis` after
        `helpers.models.hyperprior.transform.fixed`, and ``cosines`` (256, 256) in 2**-16.
    matmul : callable
        ``matmul(a, b)`` of two float64 matrices; any exact one gives the same picture.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], matmul: Matmul = np.matmul):
        def layer(name, scale=2.0**-FRACTION):
            kernel = np.asarray(arrays[f"{name}.weight"], np.float64).transpose(2, 3, 1, 0)
            kernel = kernel[0, 0] if kernel.shape[0] == 1 else kernel
            return Affine(kernel, arrays[f"{name}.bias"], scale=scale)

        def stack(number):
            depth = sum(f"stacks.{number}.{k}.one.weight" in arrays for k in range(len(arrays)))
            parts = [f"stacks.{number}.{k}" for k in range(depth)]
            return [(layer(f"{part}.one"), layer(f"{part}.two")) for part in parts]

        self.matmul = matmul
        cosines = np.asarray(arrays["cosines"], np.float64) / 2**COSINE_BITS
        self.blocks = Affine(cosines, np.zeros(BLOCK**2))
        self.first, self.last = layer("first"), layer("last")
        self.seen = layer("seen", 2.0**-FRACTION / UNIT)
        self.up = [layer("up.0"), layer("up.1")]
        self.stacks = [stack(k) for k in range(3)]

    def paint(self, grey: np.ndarray, latents: np.ndarray) -> np.ndarray:
        """Picture of some latents.

        Parameters
        ----------
        grey, latents : (h, w, 256) float64 arrays of whole numbers
            Latents in 2**-12 grey levels, and in 2**-12 of each band's spread.

        Returns
        -------
        (16 h, 16 w) int64 array
            Grey levels, 0 to 255.
        """
        with few_threads():
            return self._paint(grey, latents)

    def _paint(self, grey, latents):
        grey, latents = _limited(grey), _limited(latents)
        height, width = grey.shape[:2]
        flat = self.blocks(grey.reshape(-1, BANDS), self.matmul)
        linear = shuffled(flat.reshape(height, width, BLOCK**2), BLOCK)[..., 0]
        x = self._through(2, self.first(latents, self.matmul))
        x = self._through(1, shuffled(self._pointwise(self.up[0], x)))
        x = shuffled(self._pointwise(self.up[1], x))
        x = _limited(x + self.seen(_unshuffled(linear, 4), self.matmul))
        x = _leaky(self._through(0, x))
        total = linear + UNIT * shuffled(self.last(x, self.matmul), 4)[..., 0]
        return np.clip(np.rint(total / 2.0**FRACTION) + MIDDLE, 0, 255).astype(np.int64)

    def _through(self, number, x):
        for one, two in self.stacks[number]:
            x = _limited(x + two(_leaky(one(x, self.matmul)), self.matmul))
        return x

    def _pointwise(self, layer, x):
        flat = layer(x.reshape(-1, x.shape[2]), self.matmul)
        return flat.reshape(*x.shape[:2], -1)


def _leaky(values):
    return np.where(values < 0, np.rint(values * SLOPE), values)


def _limited(values):
    return np.clip(np.rint(values), -LIMIT, LIMIT)


def _unshuffled(values, factor):
    """(f h, f w) to (h, w, f^2)."""
    height, width = (side // factor for side in values.shape)
    parts = values.reshape(height, factor, width, factor).transpose(0, 2, 1, 3)
    return parts.reshape(height, width, factor**2)
