"""One chest radiograph as the machine wrote it: 15 bits, MONOCHROME1, with its window."""

from collections.abc import Sequence
from pathlib import Path

from helpers.data import open_pack
from helpers.data.dicom import read_dicom
from helpers.data.preparation import Picture
from helpers.data.registry import Dataset, Item, Source

MEMBER = "data_store/data/RG1_UNCR.dcm"


def _open_pack_items(folder: Path | None, slices: int) -> Sequence[Item]:
    open_pack.fetch("pydicom-data")  # so that a missing wheel is told before the film
    return [Item("RG1", "RG1", "", _film)]


def _film() -> Picture:
    pixels, info = read_dicom(*open_pack.read("pydicom-data", MEMBER))
    return Picture(pixels, 0.0, 2.0**info.bits - 1, info.bits)


DATASET = Dataset(
    name="chest-dicom",
    title="A chest radiograph as DICOM",
    access=(
        "Copy the wheel of the package pydicom-data into the cache from a machine that has it."
    ),
    sources=(
        Source(
            name="open-pack",
            description="1 film, 1955 x 1841, 15 bit",
            licence="MIT",
            citation="NEMA WG-04 test image RG1, in pydicom-data 1.0.0",
            items=_open_pack_items,
            preparation="MONOCHROME1 inverted, so that bone is bright.",
            window="In 8 bits the full 15-bit range becomes 0 to 255.",
            wheels=("pydicom-data",),
        ),
    ),
)
