"""The reference run of *Beyond the papers*: the lossless codec on all held-out images at hand."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import weights
from helpers.codecs.learned import MODELS
from helpers.data import ImageSet, load, splits
from helpers.data.patches import HELD_OUT
from helpers.experiments import results
from helpers.experiments.beyond import latent, measures
from helpers.experiments.beyond.data import NIH_TEST, reduced
from helpers.experiments.cae_mri.data import HELD_OUT as HEADS
from helpers.experiments.ldm_mammo.task import sides_of
from helpers.experiments.lossless_delta.data import TEST

FILE = results.FOLDER / "beyond-the-papers.json"
COMMAND = "python -m helpers reference beyond-the-papers"
CHEST, MRI, MAMMOGRAPHY = MODELS
ABLATED = 24  # images of a set whose steps are measured, at most
SHORT = 300  # films that the experiment with the auto-encoder learns from
KERMANY, NIH = "Kermany, 256²", "NIH, 256²"
RADIOGRAPH = "RG1, {}²"


def sets(limit: int | None = None) -> dict[str, tuple[str, ImageSet]]:
    """Held-out images by name, with the network of their modality.

    Parameters
    ----------
    limit : int, optional
        At most this many images a set.

    Returns
    -------
    dict of str to (str, ImageSet)
        Name of the weights and images that no network of the codec has learnt from.
    """
    _, kermany = splits.by_name(load("chest-xray", source="kermany-256"), TEST)
    _, nih = splits.by_name(load("chest-xray", size=None, source="nih-1024"), NIH_TEST)
    found = {KERMANY: (CHEST, kermany)}
    found |= {f"NIH, {side}²": (CHEST, scaled(nih, side)) for side in (256, 512, 1024)}
    found |= {
        RADIOGRAPH.format(side): (CHEST, load("chest-dicom", side)) for side in (256, 512, 1024)
    }
    for source, label in (("open-pack", "T1"), ("open-ms", "FLAIR and T2")):
        for depth in (8, 16):
            slices = load("brain-mri", source=source, depth=depth, slices=64)
            _, test = splits.hold_out(slices, HEADS[source])
            found[f"{label}, {depth} bits"] = (MRI, test)
    films = sides_of(load("mammography", None, "cbis-ddsm-256"))[2]
    found["CBIS-DDSM, 256²"] = (MAMMOGRAPHY, films.spread(120))
    _, films = splits.hold_out(load("mammography", 1024, "open-pack", depth=16), HELD_OUT)
    for bits in (16, 12):
        shifted = tuple(image >> (16 - bits) for image in films)
        found[f"CBIS-DDSM, 1024², {bits} bits"] = (
            MAMMOGRAPHY,
            replace(films, images=shifted, bit_depth=bits),
        )
    return {name: (model, images.spread(limit)) for name, (model, images) in found.items()}


def scaled(films: ImageSet, side: int) -> ImageSet:
    """Films reduced to so many rows; those that have as many are left as they are.

    Parameters
    ----------
    films : ImageSet
    side : int
        In pixels.
    """
    images = tuple(i if len(i) == side else reduced(i, side) for i in films)
    return replace(films, images=images)


def run(limit: int | None = None, file: Path = FILE) -> Path:
    """Measure the shipped weights and write the result.

    Parameters
    ----------
    limit : int, optional
        At most this many images a set.
    file : pathlib.Path
        Where the JSON file goes.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    DataError
        If weights or images are not at hand.
    """
    hashes = {name: weights.sha256(name).hex() for name in MODELS}
    used = sets(limit)
    images = {name: part for name, (_, part) in used.items()}
    models = {name: model for name, (model, _) in used.items()}
    some = {name: part.spread(ABLATED) for name, part in images.items()}
    few = {name: part.spread(4) for name, part in images.items() if part.bit_depth == 8}
    training, _ = splits.by_name(load("chest-xray", source="kermany-256"), TEST)
    learnt = min(SHORT, limit or SHORT)
    tables = {
        "shares": measures.shares(images, models),
        "steps": measures.steps(some, models),
        "elsewhere": measures.elsewhere(few, MODELS),
        "latent": latent.worth(training.spread(learnt), some[KERMANY]),
    }
    command = COMMAND if limit is None else f"{COMMAND} --limit {limit}"
    result = {
        **results.header("beyond-the-papers", command),
        "weights_sha256": hashes,
        "images": [results.images(part, "test") | {"name": n} for n, part in images.items()],
        "tables": {name: results.rows(table) for name, table in tables.items()},
    }
    return results.write(result, file)


def load_tables(file: Path = FILE) -> dict[str, pd.DataFrame]:
    """Tables of the reference run by name: ``shares``, ``steps``, ``elsewhere``, ``latent``."""
    return results.tables(facts(file))


def facts(file: Path = FILE) -> dict:
    """Return the whole reference result, with the command, device and versions behind it."""
    return results.read(file, COMMAND)


def pooled(shares: pd.DataFrame) -> pd.Series:
    """Bytes of all images of each set, as a share of those of JPEG XL.

    Parameters
    ----------
    shares : pandas.DataFrame
        From `measures.shares`.
    """
    sums = shares.groupby("set", sort=False)[["learned", "jpegxl"]].sum()
    return (sums["learned"] / sums["jpegxl"]).astype(np.float64)
