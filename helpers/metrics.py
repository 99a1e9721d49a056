"""How far a decoded image is from the original: thin, typed doors to the kept libraries.

Taught in the book's section "PSNR and its peak" and "Three gentler judges" of *Measuring
compression*. Every metric takes its peak as an argument, because a PSNR without its peak
is not a number one can compare.
"""

import math
from collections.abc import Callable

import numpy as np

MS_SSIM_SIDE = 161  # five scales of an 11-pixel window: (11 - 1) * 2**4 + 1
FSIM_SIDE = 16  # below it the coarsest Gabor filter is wider than the image
SSIM_SIDE = 11


def mse(original: np.ndarray, decoded: np.ndarray) -> float:
    """Mean squared error in squared grey levels.

    Parameters
    ----------
    original, decoded : (H, W) uint8 or uint16

    Returns
    -------
    float
        0 or more.
    """
    difference = original.astype(np.float64) - decoded
    return float(np.mean(difference * difference))


def max_error(original: np.ndarray, decoded: np.ndarray) -> int:
    """Largest absolute difference of a pixel, in grey levels.

    Parameters
    ----------
    original, decoded : (H, W) uint8 or uint16

    Returns
    -------
    int
    """
    return int(np.abs(original.astype(np.int64) - decoded).max())


def psnr(original: np.ndarray, decoded: np.ndarray, peak: float) -> float:
    r"""Peak signal-to-noise ratio, :math:`10 \log_{10}(\mathrm{peak}^2 / \mathrm{MSE})`.

    Parameters
    ----------
    original, decoded : (H, W) uint8 or uint16
    peak : float
        The largest value a pixel could have, 255 for 8 bits.

    Returns
    -------
    float
        In dB; infinite where the images are equal.
    """
    error = mse(original, decoded)
    return math.inf if error == 0 else 10 * math.log10(peak * peak / error)


def ssim(original: np.ndarray, decoded: np.ndarray, peak: float) -> float:
    """Structural similarity of Wang et al. (2004): Gaussian window of 11, sigma 1.5.

    Parameters
    ----------
    original, decoded : (H, W) uint8 or uint16
    peak : float

    Returns
    -------
    float
        At most 1; NaN where a side is below 11 pixels.
    """
    if min(original.shape) < SSIM_SIDE:
        return math.nan
    from skimage.metrics import structural_similarity

    return float(
        structural_similarity(
            original.astype(np.float64),
            decoded.astype(np.float64),
            data_range=peak,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
    )


def ms_ssim(original: np.ndarray, decoded: np.ndarray, peak: float) -> float:
    """Multi-scale structural similarity of Wang, Simoncelli and Bovik (2003), five scales.

    Parameters
    ----------
    original, decoded : (H, W) uint8 or uint16
    peak : float

    Returns
    -------
    float
        At most 1; NaN where a side is below 161 pixels, since the fifth scale has no window.
    """
    if min(original.shape) < MS_SSIM_SIDE:
        return math.nan
    import piq

    return float(piq.multi_scale_ssim(*_tensors(original, decoded, peak), data_range=1.0))


def fsim(original: np.ndarray, decoded: np.ndarray, peak: float) -> float:
    """Feature similarity of Zhang et al. (2011), for grey images.

    Parameters
    ----------
    original, decoded : (H, W) uint8 or uint16
    peak : float

    Returns
    -------
    float
        About 0 to 1; NaN where a side is below 16 pixels.
    """
    if min(original.shape) < FSIM_SIDE:
        return math.nan
    import piq

    return float(piq.fsim(*_tensors(original, decoded, peak), data_range=1.0, chromatic=False))


Metric = Callable[[np.ndarray, np.ndarray, float], float]
METRICS: dict[str, Metric] = {"psnr": psnr, "ssim": ssim, "ms_ssim": ms_ssim, "fsim": fsim}


def check_pair(original: np.ndarray, decoded: np.ndarray, peak: float) -> None:
    """Say why two images cannot be compared, if they cannot.

    Parameters
    ----------
    original, decoded : (H, W) uint8 or uint16
    peak : float

    Raises
    ------
    ValueError
        If they are not two grey images of one shape, hold other types, or the original has
        a pixel above the peak.
    """
    if original.ndim != 2 or original.shape != decoded.shape:
        raise ValueError(
            f"Only two grey images of one shape can be compared, not {original.shape} and "
            f"{decoded.shape}; the codec must return the shape it was given."
        )
    for image in (original, decoded):
        if image.dtype not in (np.uint8, np.uint16):
            raise ValueError(
                f"Images are compared as uint8 or uint16, not {image.dtype}; a codec must round "
                "and clip to whole grey levels before its pixels count."
            )
    if original.max() > peak:
        raise ValueError(
            f"The original has a pixel of {original.max()}, above the peak of {peak:g}; "
            "give the peak that its bit depth allows, 2**bits - 1."
        )


def _tensors(original: np.ndarray, decoded: np.ndarray, peak: float):
    """Two (1, 1, H, W) float64 tensors in 0..1; float32 would round 16-bit errors away."""
    import torch

    # a decoder may overshoot the peak of 12-bit data in 16-bit words; the metrics refuse that
    images = (original / peak, np.minimum(decoded / peak, 1.0))
    return tuple(torch.from_numpy(image)[None, None] for image in images)
