"""What the latent-diffusion chapter measures: quality at real bytes, and what became of lesions."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numcodecs.abc import Codec

from helpers import measure, upscalers
from helpers.codecs.shrink import FACTORS, ShrinkCodec
from helpers.data import ImageSet
from helpers.experiments import comparisons
from helpers.experiments.ldm_mammo.lesions import PRESENT, Lesion
from helpers.experiments.ldm_mammo.observer import responses
from helpers.metrics import Metric
from helpers.progress import progress

METRICS = ("psnr", "fsim", "ssim", "ms_ssim")
DIFFUSION = "latent diffusion"
BEFORE = "latent diffusion before"  # its U-Net has seen photographs only
RIVALS = {"super-resolution": "superres", "bicubic": "bicubic", "Lanczos": "lanczos"}
FAMILIES = {8: ("jpeg2000", "jpegxl", "avif"), 16: ("jpeg2000", "jpegxl")}  # AVIF ends at 12 bits


def models(found: upscalers.Upscaler) -> dict[str, str]:
    """Names of the upscalers that the chapter compares, by label.

    Parameters
    ----------
    found : helpers.upscalers.Upscaler
        The diffusion model at hand, from `helpers.upscalers.find`.
    """
    return {DIFFUSION: found.name, **RIVALS}


def quality(
    images: ImageSet,
    models: Mapping[str, str],
    factors: Sequence[int] = FACTORS,
    metrics: Sequence[str] = METRICS,
    more: Mapping[str, Metric] | None = None,
) -> pd.DataFrame:
    """Reduce every image, store it, and enlarge it with each model: the paper's figure 4.

    Parameters
    ----------
    images : ImageSet
    models : mapping of str to str
        Names of upscalers by label.
    factors : sequence of int
    metrics : sequence of str
    more : mapping of str to callable, optional
        See `helpers.measure.evaluate`.

    Returns
    -------
    pandas.DataFrame
        Rows of `helpers.measure.evaluate` and the column ``factor``; all models of a factor get
        the same PNG files.
    """
    jobs = [(factor, *model) for factor in factors for model in models.items()]
    return pd.concat(
        [
            measure.evaluate(
                ShrinkCodec(factor, model), images, name=label, metrics=metrics, more=more
            ).assign(factor=factor)
            for factor, label, model in progress(jobs, "upscaler")
        ],
        ignore_index=True,
    )


def standards(
    images: ImageSet,
    table: pd.DataFrame,
    metrics: Sequence[str] = METRICS,
    more: Mapping[str, Metric] | None = None,
) -> pd.DataFrame:
    """The full-size images as standard codecs keep them in the bytes of the reduced ones.

    Parameters
    ----------
    images : ImageSet
    table : pandas.DataFrame
        From `quality`, of the same images.
    metrics, more
        As in `quality`.

    Returns
    -------
    pandas.DataFrame
        Rows like those of `quality`; no stream is longer than that of the diffusion model.
    """
    bits = 8 * images.images[0].itemsize
    parts = []
    for factor, budget in table[table["codec"] == DIFFUSION].groupby("factor"):
        found = comparisons.at_equal_bytes(images, budget, FAMILIES[bits], metrics, more)
        parts.append(found.assign(factor=factor))
    return pd.concat(parts, ignore_index=True)


def spread(table: pd.DataFrame, metrics: Sequence[str] = METRICS) -> pd.DataFrame:
    """Mean and variance over the images, which the paper reports.

    Parameters
    ----------
    table : pandas.DataFrame
        From `quality` or `standards`.
    metrics : sequence of str

    Returns
    -------
    pandas.DataFrame
        Rows by factor and codec; a pair of columns ``(metric, "mean" or "var")`` each.
    """
    groups = table.groupby(["factor", "codec"], sort=False)
    return groups[["bpp", *metrics]].agg(["mean", "var"])


def restored(images: ImageSet, codec: Codec) -> ImageSet:
    """Every image as a codec gives it back.

    Parameters
    ----------
    images : ImageSet
    codec : numcodecs.abc.Codec

    Returns
    -------
    ImageSet
        With the ids of the originals.
    """
    pictures = progress(images, "image")
    return replace(
        images,
        images=tuple(np.asarray(codec.decode(codec.encode(picture))) for picture in pictures),
        preparation=f"{images.preparation} Coded and decoded.",
    )


def fates(
    images: ImageSet, decoded: ImageSet, lesions: Mapping[str, Lesion], pixel_mm: float
) -> pd.DataFrame:
    """What a codec did to lesions, as the linear observer sees it who knows where to look.

    The observer calls a patch positive where its response exceeds half of the mean contrast
    that lesions of the kind have in these patches.

    Parameters
    ----------
    images, decoded : ImageSet
        Of the same ids and size.
    lesions : mapping of str to Lesion
        By id.
    pixel_mm : float

    Returns
    -------
    pandas.DataFrame
        A row an image: image_id, patient_id, label, kind, contrast (inserted), before and after
        (responses), called_before and called_after (whether the observer calls it positive).

    Raises
    ------
    ValueError
        If the two sets hold other images.
    """
    if tuple(images.ids) != tuple(decoded.ids):
        raise ValueError("The decoded images are not those that were coded; decode the same set.")
    table = responses(images, lesions, pixel_mm).rename(columns={"response": "before"})
    table["after"] = responses(decoded, lesions, pixel_mm)["response"]
    usual = table[table["label"] == PRESENT].groupby("kind")["contrast"].mean()
    half = table["kind"].map(usual) / 2
    return table.assign(
        called_before=table["before"] > half,
        called_after=table["after"] > half,
    )


def extremes(table: pd.DataFrame) -> tuple[str, str]:
    """Name the lesion that lost most, and the place without one that gained most.

    Parameters
    ----------
    table : pandas.DataFrame
        From `fates`.

    Returns
    -------
    lost, gained : str
        Ids. Of the lesions only those count that were seen before, and their loss is a share of
        what was seen.

    Raises
    ------
    ValueError
        If no lesion was seen.
    """
    change, present = table["after"] - table["before"], table["label"] == PRESENT
    seen = present & table["called_before"]
    if not seen.any():
        raise ValueError("No lesion of these patches was seen; take more patches.")
    lost = (change / table["before"])[seen].idxmin()
    return table.loc[lost, "image_id"], table.loc[change[~present].idxmax(), "image_id"]


def rates(table: pd.DataFrame) -> pd.DataFrame:
    """How often lesions of each kind are erased and invented, and how much contrast survives.

    Parameters
    ----------
    table : pandas.DataFrame
        From `fates`.

    Returns
    -------
    pandas.DataFrame
        A row a kind: erased (share of the lesions that were seen before), invented (share of
        the patches without one that were called so before), survived (mean response after over
        mean response before, of lesions), and how many patches each stands on.
    """
    rows = {}
    for kind, part in table.groupby("kind"):
        present = part["label"] == PRESENT
        seen, clear = part[present & part["called_before"]], part[~present & ~part["called_before"]]
        rows[kind] = {
            "erased": (~seen["called_after"]).mean(),
            "seen": len(seen),
            "invented": clear["called_after"].mean(),
            "clear": len(clear),
            "survived": part.loc[present, "after"].mean() / part.loc[present, "before"].mean(),
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("kind").reset_index()
