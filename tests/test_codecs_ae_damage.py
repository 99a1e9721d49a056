"""Damaged and forged streams of the codecs of a latent alone."""

import warnings

import numpy as np
import pytest
from codec_images import damage, make, phantom

from helpers.codecs.ae import LATENTS, MAX_PIXELS, LatentCodec
from helpers.codecs.container import Header, pack, unpack
from helpers.errors import BitstreamError

pytestmark = pytest.mark.usefixtures("latent_networks")
COUNTS = [1000, pytest.param(10_000, marks=pytest.mark.slow)]
TOO_LARGE = np.array([3e38, -3e38, 3e38], "<f4")


@pytest.fixture(autouse=True)
def without_a_grumble():
    """No damage ends in anything but an image or one error; not in warnings of arithmetic."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def seeds():
    """Streams of every setting and pixel type, with the images they decode to."""
    rng, found = np.random.default_rng(0), []
    for latent in LATENTS:
        for dtype in ("uint8", "uint16", "int16"):
            for kind, shape in (("noise", (9, 7)), ("smooth", (33, 12)), ("margin", (1, 5))):
                stream = LatentCodec("tiny-ae", latent).encode(
                    make(kind, np.dtype(dtype), shape, rng)
                )
                found.append((stream, LatentCodec("tiny-ae").decode(stream)))
    return found


def forge(payload, shape=(20, 20), dtype="uint8"):
    codec, dtype = LatentCodec("tiny-ae"), np.dtype(dtype)
    return pack(
        Header("ae-latent", dtype, shape, 8 * dtype.itemsize, codec.model, codec.weights_hash),
        payload,
    )


def test_truncated_streams_are_refused():
    for stream, _ in seeds():
        for end in range(len(stream)):
            with pytest.raises(BitstreamError):
                LatentCodec("tiny-ae").decode(stream[:end])


def test_truncated_payloads_are_refused():
    for stream, _ in seeds()[::3]:
        header, payload = unpack(stream)
        for end in range(len(payload)):
            with pytest.raises(BitstreamError):
                LatentCodec("tiny-ae").decode(pack(header, payload[:end]))
        with pytest.raises(BitstreamError, match="bytes instead of"):
            LatentCodec("tiny-ae").decode(pack(header, payload + b"\0"))


@pytest.mark.parametrize("count", COUNTS)
def test_damaged_streams_are_refused_or_right(count):
    codec, rng, refused, known = LatentCodec("tiny-ae"), np.random.default_rng(count), 0, seeds()
    right = dict(known)
    for k in range(count):
        damaged = damage(known[k % len(known)][0], known[rng.integers(len(known))][0], rng)
        try:
            decoded = codec.decode(damaged)
        except BitstreamError:
            refused += 1
        else:
            assert np.array_equal(decoded, right[damaged])
    assert refused > 0.9 * count  # the rest were whole: such short streams share a long header


@pytest.mark.parametrize("count", COUNTS)
def test_forged_payloads_are_refused_or_give_the_announced_image(count):
    """The checksum is made to fit, so the decoder itself meets the damage."""
    codec, rng, decoded, known = LatentCodec("tiny-ae"), np.random.default_rng(count), 0, seeds()
    payloads = [unpack(stream)[1] for stream, _ in known]
    for k in range(count):
        header, payload = unpack(known[k % len(known)][0])
        other = payloads[rng.integers(len(payloads))]
        try:
            image = codec.decode(pack(header, damage(payload, other, rng)))
        except BitstreamError:
            continue
        assert image.shape == header.shape and image.dtype == header.dtype
        decoded += 1
    assert 0.1 * count < decoded < 0.8 * count


@pytest.mark.parametrize(
    ("flags", "rest", "reason"),
    [
        (0, np.array([0, np.nan, 1], "<f4"), "not finite"),
        (0, np.array([0, -np.inf, 1], "<f4"), "not finite"),
        (0, np.array([0x7F800001] * 3, "<u4"), "not finite"),  # a NaN that signals
        (1, np.array([0x7C01] * 3, "<u2"), "not finite"),
        (1, np.array([0, np.inf, 1], "<f2"), "not finite"),
        (2, np.array([127, 1, 2, 3], "i1"), "not finite"),
        (0, TOO_LARGE, "overflows"),
        (2, np.array([120, 127, -127, 127], "i1"), "overflows"),
        (0, np.zeros(2, "<f4"), "8 bytes instead of 12"),
        (0, np.zeros(4, "<f4"), "16 bytes instead of 12"),
        (1, np.zeros(3, "<f4"), "12 bytes instead of 6"),
        (2, np.zeros(3, "i1"), "3 bytes instead of 4"),
        (3, np.zeros(3, "<f4"), "first byte names no latent"),
        (4, np.zeros(3, "<f4"), "first byte names no latent"),
        (128, np.zeros(3, "<f4"), "first byte names no latent"),
        (16, np.zeros(5, "<f4"), "first byte names no latent"),  # no window for 8 bits
    ],
)
def test_forged_fields_are_refused(flags, rest, reason):
    with pytest.raises(BitstreamError, match=reason):
        LatentCodec("tiny-ae").decode(forge(bytes([flags]) + rest.tobytes()))


def test_an_empty_payload_and_half_a_window_are_refused():
    with pytest.raises(BitstreamError, match="cannot be decoded"):
        LatentCodec("tiny-ae").decode(forge(b""))
    with pytest.raises(BitstreamError, match="cannot be decoded"):
        LatentCodec("tiny-ae").decode(forge(bytes([16]) + bytes(7), dtype="int16"))
    with pytest.raises(BitstreamError, match="first byte names no latent"):
        LatentCodec("tiny-ae").decode(forge(bytes([0]) + bytes(12), dtype="int16"))


def test_forged_windows_keep_pixels_within_their_type():
    rng = np.random.default_rng(0)
    for dtype in ("uint16", "int16"):
        header, payload = unpack(LatentCodec("tiny-ae").encode(phantom(20, dtype)))
        for _ in range(30):
            forged = pack(header, payload[:1] + rng.bytes(8) + payload[9:])
            image = LatentCodec("tiny-ae").decode(forged)
            assert image.shape == (20, 20) and image.dtype == dtype


@pytest.mark.parametrize("shape", [(4097, 4096), (1, MAX_PIXELS + 1)])
def test_an_image_with_too_many_pixels_is_refused(shape):
    with pytest.raises(ValueError, match=rf"at most {MAX_PIXELS} pixels.*only 16 x 16 of them"):
        LatentCodec("tiny-ae").encode(np.zeros(shape, np.uint8))
    with pytest.raises(BitstreamError, match=f"more than {MAX_PIXELS} pixels"):
        LatentCodec("tiny-ae").decode(forge(bytes(13), shape))
