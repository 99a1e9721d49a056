"""Several small charts in one figure, each with a scale of its own."""

from collections.abc import Mapping

import pandas as pd

from helpers import publish
from helpers.figures import style


def training_panels(
    histories: Mapping[str, pd.DataFrame],
    *,
    y_labels: Mapping[str, str],
    name: str,
    caption: str,
    alt: str,
    columns: int = 2,
    width: str = "100%",
) -> None:
    """Loss over epochs of several networks, a panel each.

    Their losses have different units, so no panel shares its vertical axis with another.

    Parameters
    ----------
    histories : mapping of title to pandas.DataFrame
        Each with a column ``epoch``; every other column is a line.
    y_labels : mapping of title to str
        What the panel's lines measure.
    name, caption, alt, width : str
        See `helpers.publish.figure`.
    columns : int
        Panels in a row.
    """
    columns = min(columns, len(histories))
    rows = -(-len(histories) // columns)
    figure, grid = style.new(rows, columns, height=3.1 * rows)
    for axes in grid.flat[len(histories) :]:
        axes.axis("off")
    for axes, (title, history) in zip(grid.flat, histories.items(), strict=False):
        for number, column in enumerate(history.columns.drop("epoch")):
            points = history[["epoch", column]].dropna()
            marker = "osD^vPX"[number % 7] if len(points) <= 30 else ""
            axes.plot(
                points["epoch"],
                points[column],
                color=style.CYCLE[number % len(style.CYCLE)],
                marker=marker,
                markersize=3,
                label=column,
            )
        axes.set_title(title, fontsize=11)
        axes.set_xlabel("epoch")
        axes.set_ylabel(y_labels[title])
    fullest = max(grid.flat, key=lambda axes: len(axes.lines))  # some may lack a line
    style.legend(figure, fullest, len(fullest.lines))
    publish.figure(figure, name, caption, alt, width)
