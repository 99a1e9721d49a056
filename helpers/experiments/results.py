"""Reference results as files: ``reference/results/NAME.json``, written at once, read as tables."""

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

import pandas as pd

from helpers.data import ImageSet
from helpers.data.files import write_atomically
from helpers.errors import DataError
from helpers.experiments import cards

FOLDER = Path(__file__).resolve().parents[2] / "reference" / "results"


def header(paper: str, command: str) -> dict:
    """First fields of a result: what it is of, how it is made again, when and where it was.

    Parameters
    ----------
    paper : str
        Key of the paper in ``book/papers.yml``.
    command : str
        The command that makes it.
    """
    return {"paper": paper, "command": command, **cards.when_and_where()}


def images(imageset: ImageSet, side: str) -> dict:
    """Describe the images behind a result.

    Parameters
    ----------
    imageset : ImageSet
    side : str
        Of the split: "train" or "test".
    """
    return {"side": side, **cards.facts(imageset)}


def rows(table: pd.DataFrame) -> list[dict]:
    """Rows of a table for JSON, numbers with six digits.

    Parameters
    ----------
    table : pandas.DataFrame
    """
    return [{key: _short(value) for key, value in row.items()} for row in table.to_dict("records")]


def write(result: Mapping, file: Path) -> Path:
    """Write a result, all of it or nothing.

    Parameters
    ----------
    result : mapping
    file : pathlib.Path

    Returns
    -------
    pathlib.Path
        The file.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, (json.dumps(result, indent=1, allow_nan=False) + "\n").encode())
    return file


def read(file: Path, command: str) -> dict:
    """Read a result.

    Parameters
    ----------
    file : pathlib.Path
    command : str
        Named in the error, so that the reader can make the file.

    Raises
    ------
    DataError
        If there is no such file.
    """
    if not file.is_file():
        raise DataError(f"The reference result {file.name} is missing; make it with: {command}.")
    return json.loads(file.read_text(encoding="utf-8"))


def tables(result: Mapping) -> dict[str, pd.DataFrame]:
    """Tables of a result by name."""
    return {name: pd.DataFrame(found) for name, found in result["tables"].items()}


def sources(used: Iterable[Mapping]) -> list[str]:
    """Names of the sources behind a result, each once, in their order."""
    return list(dict.fromkeys(entry["source"] for entry in used))


def _short(value: object) -> object:
    """Six digits are enough; JSON knows null and no NaN."""
    if not isinstance(value, float):
        return value
    return None if math.isnan(value) else float(f"{value:.6g}")
