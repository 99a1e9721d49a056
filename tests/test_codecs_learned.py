"""The lossless codec that learns: exact images, small streams, and what it refuses."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numcodecs
import numpy as np
import pytest
from codec_images import images, make, phantom
from context_networks import draw, rewrite, save, texture
from hypothesis import HealthCheck, given, settings

from helpers import codecs, weights
from helpers.bench.speed import _peak_mib, _restart_peak
from helpers.bench.worker import worker
from helpers.codecs import learned
from helpers.codecs.causal import walk
from helpers.codecs.classical import JpegLs, JpegXl
from helpers.codecs.container import pack, unpack
from helpers.codecs.learned import MODELS, LearnedCodec
from helpers.codecs.streams import unwrap, wrap
from helpers.errors import BitstreamError, DataError
from helpers.lossless import exact_elsewhere

pytestmark = pytest.mark.usefixtures("context_networks")
DTYPES = ("uint8", "uint16", "int16")
NOTHING, NETWORK, JPEG_XL, JPEG_LS = range(4)


def tiny(standards=True):
    return codecs.get("learned", model="tiny-context", standards=standards)


def kind(stream):
    return unpack(stream)[1][0]


def tiled(dtype=np.uint8, side=8):
    rng = np.random.default_rng(7)
    return np.tile(rng.integers(0, 200, (side, side)), (64 // side,) * 2).astype(dtype)


@pytest.mark.parametrize("standards", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_image_comes_back(dtype, standards):
    codec = tiny(standards)

    @settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(images((dtype,)))
    def check(image):
        stream = codec.encode(image)
        header, payload = unpack(stream)
        assert (header.shape, header.dtype, header.codec) == (image.shape, image.dtype, "learned")
        assert (header.model, header.weights) == ("tiny-context", codec.weights_hash)
        assert header.pixel_crc is not None and stream == pack(header, payload)
        assert np.array_equal(codec.decode(stream), image)
        assert standards or kind(stream) in (NOTHING, NETWORK)

    check()


@pytest.mark.parametrize("shape", [(1, 70_000), (70_000, 1), (3, 2000)])
def test_long_images_come_back(shape):
    image = (np.arange(np.prod(shape)) // 7 % 251).astype(np.uint8).reshape(shape)
    assert np.array_equal(tiny().decode(tiny().encode(image)), image)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_constant_image_is_a_header(dtype):
    limits = np.iinfo(dtype)
    for value in (limits.min, 0, 77, limits.max):
        for codec in (tiny(), codecs.get("learned")):
            stream = codec.encode(np.full((65, 47), value, dtype))
            assert kind(stream) == NOTHING and len(unpack(stream)[1]) == 3
            assert np.array_equal(codec.decode(stream), np.full((65, 47), value, dtype))


@pytest.mark.parametrize(("dtype", "step"), [("uint8", 5), ("uint16", 257), ("int16", 100)])
def test_sparse_levels_cost_as_much_as_dense_ones(dtype, step):
    dense = texture((40, 40)) // 6
    assert len(np.unique(dense)) == np.ptp(dense) + 1
    sparse = ((dense.astype(int) - dense.min()) * step + np.iinfo(dtype).min).astype(dtype)
    streams = [tiny(standards=False).encode(image) for image in (dense, sparse)]
    assert np.array_equal(tiny().decode(streams[1]), sparse)
    gaps = int.from_bytes(unpack(streams[1])[1][5:8], "little")
    assert 0 < gaps < 20 and len(streams[1]) - len(streams[0]) == gaps


def test_the_numbers_of_the_header_are_the_images():
    shades = texture()
    for image in (shades, shades + np.uint16(1000), shades.astype(np.int16) - np.int16(300)):
        payload = unpack(tiny(standards=False).encode(image))[1]
        least = int.from_bytes(payload[1:3], "little") - 32768 * (image.dtype == np.int16)
        assert least == image.min()
        assert int.from_bytes(payload[3:5], "little") == np.ptp(image.astype(int))
        assert payload[5:8] == bytes(3)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["noise", "extreme", "tiles", "long tiles", "phantom", "sparse"])
def test_no_image_costs_more_than_in_a_standard(name, dtype):
    rng = np.random.default_rng(0)
    image = {
        "tiles": lambda: tiled(dtype),
        "long tiles": lambda: tiled(dtype, 32),
        "phantom": lambda: phantom(64, dtype),
    }.get(name, lambda: make(name, np.dtype(dtype), (64, 64), rng))()
    stream = tiny().encode(image)
    header, payload = unpack(stream)
    pixels = image if dtype != "int16" else (image.astype(int) - image.min()).astype(np.uint16)
    best = min(len(JpegXl().encode(pixels)), len(JpegLs().encode(pixels)))
    assert len(payload) <= best + 3
    assert len(stream) <= best + 3 + len(pack(header, b"")) + 2  # the length takes three bytes
    assert len(stream) <= len(tiny(standards=False).encode(image))
    assert np.array_equal(tiny().decode(stream), image)


def test_each_kind_of_payload_is_written():
    sparse = make("sparse", np.dtype("uint8"), (64, 64), np.random.default_rng(0))
    found = [kind(tiny().encode(image)) for image in (phantom(64), tiled(), sparse)]
    assert found == [NETWORK, JPEG_XL, JPEG_LS]
    assert kind(tiny(standards=False).encode(tiled())) == NETWORK


@pytest.mark.parametrize("number", [JPEG_XL, JPEG_LS])
@pytest.mark.parametrize("dtype", DTYPES)
def test_each_kind_of_payload_is_read(dtype, number):
    image = texture(bits=8 if dtype == "uint8" else 14, signed=dtype == "int16")
    least = int(image.min())
    pixels = image if dtype != "int16" else (image.astype(int) - least).astype(np.uint16)
    begin = bytes([number]) + (least + 32768 * (dtype == "int16")).to_bytes(2, "little")
    payload = begin + (JpegXl if number == JPEG_XL else JpegLs)().encode(pixels)
    stream = rewrite(tiny().encode(image), payload=payload)
    assert np.array_equal(tiny().decode(stream), image)


def test_any_layout_in_memory_is_coded():
    image, out = texture((30, 40), 12), np.zeros((20, 40), np.uint16)
    for view in (image[::2, ::-3], image.T, np.asfortranarray(image), image[10:]):
        stream = tiny().encode(view)
        assert np.array_equal(tiny().decode(stream), view)
    assert tiny().decode(stream, out) is out and np.array_equal(out, image[10:])
    assert codecs.get("learned").decode(codecs.get("learned").encode(image[10:]), out) is out


def test_auto_takes_the_best_network_and_decodes_all():
    auto, chosen = codecs.get("learned"), set()
    for image in (texture(), phantom(60), phantom(50, np.uint16), tiled(np.int16), texture((9, 2))):
        values = image.astype(int) - image.min()
        sizes = {model: len(walk.encode(values, learned.trained(model))) for model in MODELS}
        name = learned.choose(image)
        assert sizes[name] == min(sizes.values())
        stream = codecs.get("learned", standards=False).encode(image)
        assert unpack(stream)[0].model == name
        assert stream == LearnedCodec(name, standards=False).encode(image)
        for model in MODELS:
            stream = LearnedCodec(model).encode(image)
            assert np.array_equal(auto.decode(stream), image)
            assert np.array_equal(unwrap(stream)[1], image)
        chosen.add(name)
    assert len(chosen) > 1


def test_auto_looks_at_the_middle():
    image = np.zeros((200, 300), np.uint8)
    image[68:132, 86:214] = texture((64, 128))
    assert learned.choose(image) == learned.choose(texture((64, 128)))
    image[68:132, 86:214] = 0
    image[0, 0] = 1
    assert learned.choose(image) == MODELS[0]
    assert np.array_equal(codecs.get("learned").decode(codecs.get("learned").encode(image)), image)


def test_auto_refuses_networks_that_are_not_the_books():
    stream = tiny().encode(texture())
    with pytest.raises(BitstreamError, match="'tiny-context', which are none of lossless-chest, "):
        codecs.get("learned").decode(stream)
    nameless = rewrite(stream, model="", weights=b"")
    for codec in (codecs.get("learned"), tiny()):
        with pytest.raises(BitstreamError, match="made with the weights"):
            codec.decode(nameless)


def test_streams_of_other_weights_are_refused(tmp_path, monkeypatch):
    image = texture()
    stream, chest = tiny().encode(image), LearnedCodec(MODELS[0]).encode(image)
    with pytest.raises(BitstreamError, match=f"weights tiny-context .* holds {MODELS[1]}"):
        LearnedCodec(MODELS[1]).decode(stream)
    with pytest.raises(BitstreamError, match="written by the codec 'png'"):
        codecs.get("learned").decode(wrap("png", codecs.get("png"), image))
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    for name in ("tiny-context", MODELS[0]):
        save(tmp_path, name, draw(seed=9))  # the same name, another network
    for codec, foreign in ((tiny(), stream), (codecs.get("learned"), chest)):
        with pytest.raises(BitstreamError, match="made with the weights"):
            codec.decode(foreign)
    again = tiny(standards=False).encode(image)  # loaded anew
    assert np.array_equal(tiny().decode(again), image)
    assert unpack(again)[0].weights == weights.sha256("tiny-context")[:4]
    save(tmp_path, "tiny-context", draw())
    assert tiny().encode(image) == stream


def test_weights_that_are_none_are_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    save(tmp_path, "other", {"w": np.zeros(2)})
    with pytest.raises(DataError, match=r"^The weights lack 'first\.weight'; take weights of"):
        LearnedCodec("other").encode(texture())
    with pytest.raises(DataError, match="no weights named 'nobody'"):
        LearnedCodec("nobody").encode(texture())


def test_a_config_builds_the_same_codec():
    for codec in (codecs.get("learned"), tiny(standards=False)):
        config = codec.get_config()
        assert config == {"id": "learned", "model": codec.model, "standards": codec.standards}
        assert numcodecs.get_codec(config).encode(texture()) == codec.encode(texture())
    with pytest.raises(ValueError, match="does not take these options"):
        codecs.get("learned", effort=9)


def test_threads_do_not_disturb_each_other():
    """One network is kept for all of them, with room for one pixel's sums."""
    pictures = [texture((30, 30 + k)) for k in range(8)]
    codec = tiny(standards=False)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(codec.encode, pictures))
    assert found == [codec.encode(image) for image in pictures]


