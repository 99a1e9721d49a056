"""``bench lossless``: whole bytes of every lossless codec, against the best of the standards."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from numcodecs.abc import Codec

from helpers import codecs, weights
from helpers.bench.clock import now
from helpers.bench.images import Images
from helpers.bench.report import REFUSALS, Report, grouped, reason
from helpers.bench.worker import centre, worker
from helpers.codecs.base import ImageCodec
from helpers.codecs.catalogue import find
from helpers.codecs.classical import JpegXl
from helpers.codecs.container import unpack
from helpers.lossless import pixel_hash
from helpers.measure import break_even
from helpers.progress import progress

HELP = "whole bytes of every lossless codec, shares of JPEG XL and of the best standard, speed"
JPEG_XL = {f"jpegxl-{effort}": effort for effort in JpegXl.efforts}
STANDARDS = ("png", "jpegls", "jpeg2000", "htj2k", "webp", *JPEG_XL)
SHARES = {"jpegxl": tuple(JPEG_XL), "best": STANDARDS}
COLUMNS = [
    *("codec", "image", "pixels", "pixel_bytes", "bytes", "model"),
    *("encode_s", "decode_s", "exact"),
]


def measure(
    images: Sequence[np.ndarray], names: Sequence[str]
) -> tuple[pd.DataFrame, tuple[dict, ...]]:
    """Encode each image here in one process and decode it in another.

    Parameters
    ----------
    images : sequence of (H, W) uint8, uint16 or int16 arrays
    names : sequence of str
        Lossless codecs of the catalogue; ``"jpegxl"`` is measured at efforts 3, 7 and 9.

    Returns
    -------
    table : pandas.DataFrame
        A row a codec and image: ``codec, image, pixels, pixel_bytes, bytes, model`` (name of
        the weights, empty without), ``encode_s, decode_s`` (of CPU time, on one thread), ``exact``.
    left_out : tuple of dict
        Where a codec does not take images, or lacks its weights or its framework; and streams
        that do not decode, which count as inexact. See `helpers.bench.report.grouped`.
    """
    dtypes = {image.dtype: centre(image) for image in images}
    names, rows, refused = _rows(names), [], []
    with worker() as encoder, worker() as decoder:
        for codec in progress(names, "codec"):
            held = find("jpegxl" if codec in JPEG_XL else codec).dtypes
            for dtype in [dtype for dtype in dtypes if dtype.name in held]:
                found = encoder(_encode, codec, dtypes[dtype])
                if not isinstance(found, str):  # compiles and loads what there is
                    decoder(_decode, codec, found[0])
            for number, image in enumerate(progress(images, codec)):
                if image.dtype.name not in held:
                    why = f"it holds {' and '.join(held)} pixels, not {image.dtype}"
                    refused.append((codec, "left out", why))
                    continue
                found = encoder(_encode, codec, image)
                if isinstance(found, str):
                    refused.append((codec, "left out", found))
                    continue
                stream, model, encode_s = found
                answer, decode_s = decoder(_decode, codec, stream)
                if np.isnan(decode_s):
                    refused.append((codec, "not decoded", answer))
                facts = codec, number, image.size, image.nbytes, len(stream), model
                rows.append((*facts, encode_s, decode_s, answer == pixel_hash(image)))
    return pd.DataFrame(rows, columns=COLUMNS), grouped(refused)


def lossless(table: pd.DataFrame) -> pd.DataFrame:
    """Sum up what `measure` returned, smallest share of the best standard first.

    Parameters
    ----------
    table : pandas.DataFrame
        The standards among its codecs.

    Returns
    -------
    pandas.DataFrame
        One row a codec, over the images that it took:

        - ``codec``; ``images``; ``exact``: of them, how many another process decoded exactly;
        - ``pixels``; ``bytes``: of whole streams, headers and side information included;
        - ``bpp``: all bits by all pixels; ``bpp_mean``: mean over the images;
        - ``share_of_jpegxl``: all bytes by those of the best JPEG XL, the least of efforts 3,
          7 and 9 of each image; ``share_of_jpegxl_mean``, ``share_of_jpegxl_worst``: mean and
          largest share of an image; empty where JPEG XL takes none of them;
        - ``share_of_best``, ``share_of_best_mean``, ``share_of_best_worst``: the same against
          the least of those `STANDARDS` that hold the image's pixel type (signed pixels: only
          JPEG 2000 and HTJ2K);
        - ``encode_mb_s``, ``decode_mb_s``: megabytes of pixels a second on one thread, all
          images together;
        - ``weights_kib``: the weights that decoding these images needs, 0 for classical codecs;
        - ``break_even``: images of this mean size from which on streams and weights together
          are smaller than the best JPEG XL; empty where they never are.
    """
    exact = table[table.exact]
    least = {
        name: exact[exact.codec.isin(row_names)].groupby("image")["bytes"].min()
        for name, row_names in SHARES.items()
    }
    rows = []
    for codec, group in table.groupby("codec", sort=False):
        weight = weights.size(set(group.model))
        decoded = group[group.decode_s.notna()]
        row = {
            "codec": codec,
            "images": len(group),
            "exact": int(group.exact.sum()),
            "pixels": int(group.pixels.sum()),
            "bytes": int(group["bytes"].sum()),
            "bpp": 8 * group["bytes"].sum() / group.pixels.sum(),
            "bpp_mean": (8 * group["bytes"] / group.pixels).mean(),
        }
        for name, best in least.items():
            row |= _shares(f"share_of_{name}", group["bytes"], group.image.map(best))
        row |= {
            "encode_mb_s": group.pixel_bytes.sum() / group.encode_s.sum() / 1e6,
            "decode_mb_s": decoded.pixel_bytes.sum() / decoded.decode_s.sum() / 1e6,
            "weights_kib": weight / 1024,
            "break_even": _break_even(weight, group["bytes"], group.image.map(least["jpegxl"])),
        }
        rows.append(row)
    return pd.DataFrame(rows).sort_values("share_of_best", ignore_index=True)


def report(images: Images, asked: Sequence[str] | None) -> Report:
    """Measure and put into words.

    Parameters
    ----------
    images : Images
    asked : sequence of str or None
        Lossless codecs beside the standards, which are always measured; all when None.
    """
    table, left_out = measure(images.pixels, asked or codecs.names(lossless=True))
    summary = lossless(table)
    return Report("lossless", summary, _text(summary, images), left_out)


def _rows(names: Sequence[str]) -> list[str]:
    """Rows of the table: the standards, then the others asked for."""
    for name in names:
        if not find(name).lossless:
            raise ValueError(
                f"The codec '{name}' is never lossless; choose among "
                f"{', '.join(codecs.names(lossless=True))}."
            )
    return list(dict.fromkeys([*STANDARDS, *(name for name in names if name != "jpegxl")]))


@lru_cache(maxsize=64)
def _codec(row: str, model: str = "") -> Codec:
    """Codec of a row, kept in the process so that building it is not timed."""
    if row in JPEG_XL:
        return codecs.get("jpegxl", effort=JPEG_XL[row])
    return codecs.get(row, model=model) if model else codecs.get(row)


def _model(codec: Codec, stream: bytes) -> str:
    """Name of the weights that a stream of the book's own says it needs."""
    return unpack(stream)[0].model if isinstance(codec, ImageCodec) else ""


