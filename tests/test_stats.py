import math

import numpy as np
import pandas as pd
import pytest

from helpers import stats


def patients_with_slices(rng, patients=30, slices=20, between=1.0, within=0.2):
    owner = np.repeat(np.arange(patients), slices)
    return rng.normal(scale=between, size=patients)[owner] + rng.normal(
        scale=within, size=owner.size
    ), owner


def test_an_interval_is_repeatable_and_holds_its_mean():
    values, owner = patients_with_slices(np.random.default_rng(0))
    first, again = (stats.mean_interval(values, owner, seed=4) for _ in range(2))
    assert first == again
    assert first.low < first.mean < first.high
    assert first.mean == pytest.approx(values.mean())
    assert (first.images, first.patients) == (600, 30)
    assert stats.mean_interval(values, owner, seed=5) != first


def test_patients_count_and_slices_do_not():
    rng = np.random.default_rng(1)
    values, owner = patients_with_slices(rng)
    by_patient = stats.mean_interval(values, owner)
    by_slice = stats.mean_interval(values, np.arange(values.size))
    wide, narrow = (i.high - i.low for i in (by_patient, by_slice))
    assert wide > 3 * narrow  # sqrt(20) is 4.5
    assert wide == pytest.approx(2 * 1.96 / math.sqrt(30), rel=0.4)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(2)
    hits = 0
    for trial in range(100):
        values, owner = patients_with_slices(rng, patients=25, slices=6)
        interval = stats.mean_interval(values, owner, resamples=300, seed=trial)
        hits += interval.low <= 0 <= interval.high
    assert 85 <= hits <= 99


def test_patients_with_more_images_weigh_more():
    interval = stats.mean_interval([1, 1, 1, 5], ["a", "a", "a", "b"])
    assert interval.mean == 2
    assert (interval.low, interval.high) == (1, 5)


def test_one_patient_and_infinite_means_have_no_interval():
    alone = stats.mean_interval([1.0, 2.0], ["a", "a"])
    assert alone.mean == 1.5 and math.isnan(alone.low) and math.isnan(alone.high)
    endless = stats.mean_interval([1.0, math.inf], ["a", "b"])
    assert endless.mean == math.inf and math.isnan(endless.low)


def test_undefined_values_are_left_out_and_not_counted():
    interval = stats.mean_interval([1.0, math.nan, 3.0], ["a", "b", "c"])
    assert (interval.mean, interval.images, interval.patients) == (2, 2, 2)
    with pytest.raises(ValueError, match="undefined for every image"):
        stats.mean_interval([math.nan], ["a"])


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="one patient for each value"):
        stats.mean_interval([1.0, 2.0], ["a"])
    with pytest.raises(ValueError, match="between 0 and 1"):
        stats.mean_interval([1.0], ["a"], level=95)


def two_codecs(gain=0.5):
    rng = np.random.default_rng(3)
    hardness, owner = patients_with_slices(rng, patients=10, slices=5, between=5.0)
    noise = rng.normal(scale=0.1, size=(2, hardness.size))
    common = {"image_id": [f"i{k}" for k in range(hardness.size)], "patient_id": owner}
    return pd.concat(
        [
            pd.DataFrame(common | {"codec": "old", "psnr": 35 + hardness + noise[0]}),
            pd.DataFrame(common | {"codec": "new", "psnr": 35 + hardness + gain + noise[1]}),
        ]
    ).sample(frac=1, random_state=0)  # pairing goes by id, not by place


def test_pairs_see_a_gain_that_separate_means_hide():
    table = two_codecs()
    paired = stats.paired_difference(table, "new", "old")
    assert paired.low > 0.4 and paired.high < 0.6
    means = {
        name: stats.mean_interval(part["psnr"], part["patient_id"])
        for name, part in table.groupby("codec")
    }
    assert means["new"].low < means["old"].high
    back = stats.paired_difference(table, "old", "new")
    assert back.mean == pytest.approx(-paired.mean)


def test_unpaired_tables_are_refused():
    table = two_codecs()
    with pytest.raises(ValueError, match="no codec 'none'"):
        stats.paired_difference(table, "none", "old")
    fewer = table[~((table["codec"] == "new") & (table["image_id"] == "i0"))]
    with pytest.raises(ValueError, match="not measured on the same images"):
        stats.paired_difference(fewer, "new", "old")


def test_a_sweep_is_paired_point_by_point():
    table = two_codecs()
    sweep = pd.concat([table.assign(point=1), table.assign(point=2, psnr=lambda t: t["psnr"] + 10)])
    assert stats.paired_difference(sweep, "new", "old").mean == pytest.approx(
        stats.paired_difference(table, "new", "old").mean
    )


def test_an_interval_reads_well():
    assert stats.text(stats.Interval(34.1, 33.24, 35.0, 9, 3)) == "34.10 [33.24, 35.00]"
    assert stats.text(stats.Interval(34.1, math.nan, math.nan, 9, 1), 1) == "34.1"
