import hashlib
import itertools

import numpy as np
import pytest
from codec_images import phantom

from helpers import codecs
from helpers.codecs.container import pack, unpack
from helpers.codecs.rangecoder import finish, start_decoder, start_encoder
from helpers.codecs.spiht import SpihtCodec, truncate
from helpers.codecs.spiht_trees import code_planes, largest_descendants, padded_shape
from helpers.errors import BitstreamError


def _psnr(image, decoded):
    mse = np.mean((image.astype(float) - decoded) ** 2)
    return 10 * np.log10(255**2 / mse) if mse else np.inf


def test_any_prefix_decodes_and_more_bytes_are_better():
    image = phantom(128)
    codec, stream = SpihtCodec(), SpihtCodec().encode(image)
    lengths = [30, 60, 120, 250, 500, 1000, 2000, 4000, len(stream)]
    quality = []
    for length in lengths:
        cut = truncate(stream, length)
        assert len(cut) <= length
        quality.append(_psnr(image, codec.decode(cut)))
    assert all(more > less for less, more in itertools.pairwise(quality))
    assert quality[0] > 8 and quality[-1] > 55


def test_every_single_length_decodes():
    stream = SpihtCodec().encode(phantom(24))
    header, payload = unpack(stream)
    for length in range(3, len(payload)):
        assert SpihtCodec().decode(pack(header, payload[:length])).shape == (24, 24)


def test_a_prefix_is_what_a_budget_gives():
    image = phantom(96)
    cut, aimed = truncate(SpihtCodec().encode(image), 900), SpihtCodec(size=900).encode(image)
    assert 895 <= len(cut) <= len(aimed) <= 900
    assert (
        abs(_psnr(image, SpihtCodec().decode(cut)) - _psnr(image, SpihtCodec().decode(aimed))) < 0.1
    )


def test_near_jpeg_2000():
    image = phantom(256)
    for bpp in (0.25, 0.5, 1.0):
        ours, anchor = (codecs.at_rate(name, bpp) for name in ("spiht", "jpeg2000"))
        gap = _psnr(image, ours.decode(ours.encode(image))) - _psnr(
            image, anchor.decode(anchor.encode(image))
        )
        assert gap > -1


def test_sixteen_bits_keep_their_depth():
    image = phantom(96, np.uint16)
    error = SpihtCodec().decode(SpihtCodec().encode(image)).astype(int) - image
    assert np.abs(error).max() <= 2


def test_bad_calls_are_refused():
    for options in ({"bpp": 1, "size": 9}, {"bpp": 0}, {"size": -1}):
        with pytest.raises(ValueError, match="one of bpp= and size="):
            SpihtCodec(**options)
    with pytest.raises(ValueError, match="takes at least"):
        truncate(SpihtCodec().encode(phantom(16)), 5)
    with pytest.raises(BitstreamError, match="written by the codec"):
        truncate(codecs.get("wavelet").encode(phantom(16)), 50)


def _planes(magnitude, negative, rows, columns, levels, top):
    coder, data = start_encoder(), np.zeros(100_000, np.uint8)
    deepest = largest_descendants(magnitude, rows, columns, levels)
    code_planes(coder, data, magnitude, negative, deepest, rows, columns, levels, top)
    return data[: finish(coder, data)].copy()


def test_coefficients_come_back_exactly_and_the_format_is_stable():
    levels, rows, columns = padded_shape((61, 40))
    index = np.arange(rows * columns, dtype=np.int64)
    magnitude = (index * 2654435761 % 1009 // (1 + index // 40)).astype(np.int32)
    negative = (index % 3 == 0).astype(np.uint8)
    top = int(magnitude.max()).bit_length() - 1
    code = _planes(magnitude, negative, rows, columns, levels, top)
    back, signs = np.zeros_like(magnitude), np.zeros_like(negative)
    code_planes(
        *(start_decoder(code), code, back, signs, np.zeros(1, np.int32)),
        *(rows, columns, levels, top),
    )
    assert np.array_equal(back, magnitude)
    assert np.array_equal(signs[magnitude > 0], negative[magnitude > 0])
    assert hashlib.sha256(code.tobytes()).hexdigest()[:16] == "0f4cd6ffc7f7b9fd"


def test_the_trees_cover_every_coefficient_once():
    """A single large coefficient anywhere is found: no node hangs outside the trees."""
    levels, rows, columns = padded_shape((40, 24))
    for node in range(rows * columns):
        magnitude = np.zeros(rows * columns, np.int32)
        magnitude[node] = 5
        code = _planes(magnitude, np.zeros(rows * columns, np.uint8), rows, columns, levels, 2)
        back = np.zeros_like(magnitude)
        signs = np.zeros(rows * columns, np.uint8)
        code_planes(
            *(start_decoder(code), code, back, signs, np.zeros(1, np.int32)),
            *(rows, columns, levels, 2),
        )
        assert np.array_equal(back, magnitude)
