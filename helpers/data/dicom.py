"""DICOM: pixels and technical facts come out, names and dates stay in.

See the book's *Data and DICOM* for what each field means.
"""

import io
import os
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers.errors import DataError

# Compressed transfer syntaxes decoded by imagecodecs; pydicom itself reads the raw ones and RLE.
DECODERS = {
    "1.2.840.10008.1.2.4.50": "jpeg",  # baseline, lossy
    "1.2.840.10008.1.2.4.51": "jpeg",  # extended, 12 bit, lossy
    "1.2.840.10008.1.2.4.57": "ljpeg",  # lossless, process 14
    "1.2.840.10008.1.2.4.70": "ljpeg",  # lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": "jpegls",
    "1.2.840.10008.1.2.4.81": "jpegls",  # near-lossless
    "1.2.840.10008.1.2.4.90": "jpeg2k",  # lossless
    "1.2.840.10008.1.2.4.91": "jpeg2k",
    "1.2.840.10008.1.2.4.110": "jpegxl",  # lossless
    "1.2.840.10008.1.2.4.112": "jpegxl",
    "1.2.840.10008.1.2.4.201": "htj2k",  # lossless
    "1.2.840.10008.1.2.4.202": "htj2k",
    "1.2.840.10008.1.2.4.203": "htj2k",
}


@dataclass(frozen=True)
class DicomInfo:
    """Technical facts of a DICOM image; nothing here can name a person, a place or a day.

    Parameters
    ----------
    modality : str
        Two capital letters such as ``"MG"`` or ``"CR"``, ``""`` where the tag holds else.
    photometric : str
        ``"MONOCHROME1"`` (bigger is darker) or ``"MONOCHROME2"`` (bigger is brighter), as
        the file has it; `read_dicom` returns pixels where bigger is always brighter.
    bits : int
        Bits stored a pixel, 1 to 16.
    signed : bool
    slope, intercept : float
        From stored values to units (for CT, Hounsfield units).
    window : tuple of float, or None
        Centre and width of the first window, in units.
    spacing_mm : tuple of float, or None
        Distance between rows and between columns in millimetres.
    transfer_syntax : str
        How the pixel data is coded in the file.
    lossy : bool
        True where the file says that it was compressed with loss before.
    burned_in : bool or None
        Whether the file says that text is written into the pixels; None where it is silent.
    """

    modality: str
    photometric: str
    bits: int
    signed: bool
    slope: float
    intercept: float
    window: tuple[float, float] | None
    spacing_mm: tuple[float, float] | None
    transfer_syntax: str
    lossy: bool
    burned_in: bool | None


def read_dicom(
    source: str | os.PathLike | bytes, *, frame: int | None = None
) -> tuple[np.ndarray, DicomInfo]:
    """Read one grey image from a DICOM file.

    The stored integers are returned, not the rescaled ones, because those are what a lossless
    codec must keep; `to_units` and `to_display` apply slope, intercept and window. The one
    change: where the photometric interpretation is MONOCHROME1, every bit is flipped
    (``2**bits - 1 - x`` for unsigned pixels), so that bigger is brighter everywhere.

    Parameters
    ----------
    source : path or bytes
        The file, or its contents.
    frame : int, optional
        Frame of a multi-frame file, from 0.

    Returns
    -------
    pixels : (H, W) uint8, uint16 or int16
    info : DicomInfo

    Raises
    ------
    DataError
        If it is no DICOM image, is in colour, has more than 16 bits, has several frames and
        none was chosen, or its pixel data cannot be decoded.
    """
    import pydicom

    name = "the given bytes" if isinstance(source, bytes) else str(source)
    try:
        stream = io.BytesIO(source if isinstance(source, bytes) else Path(source).read_bytes())
        with warnings.catch_warnings():  # what matters of a damaged file is said below
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(stream)
            info = _info(dataset, name)
    except DataError:
        raise
    except OSError as error:
        raise DataError(f"The file {name} cannot be read ({error.strerror}).") from error
    except Exception as error:
        raise DataError(
            f"{name} is not a DICOM file ({type(error).__name__}); check that it was exported "
            "or copied whole."
        ) from error
    frames = int(dataset.get("NumberOfFrames", 1) or 1)
    if frames > 1 and frame is None:
        raise DataError(f"{name} holds {frames} frames; choose one with frame=0 to {frames - 1}.")
    if not 0 <= (frame or 0) < frames:
        raise DataError(f"{name} has no frame {frame}; it holds {frames}, counted from 0.")
    try:
        pixels = _decode(dataset, frame or 0, frames)
    except Exception as error:
        raise DataError(
            f"The pixel data of {name} ({info.transfer_syntax}) cannot be decoded "
            f"({error}); the file may be damaged: copy it again, or export it uncompressed."
        ) from error
    expected = (dataset.Rows, dataset.Columns)
    if pixels.shape != expected:
        raise DataError(f"{name} announces {expected} pixels and holds {pixels.shape}.")
    return _normalise(pixels, info), info


def to_units(pixels: np.ndarray, info: DicomInfo) -> np.ndarray:
    """Values in the file's units: ``slope * stored + intercept``.

    Parameters
    ----------
    pixels : (H, W) array from `read_dicom`
    info : DicomInfo

    Returns
    -------
    (H, W) float32
    """
    stored = _flip(pixels, info) if info.photometric == "MONOCHROME1" else pixels
    return stored.astype(np.float32) * np.float32(info.slope) + np.float32(info.intercept)


