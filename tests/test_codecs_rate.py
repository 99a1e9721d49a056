import numpy as np
import pytest
from codec_images import phantom
from numcodecs import get_codec

from helpers import codecs

IMAGE = phantom(96)
ONE_SIZE = ("cae", "cae-brotli", "ae", "vae", "shrink", "hific")  # nothing trades bytes for quality
AIMED = [name for name in codecs.names(lossless=False) if name not in ONE_SIZE]


def _psnr(image, decoded, peak=255):
    mse = np.mean((image.astype(float) - decoded) ** 2)
    return 10 * np.log10(peak**2 / mse) if mse else np.inf


@pytest.mark.parametrize("name", AIMED)
def test_at_rate_fits_and_grows(name):
    quality = []
    for bpp in (0.8, 2.0):
        codec = codecs.at_rate(name, bpp)
        stream = codec.encode(IMAGE)
        assert 0.75 * bpp * IMAGE.size / 8 < len(stream) <= bpp * IMAGE.size / 8
        assert stream == codec.encode(IMAGE)
        quality.append(_psnr(IMAGE, codec.decode(stream)))
    assert quality[1] > quality[0] + 2


@pytest.mark.parametrize("name", AIMED)
def test_at_psnr_reaches_with_few_bytes(name):
    sizes = []
    for target in (32, 40):
        codec = codecs.at_psnr(name, target)
        stream = codec.encode(IMAGE)
        assert target <= _psnr(IMAGE, codec.decode(stream)) < target + 3
        sizes.append(len(stream))
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("name", ["jpeg2000", "jpegls", "jpegxl", "avif"])
def test_a_generous_rate_is_lossless(name):
    codec = codecs.at_rate(name, 9)
    assert np.array_equal(codec.decode(codec.encode(IMAGE)), IMAGE)


def test_sixteen_bits_have_their_own_peak():
    image = phantom(64, np.uint16)
    codec = codecs.at_psnr("jpeg2000", 60)
    assert _psnr(image, codec.decode(codec.encode(image)), 65535) >= 60


def test_the_impossible_is_refused():
    for name in ("png", "webp", "cae"):
        with pytest.raises(ValueError, match="no parameter that trades"):
            codecs.at_rate(name, 1)
    for name in ("jpeg", "spiht", "wavelet"):
        with pytest.raises(ValueError, match="higher rate"):
            codecs.at_rate(name, 0.0001).encode(IMAGE)
    with pytest.raises(ValueError, match="above 0"):
        codecs.at_rate("jpeg", 0)
    with pytest.raises(ValueError, match="does not reach"):
        codecs.at_psnr("jpeg", 90).encode(IMAGE)
    with pytest.raises(ValueError, match="There is no codec"):
        codecs.at_rate("zip", 1)
    for bpp in (np.inf, np.nan, -1):
        with pytest.raises(ValueError, match="above 0 bits per pixel and finite"):
            codecs.at_rate("jpeg", bpp)
    for psnr, peak in ((np.nan, None), (-3, None), (40, 0)):
        with pytest.raises(ValueError, match="number of decibels"):
            codecs.at_psnr("jpeg", psnr, peak=peak)
    with pytest.raises(ValueError, match="does not reach"):
        codecs.at_psnr("jpeg", 99999).encode(IMAGE)
    with pytest.raises(ValueError, match="level= of 'jpeg' is what the target chooses"):
        codecs.at_rate("jpeg", 1, level=80)


def test_an_endless_psnr_is_lossless():
    codec = codecs.at_psnr("jpegls", np.inf)
    assert np.array_equal(codec.decode(codec.encode(IMAGE)), IMAGE)


@pytest.mark.parametrize("name", AIMED)
def test_the_least_stream_stands_in_for_one_that_does_not_exist(name):
    codec = codecs.at_rate(name, 8 * 20 / IMAGE.size, or_least=True)
    least = codec.encode(IMAGE)
    assert 20 < len(least) < 0.8 * IMAGE.size / 8
    assert codec.decode(least).shape == IMAGE.shape
    fine = codecs.at_rate(name, 1.0).encode(IMAGE)
    assert codecs.at_rate(name, 1.0, or_least=True).encode(IMAGE) == fine
    assert len(least) < len(fine)
    assert get_codec(codec.get_config()).encode(IMAGE) == least
    with pytest.raises(ValueError, match="higher rate"):
        codecs.at_rate(name, 8 * (len(least) - 1) / IMAGE.size).encode(IMAGE)
