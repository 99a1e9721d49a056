"""What the lossless codec sees: nothing that is not coded yet, within limits, at any scale."""

import numpy as np
import pytest
from codec_images import KINDS, make, phantom
from context_networks import texture

from helpers.codecs.causal import scene, walk
from helpers.codecs.causal.tables import LEVEL, LEVELS, SMALL, tables

K = scene.NEIGHBOURS  # what follows the neighbours among the features
WEST, NORTH, CORNER, EAST, _, NORTH_NORTH = range(6)  # the nearest of them


def observed(values):
    """Features (H, W, FEATURES) and facts (H, W, 4) of all pixels."""
    features, facts = walk.observe(values, np.ones(values.shape, bool))
    return features.reshape(*values.shape, -1).astype(int), facts.reshape(*values.shape, 4)


def test_the_nearest_neighbours_come_first():
    found = scene.offsets(scene.NEIGHBOURS)
    assert found[:6].tolist() == [[0, -1], [-1, 0], [-1, -1], [-1, 1], [0, -2], [-2, 0]]
    assert len({tuple(place) for place in found.tolist()}) == scene.NEIGHBOURS
    assert ((found[:, 0] < 0) | (found[:, 1] < 0)).all()  # coded before the pixel ...
    assert (found[:, 0] <= 0).all() and np.abs(found).max() <= scene.MARGIN
    assert (np.diff((found**2).sum(1)) >= 0).all()
    assert np.array_equal(scene.offsets(scene.MANY), found[: scene.MANY])


@pytest.mark.parametrize("at", [(0, 0), (0, 5), (0, 13), (3, 0), (4, 7), (5, 13), (8, 13)])
def test_a_pixel_changes_nothing_before_it(at):
    values = make("noise", np.dtype("uint16"), (9, 14), np.random.default_rng(0)) % 1000
    values[4, 3], values[4, 4] = 0, 60000  # least and largest stay what they are
    other = values.copy()
    other[at] += 500
    (features, facts), (changed, known) = observed(values), observed(other)
    here = np.ravel_multi_index(at, values.shape)
    flat, moved = features.reshape(values.size, -1), changed.reshape(values.size, -1)
    assert np.array_equal(flat[: here + 1], moved[: here + 1])  # nor those of the pixel itself
    for column in (0, 1, 3):  # the third is the pixel
        assert np.array_equal(*(f[..., column].ravel()[: here + 1] for f in (facts, known)))
    assert here + 1 == values.size or not np.array_equal(flat[here + 1 :], moved[here + 1 :])
    assert np.array_equal(facts[..., 2], values) and (facts[..., 3] == 60000).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("shape", [(17, 23), (1, 19), (19, 1), (2, 2), (1, 1)])
def test_features_keep_their_limits(kind, dtype, shape):
    """The network's whole numbers count on them."""
    values = make(kind, np.dtype(dtype), shape, np.random.default_rng(1))
    view, table, top = scene.new_scene(shape[1]), tables(), max(int(values.max()), 1)
    for y in range(shape[0]):
        scene.start_row(view, y)
        for x in range(shape[1]):
            scene.look(view, table, x, top)
            assert (np.abs(view.features) <= scene.LIMIT).all()
            assert (view.features == np.rint(view.features)).all()
            first, second = view.facts[scene.FIRST], view.facts[scene.SECOND]
            assert min(first, second) >= 0 and max(first, second) <= 16 * top
            assert 0 <= view.facts[scene.SIZE] < LEVELS
            scene.keep(view, x, y, np.int64(values[y, x]))


def test_chosen_pixels_are_those_of_all():
    values = texture()
    features, facts = observed(values)
    chosen = np.random.default_rng(2).random(values.shape) < 0.2
    some, known = walk.observe(values, chosen)
    assert some.dtype == np.int16 and known.dtype == np.int32
    assert np.array_equal(some, features[chosen]) and np.array_equal(known, facts[chosen])


def test_the_first_pixel_knows_nothing():
    features, facts = observed(texture())
    expected = np.zeros(scene.FEATURES, int)
    still = tables()[LEVEL + 2]
    expected[K + 10], expected[K + 17] = still - 40, -127
    assert np.array_equal(features[0, 0], expected)
    assert facts[0, 0, 0] == 0 and facts[0, 0, 1] == still


def test_the_margins_repeat_the_nearest_pixel():
    features, _ = observed(texture())
    assert np.array_equal(features[0, 1:, NORTH], features[0, 1:, WEST])  # all above is as left
    assert np.array_equal(features[0, 1:, CORNER], features[0, 1:, WEST])
    assert np.array_equal(features[1:, 0, WEST], features[1:, 0, NORTH])  # all left is as above
    assert np.array_equal(features[2:, 0, CORNER], features[2:, 0, NORTH_NORTH])
    assert np.array_equal(features[1:, -1, EAST], features[1:, -1, NORTH])
    tall, _ = observed(texture((30, 1)))
    assert np.array_equal(tall[1:, 0, WEST], tall[1:, 0, NORTH])
    assert np.array_equal(tall[1:, 0, EAST], tall[1:, 0, NORTH])


def test_a_pixel_is_seen_at_its_place():
    """The features of the neighbours are the pixels there, in units of the errors nearby."""
    values = phantom(40).astype(np.int64)
    features, facts = observed(values)
    places = scene.offsets(scene.NEIGHBOURS)
    for y, x in ((7, 9), (20, 30), (39, 34)):
        guess, size = facts[y, x, :2].tolist()
        pixels = values[y + places[:, 0], x + places[:, 1]]
        units = 16 * (16 * pixels - guess) / (2.0 ** (size / 8) + 1)
        assert np.abs(features[y, x, :K] - units.clip(-511, 511)).max() <= 1
        assert features[y, x, K + 17] == guess * 127 // (8 * values.max()) - 127


@pytest.mark.parametrize(("factor", "levels"), [(4, 16), (16, 32)])
def test_an_image_looks_alike_at_any_contrast(factor, levels):
    """More grey levels show the same scene, its errors some octaves larger."""
    values = phantom(64).astype(np.int64)
    (features, facts), (louder, known) = observed(values), observed(factor * values)
    inside = facts[..., 1] > 32  # where errors are above the steps of whole numbers
    assert inside.mean() > 0.3
    assert np.median(known[inside][:, 1] - facts[inside][:, 1]) == pytest.approx(levels, abs=1)
    near = [found[inside][:, :K].ravel() for found in (features, louder)]
    assert np.corrcoef(near)[0, 1] > 0.97 and np.median(np.abs(near[0] - near[1])) <= 5
    assert np.abs(louder[..., K + 17] - features[..., K + 17]).mean() < 3  # as bright


def test_a_linear_image_is_guessed():
    row, column = np.indices((20, 30))
    values = 9 * row + 4 * column
    _, facts = observed(values)
    assert np.abs(facts[2:, 8:-5, 0] - 16 * values[2:, 8:-5]).max() <= 8  # half a grey level


@pytest.mark.parametrize("octaves", [0, 5, 12])
def test_levels_go_on_beyond_their_table(octaves):
    table = tables()
    for error in (SMALL // 2, SMALL - 1):
        expected = min(scene.level(table, error) + 8 * octaves, LEVELS - 1)
        assert scene.level(table, error << octaves) == expected