def to_display(
    pixels: np.ndarray, info: DicomInfo, window: tuple[float, float] | None = None
) -> np.ndarray:
    """The 8-bit picture a viewer shows: a window of values stretched from black to white.

    The linear window of the DICOM standard (PS3.3, C.11.2.1.2): with centre c and width w,
    values up to ``c - 0.5 - (w - 1) / 2`` are black, those above ``c - 0.5 + (w - 1) / 2``
    white. MONOCHROME1 is shown as it must be, smallest value white.

    Parameters
    ----------
    pixels : (H, W) array from `read_dicom`
    info : DicomInfo
    window : (centre, width), optional
        In units; the file's own when omitted, or else the full range of values.

    Returns
    -------
    (H, W) uint8
    """
    low, high = window_limits(pixels, info, window)
    grey = np.clip((to_units(pixels, info) - low) / max(high - low, 1e-9), 0, 1)
    if info.photometric == "MONOCHROME1":
        grey = 1 - grey
    return np.rint(grey * 255).astype(np.uint8)


def window_limits(
    pixels: np.ndarray, info: DicomInfo, window: tuple[float, float] | None = None
) -> tuple[float, float]:
    """Lowest and highest value, in units, that a window shows apart.

    Parameters
    ----------
    pixels, info, window
        As in `to_display`.

    Returns
    -------
    low, high : float
    """
    centre, width = window or info.window or (None, None)
    if centre is None or width is None:
        units = to_units(pixels, info)
        return float(units.min()), float(units.max())
    half = max(width - 1, 1) / 2
    return centre - 0.5 - half, centre - 0.5 + half


def _info(dataset, name: str) -> DicomInfo:
    photometric = str(dataset.get("PhotometricInterpretation", ""))
    if "PixelData" not in dataset:
        raise DataError(f"{name} is DICOM without integer pixel data; there is no image to read.")
    if int(dataset.get("SamplesPerPixel", 1)) != 1 or not photometric.startswith("MONOCHROME"):
        raise DataError(
            f"{name} is in colour ({photometric or 'unknown'}); this book codes grey images: "
            "convert it to one channel first."
        )
    bits = int(dataset.get("BitsStored", 0))
    if not 1 <= bits <= 16 or int(dataset.get("BitsAllocated", 0)) not in (8, 16):
        raise DataError(f"{name} stores {bits} bits a pixel; between 1 and 16 are read.")
    modality = str(dataset.get("Modality", ""))
    centre, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    spacing = dataset.get("PixelSpacing") or dataset.get("ImagerPixelSpacing")
    syntax = dataset.file_meta.get("TransferSyntaxUID") if "file_meta" in vars(dataset) else None
    burned = str(dataset.get("BurnedInAnnotation", ""))
    return DicomInfo(
        modality=modality if re.fullmatch("[A-Z]{2}", modality) else "",
        photometric="MONOCHROME1" if photometric == "MONOCHROME1" else "MONOCHROME2",
        bits=bits,
        signed=bool(dataset.get("PixelRepresentation", 0)),
        slope=float(dataset.get("RescaleSlope", 1) or 1),
        intercept=float(dataset.get("RescaleIntercept", 0) or 0),
        window=None if centre is None or width is None else (centre, width),
        spacing_mm=None
        if not spacing or not spacing[0]
        else (float(spacing[0]), float(spacing[1])),
        transfer_syntax=syntax.name if syntax and not syntax.is_private else "unknown",
        lossy=str(dataset.get("LossyImageCompression", "")) == "01",
        burned_in={"YES": True, "NO": False}.get(burned),
    )


def _first(value) -> float | None:
    """First of one or several window values; empty tags are none."""
    values = [] if value is None or value == "" else np.atleast_1d(np.asarray(value, float))
    return float(values[0]) if len(values) else None


def _decode(dataset, frame: int, frames: int) -> np.ndarray:
    syntax = str(dataset.file_meta.TransferSyntaxUID)
    if syntax not in DECODERS:
        from pydicom.pixels import pixel_array

        return pixel_array(dataset, index=frame)
    import imagecodecs
    from pydicom.encaps import get_frame

    coded = get_frame(dataset.PixelData, frame, number_of_frames=frames)
    return np.squeeze(getattr(imagecodecs, f"{DECODERS[syntax]}_decode")(coded))


def _normalise(pixels: np.ndarray, info: DicomInfo) -> np.ndarray:
    """Keep the stored bits only, in the smallest of the three dtypes, bigger is brighter."""
    spare = 16 - info.bits  # above the stored bits old files keep overlays: shift them out
    words = pixels.astype(np.int64).astype(np.uint16) << spare
    stored = words.view(np.int16) >> spare if info.signed else words >> spare
    if info.bits <= 8 and not info.signed:
        stored = stored.astype(np.uint8)
    return _flip(stored, info) if info.photometric == "MONOCHROME1" else stored


def _flip(pixels: np.ndarray, info: DicomInfo) -> np.ndarray:
    """Turn dark into bright within the stored bits; doing it twice changes nothing."""
    return ~pixels if info.signed else pixels ^ pixels.dtype.type(2**info.bits - 1)
