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


IDS = [f"person{i}" for i in range(4000)]


def test_a_name_alone_decides_the_side():
    whole = [set(part.patients) for part in splits.by_name(make(IDS), 0.12)]
    assert not whole[0] & whole[1] and whole[0] | whole[1] == set(IDS)
    # another source holds some of the same people, more films of each, in another order
    other = make([name for name in IDS[:900:-3] for _ in range(2)] + ["someone else"], "other")
    train, test = splits.by_name(other, 0.12)
    assert set(train.patients) <= whole[0] | {"someone else"}
    assert set(test.patients) <= whole[1] | {"someone else"}
    assert sorted(train.ids + test.ids) == sorted(other.ids)


def test_the_share_by_name_holds_over_many_patients_and_grows_with_it():
    before: set[str] = set()
    for share in (0.05, 0.12, 0.5, 0.9):
        tested = set(splits.by_name(make(IDS), share)[1].patients)
        assert before <= tested  # whoever is tested on stays so
        assert len(tested) / len(IDS) == pytest.approx(share, abs=0.02)  # over 2.5 deviations
        before = tested


def test_sides_by_name_are_fixed_for_good():
    # shipped weights were trained on one side: nobody may ever change it
    # (`printf person17 | sha256sum` begins with 08, of ff a share of 0.03; person1 with 24, 0.14)
    patients = ["person1", "person17", "IM-0001", "NORMAL2-IM-0200", "00000165", "00000169"]
    tested = splits.by_name(make(patients), 0.12)[1].patients
    assert tested == ("person17", "NORMAL2-IM-0200", "00000169")
    assert splits.by_name(make(patients), 0.15)[1].patients == ("person1", *tested)


@pytest.mark.parametrize(
    "patients, share, side",
    [(["person1"], 0.5, ""), (IDS[:3], 1e-9, "test"), (IDS[:3], 1 - 1e-9, "training")],
)
def test_an_empty_side_by_name_is_refused(patients, share, side):
    with pytest.raises(ValueError, match=rf"falls on the \w*{side}\w* side .* load more"):
        splits.by_name(make(patients), share)


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
        lambda: splits.by_name(make(IDS), 0.0),
        lambda: splits.by_name(make(IDS), 1.0),
        lambda: splits.by_name(make(IDS), float("nan")),
        lambda: next(splits.folds(make("ab"), 3)),
        lambda: next(splits.folds(make("ab"), 1)),
    ],
)
def test_impossible_splits_are_refused(call):
    with pytest.raises(ValueError):
        call()
