"""Trees of contexts as in JPEG XL: which pixels share one table of probabilities.

A decoder knows the pixels above and to the left before it decodes the next one. A tree asks a few
questions about them (*is the left error above 7?*), and every leaf has its own statistics. JPEG XL
writes the tree into the stream, so each image can have its own (Alakuijala et al. 2019).

Taught in the section "JPEG XL" of *How classical codecs work*.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

_CANDIDATES = 24  # thresholds tried for each property, spread evenly over the pixels


class Split(NamedTuple):
    """One question of a tree.

    Parameters
    ----------
    leaf : int
        The leaf that is split. Leaf 0 is the whole image; the n-th split makes leaf n.
    feature : str
        The property that is asked for.
    threshold : int
        Pixels with more than this move to the new leaf, the others stay.
    gain : float
        Bits that the split saves on paper, over the whole image.
    """

    leaf: int
    feature: str
    threshold: int
    gain: float


def grow(symbols: np.ndarray, features: Mapping[str, np.ndarray], leaves: int) -> list[Split]:
    """Grow a tree greedily: always the one split that saves most bits.

    Parameters
    ----------
    symbols : (N,) integer array
        What is to be coded, not empty.
    features : mapping of str to (N,) integer array
        Properties of each pixel that the decoder knows before it decodes it.
    leaves : int
        Stop at this number of leaves, or when no split saves a bit.

    Returns
    -------
    list of Split
        At most ``leaves - 1``. The first n of them are the tree of n + 1 leaves.

    Raises
    ------
    ValueError
        If there is no pixel or no property, one is not given for each pixel, or `leaves` is
        below 1.

    Examples
    --------
    >>> noisy = np.repeat([0, 1], 100)
    >>> symbols = noisy * np.tile([-5, 5], 100)
    >>> [split] = grow(symbols, {"noisy": noisy}, leaves=2)
    >>> split.threshold, round(split.gain)
    (0, 200)
    """
    symbols, features = np.ravel(symbols), {k: np.ravel(v) for k, v in features.items()}
    if not symbols.size or not features or leaves < 1:
        raise ValueError("A tree needs at least one pixel, one property and one leaf.")
    if any(values.size != symbols.size for values in features.values()):
        raise ValueError("Give every property for every pixel.")
    _, symbols = np.unique(symbols, return_inverse=True)
    ids = np.zeros(symbols.size, np.int64)
    splits: list[Split] = []
    best = [_best_split(0, ids, symbols, features)]
    while len(best) < leaves:
        split = max(best, key=lambda candidate: candidate.gain)
        if split.gain <= 0:
            break
        splits.append(split)
        _apply(split, len(best), ids, features)
        best[split.leaf] = _best_split(split.leaf, ids, symbols, features)
        best.append(_best_split(len(best), ids, symbols, features))
    return splits


def assign(splits: list[Split], features: Mapping[str, np.ndarray]) -> np.ndarray:
    """Leaf of each pixel.

    Parameters
    ----------
    splits : list of Split
        What `grow` returned, or its beginning.
    features : mapping of str to integer array
        The properties that `grow` was given, all of one shape.

    Returns
    -------
    int64 array of the properties' shape
    """
    ids = np.zeros(next(iter(features.values())).shape, np.int64)
    for new, split in enumerate(splits, 1):
        _apply(split, new, ids, features)
    return ids


def rules(splits: list[Split]) -> list[str]:
    """What the pixels of each leaf have in common, in words.

    Parameters
    ----------
    splits : list of Split

    Returns
    -------
    list of str
        One a leaf, for example ``"3 < left error ≤ 7"``; ``"all"`` for a tree of one leaf.
    """
    ranges: list[dict[str, tuple[float, float]]] = [{}]
    for split in splits:
        parent = ranges[split.leaf]
        low, high = parent.get(split.feature, (-np.inf, np.inf))
        ranges.append(parent | {split.feature: (max(low, split.threshold), high)})
        ranges[split.leaf] = parent | {split.feature: (low, min(high, split.threshold))}
    return [", ".join(_range(*item) for item in leaf.items()) or "all" for leaf in ranges]


def _range(feature: str, limits: tuple[float, float]) -> str:
    low, high = limits
    left = f"{low:g} < " if np.isfinite(low) else ""
    right = f" ≤ {high:g}" if np.isfinite(high) else ""
    return left + feature + right if left or not right else feature + right


def _apply(split: Split, new: int, ids: np.ndarray, features: Mapping[str, np.ndarray]) -> None:
    ids[(ids == split.leaf) & (features[split.feature] > split.threshold)] = new


def _best_split(leaf: int, ids: np.ndarray, symbols: np.ndarray, features: Mapping) -> Split:
    """Split of one leaf that saves most, with a gain of 0 where none saves anything."""
    here = np.flatnonzero(ids == leaf)
    inside, count = symbols[here], int(symbols.max()) + 1
    best = Split(leaf, "", 0, 0.0)
    whole = _bits(np.bincount(inside, minlength=count))
    for name, values in features.items():
        known = values[here]
        shares = np.arange(1, _CANDIDATES + 1) / (_CANDIDATES + 1)
        thresholds = np.unique(np.quantile(known, shares, method="lower"))
        interval = np.searchsorted(thresholds, known, side="left")  # 0: at most the lowest
        counted = np.bincount(
            interval * count + inside, minlength=(thresholds.size + 1) * count
        ).reshape(-1, count)
        below = np.cumsum(counted, axis=0)
        gains = whole - _bits(below[:-1]) - _bits(below[-1] - below[:-1])
        top = int(np.argmax(gains))
        if gains[top] > best.gain + 1e-6:
            best = Split(leaf, name, int(thresholds[top]), float(gains[top]))
    return best


def _bits(counts: np.ndarray) -> np.ndarray:
    """Entropy of histograms times their sizes: what a leaf costs on paper."""
    total = counts.sum(axis=-1)
    logs = np.log2(np.maximum(counts, 1))
    return total * np.log2(np.maximum(total, 1)) - (counts * logs).sum(axis=-1)
