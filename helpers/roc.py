"""How well a classifier's scores tell two classes apart, and how sure we can be of it.

Taught in the section "Ten images, a hundred times" of the chapter on latent diffusion.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm, rankdata

from helpers.stats import Interval

Statistic = Callable[[np.ndarray, np.ndarray], float]
THRESHOLD = 0.5  # a score from here on is called positive


@dataclass(frozen=True)
class Comparison:
    """Difference of the areas under two curves on the same images.

    Parameters
    ----------
    difference : float
        First minus second.
    low, high : float
        Its 95 % interval.
    p : float
        Two-sided probability of so large a difference if there were none.
    """

    difference: float
    low: float
    high: float
    p: float


def auc(labels: ArrayLike, scores: ArrayLike) -> float:
    """Area under the receiver operating characteristic.

    It is the probability that a positive image scores higher than a negative one, a tie
    counting half.

    Parameters
    ----------
    labels : (N,) bool
        Which images are positive.
    scores : (N,) float
        The higher, the more positive.

    Returns
    -------
    float
        0 to 1; NaN where a class is empty.

    Raises
    ------
    ValueError
        If the lengths differ or a score is not finite.
    """
    labels, scores = _checked(labels, scores)
    positives = int(labels.sum())
    pairs = positives * (len(labels) - positives)
    if not pairs:
        return math.nan
    ranks = rankdata(scores)[labels].sum()
    return float((ranks - positives * (positives + 1) / 2) / pairs)


def curve(labels: ArrayLike, scores: ArrayLike, alarms: ArrayLike) -> np.ndarray:
    """Share of the positive images that are found, for given shares of false alarms.

    Parameters
    ----------
    labels : (N,) bool
    scores : (N,) float
    alarms : (K,) float
        Shares of the negative images that may be called positive, 0 to 1.

    Returns
    -------
    (K,) float
        0 to 1; images of equal scores are called alike.
    """
    labels, scores = _checked(labels, scores)
    called = scores >= np.append(np.inf, np.unique(scores)[::-1])[:, None]
    hits, false = (called[:, own].mean(axis=1) for own in (labels, ~labels))
    return hits[np.searchsorted(false, np.asarray(alarms) + 1e-12, side="right") - 1]


def accuracy(labels: ArrayLike, scores: ArrayLike) -> float:
    """Share of images that are called what they are, at `THRESHOLD`.

    Parameters
    ----------
    labels : (N,) bool
    scores : (N,) float

    Returns
    -------
    float
    """
    labels, scores = _checked(labels, scores)
    return float(np.mean((scores >= THRESHOLD) == labels))


def precision(labels: ArrayLike, scores: ArrayLike) -> float:
    """Share of the images called positive that are.

    Parameters
    ----------
    labels : (N,) bool
    scores : (N,) float

    Returns
    -------
    float
        NaN where none is called positive.
    """
    labels, scores = _checked(labels, scores)
    called = scores >= THRESHOLD
    return float(labels[called].mean()) if called.any() else math.nan


def recall(labels: ArrayLike, scores: ArrayLike) -> float:
    """Share of the positive images that are called so; the sensitivity.

    Parameters
    ----------
    labels : (N,) bool
    scores : (N,) float

    Returns
    -------
    float
        NaN where none is positive.
    """
    labels, scores = _checked(labels, scores)
    return float((scores[labels] >= THRESHOLD).mean()) if labels.any() else math.nan


def interval(
    labels: ArrayLike,
    scores: ArrayLike,
    patients: ArrayLike,
    statistic: Statistic = auc,
    *,
    resamples: int = 2000,
    seed: int = 0,
) -> Interval:
    """A statistic with a 95 % percentile interval, bootstrapped over whole patients.

    Parameters
    ----------
    labels : (N,) bool
    scores : (N,) float
    patients : (N,) str
        Whose image it is; a patient is drawn with all her images.
    statistic : callable
        Takes labels and scores.
    resamples : int
        Draws; those without a value (a class missing) are left out.
    seed : int

    Returns
    -------
    Interval
        Without ends (NaN) for fewer than two patients.
    """
    labels, scores = _checked(labels, scores)
    _, owner = np.unique(np.asarray(patients), return_inverse=True)
    if owner.shape != labels.shape:
        raise ValueError(f"Give one patient for each image, not {len(owner)} for {len(labels)}.")
    value, count = statistic(labels, scores), int(owner.max(initial=-1)) + 1
    if count < 2:
        return Interval(value, math.nan, math.nan, len(labels), count)
    images = np.split(np.argsort(owner, kind="stable"), np.cumsum(np.bincount(owner))[:-1])
    rng = np.random.default_rng(seed)
    drawn = (
        np.concatenate([images[i] for i in rng.integers(count, size=count)])
        for _ in range(resamples)
    )
    low, high = _ends([statistic(labels[chosen], scores[chosen]) for chosen in drawn])
    return Interval(value, low, high, len(labels), count)


def interval_of_ten(
    labels: ArrayLike,
    scores: ArrayLike,
    statistic: Statistic = auc,
    *,
    images: int = 10,
    draws: int = 100,
    seed: int = 0,
) -> Interval:
    """The same with the paper's recipe: a hundred draws of ten images.

    Its width tells how much a test set of ten would vary, not what the whole set tells.

    Parameters
    ----------
    labels : (N,) bool
    scores : (N,) float
    statistic : callable
    images : int
        A draw, with replacement.
    draws : int
    seed : int

    Returns
    -------
    Interval
        Its mean is the mean over the draws; it knows no patients and counts each image as one.
    """
    labels, scores = _checked(labels, scores)
    rng = np.random.default_rng(seed)
    drawn = rng.integers(len(labels), size=(draws, images))
    values = np.array([statistic(labels[chosen], scores[chosen]) for chosen in drawn])
    values = values[~np.isnan(values)]
    mean = float(values.mean()) if values.size else math.nan
    return Interval(mean, *_ends(values), len(labels), len(labels))


def compare(
    labels: ArrayLike, first: ArrayLike, second: ArrayLike, patients: ArrayLike
) -> Comparison:
    """Difference of two areas under the curve, by DeLong's method for patients as clusters.

    Parameters
    ----------
    labels : (N,) bool
    first, second : (N,) float
        Scores of two classifiers for the same images.
    patients : (N,) str

    Returns
    -------
    Comparison

    Raises
    ------
    ValueError
        If a class is empty, or lengths differ.

    Notes
    -----
    DeLong, DeLong and Clarke-Pearson (1988), with the sums over clusters of Obuchowski (1997). With
    one image a patient it is DeLong's method but for factors like n / (n - 1) of the variance.
    """
    labels, _ = _checked(labels, first)
    scores = np.stack([_checked(labels, values)[1] for values in (first, second)])
    _, owner = np.unique(np.asarray(patients), return_inverse=True)
    if owner.shape != labels.shape:
        raise ValueError(f"Give one patient for each image, not {len(owner)} for {len(labels)}.")
    if labels.all() or not labels.any():
        raise ValueError("Both classes must have an image to compare areas under the curve.")
    areas = np.array([auc(labels, values) for values in scores])
    placed = np.stack([_placements(labels, values) for values in scores])
    share = np.where(labels, 1 / labels.sum(), 1 / (~labels).sum())
    apart = (placed - areas[:, None]) * share
    clusters = np.stack([np.bincount(owner, values) for values in apart])
    count = clusters.shape[1]
    spread = clusters[0] - clusters[1]
    deviation = math.sqrt(float((spread**2).sum()) * count / max(count - 1, 1))
    difference = float(areas[0] - areas[1])
    reach = norm.ppf(0.975) * deviation
    p = float(2 * norm.sf(abs(difference) / deviation)) if deviation else float(difference == 0)
    return Comparison(difference, difference - reach, difference + reach, p)


def _placements(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """For every image, the share of the other class that it is on the right side of."""
    values = np.empty(len(labels))
    ranks = rankdata(scores)
    for positive in (True, False):
        own = labels == positive
        below = ranks[own] - rankdata(scores[own])  # images of the other class below, ties half
        share = below / (~own).sum()
        values[own] = share if positive else 1 - share
    return values


def _ends(values: ArrayLike) -> tuple[float, float]:
    values = np.asarray(values, float)
    values = values[~np.isnan(values)]
    if not values.size:
        return math.nan, math.nan
    low, high = np.percentile(values, (2.5, 97.5))
    return float(low), float(high)


def _checked(labels: ArrayLike, scores: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = np.asarray(labels, bool), np.asarray(scores, float)
    if labels.ndim != 1 or labels.shape != scores.shape:
        raise ValueError(f"Give one score for each label, not {scores.shape} for {labels.shape}.")
    if not np.isfinite(scores).all():
        raise ValueError("A score is not a finite number; look at the network that gave it.")
    return labels, scores
