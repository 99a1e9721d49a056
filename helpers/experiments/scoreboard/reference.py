"""The reference run of the scoreboard: held-out images of all sources at hand."""

from pathlib import Path

import numpy as np
import pandas as pd

from helpers import weights
from helpers.experiments import results
from helpers.experiments.scoreboard import data, measures

FILE = results.FOLDER / "scoreboard.json"
COMMAND = "python -m helpers reference scoreboard"


def run(limit: int | None = None, file: Path = FILE) -> Path:
    """Measure every codec with the shipped weights and write the result.

    Parameters
    ----------
    limit : int, optional
        About so many images a modality.
    file : pathlib.Path
        Where the JSON file goes.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    DataError
        If images are not at hand.
    """
    parts = data.held_out(limit)
    table, left_out = measures.measured(parts)
    result = _result(parts, table, left_out, limit)
    return results.write(result, file)


def _result(parts, table: pd.DataFrame, left_out: tuple[dict, ...], limit: int | None) -> dict:
    used = sorted({name for name in table["model"] if name})
    return {
        **results.header("scoreboard", COMMAND if limit is None else f"{COMMAND} --limit {limit}"),
        "weights_sha256": {name: weights.sha256(name).hex() for name in used},
        "images": [
            results.images(part.images, "test") | {"modality": part.modality} for part in parts
        ],
        "left_out": list(left_out),
        "tables": {"measured": _columns(table)},
    }


def table(file: Path = FILE) -> pd.DataFrame:
    """The one table of the reference run; see `measures.measured`."""
    return results.tables(facts(file))["measured"]


def facts(file: Path = FILE) -> dict:
    """Return the whole reference result, with the command, device and versions behind it."""
    return results.read(file, COMMAND)


def _columns(table: pd.DataFrame) -> dict[str, list]:
    """The table for JSON by columns, as thousands of rows would repeat each column's name."""
    finite = table.replace([np.inf, -np.inf], np.nan)  # JSON knows no infinity
    rows = results.rows(finite)
    return {column: [row[column] for row in rows] for column in table.columns}
