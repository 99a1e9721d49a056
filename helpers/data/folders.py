"""A reader's own folder of images: every format, sub-folders, pages, frames and slices."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from helpers.data.files import visible
from helpers.data.nifti import read_volume
from helpers.data.readers import check_pixels, format_of, read_image
from helpers.errors import DataError


def read_folder(folder: Path, count: int) -> tuple[list[np.ndarray], list[str]]:
    """Read at most `count` images, spread evenly over the files below a folder.

    Where there are fewer files than images wanted, those that hold several (TIFF pages, DICOM
    frames, axial slices of a NIfTI volume) give several.

    Parameters
    ----------
    folder : pathlib.Path
    count : int
        At least 1.

    Returns
    -------
    images : list of (H, W) uint8, uint16 or int16 arrays
    refused : list of str
        One sentence for each file chosen that cannot be read.

    Raises
    ------
    DataError
        If there is no such folder, no image in it, or none that can be read.
    """
    if not folder.is_dir():
        raise DataError(f"There is no folder {folder}; check its name.")
    paths = [path for path in visible(folder) if path.is_file() and format_of(path)]
    if not paths:
        raise DataError(
            f"There is no image in {folder}; name a folder of PNG, TIFF, DICOM or NIfTI files."
        )
    paths = [paths[i] for i in middles(len(paths), count)]
    images, refused = [], []
    for path, share in zip(paths, quotas([_count(path) for path in paths], count), strict=True):
        try:
            images += read_images(path, share)
        except DataError as error:
            refused.append(str(error))
    if not images:
        raise DataError(refused[0])
    return images, refused


def read_images(path: Path, count: int) -> list[np.ndarray]:
    """Read at most `count` images of one file, spread evenly over what it holds.

    Parameters
    ----------
    path : pathlib.Path
    count : int

    Returns
    -------
    list of (H, W) uint8, uint16 or int16 arrays
        The stored integers. Axial slices lie as radiologists look at them: front up, the
        patient's right on the left; those of one value are passed over where others are not.

    Raises
    ------
    DataError
        See `helpers.data.readers.read_image`.
    """
    if format_of(path) != "nifti":
        held = _count(path)
        chosen = middles(held, count) if held > 1 else [None]
        return [read_image(path, slice=number) for number in chosen]
    volume, _ = read_volume(path, stored=True, canonical=True)
    full = np.flatnonzero(volume.max(axis=(0, 1)) > volume.min(axis=(0, 1)))
    full = full if len(full) else np.arange(volume.shape[2])
    levels = full[middles(len(full), count)]
    return [check_pixels(volume[::-1, ::-1, level].T, path) for level in levels]


def middles(count: int, wanted: int) -> list[int]:
    """Positions in the middle of each of `wanted` equal parts; all where there are fewer.

    Parameters
    ----------
    count, wanted : int

    Returns
    -------
    list of int
        Increasing, without repeats.
    """
    wanted = min(count, wanted)
    return [(2 * i + 1) * count // (2 * wanted) for i in range(wanted)]


def quotas(held: Sequence[int], count: int) -> list[int]:
    """Share out a number of images over sources as evenly as what they hold allows.

    Parameters
    ----------
    held : sequence of int
        Images of each source.
    count : int

    Returns
    -------
    list of int
        One share a source, together `count` or all that is held.

    Examples
    --------
    >>> quotas([1, 200, 3], 12)
    [1, 8, 3]
    """
    shares = [0] * len(held)
    left = min(count, sum(held))
    # the smallest first: what they cannot give falls to the others
    for place, i in enumerate(sorted(range(len(held)), key=held.__getitem__)):
        shares[i] = min(held[i], left // (len(held) - place))
        left -= shares[i]
    return shares


def _count(path: Path) -> int:
    """Images that a file holds by its header; 1 where that cannot be read, as reading will say."""
    try:
        match format_of(path):
            case "nifti":
                import nibabel

                header = nibabel.load(path)
                axis = nibabel.io_orientation(header.affine)[:, 0].tolist().index(2)
                return header.shape[axis]
            case "tiff":
                import tifffile

                with tifffile.TiffFile(path) as file:
                    return len(file.pages)
            case "dicom":
                import pydicom

                tag = "NumberOfFrames"
                header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[tag])
                return int(header.get(tag, 1) or 1)
    except Exception:
        return 1
    return 1
