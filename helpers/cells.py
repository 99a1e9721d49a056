"""How values look in a table of a page, and how a table is written as Markdown or JSON."""

from typing import Any

import numpy as np
import pandas as pd

_DASH = "–"


def is_numeric(column: pd.Series) -> bool:
    """Whether a column holds numbers, which are set flush right."""
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def text(value: Any, form: str | None) -> str:
    """What a cell shows: two decimals, commas between thousands, a dash for nothing.

    Parameters
    ----------
    value : bool, int, float, str or None
    form : str or None
        Format string for a finite number, or None for the usual one.
    """
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return _DASH
    if isinstance(value, float | np.floating) and np.isinf(value):
        return "∞" if value > 0 else "−∞"
    if form is not None:
        return form.format(value)
    if isinstance(value, float | np.floating):
        return f"{value:.2f}"
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return str(value)


def plain(value: Any) -> Any:
    """A value as JSON can hold it: NaN as null, infinity as text that `float` reads."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not np.isfinite(value):
        return None if np.isnan(value) else str(value)
    return value


def pipes(texts: pd.DataFrame, numeric: list[bool]) -> str:
    """Write a frame of texts as a pipe table of Markdown."""

    def row(cells) -> str:
        clean = (" ".join(str(cell).split()).replace("|", r"\|") for cell in cells)
        return "| " + " | ".join(clean) + " |"

    rule = ["---:" if right else ":---" for right in numeric]
    body = (row(cells) for cells in texts.itertuples(index=False, name=None))
    return "\n".join([row(texts.columns), row(rule), *body])
