"""Trees of contexts."""

import numpy as np
import pytest

from helpers.codecs import context_tree
from helpers.codecs.entropy import conditional_entropy, entropy

RNG = np.random.default_rng(3)
SPREAD = RNG.integers(0, 12, (60, 70))
SYMBOLS = np.rint(RNG.normal(0, 1 + SPREAD)).astype(int)
FEATURES = {"spread": SPREAD, "chance": RNG.integers(0, 100, SPREAD.shape)}


def test_gains_are_the_bits_saved():
    splits = context_tree.grow(SYMBOLS, FEATURES, leaves=6)
    costs = [
        SYMBOLS.size * conditional_entropy(SYMBOLS, context_tree.assign(splits[:n], FEATURES))
        for n in range(len(splits) + 1)
    ]
    np.testing.assert_allclose(-np.diff(costs), [split.gain for split in splits], rtol=1e-6)
    assert costs[0] == pytest.approx(SYMBOLS.size * entropy(SYMBOLS))


def test_first_question_is_the_one_that_matters():
    splits = context_tree.grow(SYMBOLS, FEATURES, leaves=4)
    assert splits[0].feature == "spread"
    assert splits[0].leaf == 0
    assert splits[0].gain == max(split.gain for split in splits)


def test_a_longer_tree_begins_like_a_shorter_one():
    assert context_tree.grow(SYMBOLS, FEATURES, 3) == context_tree.grow(SYMBOLS, FEATURES, 7)[:2]


def test_rules_say_where_the_pixels_of_a_leaf_are():
    splits = [
        context_tree.Split(0, "a", 5, 1.0),
        context_tree.Split(0, "b", 2, 1.0),
        context_tree.Split(1, "a", 9, 1.0),
    ]
    assert context_tree.rules(splits) == ["a ≤ 5, b ≤ 2", "5 < a ≤ 9", "a ≤ 5, 2 < b", "9 < a"]
    features = {"a": np.array([5, 6, 0, 20]), "b": np.array([2, 7, 3, 0])}
    assert context_tree.assign(splits, features).tolist() == [0, 1, 2, 3]
    assert context_tree.rules([]) == ["all"]


def test_nothing_to_save_ends_the_tree():
    constant = np.zeros(50, int)
    assert context_tree.grow(constant, {"x": np.arange(50)}, leaves=9) == []
    assert context_tree.grow(np.arange(50) % 2, {"x": np.zeros(50, int)}, leaves=9) == []
    assert context_tree.assign([], {"x": np.zeros((2, 3), int)}).tolist() == [[0] * 3] * 2


@pytest.mark.parametrize(
    ("symbols", "features", "leaves"),
    [
        (np.zeros(0, int), {"x": np.zeros(0, int)}, 2),
        (np.zeros(4, int), {}, 2),
        (np.zeros(4, int), {"x": np.zeros(3, int)}, 2),
        (np.zeros(4, int), {"x": np.zeros(4, int)}, 0),
    ],
)
def test_bad_input_is_refused(symbols, features, leaves):
    with pytest.raises(ValueError, match=r"one pixel|every pixel"):
        context_tree.grow(symbols, features, leaves)
