import numpy as np
import pytest
from codec_images import images, phantom
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import codecs
from helpers.errors import BitstreamError

QUICK = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LOSSLESS = codecs.names(lossless=True)
# a tile of the auto-encoder takes a third of a second; small networks take the place of many
# images in test_codecs_delta
EXAMPLES = {"ae-delta": 6}
# A fine setting of each lossy codec and, as a share of the range, the error it may make on
# images as wild as noise.
FINE = {
    "jpeg": ({"level": 95}, 0.08),
    "jpeg2000": ({"level": 60.0}, 0.1),
    "jpegls": ({"level": 3}, 3.5 / 255),
    "jpegxl": ({"distance": 0.1}, 0.08),
    "avif": ({"level": 95}, 0.08),
    "wavelet": ({"step": 1.0}, 0.005),
    "spiht": ({}, 0.0),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_lossless_is_exact(name):
    codec = codecs.get(name, **({"effort": 3} if name == "jpegxl" else {}))

    @settings(QUICK, max_examples=EXAMPLES.get(name, QUICK.max_examples))
    @given(images(codecs.CATALOGUE[name].dtypes))
    def check(image):
        decoded = codec.decode(codec.encode(image))
        assert decoded.dtype == image.dtype
        assert np.array_equal(decoded, image)

    check()


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (256, 256)])
def test_jpeg_ls_codes_noise_that_it_makes_larger(shape):
    """The library's own buffer is too small for it."""
    codec, rng = codecs.get("jpegls"), np.random.default_rng(0)
    for dtype in ("uint8", "uint16"):
        noise = rng.integers(0, np.iinfo(dtype).max, shape, dtype, endpoint=True)
        stream = codec.encode(noise)
        assert noise.nbytes < len(stream) < 2 * noise.nbytes + 100
        assert np.array_equal(codec.decode(stream), noise)
    near = codecs.get("jpegls", level=2)
    assert np.abs(near.decode(near.encode(noise)).astype(int) - noise).max() <= 2


@pytest.mark.parametrize("name", FINE)
def test_lossy_keeps_shape_and_stays_near(name):
    options, share = FINE[name]
    codec = codecs.get(name, **options)

    @QUICK
    @given(images(codecs.CATALOGUE[name].dtypes))
    def check(image):
        decoded = codec.decode(codec.encode(image))
        assert decoded.shape == image.shape and decoded.dtype == image.dtype
        if name == "jpeg2000" and min(image.shape) < 8 and np.ptp(image):
            return  # OpenJPEG aims at an average that so few pixels do not have
        limits = np.iinfo(image.dtype)
        error = np.abs(decoded.astype(int) - image).max()
        assert error <= share * (limits.max - limits.min) + 1

    check()


@pytest.mark.parametrize("name", ["wavelet", "spiht"])
def test_a_rate_is_kept_or_refused(name):
    @QUICK
    @given(images(("uint8", "uint16", "int16")), st.floats(0.01, 40))
    def check(image, bpp):
        codec = codecs.get(name, bpp=bpp)
        try:
            stream = codec.encode(image)
        except ValueError as error:
            assert "too few" in str(error)
            assert bpp * image.size / 8 < 40
            return
        assert len(stream) <= bpp * image.size / 8
        assert codec.decode(stream).shape == image.shape

    check()


@pytest.mark.parametrize("name", ["wavelet", "spiht"])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16"])
def test_a_constant_image_is_exact_and_small(name, dtype):
    for value in (np.iinfo(dtype).min, 0, 77, np.iinfo(dtype).max):
        image = np.full((65, 47), value, dtype)
        stream = codecs.get(name).encode(image)
        assert np.array_equal(codecs.get(name).decode(stream), image)
        assert len(stream) < 50


@pytest.mark.parametrize("name", ["wavelet", "spiht"])
def test_even_tiny_rates_are_kept_or_refused(name):
    image = phantom(256)
    for size in (10, 25, 30, 34, 38, 50, 90):
        try:
            stream = codecs.get(name, bpp=8 * size / image.size).encode(image)
        except ValueError as error:
            assert "too few" in str(error) and size < 90
        else:
            assert len(stream) <= size
            assert codecs.get(name).decode(stream).shape == image.shape


@pytest.mark.parametrize("name", ["wavelet", "spiht"])
def test_a_large_empty_image_decodes(name):
    image = np.zeros((1500, 1400), np.uint8)
    image[700, 700] = 200
    decoded = codecs.get(name).decode(codecs.get(name).encode(image))
    assert np.abs(decoded.astype(int) - image).max() <= 2


@pytest.mark.parametrize("name", codecs.names())
def test_pixel_types_are_held_or_refused(name):
    for dtype in ("uint8", "uint16", "int16"):
        image = phantom(16, dtype)
        if dtype in codecs.CATALOGUE[name].dtypes:
            assert codecs.get(name).decode(codecs.get(name).encode(image)).dtype == dtype
        else:
            with pytest.raises(ValueError, match=r"use one of .*jpeg2000"):
                codecs.get(name).encode(image)
    for wrong in (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4)), np.zeros((0, 4), np.uint8)):
        with pytest.raises(ValueError, match=r"2-D array|pixels"):
            codecs.get(name).encode(wrong)


@pytest.mark.parametrize("name", codecs.names())
def test_damage_is_refused(name):
    stream = codecs.get(name).encode(phantom(32))
    for damaged in (b"", stream[:10], bytes(40)):
        with pytest.raises(BitstreamError):
            codecs.get(name).decode(damaged)
