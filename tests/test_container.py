import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.codecs.container import (
    DTYPES,
    MAX_PIXELS,
    Header,
    check_image,
    pack,
    pixel_crc,
    unpack,
)
from helpers.errors import BitstreamError

PLAIN = Header("spiht", np.dtype("uint8"), (3, 300), 8)
headers = st.builds(
    Header,
    codec=st.text("abcdefgh-", min_size=1, max_size=20),
    dtype=st.sampled_from(DTYPES),
    shape=st.tuples(st.integers(1, 8192), st.integers(1, 8192)),
    bit_depth=st.integers(1, 8),
    pixel_crc=st.one_of(st.none(), st.integers(0, 2**32 - 1)),
)


@settings(max_examples=200, deadline=None)
@given(headers, st.binary(max_size=400), st.booleans())
def test_header_and_payload_come_back(header, payload, learned):
    if learned:
        header = Header(**{**vars(header), "model": "net-1", "weights": b"\x01\x02\x03\x04"})
    assert unpack(pack(header, payload)) == (header, payload)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 10**6), st.integers(1, 255))
def test_any_changed_or_missing_byte_is_noticed(payload, at, change):
    stream = bytearray(pack(PLAIN, payload))
    cut = bytes(stream[: at % len(stream)])
    stream[at % len(stream)] ^= change
    for damaged in (bytes(stream), cut):
        with pytest.raises(BitstreamError):
            unpack(damaged)


def test_the_errors_say_what_is_wrong():
    stream = pack(PLAIN, b"payload")
    for damaged, codec, reason in (
        (b"\x89PNG....", None, "not a stream of this book"),
        (stream[:3] + b"\x02" + stream[4:], None, "another container version"),
        (stream[:-1], None, "truncated or altered"),
        (stream + b"x", None, "truncated or altered"),
        (stream, "wavelet", "decode it with 'spiht'"),
    ):
        with pytest.raises(BitstreamError, match=reason):
            unpack(damaged, codec)


def test_a_forged_size_is_refused():
    for shape in ((2**14, 2**14), (2**27, 1)):
        with pytest.raises(BitstreamError, match=f"at most {MAX_PIXELS}"):
            unpack(pack(Header("spiht", np.dtype("uint8"), shape, 8), b""))


def test_the_envelope_is_small():
    assert len(pack(PLAIN, b"")) <= 24


def test_images_are_checked():
    assert check_image(np.ones((4, 4), np.uint8)[:, ::2]).flags.c_contiguous
    for wrong in (np.ones((2, 2), np.float32), np.ones(4, np.uint8), np.ones((0, 3), np.uint8)):
        with pytest.raises(ValueError):
            check_image(wrong)
    image = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert pixel_crc(image) == pixel_crc(image.astype(">u2")) != pixel_crc(image + 1)
