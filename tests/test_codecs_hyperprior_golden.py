"""Golden numbers of the lossy codec's own weights.

What its whole numbers say must never change, on any machine: then no stream would decode. What its
floats do may differ by a hair, so rates and qualities have a tolerance. Where the weights in
``reference/weights`` are trained anew, print the new values with
``python tests/test_codecs_hyperprior_golden.py`` and put them in place of `GOLDEN`. An encoder that
searches in another way changes bytes and decibels, and only those.
"""

import hashlib
from pprint import pprint

import numpy as np
import pytest
from codec_images import phantom

from helpers import weights
from helpers.codecs.hyperprior.codec import HyperCodec
from helpers.codecs.hyperprior.model import trained

IMAGE = phantom(128)
LEVELS = (8, 24, 40, 56)
GOLDEN = {
    "hyper-mse": {
        8: ("e5eb509e2f389e3425e651cf29fbd046", 402, 33.012),
        24: ("721c8d3bac3ddd03de5dd1b49e1efdc3", 995, 37.494),
        40: ("a8c2c7cd5ab6bbe6a6d6f2487ac77ef4", 2127, 43.576),
        56: ("c59cb402fe68d992aead66ae99d0b6a8", 3640, 50.124),
    },
    "hyper-msssim": {
        8: ("f90c76fb187cd880632193d691452361", 380, 32.65),
        24: ("59ab031867b1bd61fd754550a3ceaaf9", 935, 36.826),
        40: ("cb111a498cc92382fbef2951301220ff", 2023, 42.643),
        56: ("3154a3dca2259398b41db45c39862581", 3538, 49.166),
    },
}


@pytest.fixture(autouse=True)
def only_the_books(monkeypatch):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(weights.FOLDER))


def chances_asked(model, level):
    """SHA-256 of all means and scales along a walk with made-up symbols."""
    rng, digest = np.random.default_rng(level), hashlib.sha256()

    def code(bands, rows, columns, mean, scale):
        digest.update(mean.astype("<i8").tobytes() + scale.astype("<i8").tobytes())
        return rng.integers(-3, 4, mean.shape) * (rng.random(mean.shape) < 0.2)

    context = trained(model).context
    context.walk(rng.integers(-3, 4, (2, 2, 16)), level, (7, 5), code)
    return digest.hexdigest()[:32]


def rate_and_quality(model, level):
    """Bytes of the stream and dB of the picture."""
    codec = HyperCodec(level, model)
    stream = codec.encode(IMAGE)
    error = np.mean((codec.decode(stream).astype(float) - IMAGE) ** 2)
    return len(stream), round(float(10 * np.log10(255**2 / error)), 3)


def measured(model):
    """Everything that is compared."""
    return {
        level: (chances_asked(model, level), *rate_and_quality(model, level)) for level in LEVELS
    }


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("model", GOLDEN)
def test_golden_numbers(model, level):
    digest, size, quality = GOLDEN[model][level]
    assert chances_asked(model, level) == digest
    bytes_, psnr = rate_and_quality(model, level)
    assert abs(bytes_ - size) <= 0.01 * size + 2
    assert psnr == pytest.approx(quality, abs=0.05)


if __name__ == "__main__":
    pprint({model: measured(model) for model in GOLDEN})
