"""The paper's compression: films reduced to a half or a quarter, stored as PNG.

Its Table 3 compares the sizes with those of the full-size PNG files and with a ZIP archive of
them, which was larger than the files in it (577 against 564 MB).
"""

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import numpy as np
import pandas as pd

from helpers.codecs.classical import JpegXl, Png
from helpers.codecs.shrink import FACTORS, reduced
from helpers.data import ImageSet

Result = TypeVar("Result")
FORMATS = {"png": "PNG", "jpegxl": "JPEG XL"}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # in ZIP entries, so that equal images give equal bytes


def shrink(images: ImageSet, factor: int, threads: int = 4) -> ImageSet:
    """Reduce images by torchvision's bicubic filter with anti-aliasing.

    Parameters
    ----------
    images : ImageSet
        uint8 or uint16, sides divisible by the factor.
    factor : {2, 4}
        Height and width are divided by it.
    threads : int
        Images reduced at the same time, as in the paper; at least 1.

    Returns
    -------
    ImageSet
        Of the same dtypes and bit depth, rounded once. The filter may overshoot at edges;
        what exceeds the bit depth is set to its end, as in any image file.

    Raises
    ------
    ValueError
        If the factor is another one, or it does not divide a side.
    """
    if factor not in FACTORS:
        raise ValueError(f"Films are reduced by a factor of 2 or 4, not {factor}.")
    for name, image in zip(images.ids, images, strict=True):
        if any(side % factor for side in image.shape):
            raise ValueError(
                f"The image {name} of shape {image.shape} cannot be divided by {factor}; cut it "
                "to sides that can."
            )
    small = _parallel(lambda image: reduced(image, factor, images.bit_depth), images, threads)
    return replace(
        images,
        images=tuple(small),
        preparation=f"{images.preparation} Reduced to 1/{factor} by torchvision's bicubic filter "
        "with anti-aliasing.",
    )


def files(images: ImageSet, format: str = "png", threads: int = 4) -> list[bytes]:
    """Images as lossless files, in memory.

    Parameters
    ----------
    images : ImageSet
    format : {"png", "jpegxl"}
        PNG at its highest level; JPEG XL at effort 7.
    threads : int
        At least 1.

    Returns
    -------
    list of bytes
        One file an image.

    Raises
    ------
    ValueError
        If the format is another one.
    """
    if format not in FORMATS:
        raise ValueError(f"Files are written as {' or '.join(FORMATS)}, not as {format!r}.")
    # The highest effort takes four times as long and gains 1 % on films.
    codec = Png() if format == "png" else JpegXl(effort=7)
    return _parallel(codec.encode, images, threads)


def archive(contents: Sequence[bytes], names: Sequence[str]) -> bytes:
    """Put PNG files into one ZIP archive, deflated, in memory.

    Parameters
    ----------
    contents : sequence of bytes
    names : sequence of str
        One a file, without the ending.

    Returns
    -------
    bytes
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        for name, content in zip(names, contents, strict=True):
            entry = zipfile.ZipInfo(f"{name}.png", _EPOCH)
            target.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def sizes(source: ImageSet, shrunk: Mapping[int, ImageSet], threads: int = 4) -> pd.DataFrame:
    """Real bytes of a set at full and reduced size, as the paper's Table 3.

    Parameters
    ----------
    source : ImageSet
    shrunk : mapping of int to ImageSet
        From `shrink`, by factor, of the same images.
    threads : int

    Returns
    -------
    pandas.DataFrame
        factor (1 for the source), format ("PNG", "ZIP of PNG", "JPEG XL"), images, bytes (of
        all), bits per pixel *of the source* and ratio (bytes of the source's PNG over bytes).

    Raises
    ------
    ValueError
        If a reduced set holds other images than the source.
    """
    for factor, images in shrunk.items():
        if tuple(images.ids) != tuple(source.ids):
            raise ValueError(f"The set reduced by {factor} holds other images than the source.")
    rows = []
    for factor, images in {1: source, **shrunk}.items():
        for format, label in FORMATS.items():
            contents = files(images, format, threads)
            rows.append((factor, label, sum(map(len, contents))))
            if factor == 1 and format == "png":
                rows.append((1, "ZIP of PNG", len(archive(contents, images.ids))))
    table = pd.DataFrame(rows, columns=["factor", "format", "bytes"])
    table.insert(2, "images", len(source))
    table["bpp"] = 8 * table["bytes"] / sum(image.size for image in source)
    table["ratio"] = table["bytes"].iloc[0] / table["bytes"]
    return table


def _parallel(work: Callable[[np.ndarray], Result], images: ImageSet, threads: int) -> list[Result]:
    """Do one thing to every image, in a pool of threads: torch and the codecs free the lock."""
    with ThreadPoolExecutor(max_workers=threads) as pool:
        return list(pool.map(work, images))
