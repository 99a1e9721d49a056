"""The walk over an image and its decisions: exact for every image, on every machine."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from codec_images import KINDS, make, phantom
from context_networks import COMPONENTS, draw, texture

from helpers.codecs.causal import levels, mixing, network, walk
from helpers.codecs.rangecoder import ROOM

TESTS = str(Path(__file__).parent)
SHAPES = [(1, 1), (1, 2), (2, 1), (1, 33), (33, 1), (2, 2), (7, 5), (13, 17), (24, 31)]
# SHA-256 of codes by a small network. They change only where every stream changes.
GOLDEN = {8: "3cf5b5f9ef922da6", 12: "f99633ae9596d525", 16: "f77482e99f1f8440"}  # by bits


@pytest.fixture(scope="module")
def net():
    return network.load(draw())


def from_zero(image):
    return image.astype(np.int64) - int(image.min())


def check(values, net):
    code = walk.encode(values, net)
    decoded = walk.decode(code, values.shape, int(values.max()), net)
    assert decoded.dtype == np.uint16 and np.array_equal(decoded, values)
    return code


@pytest.mark.parametrize("top", [1, 2, 255, 256, 65535])
@pytest.mark.parametrize("shape", SHAPES)
def test_noise_of_every_shape_comes_back(shape, top, net):
    rng = np.random.default_rng(top)
    for values in (rng.integers(0, top + 1, shape), top * rng.integers(0, 2, shape)):
        values.flat[-1] = top
        check(values, net)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_pictures_of_every_kind_come_back(kind, dtype, net):
    rng = np.random.default_rng(0)
    for shape in ((1, 40), (40, 1), (23, 37)):
        values = from_zero(make(kind, np.dtype(dtype), shape, rng))
        values.flat[rng.integers(values.size)] += not values.any()
        check(values, net)


@pytest.mark.parametrize("place", [0, 17, -1])
def test_a_flat_image_with_one_other_pixel_is_small(place, net):
    for top in (1, 255, 65535):
        for background in (0, top):
            values = np.full((48, 64), background)
            values.flat[place] = top - background
            assert len(check(values, net)) < 90


def test_an_edge_comes_back(net):
    values = np.zeros((20, 30), int)
    values[:, 11:] = 255
    values[9:] = 255 - values[9:]
    assert len(check(values, net)) < 0.2 * values.size


@pytest.mark.parametrize("loudness", [30.0, 2.0**12])
def test_a_network_that_is_certain_and_wrong_costs_bytes_not_pixels(loudness):
    certain = network.load(draw(loudness=loudness))
    rng = np.random.default_rng(3)
    for values in (rng.integers(0, 65536, (9, 40)), 65535 * rng.integers(0, 2, (9, 40))):
        values[0, 0] = 65535
        assert len(check(values, certain)) < values.size * ROOM / 3


def test_a_network_of_zeros_leaves_it_to_the_others():
    silent = network.load({name: 0 * values for name, values in draw().items()})
    assert len(check(phantom(64), silent)) < 0.6 * 64 * 64


def test_the_image_itself_is_left_alone(net):
    values = texture().astype(np.int64)
    kept = values.copy()
    for layout in (values, np.asfortranarray(values), values[::-1][::-1]):
        assert walk.encode(layout, net) == walk.encode(kept, net)
    assert np.array_equal(values, kept)


def test_nothing_is_kept_from_one_image_to_the_next(net):
    first, second = texture(), phantom(24)
    codes = [walk.encode(values, net) for values in (first, second, first)]
    assert codes[0] == codes[2]
    assert codes[1] == walk.encode(second, network.load(draw()))


def test_a_code_that_ends_early_is_refused(net):
    values = texture((12, 15))
    code = walk.encode(values, net)
    for end in range(len(code)):
        with pytest.raises(ValueError, match="ends before the last pixel"):
            walk.decode(code[:end], values.shape, int(values.max()), net)


def test_a_code_that_goes_on_is_refused(net):
    values = texture((12, 15))
    code, top = walk.encode(values, net), int(values.max())
    for rest in (bytes(4), b"\xff" * 4, bytes(1000)):
        with pytest.raises(ValueError, match="holds more than the pixels"):
            walk.decode(code + rest, values.shape, top, net)
    with pytest.raises(ValueError, match="more than the pixels"):
        walk.decode(code, (9, 15), top, net)
    with pytest.raises(ValueError, match="before the last pixel"):
        walk.decode(code, (24, 15), top, net)


def test_other_weights_decode_something_else(net):
    values = texture()
    other = network.load(draw(seed=1))
    try:
        decoded = walk.decode(walk.encode(values, net), values.shape, int(values.max()), other)
    except ValueError:
        return
    assert not np.array_equal(decoded, values)


@pytest.mark.parametrize("heard", [(True,) * 5, (False,) * 5, (True, True, True, False, True)])
def test_experts_that_are_not_heard_say_nothing(heard, net):
    values = texture()
    code = walk.encode(values, net, heard)
    assert np.array_equal(walk.decode(code, values.shape, int(values.max()), net, heard), values)
    assert (code == walk.encode(values, net)) == all(heard)


def test_the_mixing_learns(net):
    """The same rows again and again cost less and less."""
    values = np.tile(np.random.default_rng(4).integers(0, 4, (1, 48)) * 60, (60, 1))
    values[0, 0] = 0
    assert len(walk.encode(values, net)) < 1.4 * len(walk.encode(values[:30], net))
    noise = np.random.default_rng(5).integers(0, 2, (60, 48)) * 255
    alone = len(walk.encode(noise, net, (False,) * mixing.EXPERTS))
    assert noise.size / 8 < len(walk.encode(noise, net)) < 0.75 * alone


@pytest.mark.parametrize("bits", GOLDEN)
def test_golden_codes(bits, net):
    code = walk.encode(from_zero(texture(bits=bits)), net)
    assert hashlib.sha256(code).hexdigest()[:16] == GOLDEN[bits]


PLAIN = """
import numpy as np
from context_networks import draw, texture
from helpers.codecs.causal import network, walk
from numba import config
assert config.DISABLE_JIT
net, values = network.load(draw()), texture((24, 20))
code = walk.encode(values, net)
assert np.array_equal(walk.decode(code, values.shape, int(values.max()), net), values)
values = texture((6, 9), 16).astype(int)
values = values - values.min()
print(code.hex(), walk.encode(values, net).hex())
"""


def test_plain_python_writes_the_same_bytes(net):
    """What the compiler makes of the loops changes no bit, nor does any number overflow."""
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", PLAIN],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "OMP_NUM_THREADS": "3", "PYTHONPATH": TESTS},
        capture_output=True,
        text=True,
        check=True,
    )
    pictures = [texture((24, 20)), from_zero(texture((6, 9), 16))]
    assert done.stdout.split() == [walk.encode(values, net).hex() for values in pictures]


SPARSE = {
    "two": np.array([[0, 65535], [65535, 0]], np.uint16),
    "tens": (10 * np.arange(600, dtype=np.uint16)).reshape(20, 30),
    "some": np.random.default_rng(5).choice([0, 3, 4, 900, 65535], (9, 9)).astype(np.uint16),
}


@pytest.mark.parametrize("name", SPARSE)
def test_levels_that_are_left_out_are_numbered(name):
    values = SPARSE[name] - SPARSE[name].min()
    numbers, gaps = levels.pack(values)
    count = len(np.unique(values))
    assert numbers.dtype == np.uint16 and sorted(set(numbers.flat)) == list(range(count))
    assert gaps and np.array_equal(levels.unpack(numbers, gaps), values)


def test_levels_that_are_all_in_use_stay():
    for values in (np.array([[0, 1, 2, 3]]), np.array([[0, 2, 3]]), np.array([[0, 1]])):
        values = values.astype(np.uint16)
        numbers, gaps = levels.pack(values)
        assert gaps == b"" and np.array_equal(numbers, values)
    half = np.array([[0, 3, 4, 7]], np.uint16)  # just half of them: numbered
    assert levels.pack(half)[1] and not levels.pack(np.append(half, [[1]], 1))[1]


def test_damaged_lists_of_levels_are_refused():
    import brotli

    numbers, gaps = levels.pack(SPARSE["tens"])
    bad = [gaps[:end] for end in range(len(gaps))]
    bad += [b"\xff" + gaps, brotli.compress(b"abc"), brotli.compress(bytes(3 * 2**20))]
    for listed in bad:
        with pytest.raises((ValueError, brotli.error)):
            levels.unpack(numbers, listed)
    few = brotli.compress(b"\1\0" * 3)
    with pytest.raises(ValueError, match="more pixel values than grey levels"):
        levels.unpack(numbers, few)
    assert levels.unpack(np.array([[3]]), few).tolist() == [[3]]


def test_the_mixer_begins_with_the_network():
    mixer = mixing.new_mixer(COMPONENTS)
    assert (mixer.weights[:, 0] == 1 << 16).all() and not mixer.weights[:, 1:].any()
    assert mixer.curves.shape == (COMPONENTS + 2, 3)