def test_another_process_with_other_threads_decodes_exactly():
    pictures = [phantom(90), texture(bits=12), tiled()]
    codec = codecs.get("learned")
    streams = [codec.encode(image) for image in pictures]
    streams[1] = codec.encode(texture((24, 39), 12))  # another image's
    assert exact_elsewhere(codec, pictures, 3, streams).tolist() == [True, False, True]


ALONE = """
import sys
for name in ("keras", "tensorflow", "torch", "jax"):
    sys.modules[name] = None  # importing it fails
import numpy as np
from helpers import codecs
codec = codecs.get("learned", standards=False)
image = (np.arange(40 * 30) % 251).astype(np.uint8).reshape(40, 30)
stream = codec.encode(image)
assert np.array_equal(codec.decode(stream), image)
print(stream.hex())
"""


def test_no_framework_is_needed_and_no_thread_counts():
    done = subprocess.run(
        [sys.executable, "-c", ALONE],
        env={**os.environ, "OMP_NUM_THREADS": "3", "NUMBA_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    image = (np.arange(40 * 30) % 251).astype(np.uint8).reshape(40, 30)
    assert done.stdout.strip() == codecs.get("learned", standards=False).encode(image).hex()


def grown(side, standards):
    """MiB by which coding and decoding a square of so many pixels make a process grow."""
    codec, image = tiny(standards), phantom(side, np.uint16)
    codec.decode(codec.encode(phantom(32, np.uint16)))  # compiles
    before = _restart_peak()
    stream = codec.encode(image)
    coded = _peak_mib() - before
    before = _restart_peak()
    assert codec.decode(stream).shape == image.shape
    return coded, _peak_mib() - before


@pytest.mark.parametrize(
    ("side", "standards", "most"),
    [
        (512, False, 16),  # MiB: a gibibyte at 4096 x 4096
        (768, True, 300),  # JPEG XL takes most of it
    ],
)
def test_memory_grows_with_the_image_and_not_much(side, standards, most):
    with worker() as call:
        for growth in call(grown, side, standards):
            assert not growth > most  # not a number where the system does not tell
