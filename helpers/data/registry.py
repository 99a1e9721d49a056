"""What the book knows of a data set, and the one function that loads any of them."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from helpers.data.files import data_root
from helpers.data.imageset import ImageSet
from helpers.data.preparation import RESAMPLE, Picture, evenly, prepare
from helpers.errors import DataError


@dataclass(frozen=True)
class Item:
    """One image that can be read when it is wanted.

    Parameters
    ----------
    id, patient, label : str
        See `ImageSet`.
    read : callable
        Takes nothing, returns a `Picture`.
    """

    id: str
    patient: str
    label: str
    read: Callable[[], Picture] = field(repr=False)


@dataclass(frozen=True)
class Source:
    """One place a data set can come from.

    Parameters
    ----------
    name : str
        For example ``"open-pack"``.
    description : str
        What lies there, in one sentence.
    licence, citation : str
    items : callable
        ``items(folder, slices)`` lists the images; `folder` is None for the open pack,
        `slices` the number of slices wanted from each volume.
    preparation : str
        What the reader of this source does to the pixels, in full sentences.
    window : str
        How they become 8 bits, in one sentence; empty where the files have 8 bits.
    wheels : tuple of str
        Projects of the open pack it reads.
    folders : tuple of str
        Where it may lie below ``MEDCODEC_DATA``.
    official : bool
        Whether this is the data set of the paper; ``source="auto"`` prefers it.
    """

    name: str
    description: str
    licence: str
    citation: str
    items: Callable[[Path | None, int], Sequence[Item]] = field(repr=False)
    preparation: str = ""
    window: str = ""
    wheels: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()
    official: bool = False

    def folder(self) -> Path | None:
        """Folder that holds this source on this machine.

        Returns
        -------
        pathlib.Path or None
            None for the open pack and where ``MEDCODEC_DATA`` has no such folder.
        """
        root = data_root()
        candidates = [root / name for name in self.folders] if root else []
        return next((path for path in candidates if path.is_dir()), None)


@dataclass(frozen=True)
class Dataset:
    """One data set of the book and its sources.

    Parameters
    ----------
    name, title : str
    access : str
        How a reader gets the official data, one sentence.
    sources : tuple of Source
    """

    name: str
    title: str
    access: str
    sources: tuple[Source, ...]

    def source(self, name: str) -> Source:
        """Return the source with a name.

        Parameters
        ----------
        name : str

        Raises
        ------
        ValueError
            If the data set has no such source.
        """
        for source in self.sources:
            if source.name == name:
                return source
        known = ", ".join(source.name for source in self.sources)
        raise ValueError(f"'{self.name}' has no source '{name}'; choose auto, {known}.")


def datasets() -> dict[str, Dataset]:
    """All data sets by name.

    Returns
    -------
    dict of str to Dataset
    """
    from helpers.data import brain_mri, chest_dicom, chest_xray, mammography

    modules = (brain_mri, chest_xray, mammography, chest_dicom)
    return {module.DATASET.name: module.DATASET for module in modules}


def names() -> list[str]:
    """Names that `load` knows.

    Returns
    -------
    list of str
    """
    return list(datasets())


def load(
    name: str,
    size: int | None = None,
    source: str | os.PathLike = "auto",
    *,
    depth: int = 8,
    limit: int | None = None,
    slices: int = 32,
    resample: str = "bicubic",
    keep: Callable[[str], bool] | None = None,
) -> ImageSet:
    """Load a data set.

    Parameters
    ----------
    name : str
        ``"brain-mri"``, ``"chest-xray"``, ``"mammography"`` or ``"chest-dicom"``.
    size : int, optional
        Images are zero-padded to a square and resampled to ``size x size`` pixels; the file's
        height and width stay when omitted.
    source : str or path
        ``"auto"`` takes the official data set where ``MEDCODEC_DATA`` holds it, and the open
        pack otherwise. A source's name takes that one. The path of an ``.npz`` file that
        ``python -m helpers data pack`` wrote takes the images in it as they are. Which source
        it was is in the result's ``source``.
    depth : {8, 16}
        8: uint8 through a documented window. 16: the file's whole numbers as uint16, for
        lossless work.
    limit : int, optional
        At most this many images, spread evenly over the set.
    slices : int
        Slices from each volume, spread evenly; volumes only.
    resample : {"bicubic", "bilinear"}
        Filter that resizes to ``size``; either averages where it reduces.
    keep : callable, optional
        Takes an image's id and says whether it is wanted; the others are not even read.

    Returns
    -------
    ImageSet

    Raises
    ------
    DataError
        If no source is at hand, or its files are damaged or laid out in another way.
    ValueError
        If an argument is out of range.

    Notes
    -----
    The book's section "The four data sets" says what each one is.
    """
    for label, value in (("size", size), ("limit", limit), ("slices", slices)):
        if value is not None and not 1 <= value <= 65536:
            raise ValueError(f"{label} must be between 1 and 65536, not {value}.")
    if depth not in (8, 16):
        raise ValueError(f"depth must be 8 or 16 bits, not {depth}.")
    if resample not in RESAMPLE:
        raise ValueError(f"resample must be one of {', '.join(RESAMPLE)}, not {resample!r}.")
    known = datasets()
    if name not in known:
        raise ValueError(f"There is no data set '{name}'; choose one of {', '.join(known)}.")
    if str(source).endswith(".npz"):
        from helpers.data.prepared import open_prepared

        packed = open_prepared(source, name=name, size=size, depth=depth)
        return packed.take(_chosen(packed.ids, keep, limit))
    chosen, items = _items(known[name], str(source), slices)
    items = [items[i] for i in _chosen([item.id for item in items], keep, limit)]
    images, bits = [], 1
    for item in items:
        picture = item.read()
        if depth == 16 and picture.bits <= 8:
            raise ValueError(
                f"The source {chosen.name} of {name} has 8 bits a pixel; ask for depth=8."
            )
        bits = max(bits, picture.bits)
        images.append(prepare(picture, size, depth, resample))
    return ImageSet(
        name=name,
        source=chosen.name,
        images=tuple(images),
        ids=tuple(item.id for item in items),
        patients=tuple(item.patient for item in items),
        labels=tuple(item.label for item in items),
        bit_depth=8 if depth == 8 else bits,
        licence=chosen.licence,
        citation=chosen.citation,
        preparation=_preparation(chosen, size, depth, resample),
    )


def _chosen(ids: Sequence[str], keep: Callable[[str], bool] | None, limit: int | None) -> list[int]:
    """Positions of the images that are wanted, at most `limit` of them."""
    wanted = [i for i, found in enumerate(ids) if keep is None or keep(found)]
    if not wanted:
        raise ValueError("`keep` wants none of the images; let it return True for some ids.")
    return [wanted[i] for i in evenly(len(wanted), limit or len(wanted))]


def _items(dataset: Dataset, name: str, slices: int) -> tuple[Source, Sequence[Item]]:
    """List the images of the source asked for, or say how to get them."""
    if name == "auto":
        official = next((s for s in dataset.sources if s.official and s.folder()), None)
        if official is not None:
            return official, official.items(official.folder(), slices)
        source = dataset.source("open-pack")
    else:
        source = dataset.source(name)
    if source.folders:
        folder = source.folder()
        if folder is None:
            raise DataError(
                f"The source '{source.name}' of {dataset.name} is not on this machine: the "
                "variable MEDCODEC_DATA must name a folder that holds "
                f"{' or '.join(source.folders)}. {dataset.access}"
            )
        return source, source.items(folder, slices)
    try:
        return source, source.items(None, slices)
    except DataError as error:
        raise DataError(f"{error} The other way to {dataset.name}: {dataset.access}") from error


def _preparation(source: Source, size: int | None, depth: int, resample: str) -> str:
    """Say in a few sentences what was done to the pixels."""
    depth_part = source.window if depth == 8 else "Whole numbers kept, up to 16 bits."
    size_part = f"Zero-padded to a square and resampled ({resample}) to {size} x {size}."
    parts = [source.preparation, depth_part, size_part if size is not None else ""]
    return " ".join(part for part in parts if part)
