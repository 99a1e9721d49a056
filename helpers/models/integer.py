"""An auto-encoder in whole numbers: the same bits on every machine.

A float network rounds after every addition, and the order of additions depends on the
batch, the number of threads and the device, so two machines may disagree in the last bit,
and a grey level may flip. Here every value is a whole number held in float64. Products and
sums of such numbers are exact as long as nothing exceeds 2**53, whatever the order, so any
matrix product of any library gives the same result.

========== ======================================================== ===================
what       how it becomes a whole number                            largest
========== ======================================================== ===================
grey value as it is                                                 510
activation times 2**12, rounded, clipped                            2**24
weight     times a power of two per output channel, rounded         2**13
sum        up to 2304 products (1024 dense ones)                    2**48.2
bias       clipped, times the power of two of its channel, rounded  2**50
========== ======================================================== ===================

The dense network's first layer adds 65,536 products, but of grey values: below 2**38.
Taught in the chapter *Lossless by auto-encoder and delta*, section "Whole numbers".
"""

import decimal
from collections.abc import Callable, Mapping
from functools import lru_cache

import numpy as np

FRACTION = 12  # bits of an activation after the binary point
LIMIT = 2**24  # activations stay below: 4096 before scaling; and float32 holds them exactly
WEIGHT_BITS = 13
EPSILON = 1e-3  # of Keras' BatchNorm
_LARGE = 2**22  # weights; a kernel beyond is kept in 16 bits
Matmul = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Affine:
    """A dense layer or 3x3 convolution with whole-number weights.

    Parameters
    ----------
    kernel : (R, C) or (3, 3, I, C) float array
    bias : (C,) float array
    norm : tuple of four (C,) float arrays, optional
        gamma, beta, moving mean and variance of the BatchNorm that follows; folded in.
    scale : float
        What one unit of the input is worth: 1/255 for grey values, 2**-12 for activations.
    """

    def __init__(self, kernel, bias, norm=None, scale: float = 2.0**-FRACTION):
        # the dense network's kernels take half a gigabyte each here: one copy, changed in place
        kernel, bias = np.array(kernel, np.float64), np.asarray(bias, np.float64)
        if norm is not None:
            gamma, beta, mean, variance = (np.asarray(part, np.float64) for part in norm)
            gain = gamma / np.sqrt(variance + EPSILON)
            kernel *= gain
            bias = (bias - mean) * gain + beta
        kernel *= scale
        flat = kernel.reshape(-1, kernel.shape[-1])
        largest = np.maximum(flat.max(axis=0), -flat.min(axis=0))
        # frexp gives the exponent without a logarithm, which not every libm rounds alike
        self.shift = WEIGHT_BITS - np.frexp(np.maximum(largest, 2.0**-26))[1]
        kernel *= np.ldexp(1.0, self.shift)
        np.rint(kernel, out=kernel)
        large = kernel.ndim == 2 and kernel.size > _LARGE  # sums of taps would leave 16 bits
        self.kernel = kernel.astype(np.int16) if large else kernel
        self.bias = np.rint(np.ldexp(np.clip(bias, -4096, 4096), self.shift))

    def __call__(self, values: np.ndarray, matmul: Matmul, enlarge: bool = False) -> np.ndarray:
        """Apply the layer.

        Parameters
        ----------
        values : (N, R) or (H, W, I) float64 array of whole numbers
        matmul : callable
        enlarge : bool
            For convolutions: double the sides first, by repeating pixels.

        Returns
        -------
        (N, C), (H, W, C) or (2 H, 2 W, C) float64 array of whole numbers, units of 2**-12
        """
        if enlarge:
            total = _convolve_enlarged(values, self.kernel, matmul)
        elif self.kernel.ndim == 4:
            total = _slide(_lines(values), self.kernel, values.shape, matmul)
        else:
            total = _multiply(values, self.kernel, matmul)
        return _round(total + self.bias, self.shift)


