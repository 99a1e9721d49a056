"""Simulated lesions: shapes, insertion that touches nothing else, and what the template reads."""

from dataclasses import replace

import numpy as np
import pytest

from helpers.experiments.ldm_mammo.lesions import (
    CLUSTER,
    KINDS,
    MASS,
    SPICULATED,
    Lesion,
    insert,
    profile,
    template_response,
)

SIDE, PIXEL_MM = 128, 0.225


def lesion(kind=MASS, **more):
    facts = {"row": 60.3, "column": 70.8, "radius": 20, "contrast": 0.1, "seed": 3, "kind": kind}
    return Lesion(**{**facts, **more})


def tissue(dtype=np.uint16, level=0.4, seed=0):
    """Noise whose spectrum falls with the third power of the frequency, as breast tissue's."""
    rng = np.random.default_rng(seed)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij"))
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(SIDE, SIDE))) / frequency**1.5)
    image = level * (1 + 0.05 * noise / noise.std())
    return np.rint(image * np.iinfo(dtype).max).astype(dtype)


def distance(where):
    row, column = np.mgrid[:SIDE, :SIDE]
    return np.hypot(row - where.row, column - where.column)


@pytest.mark.parametrize("kind", KINDS)
def test_a_profile_lies_between_0_and_1_and_within_its_reach(kind):
    for seed in range(5):
        where = lesion(kind, seed=seed)
        drawn = profile(where, SIDE, PIXEL_MM)
        assert drawn.shape == (SIDE, SIDE) and 0.3 < drawn.max() <= 1 and drawn.min() == 0
        assert distance(where)[drawn > 0].max() <= where.reach
        np.testing.assert_array_equal(drawn, profile(where, SIDE, PIXEL_MM))
        other = profile(replace(where, seed=seed + 100), SIDE, PIXEL_MM)
        assert not np.array_equal(drawn, other)


def test_a_mass_is_brightest_inside_and_its_spicules_reach_out():
    plain, rays = (profile(lesion(kind), SIDE, PIXEL_MM) for kind in (MASS, SPICULATED))
    assert plain[60, 71] > 0.98
    outside = distance(lesion()) > 20 + 1
    assert plain[outside].max() == 0 and rays[outside].max() > 0.05
    assert (rays - plain).min() > -1e-9
    border = [plain[distance(lesion()) < radius].mean() for radius in (3, 8, 14, 20)]
    assert border == sorted(border, reverse=True)


def test_a_cluster_has_specks_of_their_size_in_mm():
    from scipy.ndimage import label

    fine = 0.02  # a pixel in mm, so that the specks' sizes show
    counts, diameters = [], []
    for seed in range(8):
        where = Lesion(CLUSTER, 199.5, 199.5, 180, 1, seed)
        names, count = label(profile(where, 400, fine) > 0)
        counts.append(count)
        diameters += [2 * np.sqrt((names == i + 1).sum() / np.pi) * fine for i in range(count)]
    assert min(counts) >= 4 and max(counts) <= 15 and len(set(counts)) > 2
    assert 0.18 < min(diameters) < 0.3 and 0.45 < np.quantile(diameters, 0.95) < 0.65


