"""The one table summed up: a row for each codec and modality, lossy and lossless."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from helpers import stats, weights
from helpers.bench.lossless import JPEG_XL
from helpers.bench.lossy import ANCHORS, METRICS, saved
from helpers.codecs.catalogue import CATALOGUE, find
from helpers.curves import decibels
from helpers.measure import break_even

ANCHOR = ANCHORS[0]
ARCHIVE_BPP = 0.5  # rate of JPEG 2000 at which an archive is thought to be kept


def lossy_board(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """What lossy codecs save against JPEG 2000, modality by modality.

    Parameters
    ----------
    table : pandas.DataFrame
        From `helpers.experiments.scoreboard.measures.measured`.
    seed : int
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        A row a modality and codec that has at least four points, fewest bytes at equal PSNR
        first: modality, codec, images, patients; bd_psnr and bd_ms_ssim, mean BD-rates over
        images in per cent (negative where bytes are saved), each with ``_low`` and ``_high``, the
        ends of a 95 % interval over patients, and ``_images``, on how many the curves met;
        encode_s, decode_s (median seconds an image); weights_kib; break_even (images of this mean
        size from which on an archive with weights is smaller than one in JPEG 2000 of
        `ARCHIVE_BPP`; NaN without weights, infinite if never).
    """
    lossy = table[table["kind"] == "lossy"].assign(
        ms_ssim_db=lambda frame: decibels(frame["ms_ssim"])
    )
    rows = []
    for (modality, codec), group in lossy.groupby(["modality", "codec"], sort=False):
        if group.groupby("image_id")["point"].nunique().max() < 4:
            continue
        anchors = _by_image(lossy[(lossy["modality"] == modality) & (lossy["codec"] == ANCHOR)])
        deltas = _each_image(group, lambda curve, image, by=anchors: _deltas(by[image], curve))
        row = _who(modality, codec, group)
        for name in METRICS:
            row |= _interval(f"bd_{name}", deltas[name], deltas["patient_id"], seed)
        row |= _cost(group)
        pixels = group.drop_duplicates("image_id")["pixels"].mean()
        theirs = pixels * ARCHIVE_BPP / 8
        ours = theirs * (1 + row["bd_psnr"] / 100)
        rows.append(row | {"break_even": _images_until(row["weights_kib"], ours, theirs)})
    return _sorted(rows, "bd_psnr")


def points_board(table: pd.DataFrame) -> pd.DataFrame:
    """Codecs that have one operating point, beside JPEG 2000 at the same number of bytes.

    Parameters
    ----------
    table : pandas.DataFrame
        From `helpers.experiments.scoreboard.measures.measured`.

    Returns
    -------
    pandas.DataFrame
        A row a modality and codec with fewer than four points: modality, codec, images, patients,
        bpp, psnr (dB) and ms_ssim, means over images; gap (dB, mean PSNR above JPEG 2000's curve
        at the same rate, over the images where that curve reaches so far); weights_kib,
        encode_s, decode_s.
    """
    lossy = table[table["kind"] == "lossy"]
    rows = []
    for (modality, codec), group in lossy.groupby(["modality", "codec"], sort=False):
        if group.groupby("image_id")["point"].nunique().max() >= 4:
            continue
        anchors = _by_image(lossy[(lossy["modality"] == modality) & (lossy["codec"] == ANCHOR)])
        gaps = _each_image(
            group, lambda points, image, by=anchors: {"gap": _gap(by[image], points)}
        )
        means = group[["bpp", "psnr", "ms_ssim"]].mean()
        rows.append(
            _who(modality, codec, group)
            | means.to_dict()
            | {"gap": gaps["gap"].mean()}
            | _cost(group)
        )
    return pd.DataFrame(rows)


def lossless_board(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Bits a pixel of lossless codecs, by modality and bits of a pixel's word.

    Parameters
    ----------
    table : pandas.DataFrame
        From `helpers.experiments.scoreboard.measures.measured`.
    seed : int
        Of the bootstrap.

    Returns
    -------
    pandas.DataFrame
        A row a modality, depth and codec, fewest bits first: modality, bits, codec, images,
        patients, exact (whether all came back exactly in another process), bpp with ``_low`` and
        ``_high`` (mean over images and ends of a 95 % interval over patients), encode_s, decode_s,
        weights_kib, break_even (images from which on streams and weights are smaller than the
        best JPEG XL; NaN without weights, infinite if never).
    """
    lossless = table[table["kind"] == "lossless"]
    rows = []
    for (modality, bits), part in lossless.groupby(["modality", "bits"], sort=False):
        best = part[part["codec"].isin(JPEG_XL)].groupby("image_id")["bytes"].min().mean()
        for codec, group in part.groupby("codec", sort=False):
            row = _who(modality, codec, group) | {"bits": bits}
            row |= {"exact": bool(group["exact"].astype(bool).all())}
            row |= _interval("bpp", group["bpp"], group["patient_id"], seed) | _cost(group)
            row["break_even"] = _images_until(row["weights_kib"], group["bytes"].mean(), best)
            rows.append(row)
    return _sorted(rows, "bits", "bpp")


