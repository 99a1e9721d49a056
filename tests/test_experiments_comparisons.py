"""What the chapters on lossy codecs share: honest means, and comparisons at equal terms."""

import math

import numpy as np
import pandas as pd
import pytest
from codec_images import phantom

from helpers import codecs, measure
from helpers.data import ImageSet
from helpers.experiments import comparisons

FAMILIES = ("jpeg2000", "spiht")


@pytest.fixture(scope="module")
def images():
    return ImageSet(
        name="brain-mri",
        source="made",
        images=tuple(phantom(96, seed=i) for i in range(2)),
        ids=("slice0", "slice1"),
        patients=("a", "b"),
        labels=("", ""),
        bit_depth=8,
        licence="none",
        citation="none",
    )


@pytest.fixture(scope="module")
def budget(images):
    return measure.evaluate(codecs.get("wavelet", step=40), images, name="other")


def test_means_leave_exact_images_out_of_the_psnr():
    table = pd.DataFrame(
        {
            "codec": ["a", "a", "a", "b"],
            "patient_id": ["p", "p", "q", "q"],
            "psnr": [30.0, math.inf, 40.0, math.inf],
            "exact": [False, True, False, True],
            "ssim": math.nan,
            "ms_ssim": math.nan,
            "fsim": math.nan,
            "bytes": [10, 20, 60, 8],
            **dict.fromkeys(("bpp", "ratio_8bit", "mse"), 1.0),
        }
    )
    means = comparisons.means(table).set_index("codec")
    assert means.loc["a", ["psnr", "bytes", "exact", "images", "patients"]].tolist() == (
        pytest.approx([35, 30, 1 / 3, 3, 2])
    )
    assert math.isnan(means.loc["b", "psnr"]) and means.loc["b", "exact"] == 1
    assert means["ssim"].isna().all()
    assert np.isinf(table["psnr"]).sum() == 2  # the caller's table is left alone


def test_no_stream_is_longer_than_its_budget(images, budget):
    equal = comparisons.at_equal_bytes(images, budget, FAMILIES)
    assert len(equal) == 4
    room = budget.set_index("image_id")["bytes"]
    for row in equal.itertuples():
        assert 0.5 * room[row.image_id] < row.bytes <= room[row.image_id]


def test_no_quality_is_below_the_one_asked_for(images, budget):
    equal = comparisons.at_equal_psnr(images, budget, FAMILIES)
    assert len(equal) == 4
    wanted = budget.set_index("image_id")["psnr"]
    for row in equal.itertuples():
        assert wanted[row.image_id] <= row.psnr < wanted[row.image_id] + 3


def test_what_does_not_fit_is_flagged(images, budget):
    # of the first image as much as before, of the second no more than an auto-encoder's stream
    bpp = [budget["bpp"][0], 8 * 60 / 96**2]
    tight = pd.DataFrame({"image_id": images.ids, "bpp": bpp})
    with pytest.raises(ValueError, match="at most 60 bytes"):
        comparisons.at_equal_bytes(images, tight, ("jpeg",))
    table = comparisons.at_equal_or_least_bytes(images, tight, ("jpeg", *FAMILIES))
    fits = table.set_index(["codec", "image_id"])["fits"]
    assert fits.to_dict() == {
        ("jpeg", "slice0"): True,
        ("jpeg", "slice1"): False,
        ("jpeg2000", "slice0"): True,
        ("jpeg2000", "slice1"): False,
        ("spiht", "slice0"): True,
        ("spiht", "slice1"): True,
    }
    room = {"slice0": budget["bytes"][0], "slice1": 60}
    assert ((table["bytes"] <= table["image_id"].map(room)) == table["fits"]).all()
    same = comparisons.at_equal_bytes(images.take([0]), tight, FAMILIES)
    again = table[(table["image_id"] == "slice0") & table["codec"].isin(FAMILIES)]
    assert again[["bytes", "mse"]].values.tolist() == same[["bytes", "mse"]].values.tolist()
    coarsest = codecs.get("jpeg", level=1).encode(images.images[1])
    assert table.query("codec == 'jpeg' and not fits")["bytes"].item() == len(coarsest)


def test_curves_rise_and_keep_to_their_rates(images):
    curves = comparisons.curves(images, (0.5, 2.0), FAMILIES)
    assert (curves["bpp"] <= curves["point"]).all()
    quality = comparisons.means(curves, ("codec", "point")).set_index(["codec", "point"])["psnr"]
    for family in FAMILIES:
        assert quality[family, 2.0] > quality[family, 0.5] + 3
