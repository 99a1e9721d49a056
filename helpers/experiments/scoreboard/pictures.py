"""Figures of the scoreboard: curves of all codecs, and one picture at equal rates."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers import codecs
from helpers.codecs.rate import rungs
from helpers.curves import decibels
from helpers.experiments.scoreboard import boards
from helpers.figures import style

STANDARDS = ("jpeg", "jpeg2000", "jpegxl", "avif")
AXES = {"psnr": ("PSNR (dB)", (20, 60)), "ms_ssim_db": ("MS-SSIM (dB)", (5, 40))}
WIDEST = 1.8  # bits a pixel
LARGEST = 18  # grey levels at the end of the error's scale, and
STEPS = 9  # its colours: few, so that files stay small
_WIDTH, _HEIGHT = 4.5, 1.85  # of a frame, in inches


def curves(table: pd.DataFrame) -> Figure:
    """Rate-distortion curves, a row a modality, a column a measure.

    Parameters
    ----------
    table : pandas.DataFrame
        From `helpers.experiments.scoreboard.measures.measured`.

    Returns
    -------
    matplotlib.figure.Figure
        Of one image of each modality, see `middle`; what lies outside of the axes is left out.
    """
    lossy = table[table["kind"] == "lossy"].assign(
        ms_ssim_db=lambda frame: decibels(frame["ms_ssim"])
    )
    modalities = list(lossy["modality"].unique())
    figure, grid = style.new(len(modalities), 2, height=1.2 + 2.9 * len(modalities))
    for row, modality in zip(grid, modalities, strict=True):
        part = lossy[lossy["modality"] == modality]
        part = part[part["image_id"] == middle(part)]
        for axes, (metric, (title, seen)) in zip(row, AXES.items(), strict=True):
            for codec, group in part.groupby("codec", sort=False):
                points = group[group["bpp"] <= WIDEST].sort_values("bpp")
                look = style.look(codec) | {"markersize": 4.5, "linewidth": 1.5}
                axes.plot(points["bpp"], points[metric], label=boards.label(codec), **look)
            axes.set_title(modality)
            axes.set_ylabel(title)
            axes.set_xlim(0, WIDEST)
            axes.set_ylim(*seen)
    for axes in grid[-1]:
        axes.set_xlabel(style.AXES["bpp"])
    style.legend(figure, grid[0, 0], len(grid[0, 0].get_lines()))
    return figure


def middle(part: pd.DataFrame) -> str:
    """Image of a modality that is neither easy nor hard.

    A mean over images would not do for curves: a setting gives an easy image far fewer bits than
    a hard one, and their rates may have nothing in common.

    Parameters
    ----------
    part : pandas.DataFrame
        Lossy rows of one modality.

    Returns
    -------
    str
        Id of the image whose files in JPEG 2000 are of median size.
    """
    sizes = part[part["codec"] == boards.ANCHOR].groupby("image_id")["bpp"].mean().sort_values()
    return str(sizes.index[len(sizes) // 2])


def compared() -> list[str]:
    """Codecs for the slider: the usual standards, and each learned codec that takes a rate."""
    learned = [
        name
        for name in codecs.names(lossless=False)
        if rungs(name, 2) and name not in STANDARDS and getattr(codecs.get(name), "model", "")
    ]
    return [*STANDARDS, *learned]


def at_rates(
    image: np.ndarray, names: Sequence[str], rates: Sequence[float]
) -> Mapping[tuple[str, str], tuple[np.ndarray, float, float]]:
    """One picture from real files of several codecs at the same rates.

    Parameters
    ----------
    image : (H, W) uint8 array
    names : sequence of str
    rates : sequence of float
        At most so many bits a pixel; a codec that has no stream so small gives its smallest.

    Returns
    -------
    mapping of (codec, rate as text) to (picture, bpp, psnr)
        The decoded picture, the rate that its file has, and its PSNR in dB.
    """
    found = {}
    for name in names:
        for rate in rates:
            codec = codecs.at_rate(name, rate, or_least=True)
            stream = codec.encode(image)
            shown = codec.decode(stream)
            error = float(np.mean((shown.astype(np.float64) - image) ** 2))
            quality = 10 * np.log10(255**2 / error) if error else np.inf
            bpp = 8 * len(stream) / image.size
            found[name, f"{rate:g}"] = shown, bpp, float(quality)
    return found


def around(image: np.ndarray, above: int = 20) -> tuple[slice, slice]:
    """Rows and columns of what is brighter than the background.

    Parameters
    ----------
    image : (H, W) array
    above : int
        Grey level of the background, at most.
    """
    bright = [np.flatnonzero((image > above).any(axis)) for axis in (1, 0)]
    return tuple(slice(int(found[0]), int(found[-1]) + 1) for found in bright)


def frame(image: np.ndarray, shown: np.ndarray) -> Figure:
    """Original, decoded picture and absolute error side by side, on fixed scales.

    Parameters
    ----------
    image, shown : (H, W) uint8 arrays

    Returns
    -------
    matplotlib.figure.Figure
        Of the same size for every picture of one shape.
    """
    error = np.abs(image.astype(np.int16) - shown)
    figure, [row] = style.new(1, 3, width=_WIDTH, height=_HEIGHT)
    for axes, picture, title in zip(
        row, (image, shown, error), ("original", "decoded", "error"), strict=True
    ):
        grey = picture is not error
        scale = {"cmap": "gray", "vmax": 255} if grey else {"vmax": LARGEST}
        if not grey:
            scale["cmap"] = style.pyplot.get_cmap("magma").resampled(STEPS)
        drawn = axes.imshow(picture, vmin=0, interpolation="nearest", **scale)
        axes.set_title(title, fontsize=9)
        axes.axis("off")
    bar = figure.colorbar(drawn, ax=row[2], fraction=0.05, pad=0.03)
    bar.set_label("grey levels", fontsize=7)
    bar.ax.tick_params(labelsize=7)
    return figure
