"""Hundreds of damaged streams for each setting of the auto-encoder and delta codec."""

import warnings

import numpy as np
import pytest
from codec_images import damage, phantom
from delta_networks import rewrite

from helpers.codecs import residual
from helpers.codecs.container import unpack
from helpers.codecs.delta import DeltaCodec
from helpers.errors import BitstreamError

pytestmark = pytest.mark.usefixtures("tiny_networks")
SETTINGS = [(coder, latent) for coder in residual.CODERS for latent in ("int8", "float32")]
MUTATIONS = 200  # a setting


@pytest.mark.parametrize(("coder", "latent"), SETTINGS)
def test_damaged_streams_are_refused(coder, latent):
    codec, rng = DeltaCodec("tiny-dense", coder, latent), np.random.default_rng(1)
    first, other = (codec.encode(phantom(side)) for side in (20, 23))
    count, refused = MUTATIONS // 4, 0
    for _ in range(count):
        damaged = damage(first, other, rng)
        try:
            decoded = codec.decode(damaged)
        except BitstreamError:
            refused += 1
        else:
            right = 20 if damaged == first else 23
            assert damaged in (first, other) and np.array_equal(decoded, phantom(right))
    assert refused > 0.9 * count
    for end in range(len(first)):
        with pytest.raises(BitstreamError):
            codec.decode(first[:end])


@pytest.mark.parametrize(
    ("model", "count"),
    [
        ("tiny-dense", MUTATIONS),
        ("tiny-two", MUTATIONS // 10),
        pytest.param("tiny-dense", 1000, marks=pytest.mark.slow, id="thousands"),
    ],
)
@pytest.mark.parametrize(("coder", "latent"), SETTINGS)
def test_forged_payloads_are_refused_or_exact(coder, latent, model, count):
    """The stream's checksum is made to fit; that of the pixels still guards them."""
    codec, rng = DeltaCodec(model, coder, latent), np.random.default_rng(count)
    image = phantom(40)[8:31, 9:33]
    first, other = (codec.encode(picture) for picture in (image, phantom(24)))
    payloads, refused = [unpack(stream)[1] for stream in (first, other)], 0
    for _ in range(count):
        forged = rewrite(first, payload=damage(*payloads, rng))
        try:
            assert np.array_equal(codec.decode(forged), image)
        except BitstreamError:
            refused += 1
    assert refused > 0.8 * count  # the others: a nudge to the latent that changes no grey level


@pytest.mark.parametrize(("coder", "latent"), SETTINGS)
def test_forged_payloads_without_pixel_checksum_give_the_announced_image(coder, latent):
    """As the float8 convention has them: no damage ends in anything but an image or an error."""
    codec, rng = DeltaCodec("tiny-dense", coder, latent, "float8"), np.random.default_rng(3)
    first, other = (codec.encode(picture) for picture in (phantom(23), phantom(24)))
    payloads, decoded = [unpack(stream)[1] for stream in (first, other)], 0
    latents = len(codec.predict(phantom(23))[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nor does it grumble
        for k in range(MUTATIONS // 2):
            payload = bytearray(damage(*payloads, rng) if k % 2 else payloads[0])
            if k % 2 == 0:
                payload[1 + rng.integers(latents)] = rng.integers(256)
            try:
                image = codec.decode(rewrite(first, payload=bytes(payload)))
            except BitstreamError:
                continue
            assert image.shape == (23, 23) and image.dtype == np.uint8
            decoded += 1
    assert decoded > MUTATIONS // 5
