"""Tiles cover an image once, meet without seams and share one field of noise."""

from itertools import pairwise

import numpy as np
import pytest

from helpers.upscalers.tiles import doubled, from_noise, spans


def repeat(part, *_):
    return part.repeat(2, axis=0).repeat(2, axis=1)


@pytest.mark.parametrize("grid", [1, 8, 64])
@pytest.mark.parametrize("tile", [160, 192])
@pytest.mark.parametrize("side", [8, 159, 160, 161, 193, 300, 512, 1000])
def test_spans_cover_the_side_and_overlap_enough(side, tile, grid):
    found = spans(side, tile, (tile - 16) // grid * grid, grid)
    assert found[0][0] == 0 and found[-1][1] == side
    assert all(begin % grid == 0 and 0 < end - begin <= tile for begin, end in found)
    assert all(a[1] - b[0] >= 16 and a < b for a, b in pairwise(found))
    assert len(found) == 1 if side <= tile else min(e - b for b, e in found) > tile - grid


@pytest.mark.parametrize(("tile", "overlap", "grid"), [(20, 8, 4), (32, 8, 16), (64, 13, 1)])
@pytest.mark.parametrize("shape", [(8, 70), (65, 41)])
def test_blended_tiles_give_the_image_that_one_tile_gives(shape, tile, overlap, grid):
    image = np.random.default_rng(0).random(shape, np.float32)
    seen = []

    def double(part, top, left):
        seen.append((top, left))
        assert np.array_equal(part, image[top:, left:][: part.shape[0], : part.shape[1]])
        return repeat(part)

    large = doubled(image, double, tile, overlap, grid)
    assert len(seen) > 1 and large.dtype == np.float32
    assert np.abs(large - repeat(image)).max() < 1e-6


def test_the_edge_of_a_tile_inside_of_the_image_does_not_count():
    def spoilt(part, top, left):
        large = repeat(part)
        for inside, edge in ((left > 0, np.s_[:4]), (left + part.shape[1] < 80, np.s_[-4:])):
            if inside:
                large[:, edge] = 1e6  # two of the small image's pixels, a quarter of the overlap
        return large

    image = np.random.default_rng(0).random((8, 80), np.float32)
    assert np.abs(doubled(image, spoilt, 32, 8) - repeat(image)).max() < 1e-6


def test_tiles_share_one_field_of_noise():
    grid, cell, shape = 16, 2, (70, 45)
    asked = []

    def field(height, width, seed):
        asked.append((height, width, seed))
        sides = [-(-side // grid) * grid // cell for side in (height, width)]
        return np.random.default_rng(seed).random((1, *sides), np.float32)

    def draw(tile, noise, seed):
        height, width = tile.shape
        assert noise.shape[1:] == tuple(-(-side // grid) * grid // cell for side in tile.shape)
        return np.kron(noise[0], np.ones((4, 4), np.float32))[: 2 * height, : 2 * width]

    start = from_noise(field, draw, grid, cell)
    image = np.zeros(shape, np.float32)
    one, many = (doubled(image, start(shape, 5), tile, 8, grid) for tile in (96, 32))
    assert asked == [(*shape, 5)] * 2
    assert one.std() > 0.1 and np.abs(one - many).max() < 1e-6


@pytest.mark.parametrize(("tile", "overlap"), [(64, 7), (20, 12), (8, 8), (64, 64), (0, 8)])
def test_tiles_that_do_not_work_are_refused(tile, overlap):
    with pytest.raises(ValueError, match=f"Tiles of {tile} pixels that overlap by {overlap}"):
        doubled(np.zeros((99, 99), np.float32), repeat, tile, overlap)
