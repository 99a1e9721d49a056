"""The auto-encoders in whole numbers give the same bits whoever adds up, and wherever."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from codec_images import phantom
from delta_networks import CNN1, TINY, TINY_DENSE, WIDE, draw, fingerprint

from helpers.models import integer
from helpers.models.integer import LIMIT, WEIGHT_BITS, Affine, IntegerAutoencoder

pytestmark = pytest.mark.usefixtures("one_thread")
EXACT = 2**53  # whole numbers up to here have a float64 each, so sums below it are exact
FILM = phantom(256)
GOLDEN = {
    "cnn": "531c23d6797f8e1a67f38583ba2d21952cbc4973f7ec03de42e2dc5a29a344d7",
    "dense": "0fbba9de37c274e794c45ddcecc1068b64c83d01a39afc24659a1ffb83a2c2fc",
    "delta": "713d70759555f63ce074f7a14215e47cbe7ea6416729924e1febbe56efc62e7f",
}


def _backwards(a, b):
    return np.ascontiguousarray(a[:, ::-1]) @ np.ascontiguousarray(b[::-1])


def _halves(a, b):
    middle = a.shape[1] // 2
    return a[:, middle:] @ b[middle:] + a[:, :middle] @ b[:middle]


def _torch(device):
    def product(a, b):
        a, b = (torch.from_numpy(np.ascontiguousarray(x)).to(device) for x in (a, b))
        return (a @ b).cpu().numpy()

    return product


PRODUCTS = {
    "PyTorch": _torch("cpu"),
    "reverse order": _backwards,
    "two halves": _halves,
    "columns first": lambda a, b: np.asfortranarray(a) @ np.asfortranarray(b),
    "one by one": lambda a, b: np.einsum("ij,jk->ik", a, b),
    "64-bit integers": lambda a, b: (a.astype(np.int64) @ b.astype(np.int64)).astype(float),
}


@pytest.mark.parametrize("plan", [TINY, TINY_DENSE], ids=["cnn", "dense"])
@pytest.mark.parametrize("loudness", [2, 64])  # the second drives activations to their limit
@pytest.mark.parametrize("name", PRODUCTS)
def test_any_matrix_product_gives_the_same_bits(name, loudness, plan):
    arrays = draw(plan, 7, loudness)
    first, other = IntegerAutoencoder(arrays), IntegerAutoencoder(arrays, matmul=PRODUCTS[name])
    latent = first.encode(FILM)
    assert np.array_equal(other.encode(FILM), latent)
    assert np.array_equal(other.decode(latent), first.decode(latent))
    assert (np.abs(latent).max() > 2**20) == (loudness > 2)


@pytest.mark.parametrize("name", ["PyTorch", "reverse order"])
def test_matrices_large_enough_for_threads_give_the_same_bits(name):
    arrays = draw(WIDE, 7)
    first, other = IntegerAutoencoder(arrays), IntegerAutoencoder(arrays, matmul=PRODUCTS[name])
    latent = first.encode(FILM)
    assert np.array_equal(other.encode(FILM), latent)
    assert np.array_equal(other.decode(latent), first.decode(latent))


@pytest.mark.parametrize("plan", [TINY, TINY_DENSE], ids=["cnn", "dense"])
def test_large_kernels_kept_in_16_bits_give_the_same_bits(plan, monkeypatch):
    arrays = draw(plan, 7)
    plain = IntegerAutoencoder(arrays)
    monkeypatch.setattr(integer, "_LARGE", 7)  # rows are then multiplied a few at a time
    kept = IntegerAutoencoder(arrays)
    assert {layer.kernel.dtype for layer in kept.encoder} >= {np.dtype(np.int16)}
    latent = plain.encode(FILM)
    assert np.array_equal(kept.encode(FILM), latent)
    assert np.array_equal(kept.decode(latent), plain.decode(latent))


def test_taps_of_a_large_kernel_are_added_in_more_than_16_bits(monkeypatch):
    monkeypatch.setattr(integer, "_LARGE", 7)
    layer = Affine(np.full((3, 3, 2, 1), 1 - 2.0**-16), np.zeros(1), scale=1.0)
    assert layer(np.ones((4, 4, 2)), np.matmul, enlarge=True).max() == 3 * 3 * 2 * 2**12


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("plan", [TINY, TINY_DENSE, CNN1], ids=["tiny", "dense", "cnn1"])
def test_a_gpu_gives_the_same_bits(plan):
    arrays = draw(plan, 7)
    here, there = IntegerAutoencoder(arrays), IntegerAutoencoder(arrays, matmul=_torch("cuda"))
    latent = here.encode(FILM)
    assert np.array_equal(there.encode(FILM), latent)
    assert np.array_equal(there.decode(latent), here.decode(latent))


ELSEWHERE = """
import sys
sys.path.insert(0, {tests!r})
from codec_images import phantom
from delta_networks import WIDE, draw, fingerprint
from helpers.models.integer import IntegerAutoencoder
network = IntegerAutoencoder(draw(WIDE, 9))
latent = network.encode(phantom(256))
slow = {{"keras", "torch", "tensorflow"}} & set(sys.modules)
print(fingerprint(latent, network.decode(latent)), *slow)
"""


def test_other_threads_and_other_kernels_give_the_same_bits():
    """OpenBLAS is told how many threads and which processor's instructions to use."""
    network = IntegerAutoencoder(draw(WIDE, 9))
    latent = network.encode(FILM)
    code = ELSEWHERE.format(tests=str(Path(__file__).parent))
    for threads, core in (("1", "Nehalem"), ("3", "Haswell")):
        limits = {"OPENBLAS_NUM_THREADS": threads, "OPENBLAS_CORETYPE": core}
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, **limits},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.split() == [fingerprint(latent, network.decode(latent))]


