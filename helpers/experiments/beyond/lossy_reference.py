"""The reference run of the lossy codec that learns: all held-out images at hand."""

from pathlib import Path

import pandas as pd

from helpers import weights
from helpers.codecs.hyperprior.codec import HyperCodec
from helpers.data import ImageSet, load
from helpers.experiments import results
from helpers.experiments.beyond import pictures, rates
from helpers.experiments.beyond.reference import scaled

FILE = results.FOLDER / "beyond-the-papers-lossy.json"
COMMAND = "python -m helpers reference beyond-the-papers --codec lossy"
WHOLE = 12  # images of a set whose curves are measured, at most
PARTS = 2  # images of a set on which parts are left out, at most


def sets(limit: int | None = None) -> dict[str, ImageSet]:
    """Held-out images of 8 bits by name.

    Parameters
    ----------
    limit : int, optional
        At most this many images a set.
    """
    kermany, nih, heads, lesions, tumours, breasts, _ = (
        album.images for album in pictures.albums("test")
    )
    found = {"Kermany, 256²": kermany}
    found |= {f"NIH, {side}²": scaled(nih, side) for side in (256, 512)}
    found |= {f"RG1, {side}²": load("chest-dicom", side, depth=8) for side in (256, 512)}
    found |= {"T1": heads, "FLAIR and T2": lesions, "T1 with contrast, 512²": tumours}
    found["CBIS-DDSM, 256²"] = breasts
    return {name: images.spread(min(WHOLE, limit or WHOLE)) for name, images in found.items()}


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
    model = HyperCodec().model
    digest = weights.sha256(model).hex()
    used = sets(limit)
    curves, deltas = rates.curves(used)
    tables = {
        "curves": curves,
        "deltas": deltas,
        "without": rates.without({name: part.spread(PARTS) for name, part in used.items()}),
    }
    command = COMMAND if limit is None else f"{COMMAND} --limit {limit}"
    result = {
        **results.header("beyond-the-papers", command),
        "weights_sha256": {model: digest},
        "images": [results.images(part, "test") | {"name": n} for n, part in used.items()],
        "tables": {name: results.rows(table) for name, table in tables.items()},
    }
    return results.write(result, file)


def load_tables(file: Path = FILE) -> dict[str, pd.DataFrame]:
    """Tables of the reference run by name: ``curves``, ``deltas``, ``without``."""
    return results.tables(facts(file))


def facts(file: Path = FILE) -> dict:
    """Return the whole reference result, with the command, device and versions behind it."""
    return results.read(file, COMMAND)
