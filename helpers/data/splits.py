"""Splits by patient: what a network saw of a person, it must not be tested on.

The book shows why in *Data and DICOM*, section "Splitting by patient".
"""

import hashlib
from collections.abc import Collection, Iterator

import numpy as np

from helpers.data.imageset import ImageSet


def by_patient(imageset: ImageSet, test: float = 0.2, seed: int = 0) -> tuple[ImageSet, ImageSet]:
    """Split a set in two so that no patient is in both.

    Parameters
    ----------
    imageset : ImageSet
    test : float
        Share of the patients to test on, between 0 and 1; at least one patient stays on
        either side.
    seed : int
        The same seed gives the same split.

    Returns
    -------
    train, test : ImageSet
        Their images keep the order of the set.

    Raises
    ------
    ValueError
        If the share is out of range or there is one patient only.
    """
    if not 0 < test < 1:
        raise ValueError(f"The share of patients to test on must lie between 0 and 1, not {test}.")
    patients = _shuffled(imageset, seed, at_least=2)
    count = min(max(round(test * len(patients)), 1), len(patients) - 1)
    return _divide(imageset, set(patients[:count]))


def by_image(imageset: ImageSet, test: float = 0.2, seed: int = 0) -> tuple[ImageSet, ImageSet]:
    """Split a set image by image, whoever is on them: the mistake that `by_patient` avoids.

    Slices of one head are then on both sides, and a network is tested on what it has all but
    seen. The book uses this split only to measure how much that flatters a result.

    Parameters
    ----------
    imageset : ImageSet
    test : float
        Share of the images to test on, between 0 and 1.
    seed : int

    Returns
    -------
    train, test : ImageSet
    """
    order = np.random.default_rng(seed).permutation(len(imageset))
    count = round(test * len(imageset))
    return imageset.take(sorted(order[count:])), imageset.take(sorted(order[:count]))


def by_name(imageset: ImageSet, test: float = 0.1) -> tuple[ImageSet, ImageSet]:
    """Split a set by patient so that the same people are tested on in every source of it.

    Each patient's side follows from the SHA-256 of their id alone. Weights trained on one
    preparation of a data set can then be tested on another one, or on more of its images,
    and never meet a person again.

    Parameters
    ----------
    imageset : ImageSet
    test : float
        Share of all possible ids to test on, between 0 and 1.

    Returns
    -------
    train, test : ImageSet

    Raises
    ------
    ValueError
        If the share is out of range, or so small or large, or the patients so few, that one side
        stays empty.
    """
    if not 0 < test < 1:
        raise ValueError(f"The share of patients to test on must lie between 0 and 1, not {test}.")
    train, test_set = _divide(imageset, {who for who in imageset.patients if _place(who) < test})
    if not len(train) or not len(test_set):
        raise ValueError(
            f"None of the {len(set(imageset.patients))} patient(s) of {imageset.name} falls on the "
            f"{'test' if len(train) else 'training'} side for the share {test}; load more of the "
            "set, or split it with splits.by_patient."
        )
    return train, test_set


def hold_out(imageset: ImageSet, patients: Collection[str]) -> tuple[ImageSet, ImageSet]:
    """Split a set in two with the named patients on the test side.

    For weights that were trained on some patients and must be tested on the others.

    Parameters
    ----------
    imageset : ImageSet
    patients : collection of str
        Patients to test on, at least one of them in the set.

    Returns
    -------
    train, test : ImageSet

    Raises
    ------
    ValueError
        If either side would be empty.
    """
    tested = set(patients) & set(imageset.patients)
    if not tested or tested == set(imageset.patients):
        raise ValueError(
            f"Holding out {', '.join(sorted(patients))} leaves one side of the split empty; "
            f"{imageset.name} has the patients {', '.join(sorted(set(imageset.patients)))}."
        )
    return _divide(imageset, tested)


