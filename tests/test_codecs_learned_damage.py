"""Damaged and forged streams of the lossless codec that learns: refused, or exact, and quickly.

Checksums are made to fit, so that the decoder of the payload itself meets the damage.
"""

import time
import warnings

import numpy as np
import pytest
from codec_images import damage, make, phantom
from context_networks import resealed, rewrite, texture

from helpers.bench.speed import _peak_mib, _restart_peak
from helpers.codecs.classical import JpegLs, JpegXl
from helpers.codecs.container import Header, pack, unpack
from helpers.codecs.learned import LearnedCodec
from helpers.errors import BitstreamError

pytestmark = pytest.mark.usefixtures("context_networks")
COUNT = 10_000
NOTHING, NETWORK, JPEG_XL, JPEG_LS = range(4)
LARGE = (8192, 8192)
MOST = 48  # MiB that refusing a stream may take


@pytest.fixture
def codec():
    return LearnedCodec("tiny-context")


@pytest.fixture
def seeds(codec):
    """Small images and streams of them: of each kind of payload and each type of pixel."""
    rng, found = np.random.default_rng(0), []
    for dtype in ("uint8", "uint16", "int16"):
        for kind, shape in (("noise", (5, 9)), ("margin", (8, 8)), ("smooth", (1, 30))):
            image = make(kind, np.dtype(dtype), shape, rng)
            found += [(image, one.encode(image)) for one in (codec, own(codec))]
    image = texture((9, 11))
    found += [(image, own(codec).encode(image)), (image * 0, codec.encode(image * 0))]
    for number, standard in ((JPEG_XL, JpegXl), (JPEG_LS, JpegLs)):
        payload = bytes([number, 0, 0]) + standard().encode(image)
        found.append((image, rewrite(codec.encode(image), payload=payload)))
    kinds = {unpack(stream)[1][0] for _, stream in found}
    assert kinds == {NOTHING, NETWORK, JPEG_XL, JPEG_LS}
    return found


def own(codec):
    return LearnedCodec(codec.model, standards=False)


def forge(codec, shape, payload, dtype="uint16", crc=5):
    depth = 8 * np.dtype(dtype).itemsize
    fields = np.dtype(dtype), shape, depth, codec.model, codec.weights_hash, crc
    return pack(Header("learned", *fields), payload)


def mixed(stream, other, rng):
    """Payload of a stream, damaged."""
    return damage(unpack(stream)[1], unpack(other)[1], rng)


def refused(codec, stream, seconds=2.0):
    """Make sure that a stream is refused, without much time or memory; say why."""
    before, started = _restart_peak(), time.monotonic()
    with pytest.raises(BitstreamError) as error:
        codec.decode(stream)
    assert time.monotonic() - started < seconds
    assert not _peak_mib() - before > MOST  # not a number where the system does not tell
    return str(error.value)