@pytest.mark.parametrize("kind", KINDS)
def test_a_lesion_in_a_smaller_image_is_the_mean_of_its_pixels(kind):
    where = lesion(kind, row=63.5, column=64.5)
    mean = profile(where, SIDE, PIXEL_MM).reshape(64, 2, 64, 2).mean(axis=(1, 3))
    half = profile(where.scaled(0.5), 64, 2 * PIXEL_MM)
    assert np.abs(half - mean).max() < 0.05
    assert half.sum() == pytest.approx(mean.sum(), rel=0.02)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_insertion_changes_nothing_beyond_the_reach_and_the_response_by_the_contrast(kind, dtype):
    plain, where = tissue(dtype), lesion(kind, contrast=0.2)
    before = plain.copy()
    changed = insert(plain, where, PIXEL_MM)
    np.testing.assert_array_equal(plain, before)
    assert changed.dtype == plain.dtype and (changed != plain).any()
    assert distance(where)[changed != plain].max() <= where.reach
    assert (changed >= plain).all()
    gained = template_response(changed, where, PIXEL_MM) - template_response(plain, where, PIXEL_MM)
    assert gained == pytest.approx(0.2, abs=0.004 if dtype == np.uint8 else 2e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_no_contrast_changes_nothing(kind):
    plain = tissue()
    np.testing.assert_array_equal(insert(plain, lesion(kind, contrast=0), PIXEL_MM), plain)


def test_contrast_is_a_share_of_the_local_grey_level():
    flat = np.full((SIDE, SIDE), 20000, np.uint16)
    flat[:, 64:] = 40000
    for column, level in ((30, 20000), (98, 40000)):
        where = lesion(column=column, contrast=0.25)
        added = insert(flat, where, PIXEL_MM).astype(int) - flat
        assert added.max() == pytest.approx(0.25 * level, rel=0.01)


@pytest.mark.parametrize("kind", KINDS)
def test_level_and_tilt_are_no_lesion_and_half_of_one_is_half(kind):
    row, column = np.mgrid[:SIDE, :SIDE]
    plane = 20000 + 30.0 * row - 20.0 * column
    where = lesion(kind)
    assert template_response(plane, where, PIXEL_MM) == pytest.approx(0, abs=1e-3)
    drawn = profile(where, SIDE, PIXEL_MM)
    full, half = (template_response(1000 + c * drawn, where, PIXEL_MM) for c in (100, 50))
    assert full == pytest.approx(0.1) and half == pytest.approx(0.05)
    assert template_response(np.zeros((SIDE, SIDE)), where, PIXEL_MM) == 0


def test_the_template_reads_slopes_with_less_noise_than_grey_levels():
    """The reason for slopes: plain least squares with a tilted plane err more in tissue."""
    where = lesion(row=64, column=64)
    box = where.box((SIDE, SIDE))
    drawn = profile(where, SIDE, PIXEL_MM)[box].ravel()
    row, column = (axis[box].ravel() for axis in np.mgrid[:SIDE, :SIDE])
    model = np.stack([drawn, np.ones(drawn.size), row, column], axis=1)
    slopes, levels = [], []
    for seed in range(60):
        image = tissue(seed=seed)
        slopes.append(template_response(image, where, PIXEL_MM))
        fitted = np.linalg.lstsq(model, image[box].ravel().astype(float), rcond=None)[0]
        levels.append(fitted[0] / image.mean())
    assert np.std(slopes) < 0.9 * np.std(levels)


def test_too_bright_a_lesion_is_refused_not_clipped():
    bright = np.full((SIDE, SIDE), 250, np.uint8)
    with pytest.raises(ValueError, match=r"grey levels from 250 to 27\d where uint8 ends at 255"):
        insert(bright, lesion(), PIXEL_MM)
    dark = np.full((SIDE, SIDE), 3, np.uint8)
    with pytest.raises(ValueError, match="grey levels from -"):
        insert(dark, lesion(contrast=-2.0), PIXEL_MM)


@pytest.mark.parametrize("place", [{"row": 15}, {"column": 120}, {"row": -40}])
def test_a_lesion_must_lie_inside(place):
    for function in (insert, template_response):
        with pytest.raises(ValueError, match="move its centre inward"):
            function(tissue(), lesion(**place), PIXEL_MM)
    assert profile(lesion(**place), SIDE, PIXEL_MM).max() <= 1


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"kind": "CYST"}, "MASS, SPICULATED, CLUSTER, not 'CYST'"),
        ({"radius": 0}, "positive radius"),
        ({"row": float("nan")}, "finite numbers"),
        ({"contrast": float("inf")}, "finite numbers"),
    ],
)
def test_a_lesion_that_cannot_be_is_refused(more, words):
    with pytest.raises(ValueError, match=words):
        lesion(**more)


def test_images_that_hold_no_lesion_are_refused():
    with pytest.raises(ValueError, match="not into float64"):
        insert(np.ones((SIDE, SIDE)), lesion(), PIXEL_MM)
    with pytest.raises(ValueError, match=r"shape \(128, 100\)"):
        template_response(tissue()[:, :100], lesion(), PIXEL_MM)
    with pytest.raises(ValueError, match="cannot be drawn"):
        profile(lesion(), SIDE, 0)
    with pytest.raises(ValueError, match="cannot be drawn"):
        profile(lesion(), 0, PIXEL_MM)
