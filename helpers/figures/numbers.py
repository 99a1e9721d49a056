"""Small arrays shown number by number."""

from collections.abc import Mapping

import numpy as np

from helpers import publish
from helpers.figures import style


def number_grids(
    grids: Mapping[str, np.ndarray],
    *,
    name: str,
    caption: str,
    alt: str,
    columns: int = 2,
    width: str = "100%",
) -> None:
    """Arrays with every value written into its cell, which is coloured by it.

    An array with negative values is coloured from blue over white (0) to red, its colours
    strongest at its largest magnitude and spread by the root, so that small values differ from
    0; any other is grey, from 0 to its largest value.

    Parameters
    ----------
    grids : mapping of title to (h, w) array
        Rounded to whole numbers; at most 8 columns of 4 digits stay readable.
    name, caption, alt, width : str
        See `helpers.publish.figure`.
    columns : int
        Arrays in a row.

    Raises
    ------
    ValueError
        If there is no array.
    """
    if not grids:
        raise ValueError("Give at least one array to show.")
    columns = min(columns, len(grids))
    rows = -(-len(grids) // columns)
    side = style.WIDTH / columns
    tallest = max(grid.shape[0] / grid.shape[1] for grid in grids.values())
    figure, axes_grid = style.new(rows, columns, height=rows * (side * tallest + 0.24))
    for axes in axes_grid.flat:
        axes.axis("off")
    for axes, (title, grid) in zip(axes_grid.flat, grids.items(), strict=False):
        whole = np.rint(grid).astype(int)
        peak = max(1, int(np.abs(whole).max()))
        signed = whole.min() < 0
        shade = np.sign(whole) * np.sqrt(np.abs(whole) / peak) if signed else whole / peak
        axes.imshow(shade, cmap="RdBu_r" if signed else "gray", vmin=-1 if signed else 0, vmax=1)
        for (row, column), value in np.ndenumerate(whole):
            dark = abs(shade[row, column]) > 0.7 if signed else shade[row, column] < 0.5
            axes.text(
                column,
                row,
                str(value).replace("-", "−"),
                ha="center",
                va="center",
                fontsize=9,
                color="white" if dark else "black",
            )
        axes.set_title(title, fontsize=11)
    publish.figure(figure, name, caption, alt, width)
