"""A prepared set in one file, to carry images to a machine without the libraries to read them.

Reading one needs NumPy only.
"""

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from helpers.data.files import write_atomically
from helpers.data.imageset import ImageSet
from helpers.errors import DataError

_FORMAT = "medical-image-compression-book images 1"
_FACTS = ("name", "source", "bit_depth", "licence", "citation", "preparation")
_LISTS = ("ids", "patients", "labels")


def save_prepared(imageset: ImageSet, path: str | os.PathLike) -> None:
    """Write a set to an ``.npz`` file, whole or not at all.

    Parameters
    ----------
    imageset : ImageSet
    path : path
        Ends in ``.npz``.

    Raises
    ------
    ValueError
        If the path has another suffix.
    DataError
        If the folder does not exist or cannot be written to.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise ValueError(f"A prepared set is written to an .npz file, not to {path.name}.")
    facts = {"format": _FORMAT, "fingerprint": imageset.fingerprint}
    facts |= {key: getattr(imageset, key) for key in _FACTS}
    facts |= {key: list(getattr(imageset, key)) for key in _LISTS}
    arrays = {f"image{i:06d}": image for i, image in enumerate(imageset.images)}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, facts=np.array(json.dumps(facts)), **arrays)
    write_atomically(path, buffer.getvalue())


def open_prepared(
    path: str | os.PathLike,
    *,
    name: str | None = None,
    size: int | None = None,
    depth: int | None = None,
) -> ImageSet:
    """Read a set that `save_prepared` wrote, and check that it is the one asked for.

    Parameters
    ----------
    path : path
    name : str, optional
        Data set that it must be.
    size : int, optional
        Side that its images must have.
    depth : {8, 16}, optional
        Bits that its pixels must have.

    Returns
    -------
    ImageSet
        Its ``source`` is the one the images came from before they were packed.

    Raises
    ------
    DataError
        If the file is missing, damaged, no prepared set, or another one than asked for.
    """
    path = Path(path)
    try:
        with np.load(path, allow_pickle=False) as archive:
            facts = json.loads(str(archive["facts"]))
            images = tuple(archive[f"image{i:06d}"] for i in range(len(facts["ids"])))
        if facts["format"] != _FORMAT:
            raise ValueError("another format")
        lists = {key: tuple(facts[key]) for key in _LISTS}
        imageset = ImageSet(images=images, **lists, **{key: facts[key] for key in _FACTS})
        sound = imageset.fingerprint == facts["fingerprint"]
    except Exception as error:
        raise DataError(
            f"{path} is no prepared set that can be read ({error}); write it again with "
            "'python -m helpers data pack NAME --out FILE.npz'."
        ) from error
    wanted = np.uint8 if depth == 8 else np.uint16
    problem = ""
    if not sound:
        problem = "its pixels are not those that were packed"
    elif name not in (None, imageset.name):
        problem = f"it holds {imageset.name}, not {name}"
    elif size is not None and any(image.shape != (size, size) for image in images):
        problem = f"its images are not {size} x {size}"
    elif depth is not None and any(image.dtype != wanted for image in images):
        problem = f"its pixels do not have {depth} bits"
    if problem:
        raise DataError(f"{path} cannot be used: {problem}. Pack it again as you need it.")
    return replace(
        imageset, preparation=f"{imageset.preparation} Read from a prepared file.".strip()
    )
