"""The one table: images go in, real bytes come out, and every number comes from those bytes.

Taught in *Measuring compression*; every table and figure of the book is made from what
`evaluate` returns.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from time import perf_counter

import numpy as np
import pandas as pd
from numcodecs.abc import Codec

from helpers import metrics as judge
from helpers import stats
from helpers.curves import bd_psnr, bd_rate, curve
from helpers.data.imageset import ImageSet
from helpers.lossless import proves_lossless

__all__ = [
    "bd_psnr",
    "bd_rate",
    "bits_per_pixel",
    "break_even",
    "curve",
    "evaluate",
    "proves_lossless",
    "ratio",
    "summary",
    "sweep",
]

COLUMNS = [
    "image_id",
    "patient_id",
    "codec",
    "bytes",
    "bpp",
    "ratio_8bit",
    "ratio",
    "mse",
    "psnr",
    "ssim",
    "ms_ssim",
    "fsim",
    "max_error",
    "exact",
    "encode_s",
    "decode_s",
    "peak",
    "reference_bits",
]


def bits_per_pixel(stream: bytes, image: np.ndarray) -> float:
    """Bits a pixel costs in a stream, header and side information included.

    Parameters
    ----------
    stream : bytes
    image : (H, W) array

    Returns
    -------
    float
    """
    return 8 * len(stream) / image.size


def ratio(stream: bytes, image: np.ndarray, reference_bits: float) -> float:
    """Compression ratio against an original of a stated number of bits per pixel.

    Parameters
    ----------
    stream : bytes
    image : (H, W) array
    reference_bits : float
        Bits of a pixel of the original: 8 for most files, 32 if somebody counts floats.

    Returns
    -------
    float
    """
    return reference_bits / bits_per_pixel(stream, image)


def break_even(weights_bytes: float, ours_bytes: float, theirs_bytes: float) -> float:
    """Images an archive must hold before streams and weights are smaller than other streams.

    Parameters
    ----------
    weights_bytes : float
        What every reader must have once.
    ours_bytes, theirs_bytes : float
        Mean bytes of an image.

    Returns
    -------
    float
        The smallest whole number of images for which ``weights + n ours < n theirs``;
        infinite where there is none.
    """
    if ours_bytes >= theirs_bytes:
        return math.inf
    return float(math.floor(weights_bytes / (theirs_bytes - ours_bytes)) + 1)


def evaluate(
    codec: Codec,
    images: ImageSet,
    *,
    name: str,
    peak: float | None = None,
    reference_bits: float | None = None,
    metrics: Sequence[str] = ("psnr", "ssim"),
    more: Mapping[str, judge.Metric] | None = None,
    warm_up: bool = False,
) -> pd.DataFrame:
    """Code every image to bytes, decode the bytes, and measure what came back.

    Parameters
    ----------
    codec : numcodecs.abc.Codec
        Anything with ``encode(array) -> bytes`` and ``decode(bytes) -> array``.
    images : ImageSet
        (H, W) uint8 or uint16 each.
    name : str
        What to call the codec in the table.
    peak : float, optional
        Peak of every metric; ``2**images.bit_depth - 1`` when omitted.
    reference_bits : float, optional
        Bits of an original pixel in the column ``ratio``; ``images.bit_depth`` when omitted.
    metrics : sequence of {"psnr", "ssim", "ms_ssim", "fsim"}
        What to compute; the other columns are NaN.
    more : mapping of str to callable, optional
        Further metrics by the name of their column, for example ``{"lpips": distance}`` with
        what `helpers.perceptual.lpips` returns.
    warm_up : bool
        Run the first image once untimed, so that no time includes a compilation.

    Returns
    -------
    pandas.DataFrame
        One row an image: image_id, patient_id, codec, bytes, bpp, ratio_8bit (against 8 bits),
        ratio (against ``reference_bits``), mse, psnr (dB), ssim, ms_ssim, fsim, max_error,
        exact, encode_s, decode_s (seconds), peak, reference_bits; then the columns of ``more``.

    Raises
    ------
    ValueError
        If a metric is unknown, the codec returns something else than bytes or another shape
        or dtype than it was given, or a pixel is above the peak.
    """
    if unknown := set(metrics) - set(judge.METRICS):
        raise ValueError(f"There is no metric {sorted(unknown)}; choose of {list(judge.METRICS)}.")
    judges = {metric: judge.METRICS[metric] for metric in metrics} | dict(more or {})
    peak = float(2**images.bit_depth - 1 if peak is None else peak)
    reference_bits = float(images.bit_depth if reference_bits is None else reference_bits)
    if warm_up and len(images):
        codec.decode(codec.encode(images.images[0]))
    rows = []
    for image_id, patient, image in zip(images.ids, images.patients, images.images, strict=True):
        stream, decoded, encode_s, decode_s = _round_trip(codec, image, name)
        judge.check_pair(image, decoded, peak)
        row = {column: metric(image, decoded, peak) for column, metric in judges.items()}
        row |= {
            "image_id": image_id,
            "patient_id": patient,
            "codec": name,
            "bytes": len(stream),
            "bpp": bits_per_pixel(stream, image),
            "ratio_8bit": ratio(stream, image, 8),
            "ratio": ratio(stream, image, reference_bits),
            "mse": judge.mse(image, decoded),
            "max_error": judge.max_error(image, decoded),
            "exact": decoded.dtype == image.dtype and np.array_equal(decoded, image),
            "encode_s": encode_s,
            "decode_s": decode_s,
            "peak": peak,
            "reference_bits": reference_bits,
        }
        rows.append(row)
    table = pd.DataFrame(rows, columns=[*COLUMNS, *(more or {})])
    undefined = ["psnr", "ssim", "ms_ssim", "fsim"]
    return table.astype(dict.fromkeys(undefined, float))


def sweep(
    make_codec: Callable[[float], Codec],
    points: Iterable[float],
    images: ImageSet,
    *,
    name: str,
    **options,
) -> pd.DataFrame:
    """Evaluate one codec at several operating points: the data of a rate–distortion curve.

    Parameters
    ----------
    make_codec : callable
        Makes the codec of one operating point, for example
        ``lambda bpp: codecs.at_rate("jpeg2000", bpp)``.
    points : iterable of float
        Operating points; wrap them in `helpers.progress.progress` for a live line.
    images : ImageSet
    name : str
    **options
        Passed on to `evaluate`.

    Returns
    -------
    pandas.DataFrame
        The rows of `evaluate` and the column ``point``.
    """
    tables = [
        evaluate(make_codec(point), images, name=name, **options).assign(point=point)
        for point in points
    ]
    if not tables:
        raise ValueError(f"The curve of '{name}' needs at least one operating point.")
    return pd.concat(tables, ignore_index=True)


def summary(
    table: pd.DataFrame,
    columns: Sequence[str] = ("bpp", "psnr", "ssim"),
    *,
    by: Sequence[str] = ("codec",),
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Mean of each measure for each codec, with an interval bootstrapped over patients.

    Parameters
    ----------
    table : pandas.DataFrame
        What `evaluate` or `sweep` returned.
    columns : sequence of str
        Measures to sum up.
    by : sequence of str
        What makes a group, ``("codec", "point")`` for a sweep.
    level : float
        Coverage of the interval, 0 to 1.
    seed : int

    Returns
    -------
    pandas.DataFrame
        One row a group and measure: the columns of ``by``, measure, mean, low, high, images,
        patients.
    """
    rows = []
    for key, group in table.groupby(list(by), sort=False):
        for column in columns:
            interval = stats.mean_interval(
                group[column], group["patient_id"], level=level, seed=seed
            )
            rows.append(dict(zip(by, key, strict=True)) | {"measure": column} | interval.as_dict())
    return pd.DataFrame(rows)


def _round_trip(codec: Codec, image: np.ndarray, name: str):
    start = perf_counter()
    stream = codec.encode(image)
    middle = perf_counter()
    if not isinstance(stream, bytes | bytearray):
        raise ValueError(f"The codec '{name}' must encode to bytes, not {type(stream).__name__}.")
    decoded = np.asarray(codec.decode(bytes(stream)))
    return bytes(stream), decoded, middle - start, perf_counter() - middle