def catalogue(table: pd.DataFrame) -> pd.DataFrame:
    """Every codec of the book, and the weights that it needed.

    Parameters
    ----------
    table : pandas.DataFrame
        From `helpers.experiments.scoreboard.measures.measured`.

    Returns
    -------
    pandas.DataFrame
        A row a codec of the catalogue: codec, label, lossy, lossless, dtypes (as text), text (how
        it works), weights_kib (of the largest modality; NaN where it was not measured).
    """
    rows = []
    for name, entry in CATALOGUE.items():
        used = table[table["codec"].isin([name, *(JPEG_XL if name == "jpegxl" else ())])]
        sizes = [_kib(part["model"]) for _, part in used.groupby("modality")]
        rows.append(
            {
                "codec": name,
                "label": entry.label,
                "lossy": entry.lossy,
                "lossless": entry.lossless,
                "dtypes": ", ".join(entry.dtypes),
                "text": entry.text,
                "weights_kib": max(sizes, default=math.nan),
            }
        )
    return pd.DataFrame(rows)


def label(codec: str) -> str:
    """What tables call a codec, with the effort of JPEG XL.

    Parameters
    ----------
    codec : str
        As in the column ``codec``.
    """
    if codec in JPEG_XL:
        return f"{find('jpegxl').label}, effort {JPEG_XL[codec]}"
    return find(codec).label


def _by_image(curves: pd.DataFrame) -> dict[str, pd.DataFrame]:
    return dict(iter(curves.groupby("image_id", sort=False)))


def _each_image(group: pd.DataFrame, measure: Callable) -> pd.DataFrame:
    """One row an image: what is measured of its points, and whose it is."""
    return pd.DataFrame(
        [
            {"patient_id": curve["patient_id"].iloc[0], **measure(curve, image)}
            for image, curve in group.groupby("image_id", sort=False)
        ]
    )


def _deltas(anchor: pd.DataFrame, curve: pd.DataFrame) -> dict[str, float]:
    return {name: saved(anchor, curve, column) for name, column in METRICS.items()}


def _gap(anchor: pd.DataFrame, points: pd.DataFrame) -> float:
    """Mean PSNR of points above a curve at the same rate; NaN outside of its rates."""
    curve = anchor[np.isfinite(anchor["psnr"])].sort_values("bpp")
    there = np.interp(points["bpp"], curve["bpp"], curve["psnr"], left=np.nan, right=np.nan)
    return float((points["psnr"] - there).mean())


def _who(modality: str, codec: str, group: pd.DataFrame) -> dict:
    return {
        "modality": modality,
        "codec": codec,
        "images": group["image_id"].nunique(),
        "patients": group["patient_id"].nunique(),
    }


def _interval(name: str, values: pd.Series, patients: pd.Series, seed: int) -> dict[str, float]:
    known = int(values.notna().sum())
    if not known:
        return {name: math.nan, f"{name}_low": math.nan, f"{name}_high": math.nan} | {
            f"{name}_images": 0
        }
    found = stats.mean_interval(values, patients, seed=seed)
    ends = {f"{name}_low": found.low, f"{name}_high": found.high}
    return {name: found.mean, **ends, f"{name}_images": known}


def _cost(group: pd.DataFrame) -> dict[str, float]:
    """Median seconds, which a busy machine disturbs less than means, and size of weights."""
    return {
        "encode_s": group["encode_s"].median(),
        "decode_s": group["decode_s"].median(),
        "weights_kib": _kib(group["model"]),
    }


def _kib(models: pd.Series) -> float:
    """Size of weights; NaN where some of the reference run's are not on this machine."""
    used = {name for name in models if name}
    if not all(map(weights.exists, used)):
        return math.nan
    return weights.size(used) / 1024


def _images_until(kib: float, ours: float, theirs: float) -> float:
    return math.nan if not kib or math.isnan(kib + ours) else break_even(1024 * kib, ours, theirs)


def _sorted(rows: Sequence[dict], *columns: str) -> pd.DataFrame:
    """Modalities in their order, each by rising values."""
    frame = pd.DataFrame(rows)
    order = {name: place for place, name in enumerate(frame["modality"].unique())}
    return frame.sort_values(
        ["modality", *columns],
        key=lambda values: values.map(order) if values.name == "modality" else values,
        ignore_index=True,
    )
