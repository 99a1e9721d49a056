"""Lines, bars and histograms, with units on their axes."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from helpers import publish
from helpers.curves import curve
from helpers.figures import style


def rate_distortion(
    table: pd.DataFrame,
    *,
    name: str,
    caption: str,
    alt: str,
    metric: str = "psnr",
    marks: Mapping[str, tuple[float, float]] | None = None,
    log_rate: bool = False,
    width: str = "100%",
) -> None:
    """Quality against rate, one line a codec, one marker an operating point.

    Parameters
    ----------
    table : pandas.DataFrame
        What `helpers.measure.sweep` returned, several codecs stacked.
    name, caption, alt, width : str
        See `helpers.publish.figure`.
    metric : str
        Column of the vertical axis.
    marks : mapping of label to (bpp, value), optional
        Single points to compare with, for example a paper's claim.
    log_rate : bool
        Logarithmic rate axis, for rates that span more than a factor of ten.
    """
    means = curve(table, metric)
    figure, [[axes]] = style.new(height=4.4)
    for codec, points in means.groupby("codec", sort=False):
        axes.plot(points["bpp"], points[metric], label=style.label(codec), **style.look(codec))
    for text, (rate, value) in (marks or {}).items():
        axes.plot(rate, value, "*", ms=15, mfc="white", mec="#b00000", mew=1.8)
        axes.annotate(
            text,
            (rate, value),
            xytext=(0, -12),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=10,
        )
    axes.margins(x=0.08, y=0.12 if marks else 0.05)
    if log_rate:
        axes.set_xscale("log")
    else:
        axes.set_xlim(left=0)
    axes.set_xlabel(style.AXES["bpp"])
    axes.set_ylabel(style.AXES.get(metric, metric))
    style.legend(figure, axes, means["codec"].nunique())
    publish.figure(figure, name, caption, alt, width)


def lines(
    frame: pd.DataFrame,
    *,
    x_label: str,
    y_label: str,
    name: str,
    caption: str,
    alt: str,
    log_x: bool = False,
    log_y: bool = False,
    marker: bool = True,
    width: str = "100%",
) -> None:
    """Draw one line a column over the frame's index.

    Parameters
    ----------
    frame : pandas.DataFrame
        Index: horizontal positions; columns: one line each; NaN leaves a point out.
    x_label, y_label : str
        With their units.
    name, caption, alt, width : str
        See `helpers.publish.figure`.
    log_x, log_y : bool
        Logarithmic axes.
    marker : bool
        Mark the points.
    """
    figure, [[axes]] = style.new()
    for number, column in enumerate(frame.columns):
        points = frame[column].dropna()
        look = {"color": style.CYCLE[number % len(style.CYCLE)], "marker": "osD^vPX"[number % 7]}
        if not marker:
            del look["marker"]
        axes.plot(points.index, points, label=str(column), **look)
    axes.set_xscale("log" if log_x else "linear")
    axes.set_yscale("log" if log_y else "linear")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    style.legend(figure, axes, len(frame.columns))
    publish.figure(figure, name, caption, alt, width)


def training_curve(
    history: pd.DataFrame,
    *,
    y_label: str,
    name: str,
    caption: str,
    alt: str,
    log_y: bool = False,
    width: str = "100%",
) -> None:
    """Loss or quality over epochs.

    Parameters
    ----------
    history : pandas.DataFrame
        A column ``epoch``; each other column is a line, for example training and test loss.
    y_label : str
        With its unit.
    name, caption, alt, width : str
        See `helpers.publish.figure`.
    log_y : bool
    """
    lines(
        history.set_index("epoch"),
        x_label="epoch",
        y_label=y_label,
        name=name,
        caption=caption,
        alt=alt,
        log_y=log_y,
        marker=len(history) <= 30,
        width=width,
    )


def bars(
    table: pd.DataFrame,
    *,
    x_label: str,
    name: str,
    caption: str,
    alt: str,
    category: str = "codec",
    value: str = "mean",
    low: str | None = None,
    high: str | None = None,
    group: str | None = None,
    form: str = "{:.2f}",
    log: bool = False,
    width: str = "100%",
) -> None:
    """Horizontal bars, with intervals where the table has them.

    Parameters
    ----------
    table : pandas.DataFrame
        One row a bar.
    x_label : str
        What the bars measure, with its unit.
    name, caption, alt, width : str
        See `helpers.publish.figure`.
    category, value : str
        Columns with the bars' names and lengths.
    low, high : str, optional
        Columns with the ends of the intervals; NaN draws none.
    group : str, optional
        Column that sets bars of one category side by side, for example paper and ours.
    form : str
        Format of the number written beside each bar.
    log : bool
        Logarithmic lengths.
    """
    names = list(dict.fromkeys(table[category]))
    groups = list(dict.fromkeys(table[group])) if group else [None]
    thick = 0.8 / len(groups)
    figure, [[axes]] = style.new(height=1.1 + 0.42 * len(names) * max(1.0, 0.7 * len(groups)))
    for number, member in enumerate(groups):
        part = table if member is None else table[table[group] == member]
        at = np.array([names.index(text) for text in part[category]]) + thick * (
            number - (len(groups) - 1) / 2
        )
        colours = (
            [style.look(t)["color"] if style.known(t) else style.CYCLE[0] for t in part[category]]
            if member is None
            else style.CYCLE[number % len(style.CYCLE)]
        )
        drawn = axes.barh(at, part[value], thick * 0.92, color=colours, label=member)
        ends = part[value].to_numpy(float)
        if low and high:
            reach = np.abs(part[[low, high]].to_numpy(float).T - ends)
            axes.errorbar(part[value], at, xerr=reach, fmt="none", ecolor="#333333", capsize=3)
            ends = np.fmax(ends, part[high].to_numpy(float))
        for bar, end, number_shown in zip(drawn, ends, part[value], strict=True):
            axes.annotate(
                form.format(number_shown),
                (end, bar.get_y() + bar.get_height() / 2),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=10,
            )
    axes.set_yticks(range(len(names)), [style.label(text) for text in names])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.14)
    if log:
        axes.set_xscale("log")
    else:
        axes.set_xlim(left=min(0.0, axes.get_xlim()[0]) if (table[value] < 0).any() else 0.0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        if axes.get_xlim()[1] >= 1000:
            axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel(x_label)
    style.legend(figure, axes, len(groups))
    publish.figure(figure, name, caption, alt, width)


def histogram(
    samples: Mapping[str, ArrayLike],
    *,
    x_label: str,
    name: str,
    caption: str,
    alt: str,
    bins: int | ArrayLike = 64,
    log_y: bool = False,
    width: str = "100%",
) -> None:
    """Share of samples in each bin, one outline a sample set, over common bins.

    Parameters
    ----------
    samples : mapping of label to array
        Any shapes; they are flattened.
    x_label : str
        With its unit.
    name, caption, alt, width : str
        See `helpers.publish.figure`.
    bins : int or array
        Number of bins, or their edges.
    log_y : bool
    """
    flat = {text: np.ravel(values) for text, values in samples.items()}
    edges = np.histogram_bin_edges(np.concatenate(list(flat.values())), bins)
    figure, [[axes]] = style.new()
    for number, (text, values) in enumerate(flat.items()):
        share = np.histogram(values, edges)[0] / values.size
        colour = style.CYCLE[number % len(style.CYCLE)]
        axes.stairs(share, edges, color=colour, fill=True, alpha=0.25)
        axes.stairs(share, edges, color=colour, linewidth=1.6, label=text)
    axes.set_yscale("log" if log_y else "linear")
    axes.set_xlabel(x_label)
    axes.set_ylabel("share of samples")
    style.legend(figure, axes, len(flat))
    publish.figure(figure, name, caption, alt, width)
