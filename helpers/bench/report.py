"""What every subject of the benchmark hands back, and how a refusal becomes a sentence."""

import json
from dataclasses import dataclass

import pandas as pd

from helpers.errors import DataError

# what a codec raises that cannot take an image, or lacks its weights or its framework
REFUSALS = (ValueError, DataError, ImportError)


@dataclass(frozen=True)
class Report:
    """Results of one subject.

    Parameters
    ----------
    name : str
        Key in the JSON.
    table : pandas.DataFrame
        One row an object of the JSON.
    text : str
        The same for people.
    left_out : tuple of dict
        See `grouped`.
    """

    name: str
    table: pd.DataFrame
    text: str
    left_out: tuple[dict, ...] = ()

    def records(self) -> list[dict]:
        """Rows for JSON, with null where there is no finite number."""
        return json.loads(self.table.to_json(orient="records"))


def reason(error: Exception) -> str:
    """Why a codec was left out, as one sentence without its full stop.

    Parameters
    ----------
    error : Exception
        One of `REFUSALS`.
    """
    if isinstance(error, ImportError):
        name = error.name or str(error)
        return f"the package '{name}' is missing (see: python -m helpers check-env)"
    return str(error).rstrip(".")


def grouped(refused: list[tuple[str, str, str]]) -> tuple[dict, ...]:
    """Count equal refusals of a codec.

    Parameters
    ----------
    refused : list of (codec, what, why)
        One entry an image, `what` being ``"left out"`` or ``"not decoded"``.

    Returns
    -------
    tuple of dict
        ``codec``, ``images`` (how many), ``what``, ``reason``.
    """
    return tuple(
        {"codec": codec, "images": refused.count((codec, what, why)), "what": what, "reason": why}
        for codec, what, why in dict.fromkeys(refused)
    )
