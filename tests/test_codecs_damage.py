"""Ten thousand damaged streams per own codec: refused, or decoded to what they must be."""

import contextlib
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from codec_images import damage, make

from helpers import codecs
from helpers.codecs.container import unpack
from helpers.errors import BitstreamError

pytestmark = pytest.mark.usefixtures("one_thread", "tiny_networks")
COUNT = 10_000
OWN = [
    "spiht",
    "wavelet",
    "cae",
    "cae-brotli",
    "shrink",
    pytest.param("ae-delta", marks=pytest.mark.slow),
]
# whose forged payloads have tests of their own: test_codecs_learned_damage, test_codecs_hyperprior
CHECKED = ["learned", "hyper", "hyper-msssim", "hific"]
# without a checksum of the pixels, or none of the forged streams would decode
OPTIONS = {"ae-delta": {"model": "tiny-dense", "delta": "float8"}}


def _seeds(name):
    rng = np.random.default_rng(0)
    shapes = [(9, 7), (16, 16), (1, 5), (33, 12)]
    sources = [
        make(kind, np.dtype(dtype), shape, rng)
        for kind in ("noise", "margin", "smooth")
        for dtype in codecs.CATALOGUE[name].dtypes
        for shape in shapes
    ]
    codec = codecs.get(name, **OPTIONS.get(name, {}))
    return codec, [(codec.encode(image), codec.decode(codec.encode(image))) for image in sources]


@pytest.mark.parametrize("name", [*OWN, *CHECKED])
def test_damaged_streams_are_refused_or_right(name):
    codec, seeds = _seeds(name)
    rng, refused, started = np.random.default_rng(1), 0, time.monotonic()
    right = dict(seeds)
    for k in range(COUNT):
        stream, image = seeds[k % len(seeds)]
        damaged = damage(stream, seeds[rng.integers(len(seeds))][0], rng)
        try:
            assert np.array_equal(codec.decode(damaged), right.get(damaged, image))
        except BitstreamError:
            refused += 1
    assert refused > 0.95 * COUNT  # the rest were whole: a splice of a stream with itself
    assert time.monotonic() - started < 30


@pytest.mark.parametrize("name", OWN)
def test_forged_streams_are_refused_or_give_the_announced_image(name):
    """The checksum is made to fit, so the decoder itself meets the damage."""
    codec, seeds = _seeds(name)
    rng, decoded, started = np.random.default_rng(2), 0, time.monotonic()
    for k in range(COUNT):
        stream, _ = seeds[k % len(seeds)]
        body = damage(stream[:-4], seeds[rng.integers(len(seeds))][0][:-4], rng)
        forged = body + zlib.crc32(body).to_bytes(4, "little")
        try:
            image = codec.decode(forged)
        except BitstreamError:
            continue
        header, _ = unpack(forged)
        assert image.shape == header.shape and image.dtype == header.dtype
        decoded += 1
    assert decoded > 0.05 * COUNT  # damage inside the payload does reach the decoder
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("name", ["spiht", "wavelet"])
def test_a_forged_size_takes_no_memory(name):
    from helpers.codecs.container import Header, pack

    tracemalloc.start()
    with pytest.raises(BitstreamError, match="cannot code"):
        codecs.get(name).decode(
            pack(Header(name, np.dtype("uint16"), (8192, 8192), 16), bytes([1]) + bytes(2000))
        )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


@pytest.mark.parametrize("name", ["spiht", "wavelet"])
def test_random_payloads_end_quickly(name):
    """No payload keeps a decoder busy for long, whatever image it claims to hold."""
    from helpers.codecs.container import Header, pack

    codec, rng = codecs.get(name), np.random.default_rng(3)
    for fill in (bytes(200), b"\xff" * 200, *(rng.bytes(200) for _ in range(30))):
        for start in (b"\x0a", b"\x1e", b"\x02\x05\xff\xff\0\0", b"\x00\x06\x00\x00\0\0"):
            header = Header(name, np.dtype("uint16"), (1024, 1024), 16)
            started = time.monotonic()
            with contextlib.suppress(BitstreamError):
                assert codec.decode(pack(header, start + fill)).shape == (1024, 1024)
            assert time.monotonic() - started < 5
