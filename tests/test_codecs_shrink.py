"""The codec that keeps a smaller image: any size and depth, real bytes, its own weights."""

import zlib

import numpy as np
import pytest
import torch
from codec_images import images, phantom
from hypothesis import HealthCheck, given, settings

from helpers import measure, upscalers, weights
from helpers.codecs.classical import Png
from helpers.codecs.container import unpack
from helpers.codecs.shrink import ShrinkCodec, reduced
from helpers.codecs.streams import unwrap
from helpers.errors import BitstreamError
from helpers.upscalers import own

pytestmark = pytest.mark.usefixtures("one_thread")
FILM = phantom(96, seed=2)


@pytest.mark.parametrize("factor", [2, 4])
def test_any_image_keeps_its_shape_and_type(factor):
    codec = ShrinkCodec(factor)

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(images(("uint8", "uint16")))
    def check(image):
        decoded = codec.decode(codec.encode(image))
        assert decoded.shape == image.shape and decoded.dtype == image.dtype

    check()


@pytest.mark.parametrize("factor", [2, 4])
def test_the_stream_is_the_papers_png_and_a_few_bytes(factor):
    stream = ShrinkCodec(factor).encode(FILM)
    header, payload = unpack(stream, "shrink")
    assert payload[2:] == Png().encode(reduced(FILM, factor, 8)) and payload[:2] == bytes(
        [factor, 8]
    )
    assert header.model == "bicubic" and len(stream) - len(payload) < 50


def test_a_smooth_film_comes_back_nearly_and_a_quarter_is_worse_than_a_half():
    errors = []
    for factor in (2, 4):
        decoded = ShrinkCodec(factor).decode(ShrinkCodec(factor).encode(FILM))
        expected = upscalers.get("bicubic")(reduced(FILM, factor, 8), factor)
        np.testing.assert_array_equal(decoded, expected)
        errors.append(((decoded.astype(float) - FILM) ** 2).mean())
    assert errors[0] < errors[1] < FILM.var() / 4


def test_sixteen_bits_are_kept_and_twelve_stay_within_twelve():
    deep = FILM.astype(np.uint16) * 257
    codec = ShrinkCodec()
    fine = codec.decode(codec.encode(deep)) / 257 - codec.decode(codec.encode(FILM))
    assert np.abs(fine).max() < 2 and len(np.unique(codec.decode(codec.encode(deep)))) > 256
    edge = np.zeros((32, 32), np.uint16)
    edge[:, 16:] = 4095
    assert codec.decode(codec.encode(edge)).max() == 4095


def test_a_stream_of_any_factor_decodes_and_tells_its_model(tmp_path):
    stream = ShrinkCodec(4, "lanczos").encode(FILM)
    assert np.array_equal(ShrinkCodec(2, "lanczos").decode(stream), unwrap(stream)[1])
    with pytest.raises(BitstreamError, match="weights lanczos"):
        ShrinkCodec(4).decode(stream)
    assert ShrinkCodec(**{"factor": 4, "model": "lanczos"}).get_config() == {
        "id": "shrink",
        "factor": 4,
        "model": "lanczos",
    }


def test_a_network_is_known_by_its_weights(tmp_path, monkeypatch):
    from helpers.models.upscaler import build

    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    torch.manual_seed(0)
    made = build((8, 8, 8), (8, 16))
    own.save_vae(made, tmp_path / "upscaler-vae.safetensors", {})
    own.save_unet(made, tmp_path / "upscaler-unet.safetensors", {})
    codec = ShrinkCodec(model="latent-diffusion")
    small = FILM[:48, :40]
    stream = codec.encode(small)
    assert np.array_equal(codec.decode(stream), codec.decode(stream))
    torch.nn.init.normal_(made.unet.conv_out.weight)
    own.save_unet(made, tmp_path / "upscaler-unet.safetensors", {})
    with pytest.raises(BitstreamError, match="made with the weights latent-diffusion"):
        codec.decode(stream)


def test_the_table_of_all_chapters_takes_it():
    from helpers.data import ImageSet

    one = ImageSet("m", "s", (FILM,), ("a",), ("p",), ("",), 8, "none", "none")
    table = measure.evaluate(ShrinkCodec(), one, name="half")
    assert table["bytes"].item() == len(ShrinkCodec().encode(FILM)) and table["psnr"].item() > 20


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda body: bytes([3]) + body[1:], "begins with numbers"),
        (lambda body: body[:1] + bytes([17]) + body[2:], "begins with numbers"),
        (lambda body: body[:2] + Png().encode(np.zeros((48, 49), np.uint8)), "too few or many"),
        (lambda body: body[:2] + Png().encode(np.zeros((48, 48), np.uint16)), "other bits"),
        (lambda body: body[:200], "decoder refuses the stream"),
        (lambda body: body[:1], "cannot be decoded"),
    ],
)
def test_forged_payloads_are_refused(change, message):
    codec = ShrinkCodec()
    forged = codec.wrap(FILM, change(codec.compress(FILM)))
    assert zlib.crc32(forged[:-4]) == int.from_bytes(forged[-4:], "little")
    with pytest.raises(BitstreamError, match=message):
        codec.decode(forged)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ShrinkCodec(3), "factor of 2 or 4, not 3"),
        (lambda: ShrinkCodec(2, "nearest"), "no upscaler 'nearest'"),
        (lambda: ShrinkCodec().encode(np.zeros((9, 9), np.int16)), "shift them above 0"),
    ],
)
def test_what_it_cannot_take_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