def test_damaged_streams_are_refused(codec, seeds):
    rng = np.random.default_rng(1)
    for k in range(COUNT // 5):
        stream = seeds[k % len(seeds)][1]
        damaged = damage(stream, seeds[rng.integers(len(seeds))][1], rng)
        try:
            decoded = codec.decode(damaged)
        except BitstreamError:
            continue
        known = [other for other, coded in seeds if coded == damaged]
        assert known and np.array_equal(decoded, known[0])


def test_forged_streams_are_refused_or_exact(codec, seeds):
    """Ten thousand of them: any byte changed, or the payload cut, spliced and shifted."""
    rng, count, before, started = np.random.default_rng(2), 0, _restart_peak(), time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nor does arithmetic grumble
        for k in range(COUNT):
            image, stream = seeds[k % len(seeds)]
            if k % 2:
                body = bytearray(stream[:-4])
                body[rng.integers(len(body))] = rng.integers(256)
                forged = resealed(bytes(body))
            else:
                other = seeds[rng.integers(len(seeds))][1]
                forged = rewrite(
                    stream, payload=damage(*(unpack(s)[1] for s in (stream, other)), rng)
                )
            try:
                decoded = codec.decode(forged)
            except BitstreamError:
                count += 1
                continue
            assert decoded.tobytes() == image.tobytes()  # the header may name another type
    assert count > 0.9 * COUNT
    assert time.monotonic() - started < 60
    assert not _peak_mib() - before > MOST


def test_without_their_checksum_pixels_are_still_those_of_an_image(codec, seeds):
    """No damage ends in anything but an image of the shape and type announced, or an error."""
    rng, count = np.random.default_rng(3), 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for k in range(COUNT // 4):
            image, stream = seeds[k % len(seeds)]
            payload = mixed(stream, seeds[rng.integers(len(seeds))][1], rng)
            try:
                decoded = codec.decode(rewrite(stream, payload=payload, pixel_crc=None))
            except BitstreamError:
                continue
            assert (decoded.shape, decoded.dtype) == (image.shape, image.dtype)
            count += 1
    assert count > COUNT // 40


def test_every_cut_is_refused(codec, seeds):
    for image, stream in seeds:
        payload = unpack(stream)[1]
        for end in range(len(payload)):
            try:  # JPEG XL may do without its last byte
                decoded = codec.decode(rewrite(stream, payload=payload[:end]))
            except BitstreamError:
                continue
            assert payload[0] == JPEG_XL and np.array_equal(decoded, image)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
@pytest.mark.parametrize("top", [b"\1\0", b"\xff\xff"])
def test_a_large_header_with_a_small_code_is_refused_at_once(codec, top, dtype):
    codec.encode(phantom(20))  # the weights are loaded
    rng = np.random.default_rng(4)
    for code in (b"", b"\xff" * 1000, b"\x7f\x80" * 100, rng.bytes(20), rng.bytes(3000)):
        payload = bytes([NETWORK, 0, 0]) + top + bytes(3) + code
        assert "ends before the last pixel" in refused(codec, forge(codec, LARGE, payload, dtype))


def test_a_code_of_certain_answers_costs_no_more_than_an_image(codec):
    """Zeros are the likeliest answers: a few bytes of them hold many pixels, but at full speed."""
    codec.encode(phantom(20))
    payload = bytes([NETWORK, 0, 0, 255, 0]) + bytes(3) + bytes(300)
    said = refused(codec, forge(codec, (256, 256), payload), seconds=5)
    assert "more than the pixels" in said


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "does not say how its pixels are coded"),
        (b"\0\0", "does not say how its pixels are coded"),
        (b"\4" + bytes(99), "does not say how its pixels are coded"),
        (b"\xff" * 99, "does not say how its pixels are coded"),
        (b"\1\0\0", "ends inside its header"),
        (b"\1\0\0\0\0\0\0\0" + bytes(99), "ends inside its header"),  # no largest value
        (b"\1\0\0\5\0\xff\xff\xff" + bytes(99), "ends inside its header"),  # nor so many levels
        (b"\1\0\0\5\0\1\0\0" + bytes(99), "cannot be decoded"),
        (b"\0\5\0", "are not those that were coded"),
        (b"\2\0\0" + bytes(99), "not a JPEG XL codestream"),
        (b"\3\0\0" + bytes(99), "its end is missing"),
        (b"\3\0\0" + bytes(99) + b"\xff\xd9", "cannot be decoded"),
    ],
)
def test_forged_fields_are_refused(codec, payload, reason):
    assert reason in refused(codec, forge(codec, (20, 30), payload))


def test_pixels_beyond_their_type_are_refused(codec):
    image = texture((9, 11))
    values = (image.astype(np.uint16) - image.min()) * 5
    payload = unpack(own(codec).encode(values))[1]
    for least, dtype in ((0, "uint8"), (65500, "uint16"), (65535, "int16")):
        begin = bytes([NETWORK]) + least.to_bytes(2, "little")
        forged = forge(codec, image.shape, begin + payload[3:], dtype, crc=None)
        assert "pixels that its header's type does not" in refused(codec, forged)
    nothing = bytes([NOTHING]) + (300).to_bytes(2, "little")
    assert "cannot be decoded" in refused(codec, forge(codec, (3, 3), nothing, "uint8"))


@pytest.mark.parametrize("number", [JPEG_XL, JPEG_LS])
def test_a_standards_stream_of_another_image_is_not_begun(codec, number):
    standard = (JpegXl(effort=3) if number == JPEG_XL else JpegLs()).encode
    begin = bytes([number, 0, 0])
    bomb = begin + standard(np.zeros((7000, 7000), np.uint8))
    assert "invalid out" in refused(codec, forge(codec, (20, 30), bomb, "uint8"), seconds=0.5)
    for wrong, dtype in ((texture((20, 31)), "uint8"), (texture((20, 30)), "uint16")):
        stream = forge(codec, (20, 30), begin + standard(wrong), dtype, crc=None)
        assert "cannot be decoded" in refused(codec, stream, seconds=0.5)


def test_a_cut_jpeg_ls_stream_is_refused_before_the_library_looks_for_its_end(codec):
    """It would read zeros for seconds."""
    stream = JpegLs().encode(phantom(24))
    for end in range(len(stream)):
        started = time.monotonic()
        with pytest.raises(BitstreamError, match="its end is missing"):
            JpegLs().decode(stream[:end])
        assert time.monotonic() - started < 0.5
    assert np.array_equal(JpegLs().decode(stream + b"\0"), phantom(24))  # as DICOM pads it


def test_a_wrong_list_of_levels_is_refused(codec):
    values = (10 * np.arange(600, dtype=np.uint16)).reshape(20, 30)
    stream = own(codec).encode(values)
    payload = unpack(stream)[1]
    length = int.from_bytes(payload[5:8], "little")
    assert length > 0
    for at in range(8, 8 + length):
        forged = bytearray(payload)
        forged[at] ^= 0x55
        refused(codec, rewrite(stream, payload=bytes(forged)), seconds=0.5)
    cut = payload[:5] + (length - 1).to_bytes(3, "little") + payload[8 : 7 + length]
    refused(codec, rewrite(stream, payload=cut + payload[8 + length :]))
