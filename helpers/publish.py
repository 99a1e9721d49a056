"""Put figures, tables and numbers on a page: what a notebook calls, what the runner dresses.

An output carries the words that belong to it (caption, alt text, name) in its metadata
under ``"book"``. The runner turns it into a numbered figure or table that prose can refer to
with ``{numref}``; in JupyterLab the same output is simply seen, its caption below it.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import pyplot
from matplotlib.figure import Figure

from helpers import cells

DPI = 150


def figure(fig: Figure, name: str, caption: str, alt: str, width: str = "100%") -> None:
    """Show a figure with its caption, and close it.

    Parameters
    ----------
    fig : matplotlib.figure.Figure
    name : str
        Name to refer to with ``{numref}``; it begins with ``fig-``.
    caption : str
        MyST text: mathematics, citations and numbers of this run are welcome.
    alt : str
        What a reader who cannot see the figure needs to know, in plain text.
    width : str
        Width on the page, for example ``"60%"``.

    Raises
    ------
    ValueError
        If the name has another beginning, or the caption or the alt text is empty.
    """
    _check_figure(name, caption, alt)
    data = {"image/png": _png(fig), "text/plain": alt}
    book = {"kind": "figure", "name": name, "caption": caption, "alt": alt, "width": width}
    _show(data, book)
    _caption(caption)


def slider(
    figs: Mapping[str, Figure] | Mapping[tuple[str, str], Figure],
    name: str,
    caption: str,
    alt: str,
    start: int,
    width: str = "100%",
    choose: str = "",
) -> None:
    """Show several figures in one place, a slider to go from one to the next.

    Without scripts, on paper and in JupyterLab, the one in the beginning is seen.

    Parameters
    ----------
    figs : mapping of str to matplotlib.figure.Figure
        By what the slider says, with units; all of one size. They are closed. With `choose`, by
        a choice and what the slider says, as in ``("JPEG", "0.5 bpp")``.
    name, caption, alt, width : str
        See `figure`; a figure's alt text is this one and what the slider says.
    start : int
        Which of them is seen in the beginning.
    choose : str
        What there is to choose, as in ``"Codec"``; a list of choices then stands before the slider.

    Raises
    ------
    ValueError
        As in `figure`, or if there is no such figure to start with.
    """
    _check_figure(name, caption, alt)
    if not 0 <= start < len(figs):
        raise ValueError(f"The slider '{name}' has {len(figs)} figures, none has number {start}.")
    frames = []
    for key, fig in figs.items():
        choice, label = key if choose else (None, key)
        frames.append({"label": label, "png": _png(fig)} | ({"choice": choice} if choose else {}))
    book = {"kind": "slider", "name": name, "caption": caption, "alt": alt, "width": width}
    data = {"image/png": frames[start]["png"], "text/plain": alt}
    _show(data, book | {"frames": frames, "start": start} | ({"choose": choose} if choose else {}))
    _caption(caption)


@dataclass(frozen=True)
class Card:
    """One card of `cards`: a picture, and words that lead to another page.

    Parameters
    ----------
    title, text : str
        MyST text; a ``{doc}`` role in the title leads to the page.
    figure : matplotlib.figure.Figure
        Of the same size on all cards; it is closed.
    alt : str
        What a reader who cannot see the figure needs to know, in plain text.
    """

    title: str
    text: str
    figure: Figure
    alt: str


def cards(shown: Sequence[Card], name: str) -> None:
    """Show cards side by side where there is room, one below the other on a phone.

    Parameters
    ----------
    shown : sequence of Card
    name : str
        Of the group; it begins with ``cards-``.

    Raises
    ------
    ValueError
        If the name has another beginning, or a card has no title, text or alt text.
    """
    entries = []
    for card in shown:
        _check(name, "cards-", card.title and card.text and card.alt)
        entries.append({"title": card.title, "text": card.text, "alt": card.alt})
        entries[-1]["png"] = _png(card.figure)
    rows = (
        f'<p><img src="data:image/png;base64,{e["png"]}" alt=""><br>{e["title"]}<br>{e["text"]}</p>'
        for e in entries
    )
    data = {"text/html": "".join(rows), "text/plain": "; ".join(e["title"] for e in entries)}
    _show(data, {"kind": "cards", "name": name, "cards": entries})


def table(
    frame: pd.DataFrame,
    name: str,
    caption: str,
    formats: Mapping[str, str] | None = None,
    index: bool = False,
    rows: pd.DataFrame | None = None,
    sortable: bool = False,
) -> None:
    """Show a table with its caption.

    Parameters
    ----------
    frame : pandas.DataFrame
        Column names are the headings. NaN is shown as a dash, infinity as ∞.
    name : str
        Name to refer to with ``{numref}``; it begins with ``tab-``.
    caption : str
        MyST text.
    formats : mapping of column to format string, optional
        For example ``{"PSNR (dB)": "{:.2f}"}``; otherwise floats have two decimals and
        integers a comma between thousands.
    index : bool
        Show the row names as the first column too.
    rows : pandas.DataFrame, optional
        What other pages may read from this one, unseen here; see `helpers.pages`.
    sortable : bool
        Let readers of the page sort the rows by a column and filter them by words. Numbers that
        begin a cell are sorted by value.

    Raises
    ------
    ValueError
        If the name has another beginning, the caption is empty, or a format is given for a
        column that is not there.
    """
    _check(name, "tab-", caption)
    if index:
        frame = frame.reset_index()
    frame = frame.rename(columns=str)
    formats = dict(formats or {})
    if unknown := set(formats) - set(frame.columns):
        raise ValueError(
            f"The table '{name}' has no column {sorted(unknown)}; it has {list(frame.columns)}."
        )
    texts = pd.DataFrame(
        {
            column: [cells.text(value, formats.get(column)) for value in frame[column]]
            for column in frame.columns
        },
        columns=frame.columns,
        dtype=object,
    )
    numeric = [cells.is_numeric(frame[column]) for column in frame.columns]
    data = {
        "text/html": texts.to_html(index=False, border=0),
        "text/plain": texts.to_string(index=False),
    }
    book = {
        "kind": "table",
        "name": name,
        "caption": caption,
        "markdown": cells.pipes(texts, numeric),
    }
    if sortable:
        book["sortable"] = True
    if rows is not None:
        book["rows"] = [
            {column: cells.plain(value) for column, value in row.items()}
            for row in rows.to_dict("records")
        ]
    _show(data, book)
    _caption(caption)


def glue(name: str, value: Any) -> None:
    """Keep a value for the prose, which shows it with ``{glue:text}`key:.2f```.

    Parameters
    ----------
    name : str
        Key, unique in the book; begin it with the chapter's short name.
    value : str, bool, int or float (Python's or NumPy's)

    Raises
    ------
    ValueError
        If the value is something else.
    """
    if isinstance(value, np.generic | np.ndarray) and np.size(value) == 1:
        value = value.item()  # NumPy's scalars print as np.float64(…) and break format specs
    if not isinstance(value, str | bool | int | float):
        raise ValueError(f"Glue '{name}' with a number or a text, not a {type(value).__name__}.")
    from IPython.core.interactiveshell import InteractiveShell

    if not InteractiveShell.initialized():
        print(f"{name} = {value}")
        return
    import myst_nb

    myst_nb.glue(name, str(value) if isinstance(value, bool) else value, display=False)


def _show(data: dict[str, str], book: dict[str, str]) -> None:
    """Display one output; outside a notebook print its plain text."""
    from IPython.core.interactiveshell import InteractiveShell
    from IPython.display import display

    if InteractiveShell.initialized():
        display(data, metadata={"book": book}, raw=True)
    else:
        print(data["text/plain"])


def _png(fig: Figure) -> str:
    """Base64 text of a figure's PNG file; the figure is closed."""
    buffer = io.BytesIO()
    # without the version of the drawing program equal figures are equal files
    fig.savefig(
        buffer,
        format="png",
        dpi=DPI,
        bbox_inches="tight",
        facecolor="white",
        metadata={"Software": None},
    )
    pyplot.close(fig)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def _check_figure(name: str, caption: str, alt: str) -> None:
    _check(name, "fig-", caption)
    if not alt.strip():
        raise ValueError(f"The figure '{name}' has no alt text; say in one sentence what it shows.")


def _caption(caption: str) -> None:
    """Show the caption to a reader in JupyterLab; the runner takes it off the page."""
    _show({"text/markdown": caption, "text/plain": caption}, {"kind": "lab"})


def _check(name: str, prefix: str, caption: str) -> None:
    if not name.startswith(prefix) or len(name) == len(prefix):
        raise ValueError(f"The name '{name}' must begin with '{prefix}', then say what is shown.")
    if not caption.strip():
        raise ValueError(f"'{name}' has no caption; say in one sentence what to see in it.")
