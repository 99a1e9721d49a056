import hashlib

import numpy as np
import pytest
from codec_images import phantom

from helpers import codecs
from helpers.codecs.wavelet import WAVELETS, WaveletCodec, _read, _write


def _mse(image, decoded):
    return np.mean((image.astype(float) - decoded) ** 2)


@pytest.mark.parametrize("wavelet", WAVELETS)
@pytest.mark.parametrize("levels", [0, 1, 6, None])
def test_every_transform_decodes(wavelet, levels):
    codec = WaveletCodec(step=0.25, wavelet=wavelet, levels=levels)
    for shape in ((1, 1), (1, 30), (31, 2), (37, 53)):
        image = phantom(64)[: shape[0], 10 : 10 + shape[1]].copy()
        error = codec.decode(codec.encode(image)).astype(int) - image
        assert np.abs(error).max() <= 1


def test_a_finer_step_costs_bytes_and_buys_quality():
    image = phantom(128)
    sizes, errors = [], []
    for step in (64, 16, 4, 1):
        stream = WaveletCodec(step=step).encode(image)
        sizes.append(len(stream))
        errors.append(_mse(image, WaveletCodec().decode(stream)))
    assert sizes == sorted(sizes) and errors == sorted(errors, reverse=True)
    # An orthogonal transform hands the quantiser's error on as it is: about step^2 / 12.
    assert errors[2] < 4**2 / 6


def test_the_rate_is_used_up():
    image = phantom(256)
    stream = WaveletCodec(bpp=1).encode(image)
    assert 0.98 * 8192 < len(stream) <= 8192


def test_near_jpeg_2000():
    image = phantom(256)
    for bpp in (0.25, 0.5, 1.0):
        ours, anchor = (codecs.at_rate(name, bpp) for name in ("wavelet", "jpeg2000"))
        ratio = _mse(image, ours.decode(ours.encode(image))) / _mse(
            image, anchor.decode(anchor.encode(image))
        )
        assert 10 * np.log10(ratio) < 2.5


def test_bad_calls_are_refused():
    for options, reason in (
        ({"step": 1, "bpp": 1}, "not both"),
        ({"step": 0}, "above 0"),
        ({"wavelet": "haar"}, "no wavelet"),
        ({"levels": 7}, "whole number from 0 to 6"),
    ):
        with pytest.raises(ValueError, match=reason):
            WaveletCodec(**options)


def test_bands_come_back_exactly_and_the_format_is_stable():
    """Integers in, integers out: this part of the stream is the same on every machine."""
    shapes = [(3, 4), (3, 4), (3, 4), (3, 4), (6, 8), (6, 8), (6, 8)]
    bands = []
    for k, (height, width) in enumerate(shapes):
        index = np.arange(height * width, dtype=np.int64) + 100 * k
        values = index * 2654435761 % 1009 // (1 + index % 97) - 3
        bands.append(values.astype(np.int32).reshape(height, width))
    bands[0][0, 0], bands[0][0, 1] = 2**24 - 1, -(2**24) + 1
    code = _write(bands)
    for band, back in zip(bands, _read(code, shapes), strict=True):
        assert np.array_equal(band, back)
    assert hashlib.sha256(code).hexdigest()[:16] == "c7b9e5ce69bd9099"
