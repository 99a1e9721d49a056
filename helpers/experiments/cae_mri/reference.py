"""The reference run: everything the chapter measures, on more slices, kept as JSON."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from helpers import weights
from helpers.experiments import comparisons, results
from helpers.experiments.cae_mri import measurements as m
from helpers.experiments.cae_mri.data import SIZE, sets

FILE = results.FOLDER / "cae-brotli-mri.json"
COMMAND = "python -m helpers reference cae-brotli-mri"


def run(sources: Sequence[str], limit: int | None = 24, file: Path = FILE) -> Path:
    """Measure the shipped weights on the test patients of each source and write the result.

    Parameters
    ----------
    sources : sequence of str
        Sources of brain MRI that were split when the weights were trained.
    limit : int, optional
        At most this many slices a source and side, spread evenly.
    file : pathlib.Path
        Where the JSON file goes.

    Returns
    -------
    pathlib.Path
        The file.
    """
    tables: dict[str, list[pd.DataFrame]] = {"variants": [], "equal_bytes": [], "curves": []}
    tables["steps"] = []
    used = []
    for source in sources:
        train, test = (images.spread(limit) for images in sets(SIZE, source))
        used += [results.images(train, "train"), results.images(test, "test")]
        tested = m.variants(test, m.VARIANTS, m.METRICS)
        budget = tested[tested["codec"] == "CAE + Brotli"]
        for side, table in (("test", tested), ("train", m.variants(train, m.VARIANTS, m.METRICS))):
            tables["variants"].append(table.assign(source=test.source, side=side))
        equal = comparisons.at_equal_bytes(test, budget, comparisons.STANDARDS, ("psnr", "ssim"))
        tables["equal_bytes"].append(equal.assign(source=test.source))
        tables["steps"].append(m.variants(test, m.STEPS).assign(source=test.source))
        tables["curves"].append(comparisons.curves(test).assign(source=test.source))
    command = " ".join([COMMAND, *(f"--source {name}" for name in results.sources(used))])
    result = {
        **results.header("cae-brotli-mri", command),
        "weights": "cae-mri",
        "weights_sha256": weights.sha256("cae-mri").hex(),
        "images": used,
        "tables": {name: _rows(pd.concat(parts)) for name, parts in tables.items()},
    }
    return results.write(result, file)


def compare_models(
    sources: Sequence[str], models: dict[str, str], file: Path = FILE, limit: int | None = None
) -> Path:
    """Add to the reference result how differently trained weights do on the same slices.

    The slices are those that both ways of splitting hold out: no network trained on any of
    them, but the one trained with ``--split slice`` saw their neighbours.

    Parameters
    ----------
    sources : sequence of str
    models : dict of str to str
        Name in the table, name of the weights.
    file : pathlib.Path
        Result of `run`.
    limit : int, optional

    Returns
    -------
    pathlib.Path
    """
    result = facts(file)
    rows = []
    for source in sources:
        by_patient = sets(SIZE, source)[1]
        by_slice = set(sets(SIZE, source, split="slice")[1].ids)
        shared = [i for i, name in enumerate(by_patient.ids) if name in by_slice]
        images = by_patient.take(shared).spread(limit)
        for name, model in models.items():
            config = {name: m.VARIANTS["CAE + Brotli"]}
            table = m.variants(images, config, ("psnr", "ssim"), model)
            rows.append(table.assign(source=images.source))
    result["tables"]["models"] = _rows(pd.concat(rows))
    result["models"] = {name: _training(model) for name, model in models.items()}
    return results.write(result, file)


def load(file: Path = FILE) -> dict[str, pd.DataFrame]:
    """Tables of the reference run.

    Parameters
    ----------
    file : pathlib.Path

    Returns
    -------
    dict of str to pandas.DataFrame
        ``variants``, ``equal_bytes``, ``steps``, ``curves`` and ``models``: means over
        slices by codec and source, with the number of slices and patients behind each.
    """
    return results.tables(facts(file))


def facts(file: Path = FILE) -> dict:
    """Return the whole reference result, with the command, device and versions behind it."""
    return results.read(file, COMMAND)


def _training(model: str) -> dict:
    card = weights.card(model)
    keys = ("split", "schedule", "device", "date", "images_per_second", "fit_seconds", "sha256")
    return {key: card.get(key) for key in keys}


def _rows(table: pd.DataFrame) -> list[dict]:
    """Means by source, side, codec and operating point."""
    by = [key for key in ("source", "side", "codec", "point") if key in table]
    return results.rows(comparisons.means(table, by))
