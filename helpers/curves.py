"""Rate–distortion curves and Bjøntegaard's deltas between two of them.

Taught in the section "Rate–distortion curves" of *Measuring compression*. Import these from
`helpers.measure`.
"""

import warnings

import numpy as np
import pandas as pd


def curve(table: pd.DataFrame, metric: str = "psnr") -> pd.DataFrame:
    """Mean rate and mean quality of each operating point of each codec.

    Parameters
    ----------
    table : pandas.DataFrame
        What `sweep` returned, for one codec or several stacked.
    metric : str

    Returns
    -------
    pandas.DataFrame
        Columns codec, point, bpp and the metric, by rising rate. Points where an image is
        exact (infinite PSNR) have no place on a curve and are left out.
    """
    means = table.groupby(["codec", "point"], sort=False)[["bpp", metric]].mean().reset_index()
    return means[np.isfinite(means[metric])].sort_values(["codec", "bpp"], ignore_index=True)


def decibels(ms_ssim: pd.Series) -> pd.Series:
    """MS-SSIM on a scale on which equal steps look about equal: ``-10 log10(1 - x)``.

    Parameters
    ----------
    ms_ssim : pandas.Series

    Returns
    -------
    pandas.Series
        In dB; infinite for equal images.
    """
    with np.errstate(divide="ignore"):
        return -10 * np.log10(1 - ms_ssim)


def bd_rate(anchor: pd.DataFrame, test: pd.DataFrame, metric: str = "psnr") -> float:
    """Bjøntegaard's mean difference of rate at equal quality, in per cent.

    Parameters
    ----------
    anchor, test : pandas.DataFrame
        What `sweep` returned for one codec each, at least four points.
    metric : str

    Returns
    -------
    float
        Negative where ``test`` needs fewer bits than ``anchor``.

    Raises
    ------
    ValueError
        If a curve has fewer than four points, does not rise, or the two share no quality.
    """
    import bjontegaard

    return _delta(bjontegaard.bd_rate, anchor, test, metric, shared=metric)


def bd_psnr(anchor: pd.DataFrame, test: pd.DataFrame, metric: str = "psnr") -> float:
    """Bjøntegaard's mean difference of quality at equal rate, in the metric's unit (dB).

    Parameters
    ----------
    anchor, test : pandas.DataFrame
        As in `bd_rate`.
    metric : str

    Returns
    -------
    float
        Positive where ``test`` is better than ``anchor``.

    Raises
    ------
    ValueError
        As in `bd_rate`.
    """
    import bjontegaard

    return _delta(bjontegaard.bd_psnr, anchor, test, metric, shared="bpp")


def _delta(function, anchor, test, metric: str, shared: str) -> float:
    """Check two curves, then let the package integrate between them (PCHIP)."""
    curves = [_one_curve(table, metric) for table in (anchor, test)]
    low = max(c[shared].min() for c in curves)
    high = min(c[shared].max() for c in curves)
    names = " and ".join(str(table["codec"].iloc[0]) for table in (anchor, test))
    if low >= high:
        raise ValueError(
            f"The curves of {names} share no range of {shared}; choose operating points so "
            "that they overlap."
        )
    first, second = curves
    with warnings.catch_warnings(action="ignore"):  # a partial overlap: the range is stated
        return float(
            function(
                first["bpp"].to_numpy(),
                first[metric].to_numpy(),
                second["bpp"].to_numpy(),
                second[metric].to_numpy(),
                method="pchip",
                require_matching_points=False,
            )
        )


def _one_curve(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    points = curve(table, metric)
    name = table["codec"].iloc[0]
    if table["codec"].nunique() != 1:
        raise ValueError("A Bjøntegaard delta compares two tables of one codec each.")
    if len(points) < 4:
        raise ValueError(f"The curve of {name} has {len(points)} points; measure at least four.")
    if not (np.diff(points["bpp"]) > 0).all() or not (np.diff(points[metric]) > 0).all():
        raise ValueError(
            f"The {metric} of {name} does not rise with every step of its rate; drop the "
            "operating points that add bits but no quality."
        )
    return points
