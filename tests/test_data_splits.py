"""Splits keep patients whole, whatever the set looks like."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.data import ImageSet, splits


def make(patients, name="toy"):
    count = len(patients)
    return ImageSet(
        name=name,
        source="made",
        images=tuple(np.full((2, 2), i % 256, np.uint8) for i in range(count)),
        ids=tuple(f"image{i}" for i in range(count)),
        patients=tuple(patients),
        labels=("",) * count,
        bit_depth=8,
        licence="none",
        citation="none",
    )


many_patients = st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=60).filter(
    lambda patients: len(set(patients)) > 1
)


@given(many_patients, st.floats(0.01, 0.99), st.integers(0, 5))
def test_no_patient_is_on_both_sides_and_no_image_is_lost(patients, share, seed):
    imageset = make(patients)
    train, test = splits.by_patient(imageset, share, seed)
    assert not set(train.patients) & set(test.patients)
    assert sorted(train.ids + test.ids) == sorted(imageset.ids)
    assert len(train) and len(test)
    again = splits.by_patient(imageset, share, seed)
    assert (train.ids, test.ids) == (again[0].ids, again[1].ids)


def test_the_share_counts_patients_and_the_seed_matters():
    imageset = make([f"p{i}" for i in range(50) for _ in range(3)])
    train, test = splits.by_patient(imageset, 0.2, seed=1)
    assert len(set(test.patients)) == 10 and len(test) == 30
    assert train.ids == tuple(sorted(train.ids, key=lambda i: int(i[5:])))
    assert set(test.patients) != set(splits.by_patient(imageset, 0.2, seed=2)[1].patients)


def test_the_order_of_images_does_not_change_who_is_tested():
    patients = [f"p{i}" for i in range(9)]
    tested = [set(splits.by_patient(make(p))[1].patients) for p in (patients, patients[::-1])]
    assert tested[0] == tested[1]


@given(many_patients, st.integers(2, 8), st.integers(0, 5))
def test_folds_test_every_patient_once(patients, count, seed):
    imageset = make(patients)
    count = min(count, len(set(patients)))
    tested = [name for _, test in splits.folds(imageset, count, seed) for name in test.ids]
    assert sorted(tested) == sorted(imageset.ids)


def test_named_patients_are_held_out():
    train, test = splits.hold_out(make("aabbc"), ["b", "z"])
    assert (set(train.patients), set(test.patients)) == ({"a", "c"}, {"b"})
    for patients in (["z"], ["a", "b", "c"]):
        with pytest.raises(ValueError, match="side of the split empty"):
            splits.hold_out(make("aabbc"), patients)


def test_an_overlap_is_found():
    splits.assert_disjoint(make("aab"), make("cd"), make("e"))
    with pytest.raises(ValueError, match="patient 'b' is in two"):
        splits.assert_disjoint(make("aab"), make("cd"), make("eb"))


@pytest.mark.parametrize(
    "call",
    [
        lambda: splits.by_patient(make("aaa")),
        lambda: splits.by_patient(make("ab"), 0.0),
        lambda: splits.by_patient(make("ab"), 1.0),
        lambda: next(splits.folds(make("ab"), 3)),
        lambda: next(splits.folds(make("ab"), 1)),
    ],
)
def test_impossible_splits_are_refused(call):
    with pytest.raises(ValueError):
        call()
