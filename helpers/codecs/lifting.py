"""The 9/7 wavelet transform of JPEG 2000 and of SPIHT's authors, by lifting, at any size.

Lifting splits a row into even and odd samples, predicts the odd ones from their even
neighbours and updates the even ones from what is left, twice (Daubechies and Sweldens 1998).
Mirrored ends make it fit any length without an extra coefficient, which the filter-bank
extensions of PyWavelets cannot do for odd sizes. Scaled so that both filters keep energy
nearly unchanged: an error in a coefficient is an error of the same size in the image.

Taught in the section "Wavelets: JPEG 2000 and SPIHT" of *How classical codecs work*.
"""

import numpy as np

_STEPS = (-1.586134342059924, -0.052980118572961, 0.882911075530934, 0.443506852043971)
_GAIN = 1.149604398860241


def forward(image: np.ndarray, levels: int) -> np.ndarray:
    """Transform an image; each level halves what the level before left in the top-left corner.

    Parameters
    ----------
    image : (H, W) array
    levels : int
        Number of levels; 0 returns the image.

    Returns
    -------
    (H, W) float32 array
        Coefficients: at each level low-pass (ceil of the half) first, then high-pass.
    """
    out = np.array(image, np.float32)
    for height, width in _sizes(out.shape, levels):
        corner = _analyse(out[:height, :width])
        out[:height, :width] = _analyse(corner.T).T
    return out


def inverse(coefficients: np.ndarray, levels: int) -> np.ndarray:
    """Undo `forward`.

    Parameters
    ----------
    coefficients : (H, W) array
    levels : int

    Returns
    -------
    (H, W) float32 array
    """
    out = np.array(coefficients, np.float32)
    for height, width in reversed(_sizes(out.shape, levels)):
        corner = _synthesise(out[:height, :width].T).T
        out[:height, :width] = _synthesise(corner)
    return out


def _sizes(shape: tuple[int, int], levels: int) -> list[tuple[int, int]]:
    """Size of the low-pass corner before each level."""
    height, width = shape
    return [(-(-height >> k), -(-width >> k)) for k in range(levels)]


def _analyse(rows: np.ndarray) -> np.ndarray:
    even, odd = rows[:, 0::2].copy(), rows[:, 1::2].copy()
    if odd.shape[1]:
        for predict, update in (_STEPS[:2], _STEPS[2:]):
            odd += np.float32(predict) * _around_odd(even, odd.shape[1])
            even += np.float32(update) * _around_even(odd, even.shape[1])
        even *= np.float32(_GAIN)
        odd /= np.float32(_GAIN)
    return np.concatenate([even, odd], axis=1)


def _synthesise(rows: np.ndarray) -> np.ndarray:
    half = -(-rows.shape[1] // 2)
    even, odd = rows[:, :half].copy(), rows[:, half:].copy()
    if odd.shape[1]:
        even /= np.float32(_GAIN)
        odd *= np.float32(_GAIN)
        for predict, update in (_STEPS[2:], _STEPS[:2]):
            even -= np.float32(update) * _around_even(odd, half)
            odd -= np.float32(predict) * _around_odd(even, odd.shape[1])
    out = np.empty(rows.shape, np.float32)
    out[:, 0::2], out[:, 1::2] = even, odd
    return out


def _around_odd(even: np.ndarray, count: int) -> np.ndarray:
    """Sum of the even samples left and right of each odd one, mirrored at the end."""
    right = even[:, 1:] if even.shape[1] > count else np.hstack([even[:, 1:], even[:, -1:]])
    return even[:, :count] + right


def _around_even(odd: np.ndarray, count: int) -> np.ndarray:
    """Sum of the odd samples left and right of each even one, mirrored at both ends."""
    left = np.hstack([odd[:, :1], odd])[:, :count]
    right = odd if odd.shape[1] == count else np.hstack([odd, odd[:, -1:]])
    return left + right
