import subprocess
import sys

import numcodecs
import numpy as np
import pytest
import zarr
from codec_images import phantom

from helpers import codecs
from helpers.codecs.streams import envelope_size, unwrap, wrap
from helpers.errors import BitstreamError

# The streams of these name their family, "cae" or "ae-latent"; see test_codecs_ae for the latter.
FAMILIES = ("cae-brotli", "ae", "vae")
PLAIN = [name for name in codecs.names() if name not in FAMILIES]
SAID = {"hyper-msssim": "hyper"}  # its stream names its model beside


def test_importing_the_codecs_loads_no_framework():
    code = "import sys, helpers.codecs; print({'torch', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_names_are_told_apart():
    assert set(codecs.names(lossless=True)) | set(codecs.names(lossless=False)) == set(
        codecs.names()
    )
    assert "jpeg" not in codecs.names(lossless=True)
    assert "png" not in codecs.names(lossless=False)
    assert "jpeg" not in codecs.fitting(np.dtype("uint16"))
    with pytest.raises(ValueError, match="choose one of png"):
        codecs.get("zip")
    with pytest.raises(ValueError, match="does not take these options"):
        codecs.get("spiht", colour=3)
    with pytest.raises(ValueError, match="HTJ2K is lossless"):
        codecs.get("htj2k", level=0.1)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("jpeg", {"level": 1000}),
        ("jpeg", {"level": "good"}),
        ("png", {"level": -1}),
        ("jpeg2000", {"level": -4}),
        ("jpegls", {"level": 128}),
        ("jpegxl", {"distance": 999}),
        ("avif", {"level": 100}),
        ("wavelet", {"step": np.inf}),
        ("wavelet", {"levels": 2.5}),
        ("spiht", {"bpp": np.inf}),
    ],
)
def test_options_out_of_range_are_refused(name, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        codecs.get(name, **options)


def test_options_that_only_the_library_refuses_are_one_sentence():
    codec = codecs.get("jpeg2000", codecformat="nonsense")
    with pytest.raises(ValueError, match="'jpeg2000' cannot code this image with its options"):
        codec.encode(phantom(16))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in PLAIN),
        ("spiht", {"bpp": 1.5}),
        ("wavelet", {"step": 2.5, "wavelet": "coif2", "levels": 3}),
        ("jpeg2000", {"level": 41.5}),
        ("jpegxl", {"distance": 1.5}),
        ("cae-brotli", {"scale": "channel", "coder": "range"}),
        ("ae", {"model": "tiny-ae", "latent": "float16"}),
        ("vae", {"model": "tiny-vae"}),
    ],
)
def test_a_config_builds_the_same_codec(name, options, latent_networks):
    codec = codecs.get(name, **options)
    twin = numcodecs.get_codec(codec.get_config())
    assert twin.get_config() == codec.get_config()
    assert twin.encode(phantom(32)) == codec.encode(phantom(32))


def test_a_stream_may_name_a_family_that_no_entry_is_called():
    codec = codecs.get("ae-latent", model="vae-mammo")
    assert codec.get_config() == codecs.get("vae").get_config()
    assert "ae-latent" not in codecs.names()


def test_an_aimed_codec_has_a_config():
    codec = codecs.at_rate("jpegls", 2.0)
    twin = numcodecs.get_codec(codec.get_config())
    assert twin.encode(phantom(32)) == codec.encode(phantom(32))


@pytest.mark.parametrize("name", ["spiht", "wavelet", "jpegls", "jpeg2000", "avif"])
def test_a_zarr_array_can_be_made_of_streams(name):
    image = phantom(96)
    array = zarr.create_array(
        {}, shape=image.shape, chunks=(48, 48), dtype=image.dtype,
        compressors=codecs.get(name), zarr_format=2,
    )  # fmt: skip
    array[:] = image
    error = np.abs(array[:].astype(int) - image).max()
    assert error <= (4 if name == "wavelet" else 1) if name in ("spiht", "wavelet") else error == 0


@pytest.mark.parametrize("name", PLAIN)
def test_a_file_says_what_it_is(name):
    image = phantom(40)
    stream = wrap(name, codecs.get(name), image)
    header, decoded = unwrap(stream)
    assert header.codec == SAID.get(name, name) and header.shape == image.shape
    assert len(stream) <= len(codecs.get(name).encode(image)) + envelope_size(name, image)
    if name in codecs.names(lossless=True):
        assert np.array_equal(decoded, image) and header.pixel_crc is not None
    else:
        assert header.pixel_crc is None
    for at in range(0, len(stream), 7):
        damaged = bytearray(stream)
        damaged[at] ^= 0x10
        with pytest.raises(BitstreamError):
            unwrap(bytes(damaged))


def test_a_payload_that_is_another_image_is_refused():
    from helpers.codecs.container import pack, pixel_crc, unpack

    image, other = phantom(40), phantom(40, seed=1)
    header, _ = unpack(wrap("png", codecs.get("png"), image))
    with pytest.raises(BitstreamError, match="not those that were coded"):
        unwrap(pack(header, codecs.get("png").encode(other)))
    with pytest.raises(BitstreamError, match="another image"):
        unwrap(pack(header, codecs.get("png").encode(other[:20])))
    with pytest.raises(BitstreamError, match="refuses the stream"):
        unwrap(pack(header, b"nonsense"))
    assert header.pixel_crc == pixel_crc(image)
