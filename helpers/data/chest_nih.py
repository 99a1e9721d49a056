"""Chest radiographs of the NIH: another hospital, never JPEG; a source of `chest_xray`."""

import functools
import re
from collections.abc import Sequence
from pathlib import Path

from helpers.data.files import image_files
from helpers.data.readers import read_8bit
from helpers.data.registry import Item, Source
from helpers.errors import DataError

_NAME = re.compile(r"(\d{8})_\d{3}")


def patient_of(stem: str) -> str:
    """Patient id inside a file name of the NIH: ``00000165_001`` is film 1 of ``00000165``.

    Parameters
    ----------
    stem : str
        File name without its suffix.

    Returns
    -------
    str

    Raises
    ------
    DataError
        If the name does not follow that pattern.
    """
    match = _NAME.fullmatch(stem)
    if match is None:
        raise DataError(
            f"The film '{stem}' is not named as in the NIH data set (00000165_001), so its "
            "patient is unknown; restore the original file names."
        )
    return match[1]


def _items(folder: Path, slices: int) -> Sequence[Item]:
    paths = image_files(folder)
    films = {path.stem: path for path in paths}
    if not films:
        raise DataError(f"{folder} holds no image; put films such as 00000165_001.png there.")
    if len(films) < len(paths):
        twice = next(path for path in paths if path not in films.values())
        raise DataError(f"The film '{twice.stem}' is there twice; remove one of the two files.")
    return [
        Item(stem, patient_of(stem), "", functools.partial(read_8bit, path))
        for stem, path in sorted(films.items())
    ]


SOURCE = Source(
    name="nih-1024",
    description="films of NIH ChestX-ray8, 1024 x 1024, 8 bit, PNG",
    licence="free to use with attribution",
    citation=(
        "Wang et al. 2017, CVPR (ChestX-ray8); images provided by the NIH Clinical Center, "
        "nihcc.app.box.com/v/ChestXray-NIHCC"
    ),
    items=_items,
    preparation="Films as the NIH published them, in 8 bits at 1024 x 1024, never JPEG.",
    folders=("chest-xray/nih-1024",),
)
