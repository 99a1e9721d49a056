"""The detection task: who is on which side, what a patch holds, and how hard it is to see."""

import functools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from helpers.data import ImageSet, splits
from helpers.data.patches import DARK, HELD_OUT
from helpers.errors import DataError
from helpers.experiments.ldm_mammo import observer, task
from helpers.experiments.ldm_mammo.lesions import ABSENT, KINDS, MASS, PRESENT, Lesion, insert

SIDE = 128
ALL = ("LEFT_CC", "LEFT_MLO", "RIGHT_CC", "RIGHT_MLO")
PACK = [f"Mass-Test_P_{who}_{view}" for who in ("00173", "00820") for view in ALL]


@functools.cache
def film(seed, side=task.FILM_SIDE, bits=16):
    """A breast on the left of a black film, with a texture that no two films share."""
    row, column = np.mgrid[-1 : 1 : side * 1j, 0 : 2 : side * 1j]
    rng = np.random.default_rng(seed)
    image = 0.45 + 0.05 * np.sin(9 * row + seed) + 0.05 * np.cos(7 * column - seed)
    image += rng.normal(0, 0.003, image.shape)
    return np.rint(np.where(np.hypot(row, column) < 0.9, image, 0.01) * (2**bits - 1)).astype(
        np.uint16
    )


def film_set(ids, bits=16, images=None):
    return ImageSet(
        name="mammography",
        source="made",
        images=images or tuple(film(seed, bits=bits) for seed in range(len(ids))),
        ids=tuple(ids),
        patients=tuple("_".join(name.split("_")[1:3]) for name in ids),
        labels=("BENIGN",) * len(ids),
        bit_depth=bits,
        licence="none",
        citation="none",
        preparation="Made.",
    )


@pytest.fixture
def library(monkeypatch):
    """Films of two women as in the open pack, instead of it."""
    asked = []

    def load(name, size, source, **more):
        asked.append((name, size, source, more))
        return film_set(PACK)

    monkeypatch.setattr(task, "load", load)
    task.whole_films.cache_clear()
    yield asked
    task.whole_films.cache_clear()


def test_each_side_is_balanced_and_no_woman_and_no_breast_is_on_two(library):
    made = task.detection("open-pack", SIDE, 120)
    assert library == [("mammography", 1024, "open-pack", {"depth": 16, "limit": 120})]
    assert [len(part) for part in (made.train, made.validation, made.test)] == [72, 24, 24]
    assert set(made.train.patients) == set(made.validation.patients) == {"P_00173"}
    assert set(made.test.patients) == set(HELD_OUT)
    breasts = [{name.split("_")[3] for name in part.ids} for part in (made.train, made.validation)]
    assert breasts == [{"LEFT"}, {"RIGHT"}]
    for part in (made.train, made.validation, made.test):
        kinds = Counter(
            (made.lesions[name].kind, label)
            for name, label in zip(part.ids, part.labels, strict=True)
        )
        assert set(kinds) == {(kind, label) for kind in KINDS for label in (PRESENT, ABSENT)}
        assert len(set(kinds.values())) == 1
        for view in {name.rsplit("-", 3)[0] for name in part.ids}:
            labels = [
                label
                for name, label in zip(part.ids, part.labels, strict=True)
                if name.startswith(view)
            ]
            assert labels.count(PRESENT) == labels.count(ABSENT) > 0
        assert part.bit_depth == 16 and {image.dtype for image in part} == {np.dtype("uint16")}
    every = [*made.train.ids, *made.validation.ids, *made.test.ids]
    assert set(every) == set(made.lesions) and len(set(every)) == len(every)
    assert set(made.train.spread(36).labels) == {PRESENT, ABSENT}


def test_a_patch_is_its_film_and_the_lesion_it_names(library):
    made = task.detection("open-pack", SIDE, 60, seed=4)
    whole = dict(zip(PACK, film_set(PACK), strict=True))
    dark = DARK / 255 * 65535
    for part in (made.train, made.validation, made.test):
        for name, label, image in zip(part.ids, part.labels, part, strict=True):
            view, row, column, _ = name.rsplit("-", 3)
            row, column = int(row), int(column)
            plain = whole[view][row : row + SIDE, column : column + SIDE]
            lesion = made.lesions[name]
            assert (lesion.contrast > 0) == (label == PRESENT)
            np.testing.assert_array_equal(image, insert(plain, lesion, made.pixel_mm))
            assert (plain > dark).mean() > task.TISSUE
            assert (plain[lesion.box(plain.shape)] > dark).all()
            low, high = task.DIAMETER_MM[lesion.kind]
            assert low <= 2 * lesion.radius * made.pixel_mm <= high
            assert not np.shares_memory(image, whole[view])