def _encode(row: str, image: np.ndarray) -> tuple[bytes, str, float] | str:
    """Stream, weights and seconds; or why there is none."""
    try:
        codec = _codec(row)
        started = now()
        stream = bytes(codec.encode(image))
        seconds = now() - started
        return stream, _model(codec, stream), seconds
    except REFUSALS as error:
        return reason(error)


def _decode(row: str, stream: bytes) -> tuple[str, float]:
    """Fingerprint of the pixels and seconds; or why there are none, and not a number."""
    try:
        codec = _codec(row)
        model = _model(codec, stream)
        if model and model != codec.model:  # a codec with several, of which each stream names one
            codec = _codec(row, model)
        started = now()
        image = codec.decode(stream)
        seconds = now() - started
        return pixel_hash(np.asarray(image)), seconds
    except REFUSALS as error:
        return reason(error), float("nan")


def _shares(name: str, size: pd.Series, best: pd.Series) -> dict[str, float]:
    share, known = size / best, best.notna()
    pooled = size[known].sum() / best[known].sum() if known.any() else np.nan
    return {name: pooled, f"{name}_mean": share.mean(), f"{name}_worst": share.max()}


def _break_even(weight: int, size: pd.Series, best: pd.Series) -> float:
    known = best.notna()
    return break_even(weight, size[known].mean(), best[known].mean()) if known.any() else np.nan


def _text(summary: pd.DataFrame, images: Images) -> str:
    formats = {
        "codec": ("codec", "{}"),
        "images": ("images", "{}"),
        "exact": ("exact", "{}"),
        "bpp": ("bits/pixel", "{:.3f}"),
        "share_of_jpegxl": ("share of JPEG XL", "{:.4f}"),
        "share_of_jpegxl_mean": ("mean", "{:.4f}"),
        "share_of_jpegxl_worst": ("worst", "{:.4f}"),
        "share_of_best": ("share of best", "{:.4f}"),
        "encode_mb_s": ("encode MB/s", "{:.2f}"),
        "decode_mb_s": ("decode MB/s", "{:.2f}"),
        "weights_kib": ("weights KiB", "{:.1f}"),
        "break_even": ("break-even images", "{:.0f}"),
    }
    shown = {
        title: [
            "-" if value != value or value == np.inf else text.format(value)
            for value in summary[key]
        ]
        for key, (title, text) in formats.items()
    }
    caption = (
        f"Lossless, {len(images.pixels)} images of {images.source}: whole streams by the best "
        "JPEG XL (of efforts 3, 7, 9) and by the best standard, on one thread"
    )
    return f"{caption}\n{pd.DataFrame(shown).to_string(index=False)}"
