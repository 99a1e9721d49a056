"""What chapters share when they hold a lossy codec against the standards."""

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import pandas as pd

from helpers import codecs, measure
from helpers.data import ImageSet
from helpers.metrics import Metric
from helpers.progress import progress

STANDARDS = ("jpeg", "jpeg2000", "jpegxl", "avif", "wavelet", "spiht")
RATES = (0.125, 0.25, 0.5, 1.0)
AVERAGED = ["bytes", "bpp", "ratio_8bit", "mse", "psnr", "ssim", "ms_ssim", "fsim", "exact"]


def means(table: pd.DataFrame, by: Sequence[str] = ("codec",)) -> pd.DataFrame:
    """Means over images, with an eye on those that came back exactly.

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
        ``psnr``, the mean over the images that did not come back exactly (a PSNR of theirs is
        infinite); ``exact``, the share of those that did; ``images`` and ``patients``.
    """
    table = table.assign(psnr=table["psnr"].replace(math.inf, math.nan))
    groups = table.groupby(list(by), sort=False)
    result = groups[AVERAGED].mean().astype(float)
    result["images"] = groups.size()
    result["patients"] = groups["patient_id"].nunique()
    return result.reset_index()


def at_equal_bytes(
    images: ImageSet,
    budget: pd.DataFrame,
    families: Iterable[str],
    metrics: Sequence[str] = ("psnr",),
    more: Mapping[str, Metric] | None = None,
) -> pd.DataFrame:
    """Give every standard codec, image by image, as many bytes as another codec took.

    Parameters
    ----------
    images : ImageSet
    budget : pandas.DataFrame
        Rows of `helpers.measure.evaluate` of that other codec on the same images; ``image_id``
        and ``bpp`` are looked at.
    families : iterable of str
        Names that `helpers.codecs.at_rate` takes.
    metrics : sequence of str
    more : mapping of str to callable, optional
        See `helpers.measure.evaluate`.

    Returns
    -------
    pandas.DataFrame
        The table of `helpers.measure.evaluate`; no stream is longer than its budget.
    """
    return _image_by_image(images, budget, families, metrics, codecs.at_rate, "bpp", more)


def at_equal_or_least_bytes(
    images: ImageSet,
    budget: pd.DataFrame,
    families: Iterable[str],
    metrics: Sequence[str] = ("psnr",),
) -> pd.DataFrame:
    """Give every standard codec as many bytes as another took, or the fewest that it can do with.

    A format has a least size: where the other codec's stream is shorter than that, the family
    gives its smallest stream, and the comparison is no longer at equal bytes.

    Parameters
    ----------
    images, budget, families, metrics
        As in `at_equal_bytes`.

    Returns
    -------
    pandas.DataFrame
        The table of `helpers.measure.evaluate` and the column ``fits``: False where the stream
        is longer than its budget.
    """
    make = partial(codecs.at_rate, or_least=True)
    table = _image_by_image(images, budget, families, metrics, make, "bpp")
    room = table["image_id"].map(budget.set_index("image_id")["bpp"])
    return table.assign(fits=table["bpp"] <= room * (1 + 1e-9))  # the last bits of a division


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
        As in `at_equal_bytes`, but for ``psnr`` of the budget, and families that
        `helpers.codecs.at_psnr` takes.

    Returns
    -------
    pandas.DataFrame
        The table of `helpers.measure.evaluate`; no PSNR is below the one asked for.
    """
    return _image_by_image(images, budget, families, metrics, codecs.at_psnr, "psnr")


def _image_by_image(
    images, budget, families, metrics, make_codec, column, more=None
) -> pd.DataFrame:
    """Evaluate codecs whose setting for each image is that image's value in the budget."""
    wanted = budget.set_index("image_id")[column]
    jobs = [(family, index) for family in families for index in range(len(images))]
    parts = []
    for family, index in progress(jobs, "image at equal " + column):
        codec = make_codec(family, wanted[images.ids[index]])
        one = images.take([index])
        parts.append(measure.evaluate(codec, one, name=family, metrics=metrics, more=more))
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
