"""What the chapter and the reference run measure, so that both do it in the same way."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd

from helpers import codecs, measure, metrics
from helpers.codecs import residual
from helpers.codecs.delta import DeltaCodec
from helpers.codecs.residual import difference
from helpers.data import ImageSet
from helpers.experiments.lossless_delta.coded import coded
from helpers.progress import progress

STANDARDS = ("png", "webp", "jpeg2000", "jpegls", "jpegxl")
MODELS = {
    "Dense": "delta-dense",
    "CNN 1.0": "delta-cnn1",
    "CNN 2.0": "delta-cnn2",
    "CNN 3.0": "delta-cnn3",
}
COIFLET_BYTES = 512  # of the wavelet codec, where it stands in for a latent
# (latent, delta, coders): the paper's two conventions, and what the book would do instead.
SETTINGS = (
    ("float32", "exact", tuple(residual.CODERS)),
    ("float32", "float8", ("adaptive", "dct")),
    ("int8", "exact", ("context", "dct")),
)


def streams(
    images: ImageSet, models: Mapping[str, str], settings: Iterable = SETTINGS
) -> pd.DataFrame:
    """Code every film with every model, convention and coder, and decode it again.

    A model's reconstruction is computed once a film and shared by the coders.

    Parameters
    ----------
    images : ImageSet
        8-bit films.
    models : mapping of str to str
        Label, name of the weights.
    settings : iterable of (latent, delta, coders)
        Options of `helpers.codecs.delta.DeltaCodec`.

    Returns
    -------
    pandas.DataFrame
        One row a film and stream: image_id, patient_id, model, latent, delta, coder, bytes
        (header included), bpp, latent_bpp, delta_bpp (the delta's code alone), entropy (order
        0, of the delta, in bits), max_error, exact.
    """
    rows = []
    jobs = [(label, index) for label in models for index in range(len(images))]
    for label, index in progress(jobs, "film"):
        for latent, delta, coders in settings:
            rows += [
                {
                    "image_id": images.ids[index],
                    "patient_id": images.patients[index],
                    "model": label,
                    "latent": latent,
                    "delta": delta,
                    **row,
                }
                for row in _streams(images.images[index], models[label], latent, delta, coders)
            ]
    return pd.DataFrame(rows)


def _streams(film: np.ndarray, model: str, latent: str, delta: str, coders: Sequence[str]):
    shared = DeltaCodec(model, latent=latent, delta=delta)
    latents, prediction = shared.predict(film)
    for coder in coders:
        codec = DeltaCodec(model, coder, latent, delta)
        stream = codec.wrap(film, codec.payload(film, latents, prediction))
        start = 1 + len(latents)
        yield {"coder": coder, **coded(film, codec, stream, start, len(latents), prediction)}


def standards(images: ImageSet, names: Sequence[str] = STANDARDS) -> pd.DataFrame:
    """Lossless standards on the same films.

    Parameters
    ----------
    images : ImageSet
    names : sequence of str
        JPEG XL is the best of its efforts 3, 7 and 9 for each film.

    Returns
    -------
    pandas.DataFrame
        Rows of `helpers.measure.evaluate`.
    """
    parts = [
        measure.evaluate(codecs.get(name), images, name=name, metrics=())
        for name in progress(names, "standard", len(names))
    ]
    return pd.concat(parts, ignore_index=True)


def quality(images: ImageSet, models: Mapping[str, str]) -> pd.DataFrame:
    """How much a model's reconstruction resembles the film, in the measures of section 4.1.

    Parameters
    ----------
    images : ImageSet
    models : mapping of str to str

    Returns
    -------
    pandas.DataFrame
        One row a film and model: image_id, patient_id, model, mse (of grey values divided by
        255), psnr (dB), ms_ssim, kl (bits), iou.
    """
    rows = []
    jobs = [(label, index) for label in models for index in range(len(images))]
    for label, index in progress(jobs, "reconstruction"):
        film = images.images[index]
        prediction = DeltaCodec(models[label], latent="float32").predict(film)[1]
        rebuilt = np.clip(prediction, 0, 255).astype(np.uint8)
        rows.append(
            {
                "image_id": images.ids[index],
                "patient_id": images.patients[index],
                "model": label,
                "mse": metrics.mse(film, rebuilt) / 255**2,
                "psnr": metrics.psnr(film, rebuilt, 255),
                "ms_ssim": _ms_ssim(film, rebuilt),
                "kl": kl_divergence(film, rebuilt),
                "iou": iou(film, rebuilt),
            }
        )
    return pd.DataFrame(rows)


def _ms_ssim(film: np.ndarray, rebuilt: np.ndarray) -> float:
    """MS-SSIM as the losses know it: no second framework is loaded beside Keras for it."""
    from helpers.models.losses import ms_ssim
    from helpers.train_keras import grey_to_unit

    return float(ms_ssim(grey_to_unit(film[None]), grey_to_unit(rebuilt[None]))[0])


def kl_divergence(film: np.ndarray, rebuilt: np.ndarray) -> float:
    """Kullback-Leibler divergence of the grey-level histogram of one image from another's.

    One is added to every count, so that a level that is missing costs much, not infinitely.

    Parameters
    ----------
    film, rebuilt : uint8 arrays of one shape

    Returns
    -------
    float
        Bits per pixel that a code made for `rebuilt` wastes on `film`; 0 for equal histograms.
    """
    p, q = (np.bincount(image.ravel(), minlength=256) + 1.0 for image in (film, rebuilt))
    return float((p / p.sum() * np.log2(p / q)).sum())


def iou(film: np.ndarray, rebuilt: np.ndarray) -> float:
    """Intersection over union of grey values, ``sum min / sum max``; see `models.losses`.

    Parameters
    ----------
    film, rebuilt : uint8 arrays of one shape

    Returns
    -------
    float
        1 for equal images only.
    """
    union = np.maximum(film, rebuilt).sum(dtype=np.int64)
    return float(np.minimum(film, rebuilt).sum(dtype=np.int64) / union) if union else 1.0


def predictors(images: ImageSet, mean_film: np.ndarray, models: Mapping[str, str]) -> pd.DataFrame:
    """What the same delta coder makes of predictions that cost more, less or nothing.

    Parameters
    ----------
    images : ImageSet
    mean_film : (H, W) uint8
        Mean of the training films, which a receiver has once for all.
    models : mapping of str to str
        Auto-encoders to put beside them, with 8-bit latents.

    Returns
    -------
    pandas.DataFrame
        One row a film and predictor: image_id, patient_id, predictor, side_bytes, delta_bpp
        (by the range coder with contexts), bpp (side information and that delta, without a
        header), dct_bpp (the same with the integer DCT).
    """
    makers = {
        "nothing": lambda film: (b"", np.full(film.shape, 128)),
        "mean training film": lambda film: (b"", mean_film.astype(np.int64)),
        **{
            label: lambda film, name=name: DeltaCodec(name, latent="int8").predict(film)
            for label, name in models.items()
        },
        "thumbnail, 11 × 11": lambda film: thumbnail(film, 11),
        "thumbnail, 22 × 22": lambda film: thumbnail(film, 22),
        f"Coiflet, {COIFLET_BYTES} bytes": _wavelet,
        "three neighbours": lambda film: (b"", median_edge(film)),
    }
    rows = []
    jobs = [(label, index) for label in makers for index in range(len(images))]
    for label, index in progress(jobs, "prediction"):
        film = images.images[index]
        side, prediction = makers[label](film)
        delta = difference(film, prediction)
        code, waves = (residual.encode(delta, coder) for coder in ("context", "dct"))
        rows.append(
            {
                "image_id": images.ids[index],
                "patient_id": images.patients[index],
                "predictor": label,
                "side_bytes": len(side),
                "delta_bpp": measure.bits_per_pixel(code, film),
                "bpp": measure.bits_per_pixel(side + code, film),
                "dct_bpp": measure.bits_per_pixel(side + waves, film),
            }
        )
    return pd.DataFrame(rows)


def thumbnail(film: np.ndarray, side: int) -> tuple[bytes, np.ndarray]:
    """Shrink a film to a few grey values and enlarge it again: an auto-encoder of two lines.

    Parameters
    ----------
    film : (H, W) uint8
    side : int
        Rows and columns of the thumbnail, one byte each.

    Returns
    -------
    stored : bytes
    prediction : (H, W) int64
    """
    from PIL import Image

    small = Image.fromarray(film).resize((side, side), Image.Resampling.BOX)
    large = small.resize(film.shape[::-1], Image.Resampling.BICUBIC)
    return small.tobytes(), np.asarray(large).astype(np.int64)


def _wavelet(film: np.ndarray) -> tuple[bytes, np.ndarray]:
    codec = codecs.at_rate("wavelet", bpp=8 * COIFLET_BYTES / film.size)
    stream = codec.encode(film)
    return stream, codec.decode(stream).astype(np.int64)


def median_edge(film: np.ndarray) -> np.ndarray:
    """Predict each pixel from its left, upper and upper left neighbours, as JPEG-LS does.

    The median of left, upper and left + upper - upper left (Weinberger et al. 2000); zeros
    beyond the border. The decoder has these pixels already, so the prediction costs nothing.

    Parameters
    ----------
    film : (H, W) uint8

    Returns
    -------
    (H, W) int64
    """
    padded = np.pad(film.astype(np.int64), ((1, 0), (1, 0)))
    left, upper, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    return np.median([left, upper, left + upper - corner], axis=0).astype(np.int64)
