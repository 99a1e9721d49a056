"""The context model in whole numbers, so that every machine reads the same chances.

A decoder that computes a scale a hair narrower than the encoder did misreads the symbol, and with
it all that follow. Therefore the layers of `helpers.models.hyperprior.context` are repeated here
with the arithmetic of `helpers.models.integer`: whole numbers in float64, below 2**53, which are
exact in any order of additions. The transforms stay in floats: there a last bit is worth a small
fraction of a grey level, and nothing follows from it.

=========== ==========================================
what        unit
=========== ==========================================
activations 2**-12
latents     2**-12 of the band's spread
means       2**-8 of the quantisation step
scales      eighths of an octave, from a 16th of a step
=========== ==========================================

Taught in the section "Chances that every machine agrees on" of
*Beyond the papers: a lossy codec that learns*.
"""

from collections.abc import Callable, Mapping

import numpy as np

from helpers.codecs.threads import few_threads
from helpers.models.hyperprior.layout import BANDS, GROUPS, LOG_SCALE, ORDER, STAGES
from helpers.models.integer import FRACTION, LIMIT, Affine, leaky

LEVELS = 64  # rates a stream can name
SCALES = 112  # of the tables: from 2**-4 steps in eighths of an octave
MEAN_BITS = 8
_ONE = 2.0**FRACTION
_UNIT_BITS = 20
_CHUNK = 4096  # positions at a time, to bound memory
_LOWEST = 4  # octaves below one step where the tables begin

