"""Small auto-encoders for tests, in the layout of `helpers.models.halves.state`.

NumPy alone draws them, so that tests of the codec need not wait for Keras. Every weight is a
small whole number times a power of two: float16 holds it, and all machines draw the same ones.
"""

import hashlib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
from codec_images import phantom

from helpers import weights
from helpers.codecs.container import pack, unpack
from helpers.data import ImageSet

SIDE = 256
TINY = SimpleNamespace(encoder=(2,) * 6, latent=5, decoder=(3, 2, 2, 2, 2, 2), dense=False)
TINY_DENSE = SimpleNamespace(encoder=(3, 2), latent=2, decoder=(2, 4), dense=True)
SMALL = SimpleNamespace(encoder=(2, 3), latent=4, decoder=(3, 2), dense=False)
WIDE = SimpleNamespace(  # the paper's networks have two to four times as many channels
    encoder=(8, 16, 16, 16, 64, 16), latent=32, decoder=(64, 16, 16, 16, 8, 8), dense=False
)
CNN1 = SimpleNamespace(
    encoder=(16, 64, 64, 64, 256, 64), latent=128, decoder=(256, 64, 64, 32, 32, 16), dense=False
)


def film_set(patients, source="made"):
    """Films of 256 x 256 that look a little medical."""
    count = len(patients)
    return ImageSet(
        name="chest-xray",
        source=source,
        images=tuple(phantom(SIDE, seed=i) for i in range(count)),
        ids=tuple(f"film{i}" for i in range(count)),
        patients=tuple(patients),
        labels=("",) * count,
        bit_depth=8,
        licence="none",
        citation="none",
    )


def shapes(plan):
    """Shapes of all variables of an auto-encoder with these widths."""
    found = {}

    def layer(name, *kernel):
        found[f"{name}/kernel"], found[f"{name}/bias"] = kernel, kernel[-1:]

    def convolutions(part, before, widths):
        for step, width in enumerate(widths):
            layer(f"{part}/conv{step}", 3, 3, before, width)
            for field in ("gamma", "beta", "moving_mean", "moving_variance"):
                found[f"{part}/norm{step}/{field}"] = (width,)
            before = width
        return before

    if plan.dense:
        for part, before, widths in (
            ("encoder", SIDE * SIDE, plan.encoder),
            ("decoder", plan.latent, plan.decoder),
        ):
            for step, width in enumerate(widths):
                layer(f"{part}/dense{step}", before, width)
                before = width
            last = ("dense", plan.latent) if part == "encoder" else ("last", SIDE * SIDE)
            layer(f"{part}/{last[0]}", before, last[1])
        return found
    flat = (SIDE >> len(plan.encoder)) ** 2 * convolutions("encoder", 1, plan.encoder)
    layer("encoder/dense", flat, plan.latent)
    layer("decoder/dense", plan.latent, flat)
    layer("decoder/last", 3, 3, convolutions("decoder", plan.encoder[-1], plan.decoder), 1)
    return found


def draw(plan=TINY, seed=0, loudness=2):
    """Draw weights that keep activations in their range, by name."""
    rng, arrays = np.random.default_rng(seed), {}
    for name, shape in shapes(plan).items():
        if name.endswith(("gamma", "moving_variance")):
            arrays[name] = rng.integers(64, 512, shape) / 256
        else:
            fan = int(np.prod(shape[:-1]))
            share = 2.0 ** -(fan.bit_length() // 2) if name.endswith("kernel") else 0.25
            arrays[name] = loudness * share * rng.integers(-256, 257, shape) / 256
    return {name: values.astype(np.float32) for name, values in arrays.items()}


def two_stages(seed=0):
    """Weights of a two-stage model, as `helpers.experiments.lossless_delta.training.join`s them."""
    return {
        f"stage{stage}/{name}": values
        for stage in (1, 2)
        for name, values in draw(TINY, seed + stage).items()
    }


def save(folder, name, arrays):
    """Store weights under a name, with a bare card."""
    return weights.save(arrays, folder / f"{name}.safetensors", {"name": name})


def save_all(folder):
    """One model of each kind: ``tiny``, ``tiny-dense`` and ``tiny-two``."""
    save(folder, "tiny", draw(TINY))
    save(folder, "tiny-dense", draw(TINY_DENSE))
    save(folder, "tiny-two", two_stages())


def fingerprint(*arrays):
    """SHA-256 of whole numbers, whatever type they are kept in."""
    return hashlib.sha256(b"".join(a.astype("<i8").tobytes() for a in arrays)).hexdigest()


def rewrite(stream, **fields):
    """Put other header fields or another payload into a stream, its checksum made to fit."""
    header, payload = unpack(stream)
    payload = fields.pop("payload", payload)
    return pack(replace(header, **fields), payload)
