"""One long table: each codec on each image, lossy at several rates, lossless once."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers import codecs, weights
from helpers.bench import lossless, lossy
from helpers.codecs.catalogue import find
from helpers.experiments.scoreboard.data import Part

COLUMNS = [
    *("kind", "modality", "bits", "source", "image_id", "patient_id", "codec", "point"),
    *("pixels", "bytes", "bpp", "psnr", "ms_ssim", "encode_s", "decode_s", "model", "exact"),
]


def measured(
    parts: Sequence[Part], names: Sequence[str] | None = None
) -> tuple[pd.DataFrame, tuple[dict, ...]]:
    """Code and decode every image with every codec of the catalogue that takes it.

    Parameters
    ----------
    parts : sequence of Part
        Lossy codecs are measured on those of 8 bits, lossless codecs on all.
    names : sequence of str, optional
        Codecs; all of the catalogue when omitted. JPEG 2000 and the lossless standards, which
        the others are compared with, are always among them.

    Returns
    -------
    table : pandas.DataFrame
        Columns `COLUMNS`. A row an image, codec and kind (``"lossy"`` or ``"lossless"``), for
        lossy codecs one for each operating point (see `helpers.bench.lossy.points`): ``bytes`` of
        the whole stream, ``bpp``, ``psnr`` (dB) and ``ms_ssim`` (both NaN where lossless),
        seconds of CPU time on one thread, ``model`` (weights that decoding needs), ``exact``
        (lossless: whether another process restored every pixel).
    left_out : tuple of dict
        What a codec did not take, and why; see `helpers.bench.report.grouped`.
    """
    known = codecs.names() if names is None else names
    found = [
        _lossy([part for part in parts if part.bits == 8], known),
        _lossless(parts, known),
    ]
    tables, refused = zip(*found, strict=True)
    table = pd.concat(tables, ignore_index=True)[COLUMNS]
    # a stream may name a filter as its model, which has no weights
    kept = [name for name in set(table["model"]) if name and weights.exists(name)]
    table["model"] = table["model"].where(table["model"].isin(kept), "")
    return table, refused[0] + refused[1]


def _lossy(parts: Sequence[Part], names: Sequence[str]) -> tuple[pd.DataFrame, tuple[dict, ...]]:
    chosen = [
        name
        for name in dict.fromkeys([lossy.ANCHORS[0], *names])
        if find(name).lossy and "uint8" in find(name).dtypes
    ]
    table, left_out = lossy.measure(_pixels(parts), chosen)
    return _with_images(table, parts).assign(kind="lossy", exact=None), left_out


def _lossless(parts: Sequence[Part], names: Sequence[str]) -> tuple[pd.DataFrame, tuple[dict, ...]]:
    chosen = [name for name in names if find(name).lossless]
    table, left_out = lossless.measure(_pixels(parts), chosen)
    table = table.assign(bpp=8 * table["bytes"] / table["pixels"], psnr=np.nan, ms_ssim=np.nan)
    return _with_images(table, parts).assign(kind="lossless", point=0), left_out


def _pixels(parts: Sequence[Part]) -> list[np.ndarray]:
    return [image for part in parts for image in part.images]


def _with_images(table: pd.DataFrame, parts: Sequence[Part]) -> pd.DataFrame:
    """The measurements beside what is known about each image, which they have by number."""
    facts = pd.DataFrame(
        [
            (part.modality, part.bits, part.images.source, image_id, patient)
            for part in parts
            for image_id, patient in zip(part.images.ids, part.images.patients, strict=True)
        ],
        columns=["modality", "bits", "source", "image_id", "patient_id"],
    )
    return table.join(facts, on="image").drop(columns="image")
