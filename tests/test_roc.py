"""Areas under the curve, their intervals and their comparison."""

import math

import numpy as np
import pytest
from scipy.stats import mannwhitneyu
from torchmetrics.functional.classification import binary_auroc

from helpers import roc


def made(patients=60, images=2, shift=1.0, noise=1.0, seed=0):
    """Labels by patient, two classifiers' scores that share a patient's part, and the patients."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(patients), images)
    labels = rng.random(patients)[owner] < 0.5
    common = rng.normal(size=patients)[owner] + shift * labels
    first, second = (common + noise * rng.normal(size=len(owner)) for _ in range(2))
    return labels, first, second, np.array([f"P{i}" for i in owner])


def test_auc_agrees_with_two_libraries():
    labels, scores, *_ = made()
    scores = np.round(scores, 1)  # with ties
    u = mannwhitneyu(scores[labels], scores[~labels]).statistic
    assert roc.auc(labels, scores) == pytest.approx(u / labels.sum() / (~labels).sum())
    import torch

    expected = binary_auroc(torch.sigmoid(torch.tensor(scores)), torch.tensor(labels).long())
    assert roc.auc(labels, scores) == pytest.approx(float(expected), abs=1e-6)


def test_auc_of_extremes():
    labels = np.array([False, False, True, True])
    assert roc.auc(labels, [0, 1, 2, 3]) == 1 and roc.auc(labels, [3, 2, 1, 0]) == 0
    assert roc.auc(labels, [1, 1, 1, 1]) == 0.5
    assert math.isnan(roc.auc([True, True], [0.1, 0.2]))


def test_counts_at_the_threshold():
    labels, scores = [True, True, False, False, False], [0.9, 0.2, 0.5, 0.1, 0.4]
    assert roc.accuracy(labels, scores) == 3 / 5
    assert roc.precision(labels, scores) == 1 / 2 and roc.recall(labels, scores) == 1 / 2
    assert math.isnan(roc.precision(labels, np.zeros(5)))
    assert math.isnan(roc.recall(np.zeros(5, bool), scores))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    truth = roc.auc(*made(40000, 1, seed=99)[:2])
    hits = 0
    for seed in range(60):
        labels, scores, _, patients = made(80, 1, seed=seed)
        found = roc.interval(labels, scores, patients, resamples=200, seed=seed)
        hits += found.low <= truth <= found.high
    assert 50 <= hits <= 60


def test_images_of_one_patient_do_not_pass_for_many():
    labels, scores, _, patients = made(40, 6, noise=0.1)
    clustered = roc.interval(labels, scores, patients, resamples=400)
    naive = roc.interval(labels, scores, np.arange(len(labels)), resamples=400)
    assert clustered.high - clustered.low > 1.5 * (naive.high - naive.low)
    assert (clustered.images, clustered.patients) == (240, 40)


def test_ten_images_say_little_and_more_data_do_not_help_them():
    few, many = (made(n, 1) for n in (100, 1000))
    widths = []
    for labels, scores, _, patients in (few, many):
        ten = roc.interval_of_ten(labels, scores)
        whole = roc.interval(labels, scores, patients, resamples=300)
        widths.append((ten.high - ten.low, whole.high - whole.low))
    assert widths[1][0] > 5 * widths[1][1]
    assert widths[1][0] > 0.7 * widths[0][0] and widths[1][1] < 0.5 * widths[0][1]


def test_the_comparison_agrees_with_the_bootstrap():
    labels, first, second, patients = made(150, 3, noise=1.5, seed=4)
    second = second - 0.3 * labels
    found = roc.compare(labels, first, second, patients)
    assert found.difference == pytest.approx(roc.auc(labels, first) - roc.auc(labels, second))
    rng = np.random.default_rng(0)
    rows = {name: np.flatnonzero(patients == name) for name in np.unique(patients)}
    drawn = []
    for _ in range(600):
        chosen = np.concatenate([rows[name] for name in rng.choice(list(rows), len(rows))])
        drawn.append(
            roc.auc(labels[chosen], first[chosen]) - roc.auc(labels[chosen], second[chosen])
        )
    width = 2 * 1.96 * np.std(drawn)
    assert found.high - found.low == pytest.approx(width, rel=0.15)


def test_the_comparison_keeps_its_level_without_a_difference():
    rejected = sum(roc.compare(*made(80, 2, seed=seed)).p < 0.05 for seed in range(300))
    assert 4 <= rejected <= 30  # 15 expected


def test_the_comparison_of_a_classifier_with_itself():
    labels, scores, _, patients = made()
    found = roc.compare(labels, scores, scores, patients)
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: roc.auc([True, False], [1.0]), "one score for each label"),
        (lambda: roc.auc([True, False], [1.0, math.nan]), "not a finite number"),
        (lambda: roc.interval([True, False], [1, 0], ["a"]), "one patient for each image"),
        (lambda: roc.compare([True], [1], [1], ["a"]), "Both classes"),
        (lambda: roc.compare([True, False], [1, 0], [1, 0], ["a"]), "one patient"),
    ],
)
def test_what_cannot_be_judged_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_curve_gives_the_hits_that_alarms_allow():
    labels = [True, True, False, True, False, False]
    scores = [0.9, 0.8, 0.7, 0.7, 0.3, 0.1]
    found = roc.curve(labels, scores, [0, 0.3, 1 / 3, 0.5, 1])
    np.testing.assert_allclose(found, [2 / 3, 2 / 3, 1, 1, 1])
    chance = np.random.default_rng(0)
    labels, scores = chance.random(300) < 0.4, chance.normal(size=300)
    alarms = np.linspace(0, 1, 5001)
    area = np.trapezoid(roc.curve(labels, scores, alarms), alarms)
    assert area == pytest.approx(roc.auc(labels, scores), abs=2e-3)


def test_a_statistic_that_has_no_value_in_any_draw_has_none():
    found = roc.interval_of_ten([True, False] * 8, [0.1] * 16, roc.precision)
    assert all(np.isnan(value) for value in (found.mean, found.low, found.high))