def three_ways(
    imageset: ImageSet, shares: tuple[float, float, float] = (0.6, 0.2, 0.2), seed: int = 0
) -> tuple[ImageSet, ImageSet, ImageSet]:
    """Split a set in three, by patient and with each class in proportion.

    The parts share out patients; images follow them. Patients are shuffled among those with
    the same labels and then dealt out evenly, so that a part has its share of each class to
    within three patients.

    Parameters
    ----------
    imageset : ImageSet
    shares : (train, validation, test)
        Shares of the patients, positive, together 1; every part has at least one patient.
    seed : int
        The same seed gives the same split.

    Returns
    -------
    train, validation, test : ImageSet
        Their images keep the order of the set.

    Raises
    ------
    ValueError
        If the shares are out of range or there are fewer than three patients.
    """
    if len(shares) != 3 or not all(share > 0 for share in shares) or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(f"The three shares must be positive and make 1 together, not {shares}.")
    labels: dict[str, set[str]] = {}
    for patient, label in zip(imageset.patients, imageset.labels, strict=True):
        labels.setdefault(patient, set()).add(label)
    patients = _shuffled(imageset, seed, at_least=3)
    patients.sort(key=lambda patient: sorted(labels[patient]))  # keeps the shuffle within a class
    bounds = np.rint(np.cumsum(shares) * len(patients)).astype(int)
    counts = np.diff(bounds, prepend=0)
    while not counts.all():
        counts[counts.argmin()] += 1
        counts[counts.argmax()] -= 1
    turns = sorted(((k + 0.5) / counts[i], i) for i in range(3) for k in range(counts[i]))
    part = {patient: i for patient, (_, i) in zip(patients, turns, strict=True)}
    train, validation, test = (
        imageset.take([k for k, patient in enumerate(imageset.patients) if part[patient] == i])
        for i in range(3)
    )
    assert_disjoint(train, validation, test)
    return train, validation, test


def folds(imageset: ImageSet, count: int, seed: int = 0) -> Iterator[tuple[ImageSet, ImageSet]]:
    """Cross-validation: every patient is tested on once.

    Parameters
    ----------
    imageset : ImageSet
    count : int
        Number of folds, from 2 to the number of patients (leave one patient out).
    seed : int

    Yields
    ------
    train, test : ImageSet

    Raises
    ------
    ValueError
        If there are fewer patients than folds.
    """
    if count < 2:
        raise ValueError(f"Cross-validation needs at least 2 folds, not {count}.")
    patients = _shuffled(imageset, seed, at_least=count)
    for fold in range(count):
        yield _divide(imageset, set(patients[fold::count]))


def assert_disjoint(*sets: ImageSet) -> None:
    """Make sure that no patient is in two sets.

    Parameters
    ----------
    *sets : ImageSet

    Raises
    ------
    ValueError
        Naming a patient that is in two of them.
    """
    seen: dict[str, int] = {}
    for number, imageset in enumerate(sets):
        for patient in imageset.patients:
            if seen.setdefault(patient, number) != number:
                raise ValueError(
                    f"The patient '{patient}' is in two of the sets, so a result on one of them "
                    "would rest on what was seen in the other; split with splits.by_patient."
                )


def _place(patient: str) -> float:
    """Where an id falls between 0 and 1."""
    return int.from_bytes(hashlib.sha256(patient.encode()).digest()[:8], "big") / 2**64


def _shuffled(imageset: ImageSet, seed: int, at_least: int) -> list[str]:
    patients = sorted(set(imageset.patients))
    if len(patients) < at_least:
        raise ValueError(
            f"The set {imageset.name} has {len(patients)} patient(s); {at_least} are needed to "
            "split it by patient."
        )
    return [patients[i] for i in np.random.default_rng(seed).permutation(len(patients))]


def _divide(imageset: ImageSet, tested: set[str]) -> tuple[ImageSet, ImageSet]:
    held_out = [patient in tested for patient in imageset.patients]
    train = imageset.take([i for i, out in enumerate(held_out) if not out])
    test = imageset.take([i for i, out in enumerate(held_out) if out])
    assert_disjoint(train, test)
    return train, test
