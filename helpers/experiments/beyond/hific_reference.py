"""The reference run of HiFiC's counterpart: held-out films, two decoders, and the delta's row."""

from pathlib import Path

import pandas as pd

from helpers import measure, weights
from helpers.codecs.hific import BASE, HificCodec
from helpers.data import ImageSet, load, splits
from helpers.experiments import results
from helpers.experiments.beyond import hific_measures
from helpers.experiments.beyond.data import NIH_TEST
from helpers.experiments.beyond.latent_bank import at_side
from helpers.experiments.lossless_delta import painted
from helpers.experiments.lossless_delta.data import TEST

FILE = results.FOLDER / "beyond-the-papers-hific.json"
COMMAND = "python -m helpers reference beyond-the-papers --codec hific"
KERMANY, NIH, RG1 = "Kermany, 256²", "NIH, 256²", "RG1, 256²"
ROW = 100  # films of the lossless chapter's row, at most
FEW = 24  # films on which decoders are compared
STREAM = ("bpp", "latent_bpp", "delta_bpp", "entropy", "max_error", "exact")


def sets(limit: int | None = None) -> dict[str, ImageSet]:
    """Held-out chest films by name.

    Parameters
    ----------
    limit : int, optional
        At most this many a set.
    """
    kermany = splits.by_name(load("chest-xray", source="kermany-256"), TEST)[1]
    nih = splits.by_name(load("chest-xray", size=None, source="nih-1024"), NIH_TEST)[1]
    found = {
        KERMANY: kermany.spread(limit or ROW),
        NIH: at_side(nih.spread(limit or FEW), 256),
        RG1: load("chest-dicom", 256, depth=8),
    }
    return found


def run(limit: int | None = None, file: Path = FILE) -> Path:
    """Measure the shipped decoder and write the result.

    Parameters
    ----------
    limit : int, optional
        At most this many films a set.
    file : pathlib.Path
        Where the JSON file goes.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    DataError
        If weights or films are not at hand.
    """
    used = sets(limit)
    names = (HificCodec().model, BASE)
    digests = {name: weights.sha256(name).hex() for name in names}
    compared = [
        hific_measures.compared(images.spread(FEW)).assign(set=name)
        for name, images in used.items()
    ]
    rows = painted.streams(used[KERMANY])
    by = ("model", "latent", "delta", "coder")
    tables = {
        "compared": pd.concat(compared, ignore_index=True),
        "streams": measure.summary(rows, STREAM, by=by),
    }
    command = COMMAND if limit is None else f"{COMMAND} --limit {limit}"
    result = {
        **results.header("beyond-the-papers", command),
        "weights_sha256": digests,
        "images": [results.images(part, "test") | {"name": n} for n, part in used.items()],
        "tables": {name: results.rows(table) for name, table in tables.items()},
    }
    return results.write(result, file)


def load_tables(file: Path = FILE) -> dict[str, pd.DataFrame]:
    """Tables of the reference run by name: ``compared``, ``streams``."""
    return results.tables(facts(file))


def facts(file: Path = FILE) -> dict:
    """Return the whole reference result, with the command, device and versions behind it."""
    return results.read(file, COMMAND)
