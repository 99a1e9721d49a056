"""NIfTI volumes: how MRI travels between laboratories."""

import gzip
import os
from pathlib import Path

import numpy as np

from helpers.errors import DataError


def read_volume(
    source: str | os.PathLike | bytes,
    *,
    stored: bool = False,
    canonical: bool | None = None,
    name: str = "",
) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Read a 3-D volume.

    Parameters
    ----------
    source : path or bytes
        A ``.nii`` or ``.nii.gz`` file, or its contents (gzipped or not).
    stored : bool
        True: the file's own integers, scale slope ignored. False: the scaled values.
    canonical : bool, optional
        True: in canonical axes, where the first index runs to the patient's right, the second
        to the front, the third to the top of the head (RAS+). False: in the file's own axes.
        Canonical when omitted, unless `stored`.
    name : str
        What error messages call the source, for bytes.

    Returns
    -------
    volume : (X, Y, Z) array
        Integers where `stored`, otherwise what the scale slope gives.
    spacing : tuple of float
        Millimetres between voxels along each axis.

    Raises
    ------
    DataError
        If it cannot be read or is not three-dimensional.
    """
    import nibabel

    name = name or ("the given bytes" if isinstance(source, bytes) else str(source))
    try:
        raw = source if isinstance(source, bytes) else Path(source).read_bytes()
        raw = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
        image = nibabel.Nifti1Image.from_bytes(raw)
        data = image.dataobj.get_unscaled() if stored else image.dataobj
        volume, spacing = np.asarray(data), np.array(image.header.get_zooms()[:3], float)
        if canonical or (canonical is None and not stored):
            axes = nibabel.io_orientation(image.affine)
            volume = nibabel.apply_orientation(volume, axes)
            spacing = spacing[np.argsort(axes[:, 0])]
    except OSError as error:
        raise DataError(f"The file {name} cannot be read ({error}).") from error
    except Exception as error:
        raise DataError(
            f"{name} is not a NIfTI volume that can be read ({type(error).__name__}); check "
            "that it was copied whole."
        ) from error
    volume = np.squeeze(volume, axis=tuple(range(3, volume.ndim)) if _flat(volume) else ())
    if volume.ndim != 3:
        raise DataError(f"{name} has {volume.ndim} axes; a volume with 3 is needed.")
    return volume, tuple(spacing.tolist())


def _flat(volume: np.ndarray) -> bool:
    """Whether the axes after the third hold one entry each."""
    return all(length == 1 for length in volume.shape[3:])
