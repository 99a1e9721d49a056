"""One door for a user's own image, and one way back to disk."""

import io
import os
from pathlib import Path

import numpy as np

from helpers.data.dicom import read_dicom
from helpers.data.files import write_atomically
from helpers.data.nifti import read_volume
from helpers.data.preparation import Picture
from helpers.errors import DataError

DTYPES = (np.dtype("uint8"), np.dtype("uint16"), np.dtype("int16"))
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, as in JPEG


def read_image(
    path: str | os.PathLike,
    *,
    slice: int | None = None,
    axis: int = 2,
    luma: bool = False,
) -> np.ndarray:
    """Read one grey image from a PNG, JPEG, TIFF, NIfTI or DICOM file.

    Parameters
    ----------
    path : path
        The format follows from the suffix; files without one that hold the DICOM mark at
        byte 128 are read as DICOM.
    slice : int, optional
        Slice of a NIfTI volume (the middle one when omitted), page of a TIFF file or frame of
        a DICOM file, counted from 0.
    axis : {0, 1, 2}
        Axis of a NIfTI volume that `slice` counts along.
    luma : bool
        True: a colour image is reduced to its brightness; False: it is refused.

    Returns
    -------
    (H, W) uint8, uint16 or int16
        The stored integers (DICOM: see `helpers.data.dicom.read_dicom`).

    Raises
    ------
    DataError
        If the file is missing, of another kind, damaged, in colour, or holds pixels of
        another type than 8- or 16-bit integers.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"There is no file {path}; check its name.")
    kind = format_of(path)
    if kind == "nifti":
        return check_pixels(_nifti_slice(path, slice, axis), path)
    if kind == "dicom":
        return read_dicom(path, frame=slice)[0]
    if kind not in _DECODERS:
        raise DataError(
            f"The file {path} is of no format read here; give a PNG, JPEG, TIFF, NIfTI "
            "(.nii, .nii.gz) or DICOM (.dcm) file."
        )
    try:
        image = _DECODERS[kind](path.read_bytes(), slice)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except Exception as error:
        raise DataError(
            f"The file {path} cannot be decoded ({error}); it may be damaged or of "
            "another format than its name says."
        ) from error
    return check_pixels(_grey(image, path, luma), path)


def format_of(path: Path) -> str:
    """Format that `read_image` takes a file for, by its suffix or the mark of DICOM.

    Parameters
    ----------
    path : pathlib.Path

    Returns
    -------
    str
        ``"png"``, ``"jpeg"``, ``"tiff"``, ``"nifti"`` or ``"dicom"``; empty for any other.
    """
    suffix = "".join(path.suffixes[-2:]).lower()
    kind = next((kind for kind, ends in _ENDINGS.items() if suffix.endswith(ends)), "")
    return kind if kind == "nifti" or not _has_dicom_mark(path) else "dicom"


def read_8bit(path: str | os.PathLike) -> Picture:
    """Read a file of a data set that has 8 bits a pixel, colour reduced to luma.

    Parameters
    ----------
    path : path

    Returns
    -------
    Picture

    Raises
    ------
    DataError
        If the file cannot be read, or has another depth.
    """
    pixels = read_image(path, luma=True)
    if pixels.dtype != np.uint8:
        raise DataError(f"The image {path} is {pixels.dtype}; this data set has 8 bits a pixel.")
    return Picture(pixels, 0.0, 255.0, 8)


def decode_jpeg(data: bytes) -> np.ndarray:
    """Decode a JPEG stream to grey, as its luma where it is in colour.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    (H, W) uint8

    Raises
    ------
    DataError
        If the bytes are not a JPEG stream.
    """
    import imagecodecs

    try:
        _whole_jpeg(data)
        return np.squeeze(imagecodecs.jpeg_decode(data, outcolorspace="GRAYSCALE"))
    except Exception as error:
        raise DataError(f"The JPEG stream cannot be decoded ({error}).") from error


def write_image(path: str | os.PathLike, image: np.ndarray) -> None:
    """Write an image as PNG or TIFF, whole or not at all, without loss or metadata.

    Parameters
    ----------
    path : path
        Ends in ``.png`` (uint8, uint16) or ``.tif``/``.tiff`` (also int16).
    image : (H, W) uint8, uint16 or int16

    Raises
    ------
    ValueError
        If the suffix, rank or dtype cannot be written.
    DataError
        If the folder does not exist or cannot be written to.
    """
    path, image = Path(path), np.ascontiguousarray(image)
    if image.ndim != 2 or image.dtype not in DTYPES:
        raise ValueError(
            f"Only 2-D images of uint8, uint16 or int16 are written, not {image.ndim}-D "
            f"{image.dtype}."
        )
    suffix = path.suffix.lower()
    if suffix == ".png" and image.dtype != np.int16:
        import imagecodecs

        data = imagecodecs.png_encode(image)
    elif suffix in (".tif", ".tiff"):
        import tifffile

        buffer = io.BytesIO()
        tifffile.imwrite(buffer, image, photometric="minisblack", software=False, metadata=None)
        data = buffer.getvalue()
    else:
        raise ValueError(
            f"Pixels of {image.dtype} cannot be written to {path.name}; name a .png file (uint8, "
            "uint16) or a .tif file (also int16)."
        )
    write_atomically(path, data)


def _png(data: bytes, page: int | None) -> np.ndarray:
    import imagecodecs

    _only_first(page)
    return imagecodecs.png_decode(data)


def _jpeg(data: bytes, page: int | None) -> np.ndarray:
    import imagecodecs

    _only_first(page)
    _whole_jpeg(data)
    return imagecodecs.jpeg_decode(data)


def _whole_jpeg(data: bytes) -> None:
    """Refuse a stream cut off in its last scan: the library would fill the rest with grey."""
    if data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        raise ValueError("it ends before its end-of-image mark")


def _only_first(page: int | None) -> None:
    if page:
        raise DataError(f"it holds one image, so there is no slice {page}; leave the number out.")


def _tiff(data: bytes, page: int | None) -> np.ndarray:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        count = len(file.pages)
        if count > 1 and page is None:
            raise DataError(f"it holds {count} pages; choose one with slice=0 to {count - 1}.")
        if not 0 <= (page or 0) < count:
            raise DataError(f"it has no page {page}; it holds {count}, counted from 0.")
        chosen = file.pages[page or 0]
        image = chosen.asarray()
        if chosen.photometric == tifffile.PHOTOMETRIC.MINISWHITE:
            image = ~image  # bigger is darker in such files
        return image


_DECODERS = {"png": _png, "jpeg": _jpeg, "tiff": _tiff}
_ENDINGS = {
    "nifti": (".nii", ".nii.gz"),
    "dicom": (".dcm", ".dicom", ".ima"),
    "png": (".png",),
    "jpeg": (".jpg", ".jpeg"),
    "tiff": (".tif", ".tiff"),
}


def _nifti_slice(path: Path, index: int | None, axis: int) -> np.ndarray:
    volume, _ = read_volume(path, stored=True)
    if axis not in (0, 1, 2):
        raise DataError(f"{path} has the axes 0, 1 and 2, not {axis}.")
    count = volume.shape[axis]
    index = count // 2 if index is None else index
    if not 0 <= index < count:
        raise DataError(
            f"{path} has no slice {index} along axis {axis}; it holds {count}, counted from 0."
        )
    return volume.take(index, axis)


def _has_dicom_mark(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _grey(image: np.ndarray, path: Path, luma: bool) -> np.ndarray:
    """One channel: as it is, from equal channels, or by luma where that was asked for."""
    if image.ndim != 3:
        return image
    if image.shape[-1] in (2, 4) and np.ptp(image[..., -1]):
        raise DataError(
            f"The file {path} has a fourth or second channel (transparency, or black ink); "
            "flatten it to one grey channel first."
        )
    colours = image[..., : min(3, image.shape[-1])]
    if colours.shape[-1] < 3 or (colours == colours[..., :1]).all():
        return colours[..., 0]
    if not luma:
        raise DataError(
            f"The file {path} is in colour; this book codes grey images: convert it to one "
            "channel first."
        )
    return np.rint(colours @ LUMA).astype(image.dtype)


def check_pixels(image: np.ndarray, path: Path) -> np.ndarray:
    """Pixels of a file as an array that codecs take, or an error that says what they are.

    Parameters
    ----------
    image : array
    path : pathlib.Path
        Where they come from, for messages.

    Returns
    -------
    (H, W) uint8, uint16 or int16, C-contiguous
    """
    native = image.dtype.newbyteorder("=")
    if image.ndim != 2 or not image.size:
        raise DataError(f"The file {path} holds {image.ndim}-D data, not one grey image.")
    if native not in DTYPES:
        raise DataError(
            f"The pixels of {path} are {native}; 8- and 16-bit integers are read. Convert it "
            "first, and note what scale you used: it is part of the image."
        )
    return np.ascontiguousarray(image, native)
