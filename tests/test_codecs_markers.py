"""Marker segments of JPEG and JPEG 2000, and streams cut in layers."""

from itertools import pairwise

import numpy as np
import pytest

from helpers import codecs
from helpers.codecs import markers
from helpers.errors import BitstreamError
from helpers.metrics import psnr

RNG = np.random.default_rng(5)
IMAGE = np.clip(
    np.add.outer(np.arange(72) * 2.0, np.arange(88)) + RNG.normal(0, 9, (72, 88)), 0, 255
).astype(np.uint8)
PSNRS = [26, 30, 36]


@pytest.fixture(scope="module")
def layered():
    return markers.encode_layers(IMAGE, PSNRS)


@pytest.mark.parametrize("level", [2, 40, 75, 98])
def test_segments_lead_to_the_coded_blocks(level):
    stream = codecs.get("jpeg", level=level).encode(IMAGE)
    parts = markers.segments(stream)
    assert parts[0].start == 2
    assert all(a.end == b.start for a, b in pairwise(parts))
    assert parts[-1].marker == 0xFFDA
    assert stream[parts[-1].end :].endswith(b"\xff\xd9")
    frame = next(part for part in parts if part.marker == 0xFFC0)
    assert frame.body[1:5] == bytes([0, 72, 0, 88])


def test_steps_get_smaller_with_quality():
    coarse, fine = (
        markers.quantisation_steps(codecs.get("jpeg", level=level).encode(IMAGE))
        for level in (30, 90)
    )
    assert coarse.shape == fine.shape == (64,)
    assert (fine <= coarse).all()
    assert markers.quantisation_steps(codecs.get("jpeg", level=100).encode(IMAGE)).max() == 1


def test_steps_of_two_bytes_are_read():
    steps = (np.arange(64) * 20).astype(">u2")
    table = b"\xff\xdb\x00\x83\x10" + steps.tobytes()
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    np.testing.assert_array_equal(markers.quantisation_steps(b"\xff\xd8" + table + scan), steps)


def test_each_cut_is_a_valid_better_stream(layered):
    decoder = codecs.get("jpeg2000")
    sizes, qualities = [], []
    for layers in range(1, len(PSNRS) + 1):
        cut = markers.cut_layers(layered, layers)
        decoded = decoder.decode(cut)
        assert decoded.shape == IMAGE.shape
        sizes.append(len(cut))
        qualities.append(psnr(IMAGE, decoded, 255))
    assert sizes == sorted(set(sizes))
    assert sizes[-1] < len(layered)
    assert qualities == sorted(qualities)
    np.testing.assert_allclose(qualities, PSNRS, atol=2)
    np.testing.assert_array_equal(decoded, decoder.decode(layered))


@pytest.mark.parametrize("shape", [(1, 1), (3, 50), (33, 17)])
def test_small_images_have_layers_too(shape):
    image = IMAGE[: shape[0], : shape[1]]
    stream = markers.encode_layers(image, [20, 40])
    assert codecs.get("jpeg2000").decode(markers.cut_layers(stream, 2)).shape == shape


@pytest.mark.parametrize(
    ("image", "psnrs", "words"),
    [(IMAGE.astype(np.uint16), [30], "8-bit"), (IMAGE, [30, 30], "rise"), (IMAGE, [], "rise")],
)
def test_what_cannot_be_layered_is_refused(image, psnrs, words):
    with pytest.raises(ValueError, match=words):
        markers.encode_layers(image, psnrs)


@pytest.mark.parametrize("layers", [0, 4])
def test_a_cut_outside_the_stream_is_refused(layered, layers):
    with pytest.raises(ValueError, match="has 3 layers"):
        markers.cut_layers(layered, layers)


def test_damage_is_noticed(layered):
    for length in range(len(layered)):
        with pytest.raises(BitstreamError):
            markers.cut_layers(layered[:length], 1)
    jpeg = codecs.get("jpeg").encode(IMAGE)
    for stream in (b"", b"GIF89a", jpeg[:50], b"\xff\xd8\xff\xdb\x00\x04\x00\x01" + jpeg[2:]):
        with pytest.raises(BitstreamError):
            markers.quantisation_steps(stream)


@pytest.mark.parametrize("name", ["jpeg", "jpeg2000"])
def test_streams_without_a_list_of_lengths_are_refused(name):
    with pytest.raises(BitstreamError, match=r"damaged|no JPEG 2000"):
        markers.cut_layers(codecs.get(name, level=40).encode(IMAGE), 1)
