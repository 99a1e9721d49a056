"""``bench lossy``: rate-distortion curves of the lossy codecs, and what they save at equal PSNR."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers import codecs, weights
from helpers.bench.clock import now
from helpers.bench.images import Images
from helpers.bench.report import REFUSALS, Report, grouped, reason
from helpers.bench.worker import KEEPING, ONE_THREAD, centre, worker
from helpers.codecs.base import ImageCodec
from helpers.codecs.catalogue import find
from helpers.codecs.container import unpack
from helpers.codecs.rate import rungs
from helpers.curves import bd_rate
from helpers.metrics import ms_ssim
from helpers.progress import progress

HELP = "curves of the lossy codecs, BD-rates against JPEG 2000 and AVIF, seconds; one thread"
METRICS = {"psnr": "psnr", "ms_ssim": "ms_ssim_db"}  # name of a BD-rate: column it is of
# settings from coarse to fine; a codec without has one operating point
SETTINGS = {
    "jpeg": ("level", (5, 10, 20, 35, 55, 75, 88, 95)),
    "jpeg2000": ("level", tuple(range(26, 57, 3))),
    "jpegxl": ("distance", (15.0, 10.0, 7.0, 4.5, 3.2, 2.2, 1.5, 1.0, 0.6, 0.3)),
    "avif": ("level", (10, 20, 30, 38, 46, 54, 62, 70, 78, 86, 92)),
    "jpegls": ("level", (64, 40, 24, 16, 10, 6, 4, 2)),
    "wavelet": ("step", (128.0, 64.0, 40.0, 25.0, 16.0, 10.0, 6.0, 4.0)),
    "spiht": ("bpp", (0.08, 0.15, 0.25, 0.4, 0.65, 1.0, 1.4, 1.8)),
    "hyper": ("level", (0, 7, 14, 21, 28, 35, 42, 49, 56, 63)),
    "hyper-msssim": ("level", (0, 7, 14, 21, 28, 35, 42, 49, 56, 63)),
    "cae-brotli": ("", (None,)),
}
ANCHORS = ("jpeg2000", "avif")
WITHIN = 0.08, 1.8  # bits a pixel of the points that BD-rates are computed from
COLUMNS = [
    *("codec", "image", "point", "pixels", "bytes", "bpp", "psnr", "ms_ssim", "model"),
    *("encode_s", "decode_s"),
]


def measure(
    images: Sequence[np.ndarray], names: Sequence[str]
) -> tuple[pd.DataFrame, tuple[dict, ...]]:
    """Encode each image with every setting of each codec, and decode it again.

    Parameters
    ----------
    images : sequence of (H, W) uint8, uint16 or int16 arrays
    names : sequence of str
        Codecs that can be lossy; see `points`.

    Returns
    -------
    table : pandas.DataFrame
        A row a codec, image and setting: ``codec, image, point`` (number of the setting),
        ``pixels, bytes`` (of the whole stream), ``bpp, psnr`` (dB; the peak is that of 8 bits, or
        the image's own range), ``ms_ssim`` (of 8-bit images of more than
        160 pixels a side), ``model`` (name of
        the weights, empty without), ``encode_s, decode_s`` (of CPU time, on one thread).
    left_out : tuple of dict
        See `helpers.bench.report.grouped`.
    """
    dtypes = {image.dtype: centre(image) for image in images}
    rows, refused = [], []
    with worker(ONE_THREAD | KEEPING) as call:
        for codec in names:
            for small in dtypes.values():
                call(_point, codec, 0, small)  # compiles and loads what there is
            for number, image in enumerate(progress(images, codec)):
                for point in range(len(points(codec))):
                    found = call(_point, codec, point, image)
                    if isinstance(found, str):
                        refused.append((codec, "left out", found))
                        break
                    rows.append((codec, number, point, *found))
    return pd.DataFrame(rows, columns=COLUMNS), grouped(refused)


def lossy(table: pd.DataFrame) -> pd.DataFrame:
    """Sum up what `measure` returned.

    Parameters
    ----------
    table : pandas.DataFrame
        JPEG 2000 and AVIF among its codecs.

    Returns
    -------
    pandas.DataFrame
        One row a codec:

        - ``codec``; ``images``;
        - ``bd_rate_jpeg2000``, ``bd_rate_avif``: mean over the images of the Bjøntegaard delta of
          PSNR, in per cent, from points of 0.08 to 1.8 bits a pixel; negative where the codec
          needs fewer bytes; empty where curves do not overlap or there is one point only;
        - ``bd_rate_jpeg2000_worst``, ``bd_rate_avif_worst``: of an image;
        - ``points``: list of ``point, bpp, psnr, ms_ssim``, means over the images;
        - ``encode_s``, ``decode_s``: mean seconds an image, all settings together;
        - ``weights_kib``: the weights that decoding needs, 0 for classical codecs.
    """
    deltas = bd_rates(table)
    rows = []
    for codec, group in table.groupby("codec", sort=False):
        row = {"codec": codec, "images": group.image.nunique()}
        for anchor in ANCHORS:
            found = deltas.loc[deltas.codec == codec, anchor]
            row |= {f"bd_rate_{anchor}": found.mean(), f"bd_rate_{anchor}_worst": found.max()}
        means = group.groupby("point")[["bpp", "psnr", "ms_ssim"]].mean().reset_index()
        weight = weights.size(set(group.model))
        row |= {
            "points": means.to_dict("records"),
            "encode_s": group.encode_s.mean(),
            "decode_s": group.decode_s.mean(),
            "weights_kib": weight / 1024,
        }
        rows.append(row)
    return pd.DataFrame(rows).sort_values("bd_rate_jpeg2000", ignore_index=True)


def bd_rates(table: pd.DataFrame) -> pd.DataFrame:
    """BD-rates of each image.

    Parameters
    ----------
    table : pandas.DataFrame
        With the columns codec, image, point, bpp and psnr of `measure`.

    Returns
    -------
    pandas.DataFrame
        A row a codec and image: ``codec, image, jpeg2000, avif``, per cent against these two.
    """
    curves = dict(iter(table.groupby(["codec", "image"], sort=False)))
    rows = []
    for (codec, image), curve in curves.items():
        found = {anchor: saved(curves.get((anchor, image)), curve) for anchor in ANCHORS}
        rows.append({"codec": codec, "image": image, **found})
    return pd.DataFrame(rows)


def points(codec: str) -> tuple[dict, ...]:
    """Options of a codec's operating points, from coarse to fine.

    Parameters
    ----------
    codec : str

    Returns
    -------
    tuple of dict
        Those of `SETTINGS`; else eight rungs of its ladder, see `helpers.codecs.rate`; else the
        one point that the codec has.
    """
    if codec in SETTINGS:
        option, settings = SETTINGS[codec]
        return tuple({option: value} if option else {} for value in settings)
    return rungs(codec, 8) or ({},)


def saved(anchor: pd.DataFrame | None, curve: pd.DataFrame, metric: str = "psnr") -> float:
    """BD-rate of one image in per cent, from the points within `WITHIN`.

    Parameters
    ----------
    anchor, curve : pandas.DataFrame
        One codec each: codec, point, bpp and the metric.
    metric : str
        Column that says how good a point is, in dB.

    Returns
    -------
    float
        Not a number where a curve is missing, too short, or shares no quality with the other.
    """
    if anchor is None:
        return np.nan
    anchor, curve = _rising(anchor, metric), _rising(curve, metric)
    if min(len(anchor), len(curve)) < 4:
        return np.nan
    try:
        return bd_rate(anchor, curve, metric)
    except ValueError:  # no quality that both reach
        return np.nan


def report(images: Images, asked: Sequence[str] | None) -> Report:
    """Measure and put into words.

    Parameters
    ----------
    images : Images
    asked : sequence of str or None
        Codecs of `SETTINGS` beside JPEG 2000 and AVIF, which are always measured; all when None.
    """
    for name in asked or ():
        if name not in SETTINGS:
            find(name)
            raise ValueError(
                f"'{name}' is not measured by bench lossy; choose among {', '.join(SETTINGS)}."
            )
    table, left_out = measure(images.pixels, list(dict.fromkeys([*ANCHORS, *(asked or SETTINGS)])))
    summary = lossy(table)
    return Report("lossy", summary, _text(summary, len(images.pixels)), left_out)


def _point(codec: str, point: int, image: np.ndarray) -> tuple | str:
    try:
        made = codecs.get(codec, **points(codec)[point])
        started = now()
        stream = made.encode(image)
        between = now()
        decoded = made.decode(stream)
        seconds = between - started, now() - between
    except REFUSALS as error:
        return reason(error)
    model = unpack(stream)[0].model if isinstance(made, ImageCodec) else ""
    whole = image.dtype == np.uint8
    peak = 255.0 if whole else max(1.0, float(image.max()) - float(image.min()))
    structure = ms_ssim(image, decoded, peak) if whole and min(image.shape) > 160 else np.nan
    error = np.mean((image.astype(np.float64) - decoded) ** 2)
    quality = 10 * np.log10(peak**2 / error) if error else np.inf
    size = len(stream)
    return image.size, size, 8 * size / image.size, quality, structure, model, *seconds


def _rising(curve: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Points within the range that add quality for their bytes."""
    curve = curve[curve.bpp.between(*WITHIN) & np.isfinite(curve[metric])].sort_values("bpp")
    best = curve[metric].cummax().shift(fill_value=-np.inf)
    return curve[(curve[metric] > best) & ~curve.bpp.duplicated()]


def _text(summary: pd.DataFrame, count: int) -> str:
    shown = summary.drop(columns=["points", "bd_rate_jpeg2000_worst", "bd_rate_avif_worst"])
    shown = shown.rename(
        columns={
            "bd_rate_jpeg2000": "BD-rate % (JPEG 2000)",
            "bd_rate_avif": "BD-rate % (AVIF)",
            "encode_s": "encode s",
            "decode_s": "decode s",
            "weights_kib": "weights KiB",
        }
    )
    return (
        f"Bytes at equal PSNR, {WITHIN[0]} to {WITHIN[1]} bits a pixel, mean over {count} images\n"
        + shown.round(3).to_string(index=False, na_rep="-")
    )
