"""``bench rd``: PSNR of the lossy codecs at equal bytes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from helpers import codecs
from helpers.bench.images import Images
from helpers.bench.report import Report
from helpers.progress import progress

HELP = "PSNR at equal bytes, per codec that can be lossy, and the gap to JPEG 2000"
RATES = (0.25, 0.5, 1.0, 2.0)  # bits per pixel
ANCHOR = "jpeg2000"
CODECS = ("jpeg", ANCHOR, "jpegxl", "avif", "wavelet", "spiht")


def rate_distortion(images: Sequence[np.ndarray], names: Sequence[str]) -> pd.DataFrame:
    """PSNR of each codec at equal bytes.

    Parameters
    ----------
    images : sequence of (H, W) integer arrays
    names : sequence of str
        Codecs that can be lossy.

    Returns
    -------
    pandas.DataFrame
        A row a codec, rate and image: ``codec, target_bpp, image, bytes, bpp, psnr, gap``;
        ``psnr`` in dB (infinite where exact, empty where the codec has no stream so small),
        ``gap`` in dB to JPEG 2000 (empty where either is not finite).
    """
    jobs = [(k, rate, name) for k in range(len(images)) for rate in RATES for name in names]
    rows = []
    for k, rate, name in progress(jobs, "rate-distortion"):
        size, psnr = _measure(images[k], name, rate)
        rows.append((name, rate, k, size, 8 * size / images[k].size, psnr))
    frame = pd.DataFrame(rows, columns=["codec", "target_bpp", "image", "bytes", "bpp", "psnr"])
    anchor = frame[frame.codec == ANCHOR].set_index(["target_bpp", "image"]).psnr
    against = [anchor.get((row.target_bpp, row.image), np.nan) for row in frame.itertuples()]
    finite = np.isfinite(frame.psnr) & np.isfinite(against)
    frame["gap"] = (frame.psnr - against).where(finite)
    return frame


def report(images: Images, asked: Sequence[str] | None) -> Report:
    """Measure and put into words.

    Parameters
    ----------
    images : Images
    asked : sequence of str or None
        Codecs; a choice of them when None. JPEG 2000 is always measured.
    """
    names = tuple(dict.fromkeys([ANCHOR, *(asked or CODECS)]))
    frame = rate_distortion(images.pixels, names)
    return Report("rate_distortion", frame, _text(frame, len(images.pixels)))


def _measure(image: np.ndarray, name: str, rate: float) -> tuple[float, float]:
    codec = codecs.at_rate(name, rate)
    try:
        stream = codec.encode(image)
    except ValueError:  # no stream that small
        return np.nan, np.nan
    mse = np.mean((codec.decode(stream).astype(np.float64) - image) ** 2)
    peak = np.iinfo(image.dtype).max
    return len(stream), 10 * np.log10(peak**2 / mse) if mse else np.inf


def _text(frame: pd.DataFrame, count: int) -> str:
    rows = []
    for (rate, name), group in frame.groupby(["target_bpp", "codec"], sort=False):
        finite = group.psnr[np.isfinite(group.psnr)]
        rows.append(
            {
                "bpp": rate,
                "codec": name,
                "psnr": finite.mean(),
                "gap": group.gap.mean(),
                "worst": group.gap.min(),
                "exact": int(np.isinf(group.psnr).sum()),
                "too small": int(group.psnr.isna().sum()),
            }
        )
    return (
        f"PSNR in dB at equal bytes, mean over {count} images (gap: to JPEG 2000, per image)\n"
        + pd.DataFrame(rows).round(2).to_string(index=False)
    )