def _multiply(values: np.ndarray, kernel: np.ndarray, matmul: Matmul) -> np.ndarray:
    """Multiply with a matrix that may be kept in 16 bits, a few of its rows at a time."""
    if kernel.dtype == np.float64:
        return matmul(values, kernel)
    step = max(1, _LARGE // kernel.shape[1])
    rows = range(0, len(kernel), step)
    parts = ((values[:, at : at + step], kernel[at : at + step]) for at in rows)
    return sum(matmul(some, part.astype(np.float64)) for some, part in parts)


def _lines(values: np.ndarray) -> np.ndarray:
    """(H, W, I) pixels with zeros around them as one long list, two surplus rows at its end."""
    height, width, channels = values.shape
    padded = np.zeros((height + 3, width + 2, channels))
    padded[1 : height + 1, 1:-1] = values
    return padded.reshape(-1, channels)


def _slide(lines, kernel, shape, matmul, row: int = 0, column: int = 0) -> np.ndarray:
    """Convolve as a sum of matrix products, one a tap of the kernel.

    In the long list of pixels a tap is the same list shifted, which needs no copy. The two
    surplus columns are cut off at the end. `row` and `column` shift the whole kernel.
    """
    height, width, line = *shape[:2], shape[1] + 2
    total = np.zeros((height * line, kernel.shape[-1]))
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            first = (row + i) * line + column + j
            total += matmul(lines[first : first + height * line], kernel[i, j])
    return total.reshape(height, line, -1)[:, :width]


def _convolve_enlarged(values, kernel, matmul) -> np.ndarray:
    """Convolve an image whose pixels were doubled, without doubling them.

    In either direction the three taps of an even output pixel fall on two input pixels (the
    one before, once; its own, twice), those of an odd one on its own and the one after. Four
    2x2 kernels with added weights do it in 16 products instead of 36.
    """
    height, width, _ = values.shape
    lines = _lines(values)
    total = np.empty((height, 2, width, 2, kernel.shape[-1]))
    for i, rows in enumerate(_halves(kernel)):
        for j, taps in enumerate(_halves(rows.swapaxes(0, 1))):
            taps = taps.swapaxes(0, 1)
            total[:, i, :, j] = _slide(lines, taps, values.shape, matmul, i, j)
    return total.reshape(2 * height, 2 * width, -1)


def _halves(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights of two taps instead of three, for even and odd output pixels."""
    first, middle, last = kernel
    return np.stack([first, middle + last]), np.stack([first + middle, last])


def _round(total: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Back to units of 2**-12: a shift to the right with rounding, half to even."""
    return np.clip(np.rint(np.ldexp(total, FRACTION - shift)), -LIMIT, LIMIT)


def leaky(values: np.ndarray) -> np.ndarray:
    """LeakyReLU of slope 1/4: a quarter is exact in binary, then rounded."""
    return np.where(values < 0, np.rint(values / 4), values)


def pool(values: np.ndarray) -> np.ndarray:
    """2x2 max-pooling of (H, W, C)."""
    height, width, channels = values.shape
    return values.reshape(height // 2, 2, width // 2, 2, channels).max(axis=(1, 3))


@lru_cache(maxsize=4)
def thresholds(levels: int) -> np.ndarray:
    """Where the sigmoid passes from one output level to the next, in units of 2**-12.

    Level ``g + 1`` begins where ``sigmoid(t) = (g + 1/2) / levels``. The logarithms come from
    Python's decimal arithmetic, which is correctly rounded everywhere; a table look-up then
    replaces the exponential.

    Parameters
    ----------
    levels : int
        Highest output level, 255 for grey values.

    Returns
    -------
    (levels,) float64 array of whole numbers, ascending
    """
    with decimal.localcontext(decimal.Context(prec=40)):
        ratios = (decimal.Decimal(2 * g + 1) / (2 * levels - 2 * g - 1) for g in range(levels))
        return np.array([float(round(ratio.ln() * 2**FRACTION)) for ratio in ratios])


class IntegerAutoencoder:
    """An auto-encoder of `helpers.models.delta` in whole numbers; needs neither Keras nor a GPU.

    Parameters
    ----------
    arrays : mapping of str to array
        What `helpers.models.halves.state` returned, or a weights file holds.
    levels : int
        Highest input and output level: 255 for films, 510 for deltas shifted by 255.
    matmul : callable
        ``matmul(a, b)`` of two float64 matrices; NumPy's by default. Any exact one, on any
        device, gives the same bits.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], levels: int = 255, matmul=np.matmul):
        self.levels, self.matmul = levels, matmul
        self.encoder = _layers(arrays, "encoder", 1 / levels)
        self.decoder = _layers(arrays, "decoder", 2.0**-FRACTION)
        self.latent = self.decoder[0].kernel.shape[0]

    def encode(self, image: np.ndarray) -> np.ndarray:
        """Latent of one image.

        Parameters
        ----------
        image : (256, 256) integer array in 0..levels

        Returns
        -------
        (L,) float64 array of whole numbers, units of 2**-12, magnitudes up to 2**24
        """
        *steps, last = self.encoder
        values = image.astype(np.float64)
        if steps[0].kernel.ndim == 4:
            values = values[..., None]
            for layer in steps:
                values = pool(leaky(layer(values, self.matmul)))
            return last(values.reshape(1, -1), self.matmul)[0]
        values = values.reshape(1, -1)
        for layer in steps:
            values = leaky(layer(values, self.matmul))
        return last(values, self.matmul)[0]

    def decode(self, latent: np.ndarray) -> np.ndarray:
        """Image of one latent.

        Parameters
        ----------
        latent : (L,) float64 array of whole numbers, as `encode` returns it

        Returns
        -------
        (256, 256) int64 array in 0..levels
        """
        values = np.clip(latent, -LIMIT, LIMIT)[None]
        if self.decoder[-1].kernel.ndim == 2:
            for layer in self.decoder[:-1]:
                values = leaky(layer(values, self.matmul))
        else:
            first, *steps, _ = self.decoder
            values = first(values, self.matmul)[0]
            channels = steps[0].kernel.shape[2]
            side = int(np.sqrt(values.size // channels))
            values = values.reshape(side, side, channels)
            for layer in steps:
                values = leaky(layer(values, self.matmul, enlarge=True))
        logits = self.decoder[-1](values, self.matmul)
        side = int(np.sqrt(logits.size))
        return np.searchsorted(thresholds(self.levels), logits.reshape(side, side), side="right")


def _layers(arrays: Mapping[str, np.ndarray], part: str, scale: float) -> list[Affine]:
    """Layers of one half in the order they are applied, BatchNorm folded into them."""
    first = "dense" if part == "decoder" else None
    names = {key.split("/")[1] for key in arrays if key.startswith(part + "/")}
    names = {name for name in names if not name.startswith("norm")}
    layers = []
    # the decoder begins with "dense"; then come numbered layers; the rest has no number
    for name in sorted(names, key=lambda name: (name != first, not name[-1].isdigit(), name)):
        norm = None
        if name.startswith("conv"):
            prefix = f"{part}/norm{name.removeprefix('conv')}/"
            fields = ("gamma", "beta", "moving_mean", "moving_variance")
            norm = tuple(arrays[prefix + field] for field in fields)
        kernel, bias = (arrays[f"{part}/{name}/{field}"] for field in ("kernel", "bias"))
        layers.append(Affine(kernel, bias, norm, 2.0**-FRACTION if layers else scale))
    return layers