def test_the_seed_decides_and_strength_multiplies_contrasts(library):
    one, again, other, strong = (
        task.detection("open-pack", SIDE, 30, seed, strength=strength)
        for seed, strength in ((0, 1), (0, 1), (1, 1), (0, 1.5))
    )
    assert one.train.fingerprint == again.train.fingerprint and one.lesions == again.lesions
    assert one.train.fingerprint != other.train.fingerprint
    for name, lesion in one.lesions.items():
        assert strong.lesions[name] == replace(lesion, contrast=1.5 * lesion.contrast)


def test_no_lesion_exceeds_the_bits_of_its_film(monkeypatch):
    monkeypatch.setattr(task, "_TRIES", 50)
    bits = 12
    films = film_set(PACK[:2], bits)
    bright = tuple(np.minimum(image * 2, 2**bits - 200).astype(np.uint16) for image in films)
    films = replace(films, images=bright)
    with pytest.raises(DataError, match="No place for a lesion was found in 50 tries"):
        task._patches(films, SIDE, 6, 10.0, np.random.default_rng(0))
    patches, _ = task._patches(film_set(PACK[:2], bits), SIDE, 6, 1.0, np.random.default_rng(0))
    assert max(image.max() for image in patches) < 2**bits


def names(part, *women):
    return [f"Mass-{part}_P_{number:05d}_{view}" for number in women for view in ALL]


def tiny_set(ids):
    return film_set(ids, images=(np.zeros((2, 2), np.uint16),) * len(ids))


def test_with_more_women_each_is_on_one_side():
    official = tiny_set([*names("Training", *range(1, 9)), *names("Test", 16, 17, 173)])
    train, validation, test = task.sides_of(official)
    assert set(test.patients) == {"P_00016", "P_00017"}  # the upscalers learn from the third one
    assert len(set(validation.patients)) == 2 and len(set(train.patients)) == 6
    splits.assert_disjoint(train, validation, test)
    one_part = tiny_set(names("Training", *range(10)))
    sides = task.sides_of(one_part, seed=1)
    assert [len(set(part.patients)) for part in sides] == [6, 2, 2]
    assert sum(map(len, sides)) == len(one_part)
    assert task.sides_of(one_part, seed=2)[2].ids != sides[2].ids


def test_too_few_women_or_breasts_are_refused():
    with pytest.raises(ValueError, match="1 patient"):
        task.sides_of(tiny_set(names("Test", 173)))
    lefts = [name for name in PACK if "LEFT" in name]
    with pytest.raises(DataError, match="P_00173, the only woman to train on, show one breast"):
        task.sides_of(tiny_set(lefts))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"source": "cbis-ddsm-256"}, "too small to show micro-calcifications"),
        ({"side": 64}, "side of 128 to 1024"),
        ({"side": 2048}, "side of 128 to 1024"),
        ({"count": 4}, "at least 10 patches"),
        ({"strength": 0}, "strength above 0"),
    ],
)
def test_arguments_out_of_range_are_refused(library, more, words):
    with pytest.raises(ValueError, match=words):
        task.detection(**more)
    assert not library


def test_films_without_tissue_are_told(library):
    with pytest.raises(DataError, match="square of 1024 pixels that shows 75% tissue"):
        task.detection("open-pack", 1024)


def flat(lesions, levels):
    """Grey patches with these lesions in them, and their labels."""
    labels = [PRESENT if lesion.contrast else ABSENT for lesion in lesions]
    images = [
        insert(np.full((SIDE, SIDE), level, np.uint16), lesion, 0.225)
        for lesion, level in zip(lesions, levels, strict=True)
    ]
    ids = [f"Mass-Test_P_{i:05d}_LEFT_CC" for i in range(len(lesions))]
    made = replace(film_set(ids, images=tuple(images)), labels=tuple(labels))
    return made, dict(zip(ids, lesions, strict=True))


def test_the_observer_answers_with_the_contrast_and_orders_by_it():
    lesions = [Lesion(MASS, 64, 64, 20, contrast, 1) for contrast in (0, 0.1, 0, 0.2)]
    images, known = flat(lesions, (10000, 20000, 30000, 40000))
    table = observer.responses(images, known, 0.225)
    np.testing.assert_allclose(table["response"], table["contrast"], atol=1e-4)
    assert observer.observer_auc(images, known, 0.225) == {MASS: 1.0}
    turned = replace(images, labels=tuple(reversed(images.labels)))
    assert observer.observer_auc(turned, known, 0.225) == {MASS: 0.0}
    with pytest.raises(ValueError, match="kind MASS are of one class"):
        observer.observer_auc(images.take([1, 3]), known, 0.225)


def test_contrasts_fit_the_tissue_of_the_training_woman_in_the_open_pack():
    made = task.detection("open-pack", count=600)
    sides = (made.train, made.validation, made.test)
    train, validation, test = (
        observer.observer_auc(part, made.lesions, made.pixel_mm) for part in sides
    )
    assert set(train) == set(KINDS)
    assert 0.86 < np.mean(list(train.values())) < 0.94
    assert all(area > 0.75 for side in (train, validation, test) for area in side.values())
    assert max(image.max() for image in made.test) > 30000  # 16 bits are kept
