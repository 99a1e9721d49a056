"""Intervals that respect patients: slices of one head are not independent witnesses.

Taught in the section "How sure are we?" of *Measuring compression*.
"""

import math
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Interval:
    """A mean and how far it might have moved with other patients.

    Parameters
    ----------
    mean : float
        Mean over images.
    low, high : float
        Ends of the interval; NaN where fewer than two patients leave it unknown.
    images, patients : int
        How many of each stand behind the mean.
    """

    mean: float
    low: float
    high: float
    images: int
    patients: int

    def as_dict(self) -> dict[str, float]:
        """Return the fields as a dictionary, in their order."""
        return asdict(self)


def mean_interval(
    values: ArrayLike,
    patients: ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean over images with a percentile interval, bootstrapped over whole patients.

    Patients are drawn with replacement and bring all their images with them (the cluster
    bootstrap), so many slices of one patient do not pass for many patients.

    Parameters
    ----------
    values : (N,) float
        One measure an image; NaN (undefined) is left out.
    patients : (N,) str
        Whose image it is.
    level : float
        Coverage aimed at, 0 to 1.
    resamples : int
        Number of bootstrap samples.
    seed : int

    Returns
    -------
    Interval
        Without ends (NaN) for one patient, or where an infinite value (the PSNR of an exact
        image) makes the mean infinite. With fewer than about ten patients the interval is
        narrower than its level promises.

    Raises
    ------
    ValueError
        If lengths differ, nothing is left to average, or the level is not between 0 and 1.
    """
    values, patients = np.asarray(values, float), np.asarray(patients)
    if values.ndim != 1 or values.shape != patients.shape:
        raise ValueError(
            f"Give one patient for each value, not {patients.shape} for {values.shape}."
        )
    if not 0 < level < 1:
        raise ValueError(f"The level of an interval lies between 0 and 1, not {level}.")
    keep = ~np.isnan(values)
    values, patients = values[keep], patients[keep]
    if not values.size:
        raise ValueError("There is no value to average: the measure is undefined for every image.")
    _, owner = np.unique(patients, return_inverse=True)
    sums, counts = np.bincount(owner, values), np.bincount(owner)
    mean, low, high = float(values.mean()), math.nan, math.nan
    if len(counts) > 1 and np.isfinite(mean):
        from scipy.stats import bootstrap

        result = bootstrap(
            (sums, counts),
            lambda total, number, axis=-1: total.sum(axis) / number.sum(axis),
            paired=True,
            vectorized=True,
            n_resamples=resamples,
            confidence_level=level,
            method="percentile",
            rng=np.random.default_rng(seed),
        )
        low, high = map(float, result.confidence_interval)
    return Interval(mean, low, high, len(values), len(counts))


def paired_difference(
    table: pd.DataFrame,
    test: str,
    anchor: str,
    column: str = "psnr",
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """Mean of ``test - anchor`` image by image, with its interval over patients.

    Easy and hard images move both codecs together; the difference of a pair takes that out.

    Parameters
    ----------
    table : pandas.DataFrame
        Rows of `helpers.measure.evaluate` or `sweep` for both codecs.
    test, anchor : str
        Names in the column ``codec``.
    column : str
        The measure.
    level : float
    resamples : int
    seed : int

    Returns
    -------
    Interval

    Raises
    ------
    ValueError
        If a codec is missing, or the two were not measured on the same images.
    """
    keys = ["image_id", *(["point"] if "point" in table else [])]
    parts = []
    for name in (test, anchor):
        part = table[table["codec"] == name]
        if part.empty:
            raise ValueError(f"The table has no codec '{name}', only {set(table['codec'])}.")
        parts.append(part.set_index(keys, verify_integrity=True))
    first, second = parts
    if set(first.index) != set(second.index):
        raise ValueError(
            f"'{test}' and '{anchor}' were not measured on the same images; evaluate both on "
            "one image set."
        )
    difference = first[column] - second[column].reindex(first.index)
    return mean_interval(
        difference, first["patient_id"], level=level, resamples=resamples, seed=seed
    )


def text(interval: Interval | pd.Series, digits: int = 2) -> str:
    """Write an interval for a table: ``34.10 [33.20, 35.00]``.

    Parameters
    ----------
    interval : Interval or row of `helpers.measure.summary`
    digits : int
        Decimals.

    Returns
    -------
    str
        Only the mean where the ends are unknown.
    """
    mean, low, high = (
        interval[key] if isinstance(interval, pd.Series) else getattr(interval, key)
        for key in ("mean", "low", "high")  # a Series has a method of its own called mean
    )
    if math.isnan(low):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
