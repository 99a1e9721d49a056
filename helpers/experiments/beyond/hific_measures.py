"""Two decoders for the same bytes: what each looks like, and what its errors cost."""

import numpy as np
import pandas as pd

from helpers import metrics, perceptual
from helpers.codecs import residual
from helpers.codecs.hific import AS_TRAINED, BASE, HificCodec
from helpers.codecs.hyperprior.codec import HyperCodec
from helpers.data import ImageSet
from helpers.progress import progress

SQUARED, CRITIC = "squared error", "critic"
BINS = 32  # of a spectrum
FINE = 0.25  # cycles a pixel from which on detail counts as fine: half of what a grid can hold


def decoded(film: np.ndarray) -> dict[str, tuple[int, np.ndarray]]:
    """Bytes of a film's latents, and the picture of either decoder.

    Parameters
    ----------
    film : (H, W) uint8

    Returns
    -------
    dict of str to (int, (H, W) uint8 array)
    """
    painter = HificCodec()
    stream = painter.encode(film)
    plain = HyperCodec(painter.level, BASE, **AS_TRAINED)
    same = plain.encode(film)
    return {
        SQUARED: (len(same), plain.decode(same)),
        CRITIC: (len(stream), painter.decode(stream)),
    }


def compared(images: ImageSet) -> pd.DataFrame:
    """Measure both decoders.

    Parameters
    ----------
    images : ImageSet
        8-bit films.

    Returns
    -------
    pandas.DataFrame
        A row a film and decoder: image_id, patient_id, decoder, bpp, psnr, ms_ssim, lpips (NaN
        where AlexNet cannot be had), fine (energy of fine detail as a share of the film's), and
        delta_bpp, what the rest of the film takes in the best coder of `helpers.codecs.residual`.
    """
    distance, _ = perceptual.lpips()
    rows = []
    for index in progress(range(len(images)), "decoders"):
        film = images.images[index]
        for name, (size, picture) in decoded(film).items():
            rest = residual.difference(film, picture.astype(np.int64))
            delta = min(len(residual.encode(rest, coder)) for coder in residual.CODERS)
            rows.append(
                {
                    "image_id": images.ids[index],
                    "patient_id": images.patients[index],
                    "decoder": name,
                    "bpp": 8 * size / film.size,
                    "psnr": metrics.psnr(film, picture, 255),
                    "ms_ssim": metrics.ms_ssim(film, picture, 255),
                    "lpips": np.nan if distance is None else distance(film, picture, 255),
                    "fine": fine(picture) / fine(film),
                    "delta_bpp": 8 * delta / film.size,
                }
            )
    return pd.DataFrame(rows)


def spectrum(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean power at each frequency, whatever its direction.

    Parameters
    ----------
    picture : (H, W) array
        Grey levels.

    Returns
    -------
    frequency : (32,) float array
        Cycles a pixel, up to 0.5.
    power : (32,) float array
        Squared grey levels; NaN where the grid has no such frequency.
    """
    rows, columns = (np.hanning(side) for side in picture.shape)
    window = np.outer(rows, columns)
    values = (picture - picture.mean()) * window
    power = np.abs(np.fft.fft2(values)) ** 2 / np.sum(window**2)
    distance = np.hypot(*np.meshgrid(*map(np.fft.fftfreq, picture.shape), indexing="ij"))
    edges = np.linspace(0, 0.5, BINS + 1)
    total, _ = np.histogram(distance, edges, weights=power)
    count, _ = np.histogram(distance, edges)
    mean = np.divide(total, count, out=np.full(BINS, np.nan), where=count > 0)
    return (edges[1:] + edges[:-1]) / 2, mean


def fine(picture: np.ndarray) -> float:
    """Mean power of detail from `FINE` cycles a pixel on, in squared grey levels."""
    frequency, power = spectrum(picture)
    return float(np.nanmean(power[frequency >= FINE]))
