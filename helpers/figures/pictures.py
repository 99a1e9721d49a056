"""Images on a page: grey levels shown as they are, on a stated common scale."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from helpers import publish
from helpers.figures import style


def image_grid(
    images: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    peak: float,
    name: str,
    caption: str,
    alt: str,
    columns: int = 4,
    width: str = "100%",
) -> None:
    """Grey images side by side, all from 0 (black) to ``peak`` (white).

    Parameters
    ----------
    images : sequence of (H, W) arrays
    titles : sequence of str
        One an image; an empty one leaves the space out.
    peak : float
        Grey level shown as white.
    name, caption, alt, width : str
        See `helpers.publish.figure`.
    columns : int
        Images in a row.

    Raises
    ------
    ValueError
        If there is not one title an image, or no image.
    """
    if not len(images) or len(images) != len(titles):
        raise ValueError(f"Give one title an image, not {len(titles)} for {len(images)}.")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    side = style.WIDTH / columns
    tallest = max(image.shape[0] / image.shape[1] for image in images)
    lines = max(title.count("\n") + 1 if title else 0 for title in titles)
    figure, grid = style.new(rows, columns, height=rows * (side * tallest + 0.24 * lines))
    for axes in grid.flat:
        axes.axis("off")
    for axes, image, title in zip(grid.flat, images, titles, strict=False):
        _grey(axes, image, peak, side)
        axes.set_title(title, fontsize=11 if columns < 4 else 10)
    publish.figure(figure, name, caption, alt, width)


def comparison(
    rows: Sequence[tuple[str, np.ndarray, np.ndarray]],
    *,
    peak: float,
    name: str,
    caption: str,
    alt: str,
    error_peak: float | None = None,
    crop: tuple[slice, slice] | None = None,
    width: str = "100%",
) -> None:
    """Original, reconstruction and absolute difference, a row for each pair.

    All differences share one scale and its colour bar, so that rows can be compared.

    Parameters
    ----------
    rows : sequence of (title, original, reconstruction)
        (H, W) arrays; the title stands over the reconstruction.
    peak : float
        Grey level shown as white in the first two columns.
    name, caption, alt, width : str
        See `helpers.publish.figure`.
    error_peak : float, optional
        Difference at the end of the colour scale; the largest one when omitted.
    crop : tuple of slice, optional
        Rows and columns to show instead of the whole images.
    """
    shown = [
        (title, *(image[crop] if crop else image for image in (original, decoded)))
        for title, original, decoded in rows
    ]
    errors = [np.abs(a.astype(np.float64) - b) for _, a, b in shown]
    error_peak = error_peak or max(1.0, *(float(error.max()) for error in errors))
    side = style.WIDTH / 3.25
    tallest = max(error.shape[0] / error.shape[1] for error in errors)
    figure, grid = style.new(len(shown), 3, height=len(shown) * (side * tallest + 0.28))
    for axes, (title, original, decoded), error in zip(grid, shown, errors, strict=True):
        _grey(axes[0], original, peak, side)
        _grey(axes[1], decoded, peak, side)
        picture = axes[2].imshow(
            error, cmap="magma", vmin=0, vmax=error_peak, interpolation=_rule(error, side)
        )
        for column, text in enumerate(("original", title, "|difference|")):
            axes[column].set_title(text, fontsize=11)
            axes[column].axis("off")
    bar = figure.colorbar(picture, ax=grid[:, 2].tolist(), fraction=0.05, pad=0.03)
    bar.set_label("grey levels", fontsize=10)
    bar.ax.tick_params(labelsize=9)
    publish.figure(figure, name, caption, alt, width)


def _grey(axes: Axes, image: np.ndarray, peak: float, side: float) -> None:
    axes.imshow(image, cmap="gray", vmin=0, vmax=peak, interpolation=_rule(image, side))
    axes.axis("off")


def _rule(image: np.ndarray, side: float) -> str:
    """Enlarge pixels as squares, never smoothed; only reduction is filtered against aliasing."""
    return "hanning" if max(image.shape) > side * publish.DPI else "nearest"