def test_the_worst_layer_reaches_the_bound_and_is_exact():
    """All weights and all activations at their largest, all products of one sign."""
    largest = 1 - 2.0**-16  # rounds up to 2**13
    kernel = np.full((3, 3, 256, 3), largest) * [1, -1, 1] * np.array([1, 1, 2.0**-80])
    layer = Affine(kernel, np.full(3, 1e9), scale=1.0)
    assert np.abs(layer.kernel).max() == 2**WEIGHT_BITS
    assert layer.bias.max() == 2**50  # of the channel that all but has no weights
    values, sums = np.full((4, 4, 256), float(LIMIT)), []

    def watched(a, b):
        sums.append(np.abs(a) @ np.abs(b))
        return a @ b

    for enlarge in (False, True):
        sums.clear()
        out = layer(values, watched, enlarge)
        assert np.array_equal(out, layer(values, PRODUCTS["64-bit integers"], enlarge))
        assert out.max() == LIMIT and out.min() == -LIMIT
        taps = 9 if not enlarge else 4
        assert max(total.max() for total in sums) <= 2**48.2
        assert np.add.reduce(sums[:taps]).max() + layer.bias.max() < EXACT
    assert np.add.reduce(sums[:4]).max() == 2304 * LIMIT * 2**WEIGHT_BITS  # the bound, reached


def test_extreme_weights_stay_in_range():
    """Enormous, tiny and missing weights, and biases beyond all measure."""
    arrays = draw(TINY, 11)
    rng = np.random.default_rng(0)
    for name, values in arrays.items():
        if name.endswith(("kernel", "bias")):
            values *= 10.0 ** rng.integers(-12, 7)
    arrays["decoder/conv2/kernel"][:] = 0
    twins = [IntegerAutoencoder(arrays, matmul=p) for p in (np.matmul, PRODUCTS["64-bit integers"])]
    latents = [twin.encode(FILM) for twin in twins]
    assert np.array_equal(*latents) and np.abs(latents[0]).max() <= LIMIT
    assert np.array_equal(*(twin.decode(latents[0]) for twin in twins))


@pytest.mark.parametrize("plan", [TINY, TINY_DENSE], ids=["cnn", "dense"])
def test_huge_latents_are_clipped_and_stay_exact(plan):
    def checked(a, b):
        assert (np.abs(a) @ np.abs(b)).max() < EXACT
        return a @ b

    network = IntegerAutoencoder(draw(plan, 13, loudness=64), matmul=checked)
    rng = np.random.default_rng(1)
    assert np.abs(network.encode(FILM)).max() <= LIMIT
    for size in (2.0**25, 2.0**60, 1e300, np.inf):
        signs = rng.choice([-1.0, 1.0], network.latent)
        image = network.decode(size * signs)
        assert image.min() >= 0 and image.max() <= 255
        assert np.array_equal(image, network.decode(LIMIT * signs))


def test_golden_images():
    """A fixed network's bits: should any machine disagree, it shows here."""
    found = {}
    for name, plan, levels in (
        ("cnn", TINY, 255),
        ("dense", TINY_DENSE, 255),
        ("delta", TINY, 510),
    ):
        network = IntegerAutoencoder(draw(plan, 17), levels)
        latent = 512.0 * np.arange(1, network.latent + 1) * (-1.0) ** np.arange(network.latent)
        image = network.decode(latent)
        assert image.min() >= 0 and levels // 4 < np.ptp(image) and image.max() <= levels
        found[name] = fingerprint(image, network.encode(image))
    assert found == GOLDEN
