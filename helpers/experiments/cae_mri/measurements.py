"""What the chapter and the reference run measure, so that both do it in the same way."""

import math
from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from helpers import codecs, measure
from helpers.data import ImageSet
from helpers.progress import progress

STANDARDS = ("jpeg", "jpeg2000", "jpegxl", "avif", "wavelet", "spiht")
RATES = (0.125, 0.25, 0.5, 1.0)
AVERAGED = ["bytes", "bpp", "ratio_8bit", "mse", "psnr", "ssim", "ms_ssim", "fsim", "exact"]
METRICS = ("psnr", "ssim", "ms_ssim", "fsim")

VARIANTS = {
    "CAE": {"latent": "float32", "coder": "none"},
    "CAE + Brotli": {"latent": "uint8", "coder": "brotli"},
}
STEPS = {
    "float32": {"latent": "float32", "coder": "none"},
    "float32, Brotli": {"latent": "float32", "coder": "brotli"},
    "8 bits": {"latent": "uint8", "coder": "none"},
    "8 bits, Brotli": {"latent": "uint8", "coder": "brotli"},
    "8 bits, range coder": {"latent": "uint8", "coder": "range"},
    "8 bits a channel, Brotli": {"latent": "uint8", "coder": "brotli", "scale": "channel"},
    "8 bits a channel, range coder": {"latent": "uint8", "coder": "range", "scale": "channel"},
}


def means(table: pd.DataFrame, by: Sequence[str] = ("codec",)) -> pd.DataFrame:
    """Means over slices, with an eye on those that came back exactly.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of `helpers.measure.evaluate`.
    by : sequence of str
        Columns that make a group.

    Returns
    -------
    pandas.DataFrame
        One row a group: means of bytes, bpp, ratio_8bit, mse, ssim, ms_ssim and fsim, NaN
        where they were not measured;
        ``psnr``, the mean over the slices that did not come back exactly (a PSNR of theirs is
        infinite); ``exact``, the share of those that did; ``images`` and ``patients``.
    """
    table = table.assign(psnr=table["psnr"].replace(math.inf, math.nan))
    groups = table.groupby(list(by), sort=False)
    result = groups[AVERAGED].mean().astype(float)
    result["images"] = groups.size()
    result["patients"] = groups["patient_id"].nunique()
    return result.reset_index()


def variants(
    images: ImageSet,
    configs: Mapping[str, dict],
    metrics: Sequence[str] = ("psnr",),
    model: str = "cae-mri",
) -> pd.DataFrame:
    """Evaluate configurations of the auto-encoder codec.

    Parameters
    ----------
    images : ImageSet
    configs : mapping of name to options of ``codecs.get("cae")``
        `VARIANTS` (Table 4), `STEPS` (what each stage saves) or a part of them.
    metrics : sequence of str
        As `helpers.measure.evaluate` takes them.
    model : str
        Name of the weights.

    Returns
    -------
    pandas.DataFrame
        The table of `helpers.measure.evaluate`.
    """
    parts = [
        measure.evaluate(
            codecs.get("cae", model=model, **config), images, name=name, metrics=metrics
        )
        for name, config in progress(configs.items(), "variant", len(configs))
    ]
    return pd.concat(parts, ignore_index=True)


def at_equal_bytes(
    images: ImageSet,
    budget: pd.DataFrame,
    families: Iterable[str],
    metrics: Sequence[str] = ("psnr",),
) -> pd.DataFrame:
    """Give every standard codec, image by image, as many bytes as another codec took.

    Parameters
    ----------
    images : ImageSet
    budget : pandas.DataFrame
        Rows of `helpers.measure.evaluate` of that other codec on the same images.
    families : iterable of str
        Names that `helpers.codecs.at_rate` takes.
    metrics : sequence of str

    Returns
    -------
    pandas.DataFrame
        The table of `helpers.measure.evaluate`; no stream is longer than its budget.
    """
    return _image_by_image(images, budget, families, metrics, codecs.at_rate, "bpp")


def at_equal_psnr(
    images: ImageSet,
    budget: pd.DataFrame,
    families: Iterable[str],
    metrics: Sequence[str] = ("psnr",),
) -> pd.DataFrame:
    """Ask every standard codec, image by image, for the PSNR that another codec reached.

    Parameters
    ----------
    images, budget, families, metrics
        As in `at_equal_bytes`; families that `helpers.codecs.at_psnr` takes.

    Returns
    -------
    pandas.DataFrame
        The table of `helpers.measure.evaluate`; no PSNR is below the one asked for.
    """
    return _image_by_image(images, budget, families, metrics, codecs.at_psnr, "psnr")


def _image_by_image(images, budget, families, metrics, make_codec, column) -> pd.DataFrame:
    """Evaluate codecs whose setting for each image is that image's value in the budget."""
    wanted = budget.set_index("image_id")[column]
    jobs = [(family, index) for family in families for index in range(len(images))]
    parts = []
    for family, index in progress(jobs, "image at equal " + column):
        codec = make_codec(family, wanted[images.ids[index]])
        one = images.take([index])
        parts.append(measure.evaluate(codec, one, name=family, metrics=metrics))
    return pd.concat(parts, ignore_index=True)


def curves(
    images: ImageSet, rates: Sequence[float] = RATES, families: Sequence[str] = STANDARDS
) -> pd.DataFrame:
    """Rate-distortion curves of the standard codecs.

    Parameters
    ----------
    images : ImageSet
    rates : sequence of float
        Bits per pixel; each stream is the largest that fits.
    families : sequence of str

    Returns
    -------
    pandas.DataFrame
        The rows of `helpers.measure.evaluate` with a column ``point``, the rate asked for.
    """
    parts = [
        measure.sweep(
            lambda rate, family=family: codecs.at_rate(family, rate),
            rates,
            images,
            name=family,
            metrics=("psnr",),
        )
        for family in progress(families, "curve", len(families))
    ]
    return pd.concat(parts, ignore_index=True)