Code = Callable[[slice, np.ndarray, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


class IntegerContext:
    """Layers of a context model.

    Parameters
    ----------
    arrays : mapping of str to array
        What a weights file holds: the network's ``context.*`` and ``spread``, and ``steps``
        (64, 256), quantisation steps in 2**-12 grey levels, with ``octaves`` (64, 256), log2 of
        spread by step in 2**-12.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        def layer(name):
            kernel, bias = (arrays[f"context.{name}.{part}"] for part in ("weight", "bias"))
            rows = kernel.transpose(2, 3, 1, 0) if kernel.ndim == 4 else kernel.T
            return Affine(rows.reshape(-1, kernel.shape[0]), bias)

        groups = range(len(GROUPS))
        self.tell = [layer(f"tell.{k}") for k in range(3)]
        self.lower = [layer(f"lower.{k}") for k in groups[:-1]]
        self.near = [[layer(f"near.{k}.{s}") for s in range(STAGES[k] - 1)] for k in groups]
        self.mid = [[layer(f"mid.{k}.{m}") for m in range(2)] for k in groups]
        self.out = [layer(f"out.{k}") for k in groups]
        self.level = [layer(f"level.{k}") for k in groups]
        spread = np.asarray(arrays["spread"], np.float64).reshape(-1)
        steps = np.asarray(arrays["steps"], np.float64) / _ONE
        self.steps = steps
        self.per_step = np.rint(spread / steps * 2.0**MEAN_BITS)  # of one spread
        self.per_spread = np.rint(steps / spread * 2.0**_UNIT_BITS)  # of one step
        self.octaves = np.asarray(arrays["octaves"], np.float64)

    def walk(self, side: np.ndarray, level: int, shape: tuple[int, int], code: Code) -> np.ndarray:
        """Go through all latents in the order of the stream.

        Parameters
        ----------
        side : (h/4, w/4, 16) integer array
            Hyper-latent, sides rounded up.
        level : int
            0 to 63.
        shape : tuple of int
            Height and width of the latents.
        code : callable
            ``code(bands, rows, columns, mean, scale)`` writes or reads the symbols of some
            positions and returns them, (N, G) int64: latents in steps less their mean, rounded.

        Returns
        -------
        (h, w, 256) float64 array
            Latents in 2**-8 steps, whole numbers.
        """
        with few_threads():
            return self._walk(side, level, shape, code)

    def _walk(self, side, level, shape, code):
        hyper = self._hyper(side, level, shape)
        known = np.zeros((*shape, BANDS))
        values = np.zeros((*shape, BANDS))
        start = 0
        for k, size in enumerate(GROUPS):
            bands = slice(start, start + size)
            base = self._base(k, hyper, known[..., :start], level)
            when = stages(shape, STAGES[k])
            for stage in range(STAGES[k]):
                at = np.nonzero(when == stage)
                for first in range(0, at[0].size, _CHUNK):
                    rows, columns = (part[first : first + _CHUNK] for part in at)
                    mean, scale = self._predict(k, stage, base, known, bands, rows, columns, level)
                    found = code(bands, rows, columns, mean, scale) * 2.0**MEAN_BITS + mean
                    values[rows, columns, bands] = found
                # only when the stage is complete: its positions must not see each other
                latents = values[at[0], at[1], bands] * self.per_spread[level, bands]
                known[at[0], at[1], bands] = _limited(latents / 2.0 ** (_UNIT_BITS - 4))
            start += size
        return values

    def latents(self, values: np.ndarray, level: int) -> tuple[np.ndarray, np.ndarray]:
        """The same in 2**-12 grey levels, and in 2**-12 of each band's spread, whole numbers."""
        grey = values * np.rint(self.steps[level] * _ONE) / 2.0**MEAN_BITS
        known = values * self.per_spread[level] / 2.0 ** (_UNIT_BITS + MEAN_BITS - FRACTION)
        return _limited(grey), _limited(known)

    def dequantised(self, values: np.ndarray, level: int) -> np.ndarray:
        """Latents in grey levels, float32, from what `walk` returns."""
        return (values * (self.steps[level] / 2.0**MEAN_BITS)).astype(np.float32)

    def _hyper(self, side, level, shape):
        plane = np.full((*side.shape[:2], 1), np.rint(level * _ONE / (LEVELS - 1)))
        x = np.concatenate([side * _ONE, plane], 2)
        first, second, third = self.tell
        x = leaky(shuffled(_everywhere(x, first)))
        x = leaky(shuffled(_everywhere(x, second)))
        return _everywhere(x, third)[: shape[0], : shape[1]]

    def _base(self, k, hyper, lower, level):
        rates = np.rint(
            np.array([[level * _ONE / (LEVELS - 1), level**2 * _ONE / (LEVELS - 1) ** 2]])
        )
        base = hyper + self.level[k](rates, np.matmul)
        return base + _everywhere(lower, self.lower[k - 1]) if k else base

    def _predict(self, k, stage, base, known, bands, rows, columns, level):
        x = base[rows, columns]
        if stage:
            x = x + _at(known[..., bands], self.near[k][stage - 1], rows, columns)
        x = leaky(x)
        for layer in self.mid[k]:
            x = x + leaky(layer(x, np.matmul))
        mean, scale = np.split(self.out[k](x, np.matmul), 2, axis=1)
        mean = np.rint(mean * self.per_step[level, bands] / _ONE)
        scale = scale + self.octaves[level, bands] + (_LOWEST - LOG_SCALE) * _ONE
        return mean, np.clip(np.rint(scale * (8 / _ONE)), 0, SCALES - 1).astype(np.int64)


def stages(shape: tuple[int, int], count: int) -> np.ndarray:
    """When each position is coded; see `helpers.models.hyperprior.context`."""
    repeats = [-(-side // 4) for side in shape]
    order = np.tile(np.array(ORDER), repeats)[: shape[0], : shape[1]]
    return order if count == 5 else (order == 4).astype(np.int64)


def _limited(values):
    return np.clip(np.rint(values), -LIMIT, LIMIT)


def _at(values, layer, rows, columns):
    """Convolve at some positions: their surroundings, one row each, times a matrix."""
    size = 5 if layer.kernel.shape[0] == 25 * values.shape[2] else 3
    margin = size // 2
    padded = np.pad(values, ((margin, margin), (margin, margin), (0, 0)))
    taps = [padded[rows + i, columns + j] for i in range(size) for j in range(size)]
    return layer(np.concatenate(taps, axis=1), np.matmul)


def _everywhere(values, layer):
    height, width, _ = values.shape
    rows, columns = np.divmod(np.arange(height * width), width)
    parts = [
        _at(values, layer, rows[first : first + _CHUNK], columns[first : first + _CHUNK])
        for first in range(0, rows.size, _CHUNK)
    ]
    return np.concatenate(parts).reshape(height, width, -1)


def shuffled(values: np.ndarray, factor: int = 2) -> np.ndarray:
    """Channels become positions: (h, w, c f^2) to (f h, f w, c)."""
    height, width, channels = values.shape
    parts = values.reshape(height, width, channels // factor**2, factor, factor)
    parts = parts.transpose(0, 3, 1, 4, 2)
    return parts.reshape(factor * height, factor * width, channels // factor**2)
